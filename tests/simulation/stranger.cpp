#include "tests/simulation/stranger.hpp"

#include <utility>

#include "culm/feed/elided.hpp"
#include "culm/replication/codec.hpp"

namespace culm::simulation {

using namespace replication;

void Stranger::visit(test::SimulatedNetwork& network, test::SimulatedNode& node, Role role,
                     std::uint64_t seed, std::span<const KnownLog> logs, int messages) {
  const auto stranger = std::make_shared<Stranger>(role, seed, logs);
  stranger->connection_ = network.connect_raw(node, static_cast<std::uint8_t>(2 + seed % 200),
                                              [weak = std::weak_ptr(stranger)](ByteView bytes) {
                                                if (const auto one = weak.lock())
                                                  one->received(bytes);
                                              });
  stranger->flush();
  for (int i = 1; i <= messages; ++i) {
    network.after(test::milliseconds(200) * i, [stranger] { stranger->say_something(); });
  }
}

void Stranger::received(ByteView bytes) {
  static_cast<void>(channel_.receive(bytes, reader_.fill()));
  for (auto frame = reader_.next(); frame && *frame; frame = reader_.next()) {
    if (const auto message = decode(**frame)) answer(*message);
  }
  flush();
}

void Stranger::flush() {
  const ByteView output = channel_.pending_output();
  if (output.empty()) return;
  connection_->say(output);
  channel_.output_sent(output.size());
}

void Stranger::say(const Message& message) {
  if (!channel_.established()) return;
  Bytes encoded;
  encode(encoded, message);
  Bytes frame;
  append_frame(frame, encoded);
  static_cast<void>(channel_.send(frame));
  flush();
}

void Stranger::answer(const Message& message) {
  if (std::holds_alternative<Hello>(message)) say(Hello{kProtocolVersion, "stranger"});
  const auto* const want = std::get_if<Want>(&message);
  if (want == nullptr) return;
  if (role_ == Role::kBearer) return bring(*want);
  if (role_ == Role::kWithholder || role_ == Role::kIdler) return promise(*want);
  Have answer = std::get<Have>(have());
  answer.log = want->log;
  say(answer);
  if (role_ == Role::kLiar) {
    say(Quote{want->id, random_.next(), random_.next(), random_.next(), random_.next(), true});
  }
  if (role_ != Role::kByzantine) return;
  if (random_.below(2) == 0) say(Quote{want->id, 1, 0, 0, 500, true});
  Bytes unit;
  const RangeSet known;
  UnitEncoder encoder(unit, known, LinkForm::kWhole);
  const KnownLog& log = any_log();
  if (!log.entries.empty()) {
    encoder.add(log.entries[random_.below(log.entries.size())].view(), std::nullopt);
  }
  if (!unit.empty() && random_.below(3) == 0) unit[random_.below(unit.size())] ^= 1U;
  if (!unit.empty()) say(Entries{want->id, unit});
  say(Done{want->id, DoneReason::kComplete});
}

void Stranger::promise(const Want& want) {
  for (const KnownLog& log : logs_) {
    if (log.log != want.log || log.entries.empty()) continue;
    const EntryView last = log.entries.back().view();
    const RangeSet all{{1, last.seqnum()}};
    say(Have{log.log, last.seqnum(), last.hash(), all, all});
    return say(Quote{want.id, last.seqnum(), 0, 100 * last.seqnum(), 300 * last.seqnum(), true});
  }
  say(Deny{want.log, want.id, DenyReason::kNotServed});
}

void Stranger::want_all() {
  WantId id = 0;
  for (const KnownLog& log : logs_) {
    Want want;
    want.id = ++id;
    want.log = log.log;
    want.interest = everything();
    want.live = true;
    say(want);
    say(Offer{log.log, 1});
  }
}

void Stranger::bring(const Want& want) {
  const KnownLog& log = logs_.front();
  if (want.log != log.log) return say(Deny{want.log, want.id, DenyReason::kNotServed});
  const EntryView last = log.entries.back().view();
  say(Have{log.log, last.seqnum(), last.hash(), RangeSet{{1, last.seqnum()}}, {}});
  say(Quote{want.id, 1, 0, 0, 400, true});
  Bytes unit;
  const RangeSet known;
  UnitEncoder encoder(unit, known, LinkForm::kWhole);
  encoder.add(last, std::nullopt);
  say(Entries{want.id, unit});
  if (want.live) return say(Ready{want.id});
  say(Done{want.id, DoneReason::kComplete});
}

void Stranger::say_something() {
  if (role_ == Role::kBearer) {
    return say(Offer{logs_.front().log, logs_.front().entries.back().view().seqnum()});
  }
  if (role_ == Role::kByzantine) return say(make());
  if (role_ == Role::kIdler) {
    if (channel_.established() && !std::exchange(has_spoken_, true)) want_all();
    return;
  }
  if (role_ == Role::kFlooder) {
    for (int i = 0; i < 30; ++i) say(random_.below(2) == 0 ? have() : Ping{random_.next()});
    return;
  }
  say(random_.below(2) == 0 ? have() : Offer{any_log().log, kSeqnumMax - random_.below(9)});
}

SeqNum Stranger::seqnum() {
  switch (random_.below(4)) {
    case 0:
      return kSeqnumMax - random_.below(3);
    case 1:
      return random_.next() | 1U;
    default:
      return 1 + random_.below(100);
  }
}

RangeSet Stranger::ranges() {
  RangeSet set;
  for (std::uint64_t i = random_.below(5); i > 0; --i) {
    const SeqNum first = seqnum();
    set.insert(SeqRange{first, first + std::min(random_.below(50), kSeqnumMax - first)});
  }
  return set;
}

Bytes Stranger::any_entry() {
  const KnownLog& log = any_log();
  if (log.entries.empty()) return random_.bytes(150);
  const EntryBuffer& entry = log.entries[random_.below(log.entries.size())];
  Bytes bytes(entry.bytes().begin(), entry.bytes().end());
  if (random_.below(2) == 0) bytes[random_.below(bytes.size())] ^= 1U;
  return bytes;
}

Message Stranger::have() {
  Have have;
  have.log = any_log().log;
  have.head = 1 + random_.below(10'000);
  random_.fill(have.head_hash.bytes);
  have.held = RangeSet{{1, have.head}};
  have.payloads = have.held;
  return have;
}

Message Stranger::make() {
  const LogKey log = any_log().log;
  const auto want = static_cast<WantId>(1 + random_.below(4));
  switch (random_.below(15)) {
    case 0:
      return Offer{log, seqnum()};
    case 1: {
      Want made;
      made.id = static_cast<WantId>(1 + random_.below(100));
      made.log = log;
      made.interest = {ranges(), random_.below(3) == 0 ? random_.below(20) : 0};
      made.live = random_.below(2) == 0;
      made.full = random_.below(4) == 0;
      made.order = random_.below(2) == 0 ? Order::kAscending : Order::kNewestFirst;
      made.held = ranges();
      return made;
    }
    case 2:
      kept_ = random_.bytes(1 + random_.below(300));
      return Entries{want, kept_};
    case 3:
      kept_ = random_.bytes(1 + random_.below(300));
      return Payload{want, seqnum(), 0, true, kept_};
    case 4:
      return Ready{want};
    case 5:
      return Done{want, DoneReason::kComplete};
    case 6:
      return Cancel{want};
    case 7:
      return Credit{random_.below(1U << 20U)};
    case 8: {
      Compare compare{log, seqnum(), random_.below(2) == 0, Hash{}, {}};
      random_.fill(compare.hash->bytes);
      return compare;
    }
    case 9: {
      DefectFound found{log, {}};
      found.evidence.entries = {any_entry(), any_entry()};
      return found;
    }
    case 10:
      return Deny{log, want, DenyReason::kNotServed};
    case 11:
      return Ping{random_.next()};
    case 12:
      return Quote{want, random_.below(100), 0, 0, random_.below(10'000), true};
    case 13:
      return Pong{random_.next()};
    default:
      return have();
  }
}

}  // namespace culm::simulation
