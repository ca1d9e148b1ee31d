#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culm/replication/committer.hpp"
#include "culm/replication/session.hpp"
#include "culm/store/check.hpp"
#include "culm/store/memory_kv.hpp"
#include "culm/store/store.hpp"

#include "tests/support/held_log.hpp"
#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"
#include "tests/support/watched_kv.hpp"

namespace culm::test {

/// A peer with a store of its own, a real committer and any number of sessions; no socket, no
/// thread, no clock.
class TestPeer final : public replication::Policy {
 public:
  explicit TestPeer(std::uint64_t seed, const AcceptOptions& options = {})
      : random(seed),
        identity(sealing::KeyPair::generate(random)),
        store_(*store::Store::open(std::make_unique<WatchedKv>(std::make_unique<store::MemoryKv>()),
                                   random)),
        committer_(*store_, verifier, options) {}

  bool may_read(const sealing::PeerKey&, const LogKey& log) override {
    return !hidden || *hidden != log;
  }
  std::optional<store::LogInterest> accept_offer(const sealing::PeerKey&, const LogKey&) override {
    return accepts;
  }

  [[nodiscard]] store::Store& store() { return *store_; }
  [[nodiscard]] replication::Committer& committer() { return committer_; }

  /// Stores entries of `log` with payloads, as if they had come from elsewhere.
  void hold(const LogBuilder& log, const RangeSet& members) {
    const auto unit = log.unit(members, true);
    const auto done = store::ingest(*store_, log.log(), unit, verifier);
    ASSERT_TRUE(done) << message(done.error());
  }
  void hold(const LogBuilder& log) { hold(log, {{1, log.head()}}); }

  [[nodiscard]] store::LogState state(const LogKey& log) {
    const auto transaction = store_->read();
    const auto state = *transaction->find_log(log);
    return state ? *state : store::LogState{};
  }

  /// Whether every held entry and payload is the one of `log`.
  [[nodiscard]] bool agrees_with(const LogBuilder& log) {
    const auto transaction = store_->read();
    const auto held = transaction->find_log(log.log());
    if (!*held) return true;
    bool agrees = true;
    const auto visited = transaction->visit_entries(
        **held, (*held)->held, [&](const store::StoredEntry& stored) -> Result<bool> {
          const SeqNum n = stored.entry.seqnum();
          agrees = agrees && equal(stored.entry.bytes(), log.bytes(n));
          if (stored.inline_payload) {
            agrees = agrees && equal(*stored.inline_payload, log.payload(n));
          }
          return agrees;
        });
    return visited && agrees;
  }

  TestRandom random;
  sealing::KeyPair identity;
  CountingVerifier verifier;
  replication::CreditPool credit;
  replication::ArrivingPayloads payloads;
  std::optional<store::LogInterest> accepts;
  std::optional<LogKey> hidden;

 private:
  std::unique_ptr<store::Store> store_;
  replication::Committer committer_;
};

/// One end of a connection and what its host saw.
struct TestEnd {
  TestPeer* peer = nullptr;
  std::unique_ptr<replication::Session> session;
  std::vector<replication::Event> seen;

  template <class T>
  [[nodiscard]] const T* last() const {
    const T* found = nullptr;
    for (const auto& event : seen) {
      if (const auto* one = std::get_if<T>(&event)) found = one;
    }
    return found;
  }
  template <class T>
  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(seen, [](const auto& e) { return std::holds_alternative<T>(e); }));
  }
};

/// Two sessions whose bytes pass through memory in pieces of random length.
class TestConnection {
 public:
  TestConnection(TestPeer& dialer, TestPeer& listener, std::uint64_t seed) : random_(seed) {
    a = make(dialer, replication::SecureChannel::Role::kInitiator, 1);
    b = make(listener, replication::SecureChannel::Role::kResponder, 2);
  }

  /// Moves bytes and events until nothing moves any more, or `bytes_max` were moved: then the
  /// connection is cut.
  void run(std::uint64_t bytes_max = UINT64_MAX) {
    bool moved = true;
    while (moved && bytes_moved < bytes_max) {
      moved = pass(a, b, bytes_max);
      moved = pass(b, a, bytes_max) || moved;
      moved = take_turn(a) || moved;
      moved = take_turn(b) || moved;
    }
  }

  /// Tells both ends that `peer`'s log changed by other means.
  void log_changed(const TestPeer& peer, const LogKey& log) {
    for (TestEnd* end : {&a, &b}) {
      if (end->peer == &peer) end->session->log_changed(log);
    }
  }

  TestEnd a;
  TestEnd b;
  /// Why the first session that failed did.
  [[nodiscard]] std::string why() const {
    for (const TestEnd* end : {&a, &b}) {
      const auto* ended = end->last<replication::Ended>();
      if (ended != nullptr && ended->error && ended->error->code != Errc::kPeerClosed) {
        return std::string(end == &a ? "a: " : "b: ") + message(*ended->error);
      }
    }
    return "nobody failed";
  }

  Instant now{};
  std::uint64_t bytes_moved = 0;

 private:
  TestEnd make(TestPeer& peer, replication::SecureChannel::Role role, std::uint64_t id) const {
    replication::Session::Options options{{role, peer.identity}, id, "test"};
    TestEnd end;
    end.peer = &peer;
    end.session = std::make_unique<replication::Session>(std::move(options), peer.store(), peer,
                                                         peer.credit, peer.payloads, peer.verifier,
                                                         peer.random, Instant{});
    return end;
  }

  /// What a session left for its next turn.
  bool take_turn(TestEnd& end) {
    const auto due = end.session->next_deadline();
    if (!due || *due > now) return false;
    static_cast<void>(end.session->deadline_reached(now));
    drain(end);
    return true;
  }

  bool pass(TestEnd& from, TestEnd& to, std::uint64_t bytes_max) {
    bool moved = drain(from);
    const ByteView output = from.session->pending_output();
    if (output.empty() || bytes_moved >= bytes_max) return moved;
    const std::size_t most = std::min<std::uint64_t>(output.size(), bytes_max - bytes_moved);
    const std::size_t size = random_.below(4) == 0 ? random_.between(1, most) : most;
    const Bytes piece(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(size));
    from.session->output_sent(size, now);
    bytes_moved += size;
    if (!to.session->ended()) static_cast<void>(to.session->receive(piece, now));
    drain(to);
    return true;
  }

  bool drain(TestEnd& end) {
    bool any = false;
    while (auto event = end.session->next_event()) {
      any = true;
      if (const auto* received = std::get_if<replication::WorkReceived>(&*event)) {
        const auto reports = end.peer->committer().commit({received->work});
        end.session->work_finished(reports.front());
        end.session->log_changed(received->work.log);
      }
      end.seen.push_back(std::move(*event));
    }
    return any;
  }

  TestRandom random_;
};

/// An author who offers a log to a relay that takes all of it.
struct TestPush {
  explicit TestPush(const LogBuilder& log) {
    author.hold(log);
    relay.accepts = store::LogInterest{everything(), true};
    EXPECT_TRUE(connection.a.session->offer(log.log()));
  }

  TestPeer author{1};
  TestPeer relay{2};
  TestConnection connection{author, relay, 3};
};

/// Everything of a log, or a part.
inline replication::WantRequest want_of(const LogKey& log, Interest interest = everything()) {
  replication::WantRequest request;
  request.log = log;
  request.interest = std::move(interest);
  return request;
}

}  // namespace culm::test
