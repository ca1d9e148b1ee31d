#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "culm/replication/detail/common_logs.hpp"
#include "culm/replication/detail/fork_search.hpp"
#include "culm/replication/detail/liveness.hpp"
#include "culm/replication/detail/outbox.hpp"
#include "culm/replication/detail/requester.hpp"
#include "culm/replication/detail/responder.hpp"
#include "culm/replication/session.hpp"

namespace culm::replication {

/// Owns channel and framing, gives each message to the part that it is for, and tells the host what
/// came of it. What was asked and answered, compared and told of each log is for the parts to know.
class Session::Impl {
 public:
  Impl(Options options, const store::Store& store, Policy& policy, CreditPool& credit,
       ArrivingPayloads& payloads, SignatureVerifier& verifier, Random& random, Instant now);

  [[nodiscard]] Result<void> receive(ByteView wire, Instant now);
  [[nodiscard]] Result<void> receive_end();
  [[nodiscard]] ByteView pending_output() const { return channel_.pending_output(); }
  void output_sent(std::size_t bytes, Instant now);
  [[nodiscard]] bool wants_input() const { return !ended_ && listens() && !has_unread_; }
  ~Impl() { pool_.give_back_input(input_charged_); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] std::optional<Instant> next_deadline() const;
  [[nodiscard]] Result<void> deadline_reached(Instant now);
  [[nodiscard]] std::optional<Event> next_event();
  [[nodiscard]] Result<WantId> want(const WantRequest& request);
  void cancel(WantId want);
  [[nodiscard]] Result<void> offer(const LogKey& log);
  void work_finished(const WorkReport& report);
  void log_changed(const LogKey& log);
  void entries_lost(const LogKey& log);
  void drop_finished(const LogKey& log, const RangeSet& seqnums);
  /// Whether one side has named it, or wants it.
  [[nodiscard]] bool cares_for(const LogKey& log) const;
  [[nodiscard]] bool hears_of(const LogKey& log) const {
    return cares_for(log) || logs_.is_awaited(log);
  }
  [[nodiscard]] bool has_wants() const { return requester_.has_wants() || responder_.has_wants(); }
  void credit_freed(Instant now);
  void close(std::optional<Errc> code);
  [[nodiscard]] std::optional<Instant> behind_since() const { return behind_since_; }
  void trim_input();
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] bool established() const { return hello_received_; }
  [[nodiscard]] ByteView no_room() const { return channel_.no_room(); }
  [[nodiscard]] const SessionStats& stats() const { return stats_; }

 private:
  /// Looks at what has come, as far as there is room for the answers.
  [[nodiscard]] Result<void> read_messages(Instant now);
  [[nodiscard]] Result<void> dispatch(const Message& message, std::size_t message_bytes);
  [[nodiscard]] Result<void> on_hello(const Hello& hello);
  [[nodiscard]] Result<void> on_offer(const Offer& offer);
  [[nodiscard]] Result<void> on_have(const Have& have);
  [[nodiscard]] Result<void> on_want(const Want& want);
  [[nodiscard]] Result<void> on_entries(const Entries& entries, std::size_t message_bytes);
  [[nodiscard]] Result<void> on_credit(const Credit& credit);
  [[nodiscard]] Result<void> on_compare(const Compare& compare);
  [[nodiscard]] Result<void> on_defect(const DefectFound& defect);
  [[nodiscard]] Result<void> on_deny(Deny deny);
  void on_bye(const Bye& bye);
  /// Who offers may keep it nowhere else: what is told to be held is looked at first. Fails with
  /// kStoreDamaged where some of the log cannot be read.
  [[nodiscard]] Result<WantId> take_offer(const LogKey& log, const store::LogInterest& interest);
  /// Says what is held of the log, but for what is known to be damaged.
  [[nodiscard]] Result<void> say_have(const store::ReadTransaction& transaction,
                                      const store::LogState& log);

  /// Whether the peer knows the log: else it forgets what it is told of it, and is not told again.
  [[nodiscard]] bool knows(const LogKey& log) const;
  /// Sends the evidence against a log that the peer knows, once for each lower cap.
  [[nodiscard]] Result<void> tell_defect(const LogKey& log);
  /// Tells the peer what is held of a log, where it is wanted of it or waits for news, once nothing
  /// of it waits for the committer and there is room to say it.
  [[nodiscard]] Result<void> send_receipt(const LogKey& log);
  [[nodiscard]] Result<void> send_receipts_put_off();
  /// To speak of the log tells the peer nothing new; the host is to say when it changes.
  void name(const LogKey& log);
  /// The peer hears once when something of the log is new.
  void await_news(const LogKey& log, bool is_denied);
  [[nodiscard]] bool awaits_peer() const;
  /// Before the handshake is over, what is to be said cannot leave.
  [[nodiscard]] bool is_overfull() const { return channel_.established() && outbox_.overfull(); }
  /// Whether there is room for what the peer may bring, and for the answers.
  [[nodiscard]] bool listens() const { return !is_overfull() && !requester_.is_waiting(); }
  void output_changed();
  void input_changed(Instant now);
  void charge_input();
  void release_input();

  /// Serves what can be served and encrypts what was said; ends the session on a failure.
  Result<void> go_on(Result<void> result);
  void flush();
  void end(std::optional<Error> error, std::string text);

  std::string agent_;
  const std::shared_ptr<KnownDamage> damage_;
  const store::Store& store_;
  Policy& policy_;
  SecureChannel channel_;
  FrameReader reader_;
  Outbox outbox_;
  std::deque<Event> events_;
  SessionStats stats_;
  Responder responder_;
  Requester requester_;
  ForkSearch fork_search_;
  CommonLogs logs_;

  CreditPool& pool_;
  std::uint64_t input_charged_ = 0;
  std::optional<Instant> behind_since_;  ///< more has come than is free, and is not looked at
  Liveness liveness_;
  std::uint64_t ping_nonce_ = 0;
  bool receipts_lack_room_ = false;
  bool has_unread_ = false;  ///< messages may have come that are looked at in the next turn
  bool hello_received_ = false;
  bool ended_ = false;
};

}  // namespace culm::replication
