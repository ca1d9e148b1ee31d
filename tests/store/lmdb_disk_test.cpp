#include <cerrno>

#include <gtest/gtest.h>

#include "culm/store/lmdb_kv.hpp"

#include "tests/store/io_fault.hpp"
#include "tests/store/lmdb_fixture.hpp"

// Full and failing disks.
namespace culm::store {
namespace {

using test::IoFault;
using test::IoFaultScope;

using LmdbDisk = LmdbKvTest;

TEST_F(LmdbDisk, FullDiskLosesOnlyTheTransactionAndNeedsNoReopening) {
  const auto kv = open();
  ASSERT_TRUE(put(*kv, "a", "1"));
  for (const int number : {ENOSPC, EDQUOT, EFBIG}) {
    const int before = test::io_faults_injected();
    {
      const IoFaultScope fault(IoFault::kDataWrite, number);
      EXPECT_EQ(put(*kv, "a", "2").error(), error_system(Errc::kStoreFull, number));
      EXPECT_EQ(kv->grow().error().code, Errc::kStoreFull);
    }
    EXPECT_GT(test::io_faults_injected(), before);
    EXPECT_EQ(get(*kv, "a"), "1");
  }
  EXPECT_TRUE(put(*kv, "a", "2"));
  EXPECT_EQ(get(*kv, "a"), "2");
}

TEST_F(LmdbDisk, WriteThatFallsShortIsAFullDisk) {
  const auto kv = open();
  ASSERT_TRUE(put(*kv, "a", "1"));
  {
    const IoFaultScope fault(IoFault::kShortWrite, 0);
    EXPECT_EQ(put(*kv, "a", "2").error(), error_system(Errc::kStoreFull, ENOSPC));
  }
  EXPECT_EQ(get(*kv, "a"), "1");
  EXPECT_TRUE(put(*kv, "a", "2"));
}

TEST_F(LmdbDisk, FailedWriteOrSyncEndsWritingUntilReopened) {
  auto kv = open();
  ASSERT_TRUE(put(*kv, "a", "1"));
  for (const IoFault kind : {IoFault::kDataWrite, IoFault::kSync}) {
    {
      const IoFaultScope fault(kind, EIO);
      EXPECT_EQ(put(*kv, "a", "2").error(), error_system(Errc::kStoreIo, EIO));
    }
    EXPECT_EQ(kv->begin_write().error().code, Errc::kStoreIo);
    EXPECT_EQ(get(*kv, "a"), "1");
    kv.reset();
    kv = open();
    EXPECT_EQ(get(*kv, "a"), "1");
    EXPECT_TRUE(put(*kv, "a", "1"));
  }
}

TEST_F(LmdbDisk, FailedMetaWriteLeavesTheOutcomeToReopening) {
  auto kv = open();
  ASSERT_TRUE(put(*kv, "a", "1"));
  {
    const IoFaultScope fault(IoFault::kMetaWrite, EIO);
    EXPECT_EQ(put(*kv, "a", "2").error(), error_system(Errc::kStoreIo, EIO));
  }
  EXPECT_EQ(kv->begin_write().error().code, Errc::kStoreIo);
  EXPECT_EQ(kv->begin_read().error().code, Errc::kStoreIo);
  kv.reset();
  kv = open();
  const std::string found = get(*kv, "a");
  EXPECT_TRUE(found == "1" || found == "2") << found;
  EXPECT_TRUE(put(*kv, "a", "3"));
}

}  // namespace
}  // namespace culm::store
