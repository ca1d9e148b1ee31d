#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "culm/replication/detail/common_logs.hpp"
#include "culm/replication/detail/comparison.hpp"
#include "culm/replication/detail/liveness.hpp"
#include "culm/replication/detail/outbox.hpp"
#include "culm/replication/detail/requester.hpp"
#include "culm/replication/detail/responder.hpp"
#include "culm/replication/session.hpp"

namespace culm::replication {

/// The session behind its face: channel, frames and messages on one side, responder and requester on
/// the other.
class Session::Machine {
 public:
  Machine(Options options, const store::Store& store, Policy& policy, CreditPool& credit,
          SignatureVerifier& verifier, Random& random, Instant now);

  [[nodiscard]] Result<void> receive(ByteView wire, Instant now);
  [[nodiscard]] Result<void> receive_end();
  [[nodiscard]] ByteView pending_output() const { return channel_.pending_output(); }
  void output_sent(std::size_t bytes);
  [[nodiscard]] bool wants_input() const { return !ended_ && !outbox_.overfull(); }
  [[nodiscard]] std::optional<Instant> next_deadline() const;
  [[nodiscard]] Result<void> deadline_reached(Instant now);
  [[nodiscard]] std::optional<Event> next_event();
  [[nodiscard]] Result<WantId> want(const WantRequest& request);
  void cancel(WantId want);
  [[nodiscard]] Result<void> offer(const LogKey& log);
  void work_finished(const WorkReport& report);
  void log_changed(const LogKey& log);
  void close(std::optional<Errc> code);
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] bool established() const { return hello_received_; }
  [[nodiscard]] const SessionStats& stats() const { return stats_; }

 private:
  struct ActiveComparison {
    Comparison search;
    Bytes theirs;  ///< the peer's entry at the lowest difference known so far
    std::uint32_t queries = 0;
  };

  /// Looks at what has come, as far as there is room for the answers.
  [[nodiscard]] Result<void> read_messages();
  [[nodiscard]] Result<void> dispatch(const Message& message, std::size_t message_bytes);
  [[nodiscard]] Result<void> on_hello(const Hello& hello);
  [[nodiscard]] Result<void> on_offer(const Offer& offer);
  [[nodiscard]] Result<void> on_have(const Have& have);
  [[nodiscard]] Result<void> on_want(const Want& want);
  [[nodiscard]] Result<void> on_entries(const Entries& entries, std::size_t message_bytes);
  [[nodiscard]] Result<void> on_credit(const Credit& credit);
  [[nodiscard]] Result<void> on_compare(const Compare& compare);
  [[nodiscard]] Result<void> on_defect(const DefectFound& defect);
  [[nodiscard]] Result<void> on_deny(const Deny& deny);
  void on_bye(const Bye& bye);

  /// Compares once all that came before `have` is committed.
  [[nodiscard]] Result<void> start_comparison(const Have& have);
  [[nodiscard]] Result<void> ask_comparison(ActiveComparison& active,
                                            const store::ReadTransaction& transaction,
                                            const store::LogState& log);
  void end_comparison(const LogKey& log);
  [[nodiscard]] Result<void> answer_comparison(const Compare& query);
  Result<void> find_compared(Compare& answer, const Compare& query) const;
  [[nodiscard]] Result<void> advance_comparison(const Compare& answer);
  /// Sends the evidence against a log that both sides care for, once for each lower cap.
  [[nodiscard]] Result<void> tell_defect(const LogKey& log);
  [[nodiscard]] Result<void> send_receipt(const LogKey& log);
  [[nodiscard]] bool concerns_peer(const LogKey& log) const;
  [[nodiscard]] bool awaits_peer() const;

  /// Serves what can be served and encrypts what was said; ends the session on a failure.
  Result<void> go_on(Result<void> result);
  void flush();
  void end(std::optional<Error> error, std::string text);

  std::string agent_;
  const store::Store& store_;
  Policy& policy_;
  SecureChannel channel_;
  FrameReader reader_;
  Outbox outbox_;
  std::deque<Event> events_;
  SessionStats stats_;
  Responder responder_;
  Requester requester_;

  std::map<LogKey, ActiveComparison> comparisons_;
  std::map<LogKey, Have> postponed_;  ///< to be compared with what came before them
  CommonLogs logs_;

  Liveness liveness_;
  std::uint64_t ping_nonce_ = 0;
  bool credit_missing_ = false;
  bool hello_received_ = false;
  bool ended_ = false;
};

}  // namespace culm::replication
