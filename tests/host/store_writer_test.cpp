#include "culm/replication/host/store_writer.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"
#include "culm/store/check.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"

namespace culm::host {
namespace {

using replication::UnitWork;
using replication::Work;
using test::LogBuilder;

/// Takes what the writer posts, for the thread of the test.
class Mailbox {
 public:
  void post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    wake_.notify_one();
  }
  /// Runs what is posted until `done`; false when that takes too long.
  [[nodiscard]] bool run_until(const std::function<bool()>& done) {
    while (!done()) {
      std::unique_lock lock(mutex_);
      if (!wake_.wait_for(lock, std::chrono::seconds(30), [this] { return !tasks_.empty(); })) {
        return false;
      }
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
};

class StoreWriterTest : public testing::Test {
 protected:
  StoreWriterTest()
      : random_(1),
        store_(*store::Store::open(std::make_unique<store::MemoryKv>(), random_)),
        log_(LogBuilder("alice").append_many(40)) {
    start();
  }

  void start() {
    writer_.emplace(*store_, verifier_, AcceptOptions{},
                    [this](std::function<void()> task) { mailbox_.post(std::move(task)); });
  }

  Work unit(std::uint64_t number, SeqNum first, SeqNum last) {
    Bytes elided;
    const RangeSet known;
    UnitEncoder encoder(elided, known);
    for (SeqNum n = first; n <= last; ++n) encoder.add(log_.entry(n), log_.payload(n));
    return {{1, number}, log_.log(), UnitWork{std::move(elided)}, 0, nullptr};
  }

  void post(Work work) {
    std::vector<Work> works;
    works.push_back(std::move(work));
    run_job(std::move(works));
  }
  void run_job(node::Job job) {
    writer_->run(std::move(job),
                 [this](node::JobResult result) { finished_.push_back(std::move(result)); });
  }
  void update(node::TaskId id, store::Store::Body body) {
    run_job(node::Task{
        id, [body = std::move(body)](store::Store& store) { return store.update(body); }});
  }
  bool run(std::size_t jobs) {
    return mailbox_.run_until([&] { return finished_.size() == jobs; });
  }

  /// Keeps the writer busy from now until the promise is kept.
  std::promise<void> block() {
    std::promise<void> release;
    const auto entered = std::make_shared<std::promise<void>>();
    update(
        99,
        [entered, done = release.get_future().share()](store::WriteTransaction&) -> Result<void> {
          entered->set_value();
          done.wait();
          return {};
        });
    entered->get_future().wait();
    return release;
  }

  SeqNum head() {
    const auto transaction = *store_->read();
    const auto state = *transaction.find_log(log_.log());
    return state ? state->head() : 0;
  }

  Mailbox mailbox_;
  test::TestRandom random_;
  Ed25519Verifier verifier_;
  std::unique_ptr<store::Store> store_;
  LogBuilder log_;
  std::vector<node::JobResult> finished_;
  std::optional<StoreWriter> writer_;
};

TEST_F(StoreWriterTest, CommitsTheWorksOfAJobTogether) {
  std::vector<Work> works;
  for (std::uint64_t i = 0; i < 8; ++i) works.push_back(unit(i + 1, i * 5 + 1, i * 5 + 5));
  run_job(std::move(works));
  ASSERT_TRUE(run(1));
  ASSERT_EQ(finished_[0].reports.size(), 8U);
  for (std::uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(finished_[0].reports[i].id.work, i + 1);
    EXPECT_TRUE(finished_[0].reports[i].outcome);
  }
  EXPECT_EQ(finished_[0].changed, std::vector<LogKey>{log_.log()});
  EXPECT_EQ(head(), 40U);
}

TEST_F(StoreWriterTest, PutsAllThatQueuedUpIntoOneCommit) {
  auto release = block();
  for (std::uint64_t i = 0; i < 8; ++i) post(unit(i + 1, i * 5 + 1, i * 5 + 5));
  release.set_value();
  ASSERT_TRUE(run(2));
  ASSERT_EQ(finished_[1].reports.size(), 8U);
  for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(finished_[1].reports[i].id.work, i + 1);
}

TEST_F(StoreWriterTest, PerformsJobsInOrder) {
  std::vector<SeqNum> heads;
  const auto look = [&](store::WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const auto state, transaction.find_log(log_.log()));
    heads.push_back(state ? state->head() : 0);
    return {};
  };
  auto release = block();
  update(1, look);
  post(unit(1, 1, 10));
  update(2, look);
  post(unit(2, 11, 20));
  update(3, look);
  release.set_value();
  ASSERT_TRUE(run(6));
  EXPECT_EQ(heads, (std::vector<SeqNum>{0, 10, 20}));
  EXPECT_EQ(finished_[1].task, 1U);
  EXPECT_EQ(finished_[3].task, 2U);
  EXPECT_EQ(finished_[5].task, 3U);
}

TEST_F(StoreWriterTest, ReportsOnlyTheLogsThatChanged) {
  post(unit(1, 1, 10));
  ASSERT_TRUE(run(1));
  post(unit(2, 1, 10));
  update(1, [](store::WriteTransaction&) -> Result<void> { return {}; });
  ASSERT_TRUE(run(3));
  EXPECT_EQ(finished_[0].changed, std::vector<LogKey>{log_.log()});
  EXPECT_TRUE(finished_[1].changed.empty());
  EXPECT_TRUE(finished_[2].changed.empty());
}

TEST_F(StoreWriterTest, HandsOnTheFailureOfATask) {
  update(1, [](store::WriteTransaction&) -> Result<void> { return fail(Errc::kUsage); });
  ASSERT_TRUE(run(1));
  ASSERT_FALSE(finished_[0].outcome);
  EXPECT_EQ(finished_[0].outcome.error().code, Errc::kUsage);
}

TEST_F(StoreWriterTest, FinishesWhatWasQueuedWhenDestroyed) {
  post(unit(1, 1, 10));
  writer_.reset();
  EXPECT_EQ(head(), 10U);
}

/// So that nobody waits until all of it is hashed.
TEST_F(StoreWriterTest, PerformsWhatQueuedUpBetweenTheStepsOfAPayloadThatWasResumed) {
  const std::string large(2 * replication::Committer::kHashedPerStep + 5, 'x');
  log_.append(large);
  const auto unit = log_.unit({{1, log_.head()}});
  ASSERT_TRUE(store::ingest(*store_, log_.log(), unit, verifier_));
  const ByteView bytes = as_bytes(large);
  constexpr std::size_t kPart = limits::kPayloadChunkBytes;
  const std::size_t before = (bytes.size() - 1) / kPart * kPart;
  std::optional<store::Stage> stage;
  ASSERT_TRUE(store_->update([&](store::WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(stage, transaction.begin_stage(log_.log(), log_.head()));
    for (std::size_t at = 0; at < before; at += kPart) {
      CULM_CHECK(transaction.put_stage_part(log_.log(), *stage, at, bytes.subspan(at, kPart)));
    }
    return {};
  }));
  start();
  const ByteView rest = bytes.subspan(before);
  replication::PayloadWork last{log_.head(), before, true, Bytes(rest.begin(), rest.end()), stage};
  auto release = block();
  post({{1, 1}, log_.log(), std::move(last), 0, std::make_shared<replication::SessionToken>()});
  const auto holds = [&] {
    return (*store_->read()->get_log(log_.log()))->payloads.contains(log_.head());
  };
  bool was_held = true;
  update(1, [&](store::WriteTransaction&) -> Result<void> {
    was_held = holds();
    return {};
  });
  release.set_value();
  ASSERT_TRUE(run(4));
  EXPECT_TRUE(finished_[1].reports.empty());
  EXPECT_EQ(finished_[2].task, 1U);
  EXPECT_FALSE(was_held);
  ASSERT_EQ(finished_[3].reports.size(), 1U);
  EXPECT_TRUE(finished_[3].reports.front().outcome);
  EXPECT_EQ(finished_[3].changed, std::vector<LogKey>{log_.log()});
  EXPECT_TRUE(holds());
}

}  // namespace
}  // namespace culm::host
