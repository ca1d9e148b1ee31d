#include "culm/replication/transport/detail/writer.hpp"

#include <future>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "culm/feed/elided.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"
#include "tests/transport/network.hpp"

namespace culm::transport::detail {
namespace {

using replication::UnitWork;
using replication::Work;
using test::LogBuilder;
using test::run_until;

class WriterTest : public testing::Test {
 protected:
  WriterTest()
      : random_(1),
        store_(*store::Store::open(std::make_unique<store::MemoryKv>(), random_)),
        log_(LogBuilder("alice").append_many(40)) {
    start();
  }

  void start() {
    writer_.emplace(io_, *store_, verifier_, AcceptOptions{},
                    [this](const Writer::Committed& committed) { commits_.push_back(committed); });
  }

  Work unit(std::uint64_t number, SeqNum first, SeqNum last) {
    Bytes elided;
    const RangeSet known;
    UnitEncoder encoder(elided, known);
    for (SeqNum n = first; n <= last; ++n) encoder.add(log_.entry(n), log_.payload(n));
    return {{1, number}, log_.log(), UnitWork{std::move(elided)}, 0, nullptr};
  }

  void update(store::Store::Body body, Writer::UpdateHandler handler) {
    writer_->run([body = std::move(body)](store::Store& store) { return store.update(body); },
                 std::move(handler));
  }

  /// Keeps the writer busy from now until the promise is kept.
  std::promise<void> block() {
    std::promise<void> release;
    const auto entered = std::make_shared<std::promise<void>>();
    update(
        [entered, done = release.get_future().share()](store::WriteTransaction&) -> Result<void> {
          entered->set_value();
          done.wait();
          return {};
        },
        {});
    entered->get_future().wait();
    return release;
  }

  SeqNum head() {
    const auto transaction = *store_->read();
    return transaction.find_log(log_.log())->value_or(store::LogState{}).head();
  }

  asio::io_context io_;
  test::TestRandom random_;
  Ed25519Verifier verifier_;
  std::unique_ptr<store::Store> store_;
  LogBuilder log_;
  std::vector<Writer::Committed> commits_;
  std::optional<Writer> writer_;
};

TEST_F(WriterTest, PutsAllThatQueuedUpIntoOneCommit) {
  auto release = block();
  for (std::uint64_t i = 0; i < 8; ++i) writer_->post(unit(i + 1, i * 5 + 1, i * 5 + 5));
  release.set_value();
  ASSERT_TRUE(run_until(io_, [&] { return commits_.size() == 2; }));
  EXPECT_TRUE(commits_[0].reports.empty());
  ASSERT_EQ(commits_[1].reports.size(), 8U);
  for (std::uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(commits_[1].reports[i].id.work, i + 1);
    EXPECT_TRUE(commits_[1].reports[i].outcome);
  }
  EXPECT_EQ(commits_[1].changed, std::vector<LogKey>{log_.log()});
  EXPECT_EQ(head(), 40U);
}

TEST_F(WriterTest, KeepsTheOrderOfWorkAndUpdates) {
  std::vector<SeqNum> heads;
  const auto look = [&](store::WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const auto state, transaction.find_log(log_.log()));
    heads.push_back(state ? state->head() : 0);
    return {};
  };
  std::size_t finished = 0;
  const auto count = [&](const Result<void>&) { ++finished; };
  auto release = block();
  update(look, count);
  writer_->post(unit(1, 1, 10));
  update(look, count);
  writer_->post(unit(2, 11, 20));
  update(look, count);
  release.set_value();
  ASSERT_TRUE(run_until(io_, [&] { return finished == 3; }));
  EXPECT_EQ(heads, (std::vector<SeqNum>{0, 10, 20}));
}

TEST_F(WriterTest, ReportsOnlyTheLogsThatChanged) {
  std::optional<Result<void>> result;
  writer_->post(unit(1, 1, 10));
  writer_->post(unit(2, 1, 10));
  ASSERT_TRUE(run_until(
      io_, [&] { return !commits_.empty() && commits_.back().reports.back().id.work == 2; }));
  commits_.clear();
  update([](store::WriteTransaction&) -> Result<void> { return {}; },
         [&](Result<void> done) { result = done; });
  ASSERT_TRUE(run_until(io_, [&] { return result.has_value(); }));
  ASSERT_EQ(commits_.size(), 1U);
  EXPECT_TRUE(commits_[0].changed.empty());
}

TEST_F(WriterTest, HandsOnTheFailureOfAnUpdate) {
  std::optional<Result<void>> result;
  update([](store::WriteTransaction&) -> Result<void> { return fail(Errc::kUsage); },
         [&](Result<void> done) { result = done; });
  ASSERT_TRUE(run_until(io_, [&] { return result.has_value(); }));
  ASSERT_FALSE(*result);
  EXPECT_EQ(result->error().code, Errc::kUsage);
}

TEST_F(WriterTest, FinishesWhatWasQueuedWhenStopped) {
  auto release = block();
  writer_->post(unit(1, 1, 10));
  bool stopped = false;
  writer_->stop([&] { stopped = true; });
  EXPECT_FALSE(stopped);
  release.set_value();
  ASSERT_TRUE(run_until(io_, [&] { return stopped; }));
  EXPECT_EQ(head(), 10U);
  ASSERT_EQ(commits_.size(), 2U);
}

TEST_F(WriterTest, FinishesWhatWasQueuedWhenDestroyed) {
  writer_->post(unit(1, 1, 10));
  writer_.reset();
  EXPECT_EQ(head(), 10U);
}

TEST_F(WriterTest, LeavesTheContextWithoutWorkWhenIdle) {
  writer_->post(unit(1, 1, 10));
  io_.run();
  EXPECT_EQ(commits_.size(), 1U);
}

}  // namespace
}  // namespace culm::transport::detail
