#include "culm/replication/host/detail/change_steps.hpp"

#include <memory>
#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "culm/core/signing.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/store/check.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"

namespace culm::host {
namespace {

constexpr std::size_t kLogs = 10;

std::unique_ptr<store::Store> open(const store::MemoryImage& image,
                                   const store::MemoryOptions& options = {},
                                   const store::MemoryKv** memory = nullptr) {
  test::TestRandom random{1};
  auto kv = std::make_unique<store::MemoryKv>(options, image);
  if (memory != nullptr) *memory = kv.get();
  return *store::Store::open(std::move(kv), random);
}

/// A store with logs of a few entries.
class ManyLogs : public testing::Test {
 protected:
  ManyLogs() {
    const store::MemoryKv* memory = nullptr;
    const auto store = open({}, {}, &memory);
    for (std::size_t i = 0; i < kLogs; ++i) {
      const auto log = test::LogBuilder("author " + std::to_string(i)).append_many(3);
      EXPECT_TRUE(store::ingest(*store, log.log(), log.unit({{1, 3}}, true), verifier_));
      logs_.push_back(log.log());
    }
    image_ = memory->image();
  }

  std::vector<LogChange> of_each(const decltype(LogChange::what)& what) const {
    std::vector<LogChange> changes;
    for (const LogKey& log : logs_) changes.push_back({log, what});
    return changes;
  }

  static bool is_made(const store::Store& store, const LogChange& change) {
    const auto transaction = *store.read();
    const auto state = *transaction.find_log(change.log);
    if (std::holds_alternative<LogChange::Forget>(change.what)) return state == nullptr;
    if (const auto* const interest = std::get_if<store::LogInterest>(&change.what)) {
      return state->interest == *interest;
    }
    const RangeSet& deleted = std::get<LogChange::DeletePayloads>(change.what).seqnums;
    EXPECT_TRUE(state->deleted.empty() || state->deleted == deleted) << "done by half";
    EXPECT_EQ(state->payloads, state->held - state->deleted);
    return !state->deleted.empty();
  }

  static std::size_t count_made(const store::Store& store, std::span<const LogChange> changes) {
    return static_cast<std::size_t>(std::ranges::count_if(
        changes, [&](const LogChange& change) { return is_made(store, change); }));
  }

  /// How many were made after a failure of each operation in turn.
  std::set<std::size_t> made_after_failures(const std::vector<LogChange>& changes) {
    std::set<std::size_t> counts;
    for (std::uint64_t n = 1; n < 2000; ++n) {
      const store::MemoryKv* memory = nullptr;
      const auto store = open(image_, {.fail_operation = n}, &memory);
      const ChangedLogs changed = DirectWriter(*store, verifier_).change_all(changes);
      const std::size_t made = count_made(*open(memory->image()), changes);
      EXPECT_EQ(changed.count, made) << n;
      counts.insert(made);
      if (changed.outcome) return counts;
    }
    ADD_FAILURE() << "never done";
    return counts;
  }

  Ed25519Verifier verifier_;
  store::MemoryImage image_;
  std::vector<LogKey> logs_;
};

TEST_F(ManyLogs, AreChangedByOneCommitOrNotAtAll) {
  const std::set<std::size_t> all_or_none{0, kLogs};
  const store::LogInterest interest{{{{2, 2}}, 0}, false};
  EXPECT_EQ(made_after_failures(of_each(LogChange::DeletePayloads{{{1, 2}}})), all_or_none);
  EXPECT_EQ(made_after_failures(of_each(interest)), all_or_none);
  EXPECT_EQ(made_after_failures(of_each(LogChange::Forget{})), all_or_none);
}

TEST_F(ManyLogs, ThatAreForgottenLeaveNothingToErase) {
  const auto store = open(image_);
  DirectWriter writer(*store, verifier_);
  EXPECT_TRUE(writer.change_all(of_each(LogChange::Forget{})).outcome);
  EXPECT_FALSE(*(*store->read()).has_forgotten());
}

TEST_F(ManyLogs, OneOfWhichIsRefusedAreChangedUpToThatOne) {
  const auto store = open(image_);
  const LogKey unknown = test::LogBuilder("nobody").log();
  DirectWriter writer(*store, verifier_);
  for (const decltype(LogChange::what)& what :
       {decltype(LogChange::what)(LogChange::DeletePayloads{{{1, 2}}}),
        decltype(LogChange::what)(LogChange::Forget{})}) {
    auto changes = of_each(what);
    changes[4].log = unknown;
    const ChangedLogs changed = writer.change_all(changes);
    EXPECT_EQ(changed.count, 4U);
    EXPECT_EQ(changed.outcome.error().code, Errc::kLogUnknown);
    changes.erase(changes.begin() + 4);
    EXPECT_EQ(count_made(*store, changes), 4U);
  }
  EXPECT_FALSE(*(*store->read()).has_forgotten());
}

TEST_F(ManyLogs, AFullDiskLetsPayloadsGoOfEach) {
  const auto store = open(image_, {.full_after_bytes = image_.size_bytes, .may_grow = false});
  DirectWriter writer(*store, verifier_);
  const auto changes = of_each(LogChange::DeletePayloads{{{1, 3}}});
  const ChangedLogs changed = writer.change_all(changes);
  EXPECT_TRUE(changed.outcome) << message(changed.outcome.error());
  EXPECT_EQ(count_made(*store, changes), kLogs);
}

/// A store on a disk that is full: a transaction finds room for few writes, and for more once the
/// reserve was given up.
class FullKv final : public store::Kv {
 public:
  FullKv(const store::MemoryImage& image, std::size_t room, std::size_t reserve)
      : kv_({.may_grow = false}, image), room_(room), reserve_(reserve) {}

  Result<std::unique_ptr<store::KvReadTransaction>> begin_read() override {
    return kv_.begin_read();
  }
  Result<std::unique_ptr<store::KvWriteTransaction>> begin_write() override {
    CULM_TRY(auto transaction, kv_.begin_write());
    return std::make_unique<Transaction>(*this, std::move(transaction));
  }
  Result<void> grow() override { return fail(Errc::kStoreFull); }
  Result<void> compact() override { return kv_.compact(); }
  Result<store::KvClaim> claim() override { return kv_.claim(); }
  bool is_claimed(std::uint64_t number) override { return kv_.is_claimed(number); }
  bool release_reserve() override {
    room_ += reserve_;
    return std::exchange(reserve_, 0) != 0;
  }

  [[nodiscard]] std::size_t commits() const { return commits_; }
  [[nodiscard]] bool has_reserve() const { return reserve_ != 0; }

 private:
  class Transaction final : public store::KvWriteTransaction {
   public:
    Transaction(FullKv& of, std::unique_ptr<store::KvWriteTransaction> transaction)
        : of_(of), transaction_(std::move(transaction)), left_(of.room_) {}

    Result<std::optional<ByteView>> get(store::Table table, ByteView key) const override {
      return transaction_->get(table, key);
    }
    Result<std::unique_ptr<store::KvCursor>> cursor(store::Table table) const override {
      return transaction_->cursor(table);
    }
    Result<store::KvSpace> space() const override { return transaction_->space(); }
    Result<void> put(store::Table table, ByteView key, ByteView value) override {
      if (left_ == 0) return fail(Errc::kStoreFull);
      --left_;
      return transaction_->put(table, key, value);
    }
    Result<void> erase(store::Table table, ByteView key) override {
      return transaction_->erase(table, key);
    }
    Result<void> commit() override {
      ++of_.commits_;
      return transaction_->commit();
    }

   private:
    FullKv& of_;
    std::unique_ptr<store::KvWriteTransaction> transaction_;
    std::size_t left_;
  };

  store::MemoryKv kv_;
  std::size_t room_;
  std::size_t reserve_;
  std::size_t commits_ = 0;
};

TEST_F(ManyLogs, PayloadsOfARangeGoOnAFullDiskInSmallStepsAndAtLastByTheReserve) {
  constexpr std::size_t kRoomMax = 200;
  const RangeSet range{{2, 30}, {35, 35}};
  const auto log = test::LogBuilder("long").append_many(40);
  {
    const store::MemoryKv* memory = nullptr;
    const auto store = open(image_, {}, &memory);
    ASSERT_TRUE(store::ingest(*store, log.log(), log.unit({{1, 40}}, true), verifier_));
    image_ = memory->image();
  }
  const std::vector<LogChange> changes{{logs_[0], LogChange::DeletePayloads{{{3, 3}}}},
                                       {log.log(), LogChange::DeletePayloads{range}}};
  std::set<std::size_t> steps;
  std::size_t by_reserve = 0;
  for (const bool has_reserve : {true, false}) {
    for (std::size_t room = 1; room <= kRoomMax; ++room) {
      test::TestRandom random{1};
      auto kv = std::make_unique<FullKv>(image_, room, has_reserve ? kRoomMax : 0);
      const FullKv& disk = *kv;
      const auto store = *store::Store::open(std::move(kv), random);
      const ChangedLogs changed = DirectWriter(*store, verifier_).change_all(changes);
      const bool is_done = changed.outcome.has_value();
      EXPECT_TRUE(is_done || !has_reserve) << room;
      EXPECT_TRUE(is_done || changed.outcome.error().code == Errc::kStoreFull) << room;
      const store::LogState state = **(*store->read()).get_log(log.log());
      EXPECT_EQ(state.payloads, (RangeSet{{1, 40}} - state.deleted));
      EXPECT_TRUE(is_done ? state.deleted == range : range.contains(state.deleted)) << room;
      EXPECT_TRUE(!is_done || count_made(*store, changes) == changes.size()) << room;
      const bool is_by_reserve = has_reserve && !disk.has_reserve();
      if (is_by_reserve) ++by_reserve;
      if (is_done && !is_by_reserve) steps.insert(disk.commits());
      EXPECT_TRUE(is_done || room <= by_reserve) << "the reserve is for where nothing else helps";
    }
  }
  EXPECT_GT(by_reserve, 0U);
  EXPECT_GT(steps.size(), 2U) << "the more room the fewer steps";
  EXPECT_GT(*steps.rbegin(), range.count() / 2);
}

TEST_F(ManyLogs, OneOfWhichFailsAfterItHasWrittenAreChangedUpToThatOne) {
  // Nobody can say of which log a row of a stage is, which is met while one deletes.
  const store::MemoryKv* memory = nullptr;
  const auto kv = std::make_unique<store::MemoryKv>(store::MemoryOptions{}, image_);
  {
    const auto known = open(image_);
    const auto number = (*(*known->read()).get_log(logs_[5]))->number;
    const auto good = store::detail::entry_row_key(number, 2);
    Bytes key(good.begin(), good.end());
    key.push_back(7);
    const auto transaction = *kv->begin_write();
    ASSERT_TRUE(transaction->put(store::Table::kStages, key, key));
    ASSERT_TRUE(transaction->commit());
  }
  const auto store = open(kv->image(), {}, &memory);
  auto changes = of_each(LogChange::DeletePayloads{{{1, 2}}});
  std::ranges::reverse(changes);
  DirectWriter writer(*store, verifier_);
  const ChangedLogs changed = writer.change_all(changes);
  EXPECT_EQ(changed.count, 4U);
  EXPECT_EQ(changed.outcome.error().code, Errc::kStoreDamaged);
  EXPECT_EQ(count_made(*open(memory->image()), changes), 4U);
}

TEST(ChangeSteps, DoNotCutALogInTwoThatOneStepHasRoomFor) {
  constexpr SeqNum kHead = limits::kRowsPerStepMax / 2 + 1000;
  const auto store = open({});
  Ed25519Verifier verifier;
  std::vector<LogChange> changes;
  for (const char* const author : {"alice", "bob"}) {
    const auto log = test::LogBuilder(author).append_many(kHead);
    for (SeqNum n = 1; n <= kHead; n += limits::kUnitEntriesMax) {
      const RangeSet unit{{n, std::min<SeqNum>(kHead, n + limits::kUnitEntriesMax - 1)}};
      ASSERT_TRUE(store::ingest(*store, log.log(), log.unit(unit, true), verifier));
    }
    changes.push_back({log.log(), LogChange::DeletePayloads{{{1, kHead}}}});
  }
  ChangeSteps steps(changes);
  const auto count_left = [&](const LogKey& log) {
    return (*(*store->read()).get_log(log))->payloads.count();
  };
  ASSERT_EQ(steps.run(*store), false);
  EXPECT_EQ(steps.done().count, 1U);
  EXPECT_EQ(count_left(changes[0].log), 0U);
  EXPECT_EQ(count_left(changes[1].log), kHead);
  ASSERT_EQ(steps.run(*store), true);
  EXPECT_EQ(steps.done().count, 2U);
  EXPECT_EQ(count_left(changes[1].log), 0U);
}

TEST(ChangeSteps, CountTheRowsOfWhatIsDeleted) {
  constexpr std::size_t kChunks = 20;
  constexpr SeqNum kHead = limits::kRowsPerStepMax - 50;
  const auto store = open({});
  Ed25519Verifier verifier;
  const std::string large(kChunks * limits::kPayloadChunkBytes, 'x');
  std::vector<LogChange> changes;
  const auto add = [&](const test::LogBuilder& log, const RangeSet& held, const RangeSet& seqnums) {
    for (SeqNum n = 1; n <= log.head(); n += limits::kUnitEntriesMax) {
      const RangeSet unit{{n, std::min<SeqNum>(log.head(), n + limits::kUnitEntriesMax - 1)}};
      ASSERT_TRUE(store::ingest(*store, log.log(), log.unit(unit, !held.empty()), verifier));
    }
    changes.push_back({log.log(), LogChange::DeletePayloads{seqnums}});
  };
  /// Of its payload all but the last byte has come.
  const auto add_with_part = [&](const std::string& author) {
    const auto log = test::LogBuilder(author).append(large + 'x');
    add(log, {}, {{1, 1}});
    ASSERT_TRUE(store->update([&](store::WriteTransaction& to) -> Result<void> {
      CULM_TRY(const auto stage, to.begin_stage(log.log(), 1, {}));
      for (std::size_t at = 0; at < large.size(); at += limits::kPayloadChunkBytes) {
        const auto part = std::string_view(large).substr(at, limits::kPayloadChunkBytes);
        CULM_TRY(const bool is_put, to.put_stage_part(log.log(), *stage, at, as_bytes(part)));
        EXPECT_TRUE(is_put);
      }
      return {};
    }));
  };
  const RangeSet all{{1, kHead}};
  add(test::LogBuilder("many").append_many(kHead), all, all);
  add_with_part("part 1");
  add_with_part("part 2");
  add(test::LogBuilder("large and small").append(large).append("y"), {{1, 2}}, {{2, 2}});
  add_with_part("part 3");
  const auto is_begun = [&](const LogChange& change) {
    return !(*(*store->read()).get_log(change.log))->deleted.empty();
  };
  ChangeSteps steps(changes);
  // Of 50 rows that are left the parts take 21 each, and the small one a row.
  ASSERT_EQ(steps.run(*store), false);
  EXPECT_EQ(steps.done().count, 4U);
  EXPECT_TRUE(is_begun(changes[3]));
  EXPECT_FALSE(is_begun(changes[4]));
  ASSERT_EQ(steps.run(*store), true);
  EXPECT_TRUE((*store->read()).unfinished_stages(9)->empty());
}

}  // namespace
}  // namespace culm::host
