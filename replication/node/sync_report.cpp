#include "culm/replication/node/sync_report.hpp"

#include <algorithm>

namespace culm::node {
namespace {

std::optional<Error> why_ended(const SyncReport& report) {
  switch (report.outcome) {
    case SyncOutcome::kDone:
      return std::nullopt;
    case SyncOutcome::kFailed:
      return report.error.value_or(Error{Errc::kStoreIo});
    case SyncOutcome::kIdle:
    case SyncOutcome::kDeadline:
      return Error{Errc::kTimeout};
    case SyncOutcome::kStopped:
      return Error{Errc::kPeerClosed};
    case SyncOutcome::kIncomplete:
    case SyncOutcome::kNoPeer:
      break;
  }
  return Error{Errc::kPeerStalled};
}

/// Whether something was to be pushed to a peer that has said nothing at all.
bool is_push_unanswered(const SyncReport& report, const PeerReport& peer) {
  const auto is_of_peer = [&](const Unconfirmed& one) { return one.endpoint == peer.endpoint; };
  return !peer.peer && std::ranges::any_of(report.logs, [&](const LogReport& log) {
    return std::ranges::any_of(log.unconfirmed, is_of_peer);
  });
}

std::optional<Error> why_partial(const LogReport& log) {
  if (!is_partial(log)) return std::nullopt;
  if (log.outcome == LogOutcome::kPartial && log.error) return log.error;
  const bool lacks_entries =
      !log.missing.empty() || std::ranges::any_of(log.unconfirmed, [](const Unconfirmed& one) {
        return !one.entries.empty();
      });
  return Error{lacks_entries ? Errc::kEntryNotHeld : Errc::kPayloadNotHeld};
}

/// By each that does not take what is pushed.
bool is_refused_for_damage(const LogReport& log) {
  const auto is_for_damage = [](const OfferDenied& denied) {
    return denied.reason == replication::DenyReason::kDamaged;
  };
  return !log.offer_denied_by.empty() && std::ranges::all_of(log.offer_denied_by, is_for_damage);
}

std::optional<Error> why_not_moved(const SyncReport& report, const LogReport& log) {
  if (log.outcome == LogOutcome::kBudget && !has_come(report)) return Error{Errc::kUsage};
  if (!log.offer_denied_by.empty()) {
    return Error{is_refused_for_damage(log) ? Errc::kPeerStore : Errc::kDenied};
  }
  if (const auto partial = why_partial(log)) return partial;
  if (log.error || log.outcome != LogOutcome::kDenied) return log.error;
  return Error{Errc::kDenied};
}

}  // namespace

bool is_denied_for_damage(const LogReport& log) {
  return is_refused_for_damage(log) ||
         (log.outcome == LogOutcome::kDenied && log.denied == replication::DenyReason::kDamaged);
}

bool is_partial(const LogReport& log) {
  if (log.outcome == LogOutcome::kPartial) return true;
  // Who had nothing of it before it was pushed there does not serve it.
  return log.outcome == LogOutcome::kDenied && !log.unconfirmed.empty();
}

bool is_unanswered(const SyncReport& report, const PeerReport& peer) {
  if (peer.error) return false;
  return !peer.peer || std::ranges::any_of(report.logs, [&](const LogReport& log) {
    return std::ranges::find(log.silent, peer.endpoint) != log.silent.end();
  });
}

bool has_come(const SyncReport& report) {
  return report.stats.entries_received + report.stats.payload_bytes_received != 0;
}

RangeSet find_dropped(const store::LogState& log) {
  if (log.cap == 0) return {};
  return log.held & RangeSet{{log.cap, kSeqnumMax}};
}

std::optional<SyncShortfall> why_not_done(const SyncReport& report) {
  if (const auto ended = why_ended(report)) {
    const auto is_lost = [](const PeerReport& peer) { return peer.error.has_value(); };
    auto lost = std::ranges::find_if(report.peers, is_lost);
    if (report.outcome == SyncOutcome::kIncomplete && lost == report.peers.end()) {
      lost = std::ranges::find_if(
          report.peers, [&](const PeerReport& peer) { return is_push_unanswered(report, peer); });
    }
    const bool are_all = std::ranges::all_of(report.peers, is_lost);
    const bool is_of_peer =
        (ended->code == Errc::kPeerStalled || (ended->code == Errc::kTimeout && are_all)) &&
        lost != report.peers.end();
    return is_of_peer ? SyncShortfall{lost->error.value_or(Error{Errc::kTimeout}), &*lost}
                      : SyncShortfall{*ended};
  }
  for (const LogReport& log : report.logs) {
    if (const auto error = why_not_moved(report, log)) return SyncShortfall{*error, nullptr, &log};
  }
  return std::nullopt;
}

}  // namespace culm::node
