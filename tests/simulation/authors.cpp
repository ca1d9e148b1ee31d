#include "tests/simulation/authors.hpp"

#include <algorithm>

#include "culm/feed/lipmaa.hpp"
#include "culm/store/appender.hpp"

namespace culm::simulation {

Log& Authors::add() {
  return *logs_.emplace_back(std::make_unique<Log>("author " + std::to_string(random_.next())));
}

void Authors::append(Peer& peer) {
  std::vector<Bytes> payloads;
  for (std::uint64_t i = random_.between(1, 3); i > 0; --i) {
    payloads.push_back(random_.bytes(random_.below(60) == 0 ? 120'000 : random_.below(300)));
  }
  peer.node->node().run([this, &peer, payloads](store::Store& store) -> Result<void> {
    Log& log = *peer.own;
    CULM_TRY(auto appender,
             store::Appender::open(store, log.key, LogId{0}, log.mark, store::commit_into(store)));
    const SeqNum before = appender.head();
    const std::vector<ByteView> views(payloads.begin(), payloads.end());
    const auto appended = appender.append(views);
    learn(log, store, before);
    if (!appended) return fail(appended.error());
    peer.acknowledged_here = *appended;
    return {};
  });
  peer.node->settle();
}

void Authors::learn(Log& log, const store::Store& store, SeqNum before) {
  const auto transaction = store.read();
  const auto state = *transaction->find_log(log.known.log);
  if (!state || state->head() <= before) return;
  const RangeSet added = state->held & RangeSet{{before + 1, state->head()}};
  for (const SeqRange range : added.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) {
      note(log, (*transaction->get_entry(*state, n)).entry);
    }
  }
}

void Authors::note(Log& log, const EntryView& entry) {
  signatures_.add(entry);
  auto& hashes = log.made[entry.seqnum()];
  if (hashes.insert(entry.hash()).second) log.known.entries.emplace_back(entry);
  if (hashes.size() > 1 && !log.is_broken) log.is_signed_twice = true;
}

bool Authors::fork(Peer& peer) {
  Log& log = any_log();
  if (log.made.size() < 4 || peer.own == &log) return false;
  const auto& original = log.known.entries[random_.below(log.known.entries.size())];
  auto fields = test::fields_of(original.view());
  const Bytes payload = random_.bytes(20);
  fields.payload_size = payload.size();
  fields.payload_hash = hash(payload);
  const EntryBuffer other = sign_entry(fields, log.key);
  log.is_broken = true;
  note(log, other.view());
  peer.node->node().run(
      [this, key = log.known.log, other, payload](store::Store& store) -> Result<void> {
        const UnitEntry item{other.view(), other.view().hash(), payload};
        const auto done = store::ingest(store, key, {&item, 1}, signatures_);
        return done ? Result<void>() : Result<void>(fail(done.error()));
      });
  peer.node->settle();
  return true;
}

std::optional<KnownLog> Authors::make_bad(const Peer& peer, bool is_well_signed) {
  Log& log = any_log();
  const auto state = peer.node->state(log.known.log);
  if (state.cap != 0 || state.head() < 2) return std::nullopt;
  const auto transaction = peer.node->store().read();
  const auto last = transaction->get_entry(state, state.head());
  if (!last) return std::nullopt;  // damaged
  EntryFields fields = test::fields_of(last->entry);
  fields.seqnum = state.head() + 1;
  fields.backlink = last->entry.hash();
  fields.lipmaalink.reset();
  if (has_lipmaalink(fields.seqnum)) {
    const auto target = transaction->find_entry(state, lipmaa(fields.seqnum));
    if (!target || !*target) return std::nullopt;
    fields.lipmaalink = (*target)->entry.hash();
  }
  if (!is_well_signed) {
    Signature signature{};
    random_.fill(signature.bytes);
    return KnownLog{log.known.log, {test::entry_of(fields, signature)}};
  }
  fields.backlink->bytes[0] ^= 1U;
  const EntryBuffer made = sign_entry(fields, log.key);
  log.is_broken = true;
  signatures_.add(made.view());
  return KnownLog{log.known.log, {made}};
}

}  // namespace culm::simulation
