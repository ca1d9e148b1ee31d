#include "tests/simulation/invariants.hpp"

#include <algorithm>

#include "culm/feed/closure.hpp"
#include "culm/store/audit.hpp"

namespace culm::simulation {
namespace {

/// What there is of a log, as everybody should come to see it.
struct Whole {
  SeqNum head = 0;
  SeqNum cap = 0;
  RangeSet held;      ///< what an author lost before he gave it away is nowhere, and is not in it
  RangeSet payloads;  ///< likewise
};

Whole whole(const Peers& peers, const Log& log) {
  Whole whole;
  for (const Peer& peer : peers) {
    const auto state = peer.node->state(log.known.log);
    if (peer.pushes) {
      whole.head = std::max(whole.head, state.head());
      whole.held |= state.held;
      whole.payloads |= state.payloads;
    }
    if (state.cap != 0) whole.cap = whole.cap == 0 ? state.cap : std::min(whole.cap, state.cap);
  }
  // What hung on a damaged entry that nobody has any more is of no use to others.
  whole.held = anchored(whole.held);
  if (whole.cap != 0) whole.head = std::min(whole.head, whole.cap - 1);
  return whole;
}

std::optional<std::string> why_behind(const Peer& peer, const Log& log, const Whole& whole) {
  const auto wanted = peer.wants.find(log.known.log);
  if (wanted == peer.wants.end()) return std::nullopt;
  const auto state = peer.node->state(log.known.log);
  const RangeSet seqnums = resolve(wanted->second.entries, whole.head) & whole.held;
  const std::string where = peer.node->name() + " of a log of " + std::to_string(whole.head);
  if (!state.served().contains(seqnums)) {
    return where + " lacks " + to_string(seqnums - state.served());
  }
  if (state.cap != whole.cap && !seqnums.empty()) {
    return where + " knows a fork at " + std::to_string(state.cap) + ", not at " +
           std::to_string(whole.cap);
  }
  const RangeSet payloads = (seqnums & whole.payloads) - state.deleted;
  if (wanted->second.payloads && !state.payloads.contains(payloads)) {
    return where + " lacks the payloads " + to_string(payloads - state.payloads);
  }
  return std::nullopt;
}

/// Of a log that somebody lacks something of.
std::string what_all_hold(const Peers& peers, const Log& log) {
  std::string text;
  for (const Peer& peer : peers) {
    const auto state = peer.node->state(log.known.log);
    text += "; " + peer.node->name() + (peer.own == &log ? ", its author," : "") +
            (peer.pushes ? "" : ", which does not push,") + " holds " + to_string(state.held);
    if (state.cap != 0) text += " with a fork at " + std::to_string(state.cap);
  }
  return text;
}

bool are_made(const Log& log, const RangeSet& seqnums, const store::ReadTransaction& transaction,
              const store::LogState& state) {
  for (const SeqRange range : seqnums.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) {
      const auto stored = transaction.get_entry(state, n);
      const auto made = log.made.find(n);
      const bool is_made =
          stored && made != log.made.end() && made->second.contains(stored->entry.hash());
      if (!is_made) return false;
    }
  }
  return true;
}

/// Damage that nobody has met yet, or what hung on it.
bool is_rot(const store::AuditReport& report) {
  const auto is = [&](Errc code) { return report.first_fault && report.first_fault->code == code; };
  return is(Errc::kStoreDamaged) || is(Errc::kStoreFormat) || is(Errc::kUnitUnanchored);
}

bool are_anchored(const RangeSet& served) {
  return std::ranges::all_of(served.ranges(), [&](const SeqRange& range) {
    return range.first == 1 || served.contains(lipmaa(range.first));
  });
}

}  // namespace

std::optional<std::string> why_wrong(Peer& peer, const Log& log) {
  const auto transaction = peer.node->store().read();
  const auto state = *transaction->find_log(log.known.log);
  if (!state) return "a log is gone";
  const RangeSet before = std::exchange(peer.held[log.known.log], state->held);
  const RangeSet gone = before - state->held;
  const auto rotten = peer.rotten.find(log.known.log);
  const bool is_rotten = rotten != peer.rotten.end();
  if (!gone.empty() && (!is_rotten || !rotten->second.contains(gone))) return "entries are gone";
  if (!are_made(log, state->held - before, *transaction, *state)) {
    return "what the author never made is held";
  }
  peer.ever_held[log.known.log] |= {state->held, state->payloads};
  const RangeSet served = state->served();
  if (state->cap != 0 && served.largest_up_to(kSeqnumMax) >= state->cap) {
    return "what lies above a fork is served";
  }
  // What hung on a damaged entry stays until that is back.
  if (!is_rotten && !are_anchored(served)) return "an entry is not anchored";
  const auto deleted = peer.deleted.find(log.known.log);
  if (deleted != peer.deleted.end() && !(state->payloads & deleted->second).empty()) {
    return "a deleted payload is back";
  }
  return std::nullopt;
}

std::optional<std::string> why_not_converged(const Peers& peers, const Logs& logs) {
  for (const Peer& peer : peers) {
    if (peer.is_down) return peer.node->name() + " is down";
  }
  for (const auto& log : logs) {
    const Whole all = whole(peers, *log);
    for (const Peer& peer : peers) {
      if (auto why = why_behind(peer, *log, all)) return *why + what_all_hold(peers, *log);
    }
  }
  return std::nullopt;
}

std::optional<std::string> why_unsound(const Peers& peers, const Logs& logs,
                                       SignatureVerifier& signatures) {
  for (const Peer& peer : peers) {
    const auto transaction = peer.node->store().read();
    if (!store::audit_tables(*transaction)) return "damaged tables at " + peer.node->name();
    for (const auto& log : logs) {
      const auto state = *transaction->find_log(log->known.log);
      if (!state) continue;
      const auto report = store::audit_log(*transaction, *state, signatures);
      if (report && peer.is_rotten && is_rot(*report)) continue;
      if (!report || !report->is_sound()) return "the audit fails at " + peer.node->name();
    }
  }
  return std::nullopt;
}

}  // namespace culm::simulation
