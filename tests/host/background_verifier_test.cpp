#include "culm/replication/host/background_verifier.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <optional>

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

using host::BackgroundVerifier;

constexpr auto kDeadline = std::chrono::seconds(30);

class AtomicVerifier final : public SignatureVerifier {
 public:
  Result<void> verify(const Author& author, ByteView message, const Signature& signature) override {
    ++checks;
    return verifier_.verify(author, message, signature);
  }

  std::atomic<std::uint64_t> checks = 0;

 private:
  Ed25519Verifier verifier_;
};

class BackgroundVerifierTest : public testing::Test {
 protected:
  /// Commits in the thread that asks.
  void start() {
    background.emplace(
        *store, verifier,
        [this](const store::Store::Body& body, auto handler) {
          EXPECT_TRUE(store->update(body));
          {
            const std::scoped_lock lock(mutex);
            ++commits;
          }
          changed.notify_all();
          if (committed) committed();
          handler();
        },
        std::chrono::milliseconds(0));
  }

  /// Whether that becomes of the log within the deadline.
  bool becomes_verified(const LogBuilder& log, const RangeSet& seqnums) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kDeadline,
                            [&] { return store.state(log.log()).verified == seqnums; });
  }

  /// In units of ten, whose last entries are verified by that.
  void ingest(const LogBuilder& log, SeqNum first = 1) {
    for (SeqNum n = first; n <= log.head(); n += 10) {
      ASSERT_TRUE(store.ingest(log, {{n, std::min(n + 9, log.head())}}, false));
    }
  }

  MemoryStore store;
  AtomicVerifier verifier;
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void()> committed;
  int commits = 0;  // guarded by mutex while the verifier runs
  std::optional<BackgroundVerifier> background;
};

TEST_F(BackgroundVerifierTest, VerifiesAllThatIsHeldInBoundedSteps) {
  const LogBuilder alice = std::move(LogBuilder("alice").append_many(BackgroundVerifier::kStepMax));
  const LogBuilder bob = std::move(LogBuilder("bob").append_many(700));
  ingest(alice);
  ingest(bob);
  EXPECT_EQ(store.state(bob.log()).verified.count(), 70U);
  start();
  EXPECT_TRUE(becomes_verified(alice, up_to(alice.head())));
  EXPECT_TRUE(becomes_verified(bob, up_to(700)));
  background.reset();
  EXPECT_EQ(commits, 3);
}

TEST_F(BackgroundVerifierTest, GoesOnWhenALogHasChanged) {
  LogBuilder log("alice");
  log.append_many(30);
  ingest(log);
  start();
  ASSERT_TRUE(becomes_verified(log, up_to(30)));
  log.append_many(30);
  ingest(log, 31);
  background->wake();
  EXPECT_TRUE(becomes_verified(log, up_to(60)));
}

TEST_F(BackgroundVerifierTest, ABadSignatureIsLeftAloneAndNotCheckedAgain) {
  LogBuilder log("careless");
  log.append_many(4).append_badly_signed().append_many(5);
  ingest(log);
  start();
  ASSERT_TRUE(becomes_verified(log, {{1, 4}, {6, 10}}));
  log.append_many(10);
  ingest(log, 11);
  background->wake();
  EXPECT_TRUE(becomes_verified(log, {{1, 4}, {6, 20}}));
  background.reset();
  EXPECT_EQ(verifier.checks, 9U + 9U) << "all but 10 and 20, which their units had checked";
}

TEST_F(BackgroundVerifierTest, ALogThatChangesMeanwhileTakesNothingFromAnother) {
  LogBuilder alice("alice");
  alice.append_many(2 * BackgroundVerifier::kStepMax);
  const LogBuilder bob = std::move(LogBuilder("bob").append_many(30));
  ingest(alice);
  ingest(bob);
  alice.append_many(10);
  committed = [&] {
    committed = {};
    ingest(alice, alice.head() - 9);
  };
  start();
  EXPECT_TRUE(becomes_verified(bob, up_to(30)));
  background->wake();
  EXPECT_TRUE(becomes_verified(alice, up_to(alice.head())));
}

TEST_F(BackgroundVerifierTest, ManySmallLogsShareACommit) {
  std::vector<LogBuilder> logs;
  for (int i = 0; i < 50; ++i) {
    logs.push_back(std::move(LogBuilder("log " + std::to_string(i)).append_many(3)));
    ingest(logs.back());
  }
  start();
  EXPECT_TRUE(becomes_verified(logs.back(), up_to(3)));
  background.reset();
  EXPECT_EQ(commits, 1);
  for (const LogBuilder& log : logs) EXPECT_EQ(store.state(log.log()).verified, up_to(3));
}

TEST_F(BackgroundVerifierTest, WhatCouldNotBeCommittedIsNotCheckedForEver) {
  const std::uint64_t head = BackgroundVerifier::kStepMax + 100;
  const LogBuilder alice =
      std::move(LogBuilder("alice").append_many(4).append_badly_signed().append_many(head - 5));
  const LogBuilder bob = std::move(LogBuilder("bob").append_many(20));
  ASSERT_TRUE(store.ingest(alice, up_to(head), false));
  int asked = 0;
  background.emplace(
      *store, verifier,
      [&](const auto& /*body*/, const auto& handler) {
        {
          const std::scoped_lock lock(mutex);
          ++asked;
        }
        changed.notify_all();
        handler();
      },
      std::chrono::milliseconds(0));
  const auto is_asked = [&](int count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kDeadline, [&] { return asked == count; });
  };
  ASSERT_TRUE(is_asked(2));
  ASSERT_TRUE(store.ingest(bob, up_to(20), false));
  background->wake();
  ASSERT_TRUE(is_asked(3));
  background.reset();
  EXPECT_EQ(verifier.checks, head - 1 + 19) << "each once, but the two that are verified";
}

TEST_F(BackgroundVerifierTest, LostMarksAreMadeWhenTheirLogHasChanged) {
  LogBuilder log("careless");
  log.append_many(4).append_badly_signed().append_many(5);
  ingest(log);
  std::promise<void> lost;
  background.emplace(
      *store, verifier,
      [&, count = 0](const store::Store::Body& body, const auto& handler) mutable {
        if (++count == 1) {
          lost.set_value();
        } else {
          EXPECT_TRUE(store->update(body));
        }
        { const std::scoped_lock lock(mutex); }  // who waits has looked before, or looks behind
        changed.notify_all();
        handler();
      },
      std::chrono::milliseconds(0));
  ASSERT_EQ(lost.get_future().wait_for(kDeadline), std::future_status::ready);
  log.append_many(10);
  ingest(log, 11);
  background->wake();
  EXPECT_TRUE(becomes_verified(log, {{1, 4}, {6, 20}}));
}

TEST_F(BackgroundVerifierTest, EndsThoughNobodySaysWhatBecameOfItsCommit) {
  const LogBuilder log = std::move(LogBuilder("alice").append_many(20));
  ingest(log);
  std::promise<void> asked;
  background.emplace(
      *store, verifier, [&](const auto& /*body*/, const auto& /*handler*/) { asked.set_value(); },
      std::chrono::milliseconds(0));
  ASSERT_EQ(asked.get_future().wait_for(kDeadline), std::future_status::ready);
  background.reset();
}

}  // namespace
}  // namespace culm::test
