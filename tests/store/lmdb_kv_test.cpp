#include "culm/store/lmdb_kv.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/store/detail/store_directory.hpp"

#include "tests/store/lmdb_fixture.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/temp_dir.hpp"

// What LMDB and the operating system add to the promises of every Kv (kv_test.cpp): files, locks,
// other processes. Full and failing disks: lmdb_disk_test.cpp.
namespace culm::store {
namespace {

using test::ChildProcess;
using test::ParentLine;

TEST_F(LmdbKvTest, WritesNothingToAStoreThatWasTakenAway) {
  const auto kv = open();
  const auto node = kv->lock_for_node();
  ASSERT_TRUE(node && kv->begin_write());
  std::filesystem::rename(store_, store_ + ".moved");
  const auto refused = kv->begin_write();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kStoreNotFound);
  EXPECT_TRUE(kv->begin_read());
  std::filesystem::rename(store_ + ".moved", store_);
  EXPECT_TRUE(kv->begin_write());
}

TEST_F(LmdbKvTest, OfANodeLeavesAloneAStoreThatWasPutInThePlaceOfItsOwn) {
  const auto kv = open();
  const auto node = kv->lock_for_node();
  ASSERT_TRUE(node);
  ASSERT_TRUE(put(*kv, "a", "own"));
  std::filesystem::rename(store_, store_ + ".moved");
  {
    const auto other = open();
    ASSERT_TRUE(put(*other, "a", "other"));
    const auto refused = kv->begin_write();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kStoreNotFound);
    const auto compacted = kv->compact();
    ASSERT_FALSE(compacted);
    EXPECT_EQ(compacted.error().code, Errc::kStoreNotFound);
    EXPECT_EQ(get(*kv, "a"), "own");
    EXPECT_EQ(get(*other, "a"), "other");
  }
  std::filesystem::rename(store_, store_ + ".other");
  std::filesystem::rename(store_ + ".moved", store_);
  EXPECT_TRUE(put(*kv, "b", "1"));
  EXPECT_TRUE(kv->compact());
  EXPECT_TRUE(put(*kv, "c", "1")) << "after its own compaction";
}

TEST_F(LmdbKvTest, BecomesANodeOnTheFileThatACompactionHasMadeBefore) {
  const auto kv = open();
  const std::string copy = store_ + "/copy";
  // Another process takes the place of the file before this one locks it.
  ASSERT_TRUE(kv->copy_to(copy));
  std::filesystem::rename(copy, store_ + "/data.mdb");
  const auto node = kv->lock_for_node();
  ASSERT_TRUE(node);
  EXPECT_TRUE(put(*kv, "a", "1"));
}

TEST_F(LmdbKvTest, MakesItsFilesPrivate) {
  const auto kv = open();
  for (const char* name : {"/data.mdb", "/lock.mdb", "/writer.lock"}) {
    struct stat status = {};
    ASSERT_EQ(::stat((store_ + name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode & 0777U, 0600U) << name;
  }
}

TEST_F(LmdbKvTest, FindsNoStoreWhereNoneIs) {
  EXPECT_EQ(refusal(kReader).code, Errc::kStoreNotFound);
  EXPECT_EQ(refusal({.create = false}).code, Errc::kStoreNotFound);
  std::filesystem::create_directories(store_);
  EXPECT_EQ(refusal(kReader).code, Errc::kStoreNotFound);
  EXPECT_EQ(refusal({.create = false}).code, Errc::kStoreNotFound);
  EXPECT_TRUE(std::filesystem::is_empty(store_));
}

TEST_F(LmdbKvTest, FindsNoStoreInAnEmptyFile) {
  std::filesystem::create_directories(store_);
  std::ofstream(store_ + "/data.mdb").close();
  EXPECT_EQ(refusal(kReader).code, Errc::kStoreNotFound);
  EXPECT_TRUE(put(*open(), "a", "1"));
}

TEST_F(LmdbKvTest, RefusesAFileForADirectory) {
  std::filesystem::create_directories(temp_.path("deep"));
  std::ofstream(store_).close();
  EXPECT_EQ(refusal(kWriter).code, Errc::kStoreIo);
  EXPECT_EQ(refusal(kReader).code, Errc::kStoreIo);
}

TEST_F(LmdbKvTest, RefusesADirectoryItMayNotWriteTo) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  std::filesystem::create_directories(store_);
  std::filesystem::permissions(
      store_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  EXPECT_EQ(refusal(kWriter), error_system(Errc::kStoreIo, EACCES));
  std::filesystem::permissions(store_, std::filesystem::perms::owner_all);
}

TEST_F(LmdbKvTest, ReadsAStoreOfSomebodyElseUntilTheSnapshotMayBeWrittenOver) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root becomes somebody else";
  ASSERT_TRUE(put(*open(), "a", "1"));
  for (const char* path :
       {"", "deep", "deep/store", "deep/store/data.mdb", "deep/store/lock.mdb"}) {
    ASSERT_EQ(::chmod(temp_.path(path).c_str(), 0755), 0);
  }
  ChildProcess guest([&](const ParentLine& parent) {
    constexpr uid_t kNobody = 65534;
    if (::setuid(kNobody) != 0) return 1;
    const auto kv = LmdbKv::open(store_, kReader);
    if (!kv || get(**kv, "a") != "1") return 2;
    const auto snapshot = (*kv)->begin_read();
    parent.tell();
    parent.await();
    const auto value = (*snapshot)->get(Table::kMeta, as_bytes("a"));
    if (!value || as_text(**value) != "1") return 3;
    parent.tell();
    parent.await();
    const auto lost = (*snapshot)->get(Table::kMeta, as_bytes("a"));
    if (lost || lost.error() != error_system(Errc::kStoreLocked, EACCES)) return 4;
    return get(**kv, "a") == "3" ? 0 : 5;
  });
  ASSERT_TRUE(guest.await());
  const auto kv = open();
  EXPECT_TRUE(put(*kv, "a", "2"));
  guest.tell();
  ASSERT_TRUE(guest.await());
  EXPECT_TRUE(put(*kv, "a", "3"));
  guest.tell();
  EXPECT_EQ(guest.join(), 0);
}

TEST_F(LmdbKvTest, RefusesAFileThatIsNotLmdb) {
  open().reset();
  overwrite(0, std::string(8192, 'x'));
  EXPECT_EQ(refusal(kWriter).code, Errc::kStoreDamaged);
  EXPECT_EQ(refusal(kReader).code, Errc::kStoreDamaged);
}

TEST_F(LmdbKvTest, RefusesAFileThatWasCutAndOpensItWhole) {
  {
    const auto kv = open();
    for (int i = 0; i < 50; ++i)
      ASSERT_TRUE(put(*kv, "a" + std::to_string(i), std::string(3000, 'x')));
  }
  const std::string file = store_ + "/data.mdb";
  const auto copy = temp_.path("copy");
  std::filesystem::copy_file(file, copy);
  const auto size = std::filesystem::file_size(file);
  for (const auto part : {size / 2, size / 4, std::uintmax_t{3 * 4096}, std::uintmax_t{4096}}) {
    SCOPED_TRACE(part);
    std::filesystem::resize_file(file, part);
    EXPECT_EQ(refusal(kWriter).code, Errc::kStoreDamaged);
    EXPECT_EQ(refusal(kReader).code, Errc::kStoreDamaged);
    std::filesystem::copy_file(copy, file, std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(get(*open(), "a49").size(), 3000U);
  }
}

TEST_F(LmdbKvTest, OpensAFileWhoseLastPageIsFreeAndWasNeverWritten) {
  {
    const auto kv = open();
    const std::string large(20 * 4096, 'x');
    ASSERT_TRUE(put(*kv, "a", large));
    ASSERT_TRUE(put(*kv, "a", "1"));  // frees pages
    auto transaction = *kv->begin_write();
    ASSERT_TRUE(transaction->put(Table::kMeta, as_bytes("b"), as_bytes(large + large)));
    ASSERT_TRUE(transaction->erase(Table::kMeta, as_bytes("b")));
    ASSERT_TRUE(transaction->commit());
  }
  const auto pages = std::filesystem::file_size(store_ + "/data.mdb") / 4096;
  EXPECT_LT(pages, 60U) << "the payload's 40 and more lie behind the end";
  EXPECT_EQ(get(*open(kReader), "a"), "1");
  EXPECT_EQ(get(*open(), "a"), "1");
}

TEST_F(LmdbKvTest, NamesTheStoreWhenLmdbCannotGoOn) {
  {
    const auto kv = open();
    for (int i = 0; i < 200; ++i)
      ASSERT_TRUE(put(*kv, "a" + std::to_string(i), std::string(900, 'x')));
  }
  const auto pages = std::filesystem::file_size(store_ + "/data.mdb") / 4096;
  for (std::uintmax_t page = 2; page < pages; ++page) {
    overwrite(static_cast<std::streamoff>(page * 4096), std::string(4096, '\0'));
  }
  ChildProcess child([&](const ParentLine&) {
    set_abort_handler([](const char* directory, const char*) {
      ::_exit(std::string_view(directory).ends_with("deep/store") ? 5 : 6);
    });
    const auto kv = LmdbKv::open(store_, kWriter);
    return kv && put(**kv, "b", "1") ? 1 : 5;  // or it is told in time
  });
  EXPECT_EQ(child.join(), 5);
}

TEST_F(LmdbKvTest, RefusesAnotherFormatVersion) {
  open().reset();
  constexpr std::streamoff kVersionOffset = 16 + 4;  // behind the page header and the magic number
  overwrite(kVersionOffset, std::string_view("\x02\0\0\0", 4));
  overwrite(4096 + kVersionOffset, std::string_view("\x02\0\0\0", 4));
  EXPECT_EQ(refusal(kWriter).code, Errc::kStoreVersion);
  EXPECT_EQ(refusal(kReader).code, Errc::kStoreVersion);
}

TEST_F(LmdbKvTest, LeavesAStoreOfAnEarlierVersionWithFewerTablesAsItIs) {
  open().reset();
  const auto content = [&] {
    std::ifstream file(store_ + "/data.mdb", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string whole = content();
  for (auto at = whole.find("sets"); at != std::string::npos; at = whole.find("sets", at + 1)) {
    overwrite(static_cast<std::streamoff>(at), "setr");
  }
  const std::string older = content();
  ASSERT_NE(older, whole);
  EXPECT_EQ(refusal(kWriter).code, Errc::kStoreVersion);
  EXPECT_EQ(refusal(kReader).code, Errc::kStoreVersion);
  EXPECT_EQ(content(), older);
}

TEST_F(LmdbKvTest, OpensAFileLargerThanTheMapAskedFor) {
  ASSERT_TRUE(put(*open(), "a", std::string(1 << 20, 'x')));
  const auto kv = open({.map_size_bytes = 1 << 16});
  EXPECT_EQ(get(*kv, "a").size(), std::size_t{1} << 20);
  EXPECT_EQ(put(*kv, "b", std::string(1 << 20, 'x')).error(), Error{Errc::kStoreFull});
  EXPECT_TRUE(kv->grow());
  EXPECT_TRUE(put(*kv, "b", std::string(1 << 20, 'x')));
}

TEST_F(LmdbKvTest, KnowsNetworkFileSystems) {
  EXPECT_TRUE(detail::is_network_filesystem(0x6969));       // nfs
  EXPECT_TRUE(detail::is_network_filesystem(0xFF534D42));   // cifs
  EXPECT_TRUE(detail::is_network_filesystem(0x01021997));   // 9p
  EXPECT_TRUE(detail::is_network_filesystem(0x65735546));   // fuse
  EXPECT_FALSE(detail::is_network_filesystem(0xEF53));      // ext4
  EXPECT_FALSE(detail::is_network_filesystem(0x01021994));  // tmpfs
  EXPECT_FALSE(detail::is_network_filesystem(0x794C7630));  // overlayfs
  EXPECT_FALSE(detail::is_network_filesystem(0x9123683E));  // btrfs
  EXPECT_FALSE(detail::is_network_filesystem(0x58465342));  // xfs
}

TEST_F(LmdbKvTest, ReadOnlyRefusesToWrite) {
  ASSERT_TRUE(put(*open(), "a", "1"));
  const auto kv = open(kReader);
  EXPECT_EQ(get(*kv, "a"), "1");
  EXPECT_EQ(kv->begin_write().error().code, Errc::kStoreReadOnly);
  EXPECT_EQ(kv->grow().error().code, Errc::kStoreReadOnly);
  EXPECT_EQ(kv->lock_for_node().error().code, Errc::kStoreReadOnly);
}

TEST_F(LmdbKvTest, OpensOnceInAProcessUnderWhateverPath) {
  auto kv = open();
  const std::string other = temp_.path("other");
  std::filesystem::create_directory_symlink(store_, other);
  EXPECT_EQ(LmdbKv::open(other, kWriter).error().code, Errc::kStoreLocked);
  EXPECT_EQ(LmdbKv::open(other, kReader).error().code, Errc::kStoreLocked);
  kv.reset();
  EXPECT_TRUE(LmdbKv::open(other, kWriter));
}

TEST_F(LmdbKvTest, NamesTheLiveProcessThatWritesOrHasANode) {
  EXPECT_EQ(lock_holder(store_), std::nullopt);
  auto kv = open();
  EXPECT_EQ(lock_holder(store_), std::nullopt);
  {
    const auto lock = kv->lock_for_node();
    ASSERT_TRUE(lock);
    EXPECT_EQ(lock_holder(store_), ::getpid());
    EXPECT_EQ(kv->lock_for_node().error().code, Errc::kStoreLocked) << "one node at a time";
  }
  EXPECT_EQ(lock_holder(store_), std::nullopt) << "alive, but no holder";
  const auto writing = kv->begin_write();
  EXPECT_EQ(lock_holder(store_), ::getpid());
}

TEST_F(LmdbKvTest, WhoHasOpenedForWritingAndIdlesShutsOutNobody) {
  ChildProcess idle([&](const ParentLine& parent) {
    const auto kv = LmdbKv::open(store_, kWriter);
    if (!kv || !put(**kv, "a", "1")) return 1;
    parent.tell();
    parent.await();
    return put(**kv, "b", get(**kv, "a")) ? 0 : 2;
  });
  ASSERT_TRUE(idle.await());
  const auto kv = open();
  EXPECT_TRUE(put(*kv, "a", "2"));
  EXPECT_TRUE(kv->lock_for_node(Duration(0)));
  idle.tell();
  EXPECT_EQ(idle.join(), 0);
  EXPECT_EQ(get(*kv, "b"), "2");
}

TEST_F(LmdbKvTest, WaitsNoLongerThanWasSaidForAWriterOfAnotherProcess) {
  ChildProcess writer([&](const ParentLine& parent) {
    parent.await();  // to open takes a moment of writing as well
    const auto kv = LmdbKv::open(store_, kWriter);
    const auto writing = kv ? (*kv)->begin_write() : fail(Errc::kStoreIo);
    if (!writing) return 1;
    parent.tell();
    parent.await();
    return 0;
  });
  LmdbOptions options = kWriter;
  options.wait_max = Duration(0);
  const auto kv = open(options);
  writer.tell();
  ASSERT_TRUE(writer.await());
  EXPECT_EQ(kv->begin_write().error().code, Errc::kStoreLocked);
  EXPECT_EQ(lock_holder(store_), writer.pid());
  EXPECT_EQ(get(*kv, "a"), "-") << "who reads waits for nobody";
  writer.tell();
  EXPECT_EQ(writer.join(), 0);
  EXPECT_TRUE(kv->begin_write());
}

TEST_F(LmdbKvTest, WaitsNoLongerThanWasSaidForAProcessThatIsOpeningIt) {
  ASSERT_TRUE(put(*open(), "a", "1"));
  ChildProcess opening([&](const ParentLine& parent) {
    const auto lock = detail::OpeningLock::take(store_, Duration(0));
    if (!lock) return 1;
    parent.tell();
    parent.await();
    return 0;
  });
  ASSERT_TRUE(opening.await());
  EXPECT_EQ(find_opener(store_), opening.pid());
  for (LmdbOptions options : {kWriter, kReader}) {
    options.wait_max = Duration(0);
    EXPECT_EQ(refusal(options).code, Errc::kStoreLocked);
  }
  opening.tell();
  EXPECT_EQ(opening.join(), 0);
  EXPECT_EQ(find_opener(store_), std::nullopt);
  EXPECT_EQ(get(*open(kReader), "a"), "1");
}

TEST_F(LmdbKvTest, WritersOfTwoProcessesTakeTurnsAndLoseNothing) {
  constexpr int kSteps = 200;
  const auto count_up = [](LmdbKv& kv) {
    for (int i = 0; i < kSteps; ++i) {
      const auto transaction = kv.begin_write().value();
      const auto value = transaction->get(Table::kMeta, as_bytes("a")).value();
      const std::string next = std::to_string(std::stoi(std::string(as_text(*value))) + 1);
      if (!transaction->put(Table::kMeta, as_bytes("a"), as_bytes(next))) return false;
      if (!transaction->commit()) return false;
    }
    return true;
  };
  ASSERT_TRUE(put(*open(), "a", "0"));
  ChildProcess other([&](const ParentLine& parent) {
    const auto kv = LmdbKv::open(store_, kWriter);
    if (!kv) return 1;
    parent.tell();
    return count_up(**kv) ? 0 : 2;
  });
  ASSERT_TRUE(other.await());
  const auto kv = open();
  EXPECT_TRUE(count_up(*kv));
  EXPECT_EQ(other.join(), 0);
  EXPECT_EQ(get(*kv, "a"), std::to_string(2 * kSteps));
}

TEST_F(LmdbKvTest, ANodeShutsOutWritersWhileItRunsAndNoReaders) {
  ChildProcess node([&](const ParentLine& parent) {
    parent.await();
    const auto kv = LmdbKv::open(store_, kWriter);
    const auto lock = kv ? (*kv)->lock_for_node() : fail(Errc::kStoreIo);
    if (!lock || !put(**kv, "a", "1")) return 1;
    parent.tell();
    parent.await();
    return put(**kv, "a", "2") ? 0 : 2;
  });
  auto kv = open();
  node.tell();
  ASSERT_TRUE(node.await());
  EXPECT_EQ(lock_holder(store_), node.pid());
  EXPECT_EQ(kv->begin_write().error().code, Errc::kStoreLocked) << "it was opened before";
  EXPECT_EQ(kv->lock_for_node().error().code, Errc::kStoreLocked);
  EXPECT_EQ(get(*kv, "a"), "1");
  kv.reset();
  EXPECT_EQ(refusal(kWriter).code, Errc::kStoreLocked);
  kv = open(kReader);
  EXPECT_EQ(lock_holder(store_), node.pid());
  node.tell();
  EXPECT_EQ(node.join(), 0);
  EXPECT_EQ(get(*kv, "a"), "2");
  kv.reset();
  EXPECT_TRUE(put(*open(), "a", "3"));
}

TEST_F(LmdbKvTest, ANodeThatStartsWaitsForAWriteButNotForEver) {
  ChildProcess writer([&](const ParentLine& parent) {
    parent.await();
    const auto kv = LmdbKv::open(store_, kWriter);
    const auto transaction = kv ? (*kv)->begin_write() : fail(Errc::kStoreIo);
    if (!transaction) return 1;
    parent.tell();
    parent.await();
    return (*transaction)->commit() ? 0 : 2;
  });
  const auto kv = open();
  writer.tell();
  ASSERT_TRUE(writer.await());
  EXPECT_EQ(kv->lock_for_node(Duration(0)).error().code, Errc::kStoreLocked);
  EXPECT_EQ(kv->lock_for_node(std::chrono::milliseconds(2)).error().code, Errc::kStoreLocked);
  writer.tell();
  EXPECT_TRUE(kv->lock_for_node(std::chrono::minutes(1)));
  EXPECT_EQ(writer.join(), 0);
}

TEST_F(LmdbKvTest, KilledWriterLeavesTheCommittedAndNoLock) {
  ChildProcess writer([&](const ParentLine& parent) {
    parent.await();
    const auto kv = LmdbKv::open(store_, kWriter);
    if (!kv || !put(**kv, "a", "committed")) return 1;
    const auto transaction = (*kv)->begin_write();
    if (!transaction) return 2;
    if (!(*transaction)->put(Table::kMeta, as_bytes("a"), as_bytes("lost"))) return 3;
    parent.tell();
    parent.await();
    return 4;
  });
  auto kv = open();
  writer.tell();
  ASSERT_TRUE(writer.await());
  EXPECT_EQ(kv->lock_for_node(Duration(0)).error().code, Errc::kStoreLocked);
  writer.kill();
  EXPECT_EQ(get(*kv, "a"), "committed");
  EXPECT_TRUE(put(*kv, "a", "more"));
  EXPECT_TRUE(kv->lock_for_node());
  kv.reset();
  EXPECT_EQ(get(*open(), "a"), "more");
}

TEST_F(LmdbKvTest, ReadersOfAnotherProcessSeeWholeCommitsWhileItWrites) {
  ASSERT_TRUE(put(*open(), "a", "0"));
  ChildProcess reader([&](const ParentLine& parent) {
    const auto kv = LmdbKv::open(store_, kReader);
    if (!kv) return 1;
    parent.tell();
    std::string seen = "0";
    while (seen != "60") {
      const auto snapshot = (*kv)->begin_read().value();
      const auto a = snapshot->get(Table::kMeta, as_bytes("a")).value();
      const auto b = snapshot->get(Table::kLogs, as_bytes("a")).value();
      if (!a || std::stoi(std::string(as_text(*a))) < std::stoi(seen)) return 2;
      if (as_text(*a) != "0" && (!b || !equal(*a, *b))) return 3;
      seen = as_text(*a);
    }
    return 0;
  });
  const auto kv = open();
  ASSERT_TRUE(reader.await());
  for (int i = 1; i <= 60; ++i) {
    const std::string value = std::to_string(i);
    const auto transaction = kv->begin_write().value();
    ASSERT_TRUE(transaction->put(Table::kMeta, as_bytes("a"), as_bytes(value)));
    ASSERT_TRUE(transaction->put(Table::kLogs, as_bytes("a"), as_bytes(value)));
    ASSERT_TRUE(transaction->commit());
  }
  EXPECT_EQ(reader.join(), 0);
}

TEST_F(LmdbKvTest, AdoptsTheMapThatAnotherProcessHasGrown) {
  constexpr LmdbOptions kSmall{.map_size_bytes = 1 << 18};
  ASSERT_TRUE(put(*open(kSmall), "a", "1"));
  ChildProcess writer([&](const ParentLine& parent) {
    parent.await();
    const auto kv = LmdbKv::open(store_, kSmall);
    if (!kv) return 1;
    const std::string large(1 << 21, 'x');
    for (int grown = 0; grown < 8; ++grown) {
      const auto result = put(**kv, "a", large);
      if (result) return grown > 0 ? 0 : 2;
      if (result.error().code != Errc::kStoreFull || !(*kv)->grow()) return 3;
    }
    return 4;
  });
  const auto kv = open(kSmall);
  auto before = kv->begin_read().value();
  writer.tell();
  ASSERT_EQ(writer.join(), 0);
  EXPECT_EQ(as_text(*before->get(Table::kMeta, as_bytes("a")).value()), "1");
  EXPECT_EQ(get(*kv, "a"), "store_full") << "the map cannot move under a snapshot of this thread";
  before.reset();
  EXPECT_EQ(get(*kv, "a").size(), std::size_t{1} << 21);
  EXPECT_TRUE(put(*kv, "a", "2"));
}

TEST_F(LmdbKvTest, DeadReadersStopHoldingPagesOnceChecked) {
  const auto size = [&] { return std::filesystem::file_size(store_ + "/data.mdb"); };
  ASSERT_TRUE(put(*open(), "a", "1"));
  ChildProcess reader([&](const ParentLine& parent) {
    const auto kv = LmdbKv::open(store_, kReader);
    const auto snapshot = kv ? (*kv)->begin_read() : fail(Errc::kStoreIo);
    if (!snapshot) return 1;
    parent.tell();
    parent.await();
    return 2;
  });
  ASSERT_TRUE(reader.await());
  const auto kv = open();
  const auto overwrite_often = [&] {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(put(*kv, "a", std::string(64'000, 'x')));
  };
  reader.kill();
  overwrite_often();
  const auto held = size();
  EXPECT_GT(held, 20U * 64'000U);
  kv->check_readers();
  overwrite_often();
  EXPECT_LT(size(), held + 4 * 64'000U);
}

TEST_F(LmdbKvTest, ForkedChildMustOpenAnew) {
  auto kv = open();
  ChildProcess child([&](const ParentLine& parent) {
    if (kv->begin_read().error().code != Errc::kStoreLocked) return 1;
    if (kv->begin_write().error().code != Errc::kStoreLocked) return 2;
    if (kv->lock_for_node().error().code != Errc::kStoreLocked) return 3;
    const auto own = LmdbKv::open(store_, kWriter);
    if (!own || get(**own, "a") != "-" || !put(**own, "a", "1")) return 4;
    parent.tell();
    return 0;
  });
  ASSERT_TRUE(child.await());
  EXPECT_EQ(get(*kv, "a"), "1");
  EXPECT_TRUE(put(*kv, "a", "2"));
  EXPECT_EQ(child.join(), 0);
}

TEST_F(LmdbKvTest, ForkedChildNeitherEndsNorKeepsTheLock) {
  const auto kv = open();
  {
    auto lock = *kv->lock_for_node();
    ChildProcess child([&](const ParentLine& parent) {
      { const NodeLock ended(std::move(lock)); }
      parent.tell();
      parent.await();
      return 0;
    });
    ASSERT_TRUE(child.await());
    EXPECT_EQ(lock_holder(store_), ::getpid());
    { const NodeLock ended(std::move(lock)); }
    EXPECT_EQ(lock_holder(store_), std::nullopt);
    child.tell();
    EXPECT_EQ(child.join(), 0);
  }
  auto transaction = kv->begin_write().value();
  ChildProcess child([&](const ParentLine& parent) {
    parent.await();
    return 0;
  });
  EXPECT_TRUE(transaction->commit());
  EXPECT_TRUE(kv->lock_for_node(Duration(0)));
  child.tell();
  EXPECT_EQ(child.join(), 0);
}

}  // namespace
}  // namespace culm::store
