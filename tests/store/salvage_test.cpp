#include "culm/store/salvage.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>

#include "culm/store/detail/page.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

#include "tests/store/io_fault.hpp"
#include "tests/store/salvaged_store.hpp"
#include "tests/support/child_process.hpp"

namespace culm::test {
namespace {

namespace fs = std::filesystem;
using store::LmdbKv;

TEST_F(SalvagedStore, HasAllButItsIdWhereNothingIsLost) {
  const auto id = store->id();
  const std::vector<store::KnownPeer> peers{{"relay.example:1", {sealing::PeerKey{{1, 2, 3}}}}};
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) {
    return transaction.remember_peer(peers[0].address, peers[0].keys[0]);
  }));
  std::string content = close();
  lose_page(content, page_of(content, changes.at(0)));
  salvage(content);
  EXPECT_NE(store->id(), id);
  EXPECT_EQ(known().size(), 2U);
  EXPECT_EQ(*store->read()->known_peers(), peers);
  expect_sound();
}

TEST_F(SalvagedStore, KeepsTheFileAlsoForOneRowOfASoundPage) {
  const std::string whole = close();
  for (const bool is_row_damaged : {false, true}) {
    std::string content = whole;
    lose_page(content, 0);
    if (is_row_damaged) content[content.find(logs.at(0)) + logs.at(0).size() - 1] ^= 1;
    salvage(content);
    EXPECT_EQ(store::list_kept(directory).size(), is_row_damaged ? 1U : 0U);
    store.reset();
  }
}

TEST_F(SalvagedStore, GivesTheFileNoSecondNameWhereItIsNotReplaced) {
  std::string content = close();
  lose_page(content, page_of(content, entries.at(0)));
  std::ofstream(path, std::ios::binary) << content;
  auto made = store::Salvage::begin(directory, random);
  ASSERT_TRUE(made) << message(made.error());
  fs::remove(made->directory() + "/data.mdb");
  EXPECT_FALSE(std::move(*made).finish());
  EXPECT_TRUE(store::list_kept(directory).empty());
  EXPECT_TRUE(fs::exists(path));
}

TEST_F(SalvagedStore, KeepsEachDamagedFileOfWhichNotAllWasRead) {
  const auto content_of = [](const std::string& file) {
    std::ifstream opened(file, std::ios::binary);
    std::ostringstream bytes;
    bytes << opened.rdbuf();
    return std::move(bytes).str();
  };
  const std::string first = path + ".damaged";
  std::string content = close();
  lose_page(content, page_of(content, entries.at(0)));
  salvage(content);
  EXPECT_EQ(content_of(first), content);
  const auto kept = store::list_kept(directory);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].path, first);
  EXPECT_EQ(kept[0].size_bytes, content.size());
  std::string other = close();
  EXPECT_EQ(content_of(first), content);
  lose_page(other, page_of(other, entries.at(0)));
  // As one leaves that was killed before the new file took the place of the old.
  std::ofstream(path, std::ios::binary) << other;
  fs::create_hard_link(path, first + ".2");
  salvage(other);
  EXPECT_EQ(content_of(first), content);
  EXPECT_EQ(content_of(first + ".2"), other);
  ASSERT_EQ(store::list_kept(directory).size(), 2U);
  EXPECT_EQ(store::list_kept(directory)[1].path, first + ".2");
  EXPECT_FALSE(fs::exists(first + ".3"));
  std::string whole = close();
  lose_page(whole, 0);
  salvage(whole);
  EXPECT_FALSE(fs::exists(first + ".3"));
}

TEST_F(SalvagedStore, KeepsACopyOfTheDamagedFileWhereItCanHaveNoSecondName) {
  const std::string kept = path + ".damaged";
  std::string content = close();
  lose_page(content, page_of(content, entries.at(0)));
  std::ofstream(kept + ".new") << "of one that was killed";
  for (const int number : {EPERM, EOPNOTSUPP, ENOSYS}) {
    fs::remove(kept);
    const IoFaultScope fault(IoFault::kLink, number);
    salvage(content);
    store.reset();
    std::ifstream file(kept, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    EXPECT_EQ(bytes.str(), content);
    ASSERT_EQ(store::list_kept(directory).size(), 1U);
    EXPECT_EQ(store::list_kept(directory)[0].size_bytes, content.size());
  }
  fs::remove(kept);
  std::ofstream(path, std::ios::binary) << content;
  const IoFaultScope fault(IoFault::kLink, ENOSPC);
  auto made = store::Salvage::begin(directory, random);
  ASSERT_TRUE(made);
  EXPECT_EQ(std::move(*made).finish().error().code, Errc::kStoreFull);
}

TEST_F(SalvagedStore, IsAnotherStoreWhereAStateMayBeOlder) {
  const std::string old = close();
  const std::string page = old.substr(page_of(old, logs.at(0)), kPage);
  open();
  const auto id = store->id();
  alice.append_many(1);
  add(alice, {{21, 21}});
  std::string content = close();
  lose_page(content, page_of(content, logs.at(0)));
  add_page(content, page);
  salvage(content);
  EXPECT_NE(store->id(), id);
  EXPECT_EQ((*store->read()->get_log(alice.log()))->head(), 20U);
  expect_sound();
}

TEST_F(SalvagedStore, TakesNoStateOfAFreePageThatAWrongNumberLeadsTo) {
  const std::string old = close();
  const std::string page = old.substr(page_of(old, logs.at(0)), kPage);
  open();
  alice.append_many(1);
  add(alice, {{21, 21}});
  const auto id = store->id();
  std::string content = close();
  const std::uint64_t older = content.size() / kPage;
  add_page(content, page);
  add_free_list(content, older);
  lead(content, "logs", older);
  salvage(content);
  EXPECT_NE(store->id(), id);
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.drop_damaged(alice.log(), {}));
    return {};
  }));
  EXPECT_EQ((*store->read()->get_log(alice.log()))->head(), 21U);
}

TEST_F(SalvagedStore, TakesOfAPageThatIsLedToAndFreeTheEntriesThatProveThemselves) {
  std::string content = close();
  add_free_list(content, page_of(content, entries.at(0)) / kPage);
  salvage(content);
  const auto damage = *store->read()->find_damage(state(alice), up_to(20));
  EXPECT_TRUE(damage.rows.contains(1));
  EXPECT_EQ(damage.entries, RangeSet());
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const RangeSet dropped, transaction.drop_damaged(alice.log(), up_to(20)));
    return {};
  }));
  EXPECT_EQ(state(alice).held, up_to(20));
  EXPECT_EQ(state(alice).payloads, up_to(20));
  expect_sound();
}

TEST_F(SalvagedStore, IsTheSameWhereTheListOfFreePagesAloneIsDamaged) {
  const auto id = store->id();
  std::string content = close();
  add_free_list(content, 0);
  salvage(content);
  EXPECT_EQ(store->id(), id);
  EXPECT_EQ(known().size(), 2U);
  expect_sound();
}

TEST_F(SalvagedStore, KnowsNoForgottenLogAgain) {
  const std::string old = close();
  open();
  forget(bob);
  std::string content = close();
  lose_page(content, page_of(content, changes.at(0)));
  const auto& author = bob.log().author.bytes;
  const std::string gone(author.begin(), author.end());
  EXPECT_EQ(content.find(gone), std::string::npos) << "a compaction leaves nothing of it";
  // All pages of before that had anything of it, as if they had been left.
  for (std::size_t at = 2 * kPage; at < old.size(); at += kPage) {
    if (old.compare(at, kPage, std::string(kPage, '\0')) != 0)
      add_page(content, old.substr(at, kPage));
  }
  salvage(content);
  EXPECT_EQ(known(), std::vector{alice.log()});
  expect_sound();
}

TEST_F(SalvagedStore, RemembersTheEndOfALogThatWasLostWithItsState) {
  forget(bob);
  alice.append_many(40);
  add(alice, {{21, 60}});
  std::string content = close();
  lose_page(content, page_of(content, entries.back()));
  lose_page(content, page_of(content, logs.at(0)));
  salvage(content);
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.drop_damaged(alice.log(), {}));
    return {};
  }));
  const SeqNum head = state(alice).head();
  EXPECT_LT(head, 60U);
  EXPECT_EQ(store->read()->find_lost(state(alice))->entries, (RangeSet{{head + 1, 60}}));
  expect_sound();
}

TEST_F(SalvagedStore, KnowsNothingToBeLostOfANumberThatNoLogHas) {
  const std::uint64_t number = state(bob).number;
  for (const std::uint64_t of : {number, number + 5}) {
    Bytes row;
    store::detail::encode_lost(row, {{{30, 40}}, {}});
    const auto key = store::detail::lost_row_key(of);
    store::detail::seal(row, Table::kMeta, key);
    put_row(*kv, Table::kMeta, key, row);
  }
  std::string content = close();
  lose_page(content, page_of(content, changes.at(0)));
  salvage(content);
  EXPECT_EQ(store->read()->find_lost(state(bob))->entries, (RangeSet{{30, 40}}));
  for (const auto& [key, value] : rows_of(*kv, Table::kMeta)) {
    EXPECT_FALSE(store::detail::parse_lost_row_key(key) > number);
  }
}

TEST_F(SalvagedStore, TakesALeafThatABranchOfAnotherTableLeadsTo) {
  std::string content = close();
  // The root of `changes` becomes a copy of the leaf of `logs`, whose own place is lost.
  const std::size_t at = page_of(content, logs.at(0));
  put_page(content, page_of(content, changes.at(0)), content.substr(at, kPage));
  lose_page(content, at);
  salvage(content);
  EXPECT_EQ(known().size(), 2U);
  expect_sound();
}

TEST_F(SalvagedStore, FindsALeafThatLiesWhereItsKeysDoNotBelong) {
  std::string content = close();
  std::map<std::size_t, std::size_t> rows;  // of each page
  for (const std::string& row : entries) ++rows[page_of(content, row)];
  const auto first = rows.begin();
  const auto same = std::find_if(std::next(first), rows.end(),
                                 [&](const auto& page) { return page.second == first->second; });
  ASSERT_NE(same, rows.end());
  put_page(content, first->first, content.substr(same->first, kPage));
  std::ofstream(path, std::ios::binary) << content;
  EXPECT_GT(store::count_damaged_pages(directory).value(), 0U);
  salvage(content);
  EXPECT_EQ(known().size(), 2U);
}

TEST_F(SalvagedStore, IsNotMadeAnewWhereAnotherPageTookThePlaceOfItsRoot) {
  std::string content = close();
  const std::size_t root = page_of(content, "evidence");
  put_page(content, root, content.substr(page_of(content, logs.at(0)), kPage));
  std::ofstream(path, std::ios::binary) << content;
  store::LmdbOptions reader = kSmall;
  reader.read_only = true;
  for (const auto& options : {reader, kSmall}) {
    EXPECT_EQ(code_of(LmdbKv::open(directory, options)), Errc::kStoreDamaged);
  }
  salvage(content);
  EXPECT_EQ(known().size(), 2U);
  expect_sound();
}

TEST_F(SalvagedStore, FindsNoDamageInALongerRunOfPagesThanAValueNeeds) {
  const std::string key = "key";
  const auto transaction = *kv->begin_write();
  for (const std::size_t pages : {std::size_t{5}, std::size_t{3}}) {
    ASSERT_TRUE(transaction->put(Table::kPayloads, as_bytes(key), Bytes(pages * kPage)));
  }
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(store::count_damaged_pages(directory).value(), 0U);
}

TEST_F(SalvagedStore, BelievesNoCountOfRowsForWhichTheFileHasNoRoom) {
  std::string content = close();
  const std::string name = std::string(1, '\7') + '\0' + "entries";
  const std::size_t tree = content.find(name, page_of(content, "evidence")) + name.size();
  for (const char high : {'\0', '\1'}) {
    content[tree + store::detail::kTreeRowsAt + 5] = high;
    std::ofstream(path, std::ios::binary) << content;
    const auto made = store::Salvage::begin(directory, random);
    ASSERT_TRUE(made) << message(made.error());
    EXPECT_EQ(made->lost_entries().has_value(), high == 0);
  }
}

/// Of its own commits; behind a page that seems to be damaged leaves count for less.
TEST_F(SalvagedStore, HasNoEmptyPageThatACompactionLeft) {
  const auto transaction = *kv->begin_write();
  const Bytes part(limits::kPayloadChunkBytes, 1);
  for (std::uint32_t n = 0; n < 250; ++n) {
    ASSERT_TRUE(transaction->put(Table::kPayloads, store::detail::chunk_row_key(9, n), part));
  }
  ASSERT_TRUE(transaction->commit());
  const std::string content = close();
  for (std::size_t at = 0; at < content.size(); at += kPage) {
    EXPECT_NE(content.compare(at, kPage, std::string(kPage, '\0')), 0) << at / kPage;
  }
}

TEST_F(SalvagedStore, IsRidOfWhatAKilledSalvageLeftByTheNextThatWrites) {
  store.reset();
  fs::create_directory(directory + "/salvage");
  std::ofstream(directory + "/salvage/data.mdb") << "half of it";
  store::LmdbOptions reader = kSmall;
  reader.read_only = true;
  ASSERT_TRUE(LmdbKv::open(directory, reader));
  EXPECT_TRUE(fs::exists(directory + "/salvage"));
  open();
  EXPECT_FALSE(fs::exists(directory + "/salvage"));
}

/// Who is killed between the two steps of `finish` has taken the lock file away, and no more.
TEST_F(SalvagedStore, IsLockedByOneFileForAllWhoHaveItOpenAlsoWhereASalvageWasKilled) {
  store.reset();
  const auto put = [](LmdbKv& to, std::string_view key) -> Result<void> {
    CULM_TRY(const auto transaction, to.begin_write());
    CULM_CHECK(transaction->put(Table::kPayloads, as_bytes(key), as_bytes(key)));
    return transaction->commit();
  };
  const auto has = [](LmdbKv& in, std::string_view key) {
    const auto snapshot = in.begin_read();
    return snapshot && (*snapshot)->get(Table::kPayloads, as_bytes(key)).value().has_value();
  };
  ChildProcess idle([&](const ParentLine& parent) {
    const auto opened = LmdbKv::open(directory, kSmall);
    if (!opened || !put(**opened, "first")) return 1;
    parent.tell();
    parent.await();
    if (!put(**opened, "idle")) return 2;
    return has(**opened, "other") ? 0 : 3;
  });
  ASSERT_TRUE(idle.await());
  fs::remove(directory + "/lock.mdb");
  const auto other = std::move(LmdbKv::open(directory, kSmall)).value();
  ASSERT_TRUE(put(*other, "other"));
  idle.tell();
  EXPECT_EQ(idle.join(), 0);
  ASSERT_TRUE(put(*other, "last"));
  for (const char* const key : {"first", "other", "idle", "last"}) EXPECT_TRUE(has(*other, key));
}

}  // namespace
}  // namespace culm::test
