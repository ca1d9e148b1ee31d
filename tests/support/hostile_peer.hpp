#pragma once

#include <optional>
#include <vector>

#include "culm/replication/codec.hpp"
#include "culm/replication/frame.hpp"
#include "culm/replication/session.hpp"

#include "tests/support/session_network.hpp"

namespace culm::test {

/// Speaks the real channel with a session, but says in it whatever a test makes it say.
class HostilePeer {
 public:
  /// Completes the handshake with a session of `victim`.
  explicit HostilePeer(TestPeer& victim)
      : random_(77),
        victim_(victim),
        channel_(
            {replication::SecureChannel::Role::kInitiator, sealing::KeyPair::generate(random_)},
            random_),
        session_(
            {{replication::SecureChannel::Role::kResponder, victim.identity}, kSession, "victim"},
            victim.store(), victim, victim.credit, victim.payloads, victim.verifier, victim.random,
            Instant{}) {
    exchange();
  }

  [[nodiscard]] replication::Session& session() { return session_; }

  void say(const replication::Message& message) {
    Bytes encoded;
    replication::encode(encoded, message);
    say_raw(encoded);
  }

  /// Any bytes as one frame.
  void say_raw(ByteView message_bytes) {
    Bytes frame;
    replication::append_frame(frame, message_bytes);
    say_plaintext(frame);
  }

  void say_plaintext(ByteView plaintext) {
    static_cast<void>(channel_.send(plaintext));
    exchange();
  }

  void say_hello() { say(replication::Hello{}); }

  /// A have as an honest peer would send it, so that entries may follow.
  void say_have(const LogBuilder& log) {
    replication::Have have;
    have.log = log.log();
    have.head = log.head();
    have.head_hash = log.hash(log.head());
    have.held = RangeSet{{1, log.head()}};
    say(have);
  }

  /// Entries in the elided form; every link whole.
  void say_entries(replication::WantId want, std::span<const EntryBuffer> entries) {
    Bytes unit;
    const RangeSet known;
    UnitEncoder encoder(unit, known, LinkForm::kWhole);
    for (const EntryBuffer& entry : entries) encoder.add(entry.view(), std::nullopt);
    say(replication::Entries{want, unit});
  }

  /// Members of a log, in whole links, with the payloads of some.
  void say_unit(replication::WantId want, const LogBuilder& log, const RangeSet& members,
                const RangeSet& with_payloads) {
    Bytes unit;
    const RangeSet known;
    UnitEncoder encoder(unit, known, LinkForm::kWhole);
    for (const UnitEntry& item : log.unit(members, true)) {
      const bool is_with = with_payloads.contains(item.entry.seqnum());
      encoder.add(item.entry, is_with ? item.payload : std::nullopt);
    }
    say(replication::Entries{want, unit});
  }

  /// Time passes at the victim.
  void tick(Instant now) {
    now_ = now;
    const auto reached = session_.deadline_reached(now);
    if (!reached) verdict_ = reached.error().code;
    exchange();
  }

  /// The victim's committer fails all works from now on.
  void fail_works(Errc code) { failure_ = code; }

  /// The victim's committer answers nothing from now on.
  void hold_reports() { holds_reports_ = true; }

  /// Nothing that the victim sends is read from now on.
  void stop_reading() { reads_ = false; }

  /// What the victim has given to its committer.
  [[nodiscard]] std::size_t works() const { return works_; }

  /// The messages of type T that the victim sent.
  template <class T>
  [[nodiscard]] std::size_t heard() const {
    std::size_t count = 0;
    for (const auto& types : heard_) count += types == T::kType ? 1U : 0U;
    return count;
  }

  /// The want that the victim sent last.
  [[nodiscard]] const std::optional<replication::Want>& last_want() const { return last_want_; }

  /// Why the victim ended the session, if it did.
  [[nodiscard]] std::optional<Errc> verdict() const { return verdict_; }

  /// What the victim took a deny for, the last one.
  [[nodiscard]] std::optional<replication::DenyReason> denied() const { return denied_; }

 private:
  void exchange() {
    for (bool moved = true; moved;) {
      moved = pass_to_victim();
      moved = pass_from_victim() || moved;
    }
  }

  bool pass_to_victim() {
    const ByteView output = channel_.pending_output();
    if (output.empty() || session_.ended()) return false;
    const auto received = session_.receive(output, now_);
    channel_.output_sent(output.size());
    if (!received) verdict_ = received.error().code;
    drain();
    return true;
  }

  bool pass_from_victim() {
    const ByteView output = session_.pending_output();
    if (output.empty() || !reads_) return false;
    EXPECT_TRUE(channel_.receive(output, reader_.fill()));
    session_.output_sent(output.size(), now_);
    for (auto frame = reader_.next(); frame && *frame; frame = reader_.next()) {
      const auto message = replication::decode(**frame);
      EXPECT_TRUE(message);
      heard_.push_back(std::visit([](const auto& one) { return one.kType; }, *message));
      if (const auto* want = std::get_if<replication::Want>(&*message)) last_want_ = *want;
    }
    drain();
    return true;
  }

  void drain() {
    while (auto event = session_.next_event()) {
      if (const auto* received = std::get_if<replication::WorkReceived>(&*event)) {
        ++works_;
        if (holds_reports_) continue;
        if (failure_) {
          const replication::Work& work = received->work;
          session_.work_finished({work.id, work.log, fail(*failure_), work.credit});
          continue;
        }
        session_.work_finished(victim_.committer().commit({received->work}).front());
        session_.log_changed(received->work.log);
      } else if (const auto* ended = std::get_if<replication::Ended>(&*event)) {
        if (ended->error && !verdict_) verdict_ = ended->error->code;
      } else if (const auto* denied = std::get_if<replication::Denied>(&*event)) {
        denied_ = denied->reason;
      }
    }
  }

  TestRandom random_;
  Instant now_{};
  TestPeer& victim_;
  replication::SecureChannel channel_;
  replication::Session session_;
  replication::FrameReader reader_;
  static constexpr std::uint64_t kSession = 1'000'000;  ///< beside those of other connections

  std::vector<std::uint8_t> heard_;
  std::optional<replication::Want> last_want_;
  std::optional<Errc> verdict_;
  std::optional<replication::DenyReason> denied_;
  bool holds_reports_ = false;
  bool reads_ = true;
  std::size_t works_ = 0;
  std::optional<Errc> failure_;
};

}  // namespace culm::test
