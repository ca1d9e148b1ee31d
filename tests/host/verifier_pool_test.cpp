#include "culm/replication/host/verifier_pool.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"

namespace culm::test {
namespace {

using host::VerifierPool;

constexpr auto kDeadline = std::chrono::seconds(30);

using Outcomes = std::vector<Result<void>>;

bool are_equal(const Outcomes& one, const Outcomes& other) {
  return std::ranges::equal(one, other, [](const auto& a, const auto& b) {
    return a ? b.has_value() : !b && a.error() == b.error();
  });
}

/// Signatures of which some are bad.
std::vector<SignatureCheck> random_checks(const LogBuilder& log, TestRandom& random,
                                          std::size_t count) {
  std::vector<SignatureCheck> checks;
  for (std::size_t i = 0; i < count; ++i) {
    checks.push_back(signature_check(log.entry(random.between(1, log.head()))));
    if (random.below(4) == 0) checks.back().signature.bytes[0] ^= 1U;
  }
  return checks;
}

/// Does with each check what it is told.
class ScriptedVerifier final : public SignatureVerifier {
 public:
  explicit ScriptedVerifier(std::function<void(const Author&)> script)
      : script_(std::move(script)) {}

  Result<void> verify(const Author& author, ByteView /*message*/,
                      const Signature& /*signature*/) override {
    script_(author);
    return {};
  }

 private:
  std::function<void(const Author&)> script_;
};

void verify_many(SignatureVerifier& verifier, const Author& author, std::size_t count) {
  const std::vector<SignatureCheck> checks(count, {author, {}, {}});
  std::vector<Result<void>> outcomes(count);
  verifier.verify_all(checks, outcomes);
}

const LogBuilder& some_log() {
  static const LogBuilder log = std::move(LogBuilder("alice").append_many(50));
  return log;
}

TEST(VerifierPool, SaysOfEachSignatureWhatOneVerifierSays) {
  const std::uint64_t seed = 7;
  SCOPED_TRACE(seed);
  TestRandom random(seed);
  Ed25519Verifier one;
  for (const std::size_t threads : {1U, 2U, 3U, 8U}) {
    VerifierPool pool(one, threads);
    for (const std::size_t count : {0U, 1U, 2U, 5U, 200U}) {
      const auto checks = random_checks(some_log(), random, count);
      Outcomes expected(count);
      one.verify_all(checks, expected);
      Outcomes outcomes(count, fail(Errc::kBusy));
      pool.verify_all(checks, outcomes);
      EXPECT_TRUE(are_equal(outcomes, expected));
    }
  }
}

TEST(VerifierPool, ServesManyCallersAtATime) {
  Ed25519Verifier one;
  VerifierPool pool(one, 3);
  std::vector<std::future<bool>> callers;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    callers.push_back(std::async(std::launch::async, [&one, &pool, seed] {
      TestRandom random(seed);
      bool is_right = true;
      for (int round = 0; round < 20; ++round) {
        const auto checks = random_checks(some_log(), random, random.below(30));
        Outcomes expected(checks.size());
        one.verify_all(checks, expected);
        Outcomes outcomes(checks.size(), fail(Errc::kBusy));
        pool.verify_all(checks, outcomes);
        is_right = is_right && are_equal(outcomes, expected);
      }
      return is_right;
    }));
  }
  for (auto& caller : callers) EXPECT_TRUE(caller.get());
}

TEST(VerifierPool, ChecksAsManyAtATimeAsItHasThreads) {
  constexpr std::size_t kThreads = 3;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t inside = 0;
  bool were_all_inside = false;
  bool is_too_late = false;
  ScriptedVerifier meeting([&](const Author&) {
    std::unique_lock lock(mutex);
    were_all_inside = were_all_inside || ++inside == kThreads;
    changed.notify_all();
    is_too_late = !changed.wait_for(lock, is_too_late ? std::chrono::seconds(0) : kDeadline,
                                    [&] { return were_all_inside; });
  });
  VerifierPool pool(meeting, kThreads);
  verify_many(pool, {}, 64);
  EXPECT_TRUE(were_all_inside);
}

TEST(VerifierPool, ACallDoesNotWaitForThreadsThatAreBusyWithAnother) {
  const Author slow{{1}};
  std::promise<void> release;
  const auto released = release.get_future().share();
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t inside = 0;
  ScriptedVerifier verifier([&](const Author& author) {
    if (author != slow) return;
    {
      const std::scoped_lock lock(mutex);
      ++inside;
    }
    changed.notify_all();
    released.wait_for(kDeadline);
  });
  VerifierPool pool(verifier, 2);
  std::thread caller([&] { verify_many(pool, slow, 64); });
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, kDeadline, [&] { return inside == 2; }));
  }
  verify_many(pool, {}, 64);
  EXPECT_EQ(released.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  release.set_value();
  caller.join();
}

TEST(VerifierPool, CountsAtLeastOneCore) { EXPECT_GE(VerifierPool::count_cores(), 1U); }

}  // namespace
}  // namespace culm::test
