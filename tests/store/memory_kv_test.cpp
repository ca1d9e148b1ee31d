#include "culm/store/memory_kv.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace culm::store {
namespace {

std::string get(MemoryKv& kv, std::string_view key) {
  const auto snapshot = kv.begin_read().value();
  const auto value = snapshot->get(Table::kMeta, as_bytes(key)).value();
  return value ? std::string(as_text(*value)) : "-";
}

// Two puts, an erase and a commit: four operations that must happen together.
Result<void> move_row(MemoryKv& kv) {
  CULM_TRY(auto transaction, kv.begin_write());
  CULM_CHECK(transaction->put(Table::kMeta, as_bytes("to"), as_bytes("1")));
  CULM_CHECK(transaction->put(Table::kMeta, as_bytes("count"), as_bytes("1")));
  CULM_CHECK(transaction->erase(Table::kMeta, as_bytes("from")));
  return transaction->commit();
}

MemoryImage image_to_move() {
  MemoryKv kv;
  const auto transaction = kv.begin_write().value();
  EXPECT_TRUE(transaction->put(Table::kMeta, as_bytes("from"), as_bytes("1")));
  EXPECT_TRUE(transaction->commit());
  return kv.image();
}

TEST(MemoryKv, CrashLosesWhatIsNotCommitted) {
  MemoryKv kv({}, image_to_move());
  const auto transaction = kv.begin_write().value();
  ASSERT_TRUE(transaction->erase(Table::kMeta, as_bytes("from")));
  MemoryKv restarted({}, kv.image());
  EXPECT_EQ(get(restarted, "from"), "1");
}

TEST(MemoryKv, ImageDoesNotChangeAfterwards) {
  MemoryKv kv({}, image_to_move());
  const MemoryImage before = kv.image();
  ASSERT_TRUE(move_row(kv));
  MemoryKv old({}, before);
  EXPECT_EQ(get(old, "from"), "1");
  EXPECT_EQ(get(kv, "from"), "-");
}

TEST(MemoryKv, CountsOperations) {
  MemoryKv kv({}, image_to_move());
  ASSERT_TRUE(move_row(kv));
  EXPECT_EQ(kv.operations(), 4U);
}

TEST(MemoryKv, FailsAtEachOperationWithNothingDone) {
  for (std::uint64_t n = 1; n <= 4; ++n) {
    SCOPED_TRACE(n);
    MemoryKv kv({.fail_operation = n}, image_to_move());
    EXPECT_EQ(move_row(kv).error().code, Errc::kStoreIo);
    EXPECT_EQ(kv.operations(), n);
    EXPECT_EQ(get(kv, "from"), "1");
    EXPECT_EQ(get(kv, "to"), "-");
    EXPECT_EQ(kv.begin_write().error().code, Errc::kStoreIo);
    MemoryKv restarted({}, kv.image());
    EXPECT_EQ(get(restarted, "from"), "1");
    EXPECT_TRUE(move_row(restarted));
    EXPECT_EQ(get(restarted, "to"), "1");
  }
}

TEST(MemoryKv, FailedCommitMayTurnOutToHaveHappened) {
  MemoryKv kv({.fail_operation = 4, .failed_commit_lands = true}, image_to_move());
  EXPECT_EQ(move_row(kv).error().code, Errc::kStoreIo);
  EXPECT_EQ(get(kv, "from"), "1");
  MemoryKv restarted({}, kv.image());
  EXPECT_EQ(get(restarted, "from"), "-");
  EXPECT_EQ(get(restarted, "to"), "1");
}

TEST(MemoryKv, FullDiskRefusesPutsButNotErasing) {
  MemoryKv kv({.full_after_bytes = 5, .may_grow = false}, image_to_move());
  EXPECT_EQ(move_row(kv).error().code, Errc::kStoreFull);
  EXPECT_EQ(kv.grow().error().code, Errc::kStoreFull);
  {
    const auto transaction = kv.begin_write().value();
    ASSERT_TRUE(transaction->erase(Table::kMeta, as_bytes("from")));
    ASSERT_TRUE(transaction->put(Table::kMeta, as_bytes("k"), as_bytes("1234")));
    ASSERT_TRUE(transaction->commit());
  }
  EXPECT_EQ(get(kv, "k"), "1234");
  EXPECT_EQ(kv.image().size_bytes, 5U);
}

}  // namespace
}  // namespace culm::store
