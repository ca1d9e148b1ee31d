#include "culm/store/author_mark.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "culm/store/author_mark_place.hpp"

#include "tests/store/io_fault.hpp"
#include "tests/support/log_builder.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::test {
namespace {

using store::FileAuthorMark;
using store::Published;

constexpr std::streamoff kSecondSlot = 4096;

class AuthorMarkFile : public testing::Test {
 protected:
  static Published published(SeqNum seqnum) {
    Published out{seqnum, {}, {}};
    out.hash.bytes.fill(static_cast<std::uint8_t>(seqnum));
    out.store.fill(9);
    return out;
  }

  /// What another process would read.
  Result<std::optional<Published>> read() const {
    CULM_TRY(const auto mark, FileAuthorMark::open(path, log));
    return mark->read();
  }

  Result<void> write(SeqNum seqnum) const {
    CULM_TRY(const auto mark, FileAuthorMark::open(path, log));
    return mark->write(published(seqnum));
  }

  void flip(std::streamoff offset) const {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    const int byte = file.get();
    file.seekp(offset);
    file.put(static_cast<char>(byte ^ 1));
    ASSERT_TRUE(file.good());
  }

  TempDir directory;
  std::string path = directory.path("alice.mark");
  LogKey log = LogBuilder("alice").log();
};

TEST_F(AuthorMarkFile, StartsWithNothing) { EXPECT_EQ(*read(), std::nullopt); }

TEST_F(AuthorMarkFile, KeepsWhatWasWrittenLast) {
  for (SeqNum n = 0; n < 7; ++n) {
    ASSERT_TRUE(write(n));
    EXPECT_EQ(*read(), published(n));
  }
  const auto mark = *FileAuthorMark::open(path, log);
  for (SeqNum n = 7; n < 12; ++n) {
    ASSERT_TRUE(mark->write(published(n)));
    EXPECT_EQ(*mark->read(), published(n));
  }
}

TEST_F(AuthorMarkFile, LocksOutASecondAppenderForAsLongAsItWaits) {
  constexpr Duration kWait = std::chrono::milliseconds(50);
  const auto mark = *FileAuthorMark::open(path, log);
  const auto second = *FileAuthorMark::open(path, log, kWait);
  ASSERT_TRUE(mark->lock());
  const auto start = std::chrono::steady_clock::now();
  const auto locked = second->lock();
  ASSERT_FALSE(locked);
  EXPECT_EQ(locked.error().code, Errc::kAuthorMarkLocked);
  EXPECT_GE(std::chrono::steady_clock::now() - start, kWait);
  mark->unlock();
  EXPECT_TRUE(second->lock());
}

TEST_F(AuthorMarkFile, LetsGoOfTheLockWhenItEnds) {
  ASSERT_TRUE((*FileAuthorMark::open(path, log))->lock());
  EXPECT_TRUE((*FileAuthorMark::open(path, log, Duration{}))->lock());
}

TEST_F(AuthorMarkFile, WhoWaitsComesBeforeWhoAsksAgainAtOnce) {
  const auto busy = *FileAuthorMark::open(path, log);
  ASSERT_TRUE(busy->lock());
  std::atomic<bool> has_come = false;
  std::thread waiting([&] {
    const auto mark = *FileAuthorMark::open(path, log);
    has_come = mark->lock().has_value();
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(8);
  while (!has_come && std::chrono::steady_clock::now() < deadline) {
    busy->unlock();
    if (!busy->lock()) break;
  }
  waiting.join();
  EXPECT_TRUE(has_come);
}

TEST_F(AuthorMarkFile, OneDamagedSlotLeavesTheOtherAndSaysSoAndHeals) {
  for (const std::streamoff slot : {std::streamoff{0}, kSecondSlot}) {
    ASSERT_TRUE(write(5));
    ASSERT_TRUE(write(6));
    flip(slot + 70);
    const auto left = read();
    ASSERT_TRUE(left && *left);
    EXPECT_TRUE((*left)->seqnum == 5 || (*left)->seqnum == 6);
    EXPECT_TRUE((*left)->is_overtaken);
    ASSERT_TRUE(write(7));
    EXPECT_EQ(*read(), published(7));
    ASSERT_TRUE(write(8));
    EXPECT_EQ(*read(), published(8));
  }
}

TEST_F(AuthorMarkFile, BothSlotsDamagedIsAnErrorUntilItIsWrittenAnew) {
  ASSERT_TRUE(write(5));
  flip(70);
  flip(kSecondSlot + 70);
  const auto result = read();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kAuthorMarkFormat);
  ASSERT_TRUE(write(6));
  EXPECT_EQ(*read(), published(6));
}

TEST_F(AuthorMarkFile, AnAdoptedMarkIsNotLostWithOneSlot) {
  ASSERT_TRUE(write(5));
  flip(kSecondSlot + 70);
  const auto left = read();
  ASSERT_TRUE(left && *left);
  EXPECT_EQ((*left)->seqnum, 5U);
}

TEST_F(AuthorMarkFile, EveryByteOfASlotIsChecked) {
  ASSERT_TRUE(write(0));
  for (std::streamoff byte = 0; byte < 152; ++byte) {
    flip(kSecondSlot + byte);
    EXPECT_EQ(*read(), std::nullopt) << byte << ": as before the first write";
    flip(kSecondSlot + byte);
  }
  Published as_before = published(0);
  as_before.is_copied = true;  // the file does not bear the date of a write
  EXPECT_EQ(*read(), as_before);
}

TEST_F(AuthorMarkFile, AFileThatIsCutShortWasDamaged) {
  for (const std::uintmax_t size : {0U, 100U, 151U}) {
    ASSERT_TRUE(write(5));
    ASSERT_TRUE(write(6));
    std::filesystem::resize_file(path, size);
    const auto cut = read();
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error().code, Errc::kAuthorMarkFormat);
  }
  for (const std::uintmax_t size : {152U, 4096U, 4200U}) {
    ASSERT_TRUE(write(5));
    ASSERT_TRUE(write(6));
    std::filesystem::resize_file(path, size);
    const auto cut = read();
    ASSERT_TRUE(cut) << size;
    EXPECT_TRUE(!*cut || (*cut)->is_overtaken);
  }
}

TEST_F(AuthorMarkFile, ATornFirstWriteIsNoMarkYet) {
  ASSERT_TRUE(FileAuthorMark::open(path, log));
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(kSecondSlot);
    file << "culmmrk1 torn";
  }
  EXPECT_EQ(*read(), std::nullopt);
  ASSERT_TRUE(write(0));
  EXPECT_EQ(*read(), published(0));
}

TEST_F(AuthorMarkFile, SaysWhenItOrTheStoreIsACopy) {
  const auto is_copied = [&](const std::string& file, std::uint64_t store_file) {
    const auto mark = *FileAuthorMark::open(file, log, Duration{}, store_file);
    return mark->read().value()->is_copied;
  };
  const auto write_for = [&](const std::string& file, std::uint64_t store_file) {
    EXPECT_TRUE((*FileAuthorMark::open(file, log, Duration{}, store_file))->write(published(5)));
  };
  write_for(path, 7);
  EXPECT_FALSE(is_copied(path, 7));
  EXPECT_TRUE(is_copied(path, 8)) << "another store";
  const std::string copy = directory.path("copy.mark");
  std::filesystem::copy_file(path, copy);
  EXPECT_TRUE(is_copied(copy, 7)) << "another mark";
  {
    const auto mark = *FileAuthorMark::open(copy, log, Duration{}, 7);
    ASSERT_TRUE(mark->write(**mark->read()));
  }
  EXPECT_TRUE(is_copied(copy, 7)) << "as who wrote it said";
  write_for(copy, 8);
  EXPECT_FALSE(is_copied(copy, 8));
  EXPECT_FALSE(is_copied(path, 7));
}

TEST_F(AuthorMarkFile, SaysThatItsLogWasForgottenUntilItIsWrittenAnew) {
  const auto read_file = [&] {
    return FileAuthorMark::open(path, log, Duration{}, 7).value()->read_file().value();
  };
  EXPECT_EQ(read_file(), std::nullopt);
  const auto mark = *FileAuthorMark::open(path, log, Duration{}, 7);
  ASSERT_TRUE(mark->write_forgotten());
  EXPECT_EQ(read_file(), std::nullopt) << "nothing was published";
  ASSERT_TRUE(mark->write(published(5)));
  EXPECT_FALSE(read_file()->is_forgotten);
  EXPECT_EQ(read_file()->store_file, 7U);
  ASSERT_TRUE(mark->write_forgotten());
  EXPECT_TRUE(read_file()->is_forgotten);
  EXPECT_EQ(read_file()->published, published(5)) << "the mark stays";
  constexpr std::streamoff kForgotten = 8224;
  EXPECT_EQ(std::filesystem::file_size(path), 8248U);
  for (std::streamoff at = kForgotten; at < kForgotten + 24; ++at) {
    flip(at);
    EXPECT_FALSE(read_file()->is_forgotten) << at;
    flip(at);
  }
  ASSERT_TRUE(mark->write(published(6)));
  EXPECT_FALSE(read_file()->is_forgotten);
}

TEST_F(AuthorMarkFile, ACopyStaysOneWhenItsLogIsForgotten) {
  const auto mark = *FileAuthorMark::open(path, log, Duration{}, 7);
  ASSERT_TRUE(mark->write(published(5)));
  std::filesystem::last_write_time(path, std::filesystem::file_time_type());
  ASSERT_TRUE(mark->read().value()->is_copied);
  ASSERT_TRUE(mark->write_forgotten());
  EXPECT_TRUE(mark->read().value()->is_copied);
}

TEST_F(AuthorMarkFile, RefusesTheMarkOfAnotherLog) {
  ASSERT_TRUE(write(5));
  log.log_id = LogId{1};
  const auto result = read();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kAuthorMarkFormat);
}

TEST_F(AuthorMarkFile, TellsWhyItCannotBeOpened) {
  ASSERT_TRUE(write(5));
  const auto mark = FileAuthorMark::open(path + "/alice.mark", log);
  ASSERT_FALSE(mark);
  EXPECT_EQ(mark.error(), error_system(Errc::kFileIo, ENOTDIR));
}

TEST_F(AuthorMarkFile, GoesWithWhoMadeItAlsoWhereAnotherHadMadeItBefore) {
  const std::string marks = directory.path("deep/marks");
  auto first = *store::open_author_mark({marks}, log);
  auto second = *store::open_author_mark({marks}, log);
  first.reset();
  EXPECT_FALSE(std::filesystem::exists(directory.path("deep")));
  ASSERT_TRUE(second->lock());
  EXPECT_EQ(std::filesystem::status(marks).permissions(), std::filesystem::perms::owner_all);
  second->unlock();
  second.reset();
  EXPECT_FALSE(std::filesystem::exists(directory.path("deep")));
}

/// What an earlier version kept beside the key.
class AuthorMarkTakenOver : public AuthorMarkFile {
 protected:
  AuthorMarkTakenOver() {
    path = old;
    EXPECT_TRUE(write(7));
  }

  Result<std::optional<Published>> take_over() const {
    CULM_TRY(const auto mark, store::open_author_mark({marks, key}, log));
    return mark->read();
  }

  std::string key = directory.path("key");
  std::string old = key + "." + std::to_string(to_integer(log.log_id)) + ".mark";
  std::string marks = directory.path("a/b");
  std::string mark_path = store::author_mark_path(marks, log);
};

TEST_F(AuthorMarkTakenOver, IsMovedAsItIs) {
  EXPECT_EQ((*take_over())->seqnum, 7U);
  EXPECT_FALSE(std::filesystem::exists(old));
  EXPECT_EQ((*take_over())->seqnum, 7U);
}

/// A link that leads nowhere is not seen by who looks for a file, as one that comes a moment later.
TEST_F(AuthorMarkTakenOver, StaysWhereAnotherFileComesInItsPlaceMeanwhile) {
  std::filesystem::create_directories(marks);
  std::filesystem::create_symlink(directory.path("nowhere"), mark_path);
  EXPECT_FALSE(take_over());
  EXPECT_TRUE(std::filesystem::exists(old));
  EXPECT_FALSE(*FileAuthorMark::copy(old, mark_path));
}

TEST_F(AuthorMarkTakenOver, IsNotMissedWhenItHasJustBeenTaken) {
  EXPECT_FALSE(*FileAuthorMark::copy(directory.path("gone"), mark_path));
}

TEST_F(AuthorMarkTakenOver, FirstAppendersAtOnceLoseNothing) {
  constexpr int kRounds = 60;
  for (int round = 0; round < kRounds; ++round) {
    std::filesystem::remove(mark_path);
    ASSERT_TRUE(write(7));
    std::vector<std::thread> threads;
    std::atomic<int> ready = 0;
    std::atomic<int> wrong = 0;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        ++ready;
        while (ready < 4) std::this_thread::yield();
        const auto found = take_over();
        if (!found || !*found || (*found)->seqnum != 7) ++wrong;
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(wrong, 0) << "round " << round;
  }
}

TEST_F(AuthorMarkTakenOver, EachDirectoryIsDurableBeforeTheNextIsMadeInIt) {
  const IoFaultScope fault(IoFault::kDirectorySync, EIO);
  EXPECT_FALSE(take_over());
  EXPECT_TRUE(std::filesystem::exists(directory.path("a")));
  EXPECT_FALSE(std::filesystem::exists(marks));
}

}  // namespace
}  // namespace culm::test
