#include "tools/cli/lost.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstdlib>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/store/store_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

int files_opened = 0;

}  // namespace

extern "C" int open(const char* path, int flags, ...) {
  ++files_opened;
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = (flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0;
  va_end(rest);
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

namespace culm::tools {
namespace {

constexpr int kLogs = 20;

/// A store of several logs of one entry each.
class Losses : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::setenv("CULM_MARKS", directory.path("marks").c_str(), 1), 0);
    context.store_directory = directory.path("store");
    for (std::uint64_t id = 0; id < kLogs; ++id) {
      logs.push_back(test::LogBuilder("alice", LogId{id}).append("text"));
      ASSERT_TRUE(store.ingest(logs.back(), test::up_to(1)));
    }
  }

  /// What a look at all logs costs.
  struct Cost {
    int files;
    std::uint64_t transactions;
    friend bool operator==(const Cost&, const Cost&) = default;
  };
  Cost look() {
    const LostFinder losses(context, *store);
    const auto transaction = *store->read();
    const int files_before = files_opened;
    const auto before = test::read_counts.transactions;
    for (const auto& log : logs) {
      const auto lost = losses.find(transaction, store::LogState(**transaction.get_log(log.log())));
      EXPECT_TRUE(lost && lost->empty() && !lost->mark_fault);
    }
    return {files_opened - files_before, test::read_counts.transactions - before};
  }

  test::TempDir directory;
  Context context;
  test::MemoryStore store;
  std::vector<test::LogBuilder> logs;
};

TEST_F(Losses, LookForNoMarkOfALogThatHasNone) {
  EXPECT_EQ(look(), (Cost{0, 0}));
  // Another log's mark makes none of these be looked for.
  const auto other = *store::open_author_mark({.directory = directory.path("marks")},
                                              test::LogBuilder("bob").log());
  EXPECT_EQ(look(), (Cost{0, 0}));
}

TEST_F(Losses, OpenEachMarkOnceAndReadTheStoreOnceForAll) {
  for (const auto& log : logs) {
    const auto mark = *store::open_author_mark({.directory = directory.path("marks")}, log.log());
    ASSERT_TRUE(mark->write({1, log.hash(1), {}}));
  }
  EXPECT_EQ(look(), (Cost{kLogs, 0}));
}

}  // namespace
}  // namespace culm::tools
