#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "culm/core/limits.hpp"
#include "culm/core/result.hpp"
#include "culm/core/types.hpp"

namespace culm::replication {

/// The logs that either side of a session has named, and what was told of each. Nobody learns of a
/// log that he did not name, so of no other log anything is said; and what is said of one log, or
/// read of it, is bounded for the life of the session, whatever the author or the peer does.
/// Spec: replication.md#session
class CommonLogs {
 public:
  /// To speak of the log tells the peer nothing new from now on. Past the bound a log is cared for
  /// only while a want of it is open.
  void name(const LogKey& log);
  [[nodiscard]] bool is_named(const LogKey& log) const { return named_.contains(log); }

  /// The peer cares for it as well: it wants the log from this side, or has said what it holds.
  void share(const LogKey& log);
  [[nodiscard]] bool is_shared(const LogKey& log) const { return shared_.contains(log); }

  /// The peer asked for the log and gets nothing of what is new: it is to hear once that there is
  /// something. Past the bound it is not. Of logs that it was denied, which may be any, no more are
  /// kept than it may want at a time.
  void await_news(const LogKey& log, bool is_denied);
  void news_told(const LogKey& log);
  [[nodiscard]] bool is_awaited(const LogKey& log) const {
    return awaited_.contains(log) || denied_.contains(log);
  }

  /// Whether the peer has room for another offer.
  [[nodiscard]] bool can_offer() const { return offers_sent_ < limits::kOffersPerSessionMax; }
  /// Precondition: `can_offer()`.
  void offer_sent(const LogKey& log);
  /// Fails with kLimit for one too many.
  [[nodiscard]] Result<void> offer_received();
  /// Whether the log was offered, and not declined before.
  [[nodiscard]] bool offer_denied(const LogKey& log) { return offered_.erase(log) != 0; }

  void want_received() { ++wants_received_; }
  /// A deny came: one may for each want of either side and each offer, also after these have ended
  /// here, and a few more. Fails with kLimit.
  [[nodiscard]] Result<void> deny_received(std::uint64_t wants_sent);

  /// The peer is to hear what is held of the log once all that it sent is committed and there is
  /// room to say it.
  void receipt_due(const LogKey& log) { receipts_due_.insert(log); }
  void receipt_sent(const LogKey& log) { receipts_due_.erase(log); }
  [[nodiscard]] bool is_receipt_due(const LogKey& log) const { return receipts_due_.contains(log); }
  /// A copy: to send one changes what is due.
  [[nodiscard]] std::set<LogKey> receipts_due() const { return receipts_due_; }

  /// Whether the evidence for this cap is to be sent: once for each that is lower than the last. An
  /// author who lowers the cap again and again is not worth the peer's patience: then no more.
  [[nodiscard]] bool tell_cap(const LogKey& log, SeqNum cap);
  /// Fails with kLimit for one too many.
  [[nodiscard]] Result<void> defect_received();

 private:
  std::set<LogKey> named_;
  std::set<LogKey> shared_;
  std::set<LogKey> awaited_;
  std::set<LogKey> denied_;  ///< awaited as well
  std::set<LogKey> offered_;
  std::set<LogKey> receipts_due_;
  std::map<LogKey, SeqNum> caps_told_;
  std::uint32_t offers_sent_ = 0;
  std::uint32_t offers_received_ = 0;
  std::uint32_t defects_sent_ = 0;
  std::uint32_t defects_received_ = 0;
  std::uint64_t wants_received_ = 0;
  std::uint64_t denies_received_ = 0;
};

}  // namespace culm::replication
