#include <functional>
#include <set>
#include <sstream>
#include <string>

#include "culm/store/detail/page.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"

#include "tests/store/salvaged_store.hpp"

/// The newer meta page is lost, which alone led to the last commit: what of that is there all the
/// same.
namespace culm::test {
namespace {

using store::detail::meta_row_key;

constexpr std::size_t kNumberAt = 144;
constexpr std::size_t kRootAt = 128;

class LostCommit : public SalvagedStore {
 protected:
  using Work = std::function<void()>;

  void SetUp() override {
    SalvagedStore::SetUp();
    add(dave, up_to(20));
    forget(dave);
    delete_payloads(bob, {{2, 3}});
    last_commits = {[&] {
                      alice.append_many(30);
                      add(alice, {{21, 50}});
                    },
                    [&] {
                      delete_payloads(alice, {{4, 9}});
                    },
                    [&] { add(carol, up_to(20)); }};
  }

  void delete_payloads(const LogBuilder& log, const RangeSet& seqnums) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(const auto done, transaction.delete_payloads(log.log(), seqnums, 1U << 20U));
      return {};
    }));
  }

  /// The file, closed; what it held is known.
  std::string written() {
    held = all_held();
    store.reset();
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return std::move(bytes).str();
  }
  std::map<LogKey, RangeSet> all_held() {
    std::map<LogKey, RangeSet> all;
    for (const LogKey& log : known()) all.emplace(log, (*store->read()->get_log(log))->held);
    return all;
  }
  static std::uint64_t number_in(const std::string& content, std::size_t at) {
    return store::detail::number_at<std::uint64_t>(as_bytes(content), at);
  }
  static std::size_t newest(const std::string& content) {
    return number_in(content, kNumberAt) > number_in(content, kPage + kNumberAt) ? 0 : 1;
  }

  /// And the newer meta page. Behind a page of other bytes states would be doubtful.
  static void lose_root(std::string& content) {
    const std::size_t meta = newest(content) * kPage;
    const std::uint64_t root = number_in(content, meta + kRootAt);
    std::vector<PageRow> none;
    content.replace(root * kPage, kPage, leaf_of(root, none));
    lose_page(content, meta);
  }

  void repair(const std::string& content) {
    store.reset();
    std::ofstream(path, std::ios::binary) << content;
    {
      auto made = store::Salvage::begin(directory, random);
      ASSERT_TRUE(made) << message(made.error());
      may_be_older = made->may_be_older();
      lost = made->lost_entries();
      named = made->old_logs();
      ASSERT_TRUE(std::move(*made).finish());
    }
    open();
    for (const LogKey& log : known()) {
      drop_damaged(log, {});
      drop_damaged(log, (*store->read()->get_log(log))->held);
    }
    expect_sound();
  }
  void drop_damaged(const LogKey& log, const RangeSet& seqnums) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(const RangeSet dropped, transaction.drop_damaged(log, seqnums));
      return {};
    }));
  }

  std::vector<Work> last_commits;
  std::map<LogKey, RangeSet> held;
  bool may_be_older = false;
  std::optional<std::uint64_t> lost;
  std::set<LogKey> named;
  LogBuilder carol = LogBuilder("carol").append_many(20);
  LogBuilder dave = LogBuilder("dave").append_many(20);
};

TEST_F(LostCommit, IsWholeWhereItsMetaPageAloneIsLost) {
  last_commits.emplace_back([&] { forget(bob); });
  for (const Work& commit : last_commits) {
    commit();
    std::string content = written();
    lose_page(content, newest(content) * kPage);
    repair(content);
    EXPECT_FALSE(may_be_older);
    EXPECT_EQ(lost, 0U);
    EXPECT_EQ(all_held(), held);
    EXPECT_TRUE(named.empty());
    EXPECT_FALSE(store::list_kept(directory).empty());
  }
  EXPECT_EQ(state(alice).deleted, (RangeSet{{4, 9}}));
}

TEST_F(LostCommit, HasItsEntriesAndNamesItsDeletionsAlsoWhereItsRootIsLost) {
  for (const Work& commit : last_commits) {
    commit();
    std::string content = written();
    lose_root(content);
    repair(content);
    EXPECT_TRUE(may_be_older);
    EXPECT_EQ(lost, std::nullopt);
    EXPECT_EQ(all_held(), held);
    EXPECT_TRUE(named.contains(&commit == &last_commits.back() ? carol.log() : alice.log()));
    EXPECT_FALSE(named.contains(dave.log()));
  }
  EXPECT_EQ(state(bob).deleted, (RangeSet{{2, 3}}));
  EXPECT_TRUE(named.contains(carol.log()));
}

TEST_F(LostCommit, HasItsEntriesAlsoBehindAPageOfOtherBytes) {
  last_commits.front()();
  std::string content = written();
  const std::size_t meta = newest(content) * kPage;
  lose_page(content, number_in(content, meta + kRootAt) * kPage);
  lose_page(content, meta);
  repair(content);
  EXPECT_TRUE(may_be_older);
  EXPECT_EQ(all_held(), held);
  EXPECT_EQ(named, std::set{alice.log()});
}

TEST_F(LostCommit, LeavesAStateOfManyRangesAsItWas) {
  alice.append_many(300);
  add(alice, {{21, 320}});
  RangeSet deleted;
  store::LogInterest interest;
  for (SeqNum n = 2; n <= 320; n += 2) {
    deleted.insert(n);
    interest.entries.ranges.insert(n);
  }
  delete_payloads(alice, deleted);
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) {
    return transaction.set_interest(alice.log(), interest);
  }));
  alice.append_many(5);
  add(alice, {{321, 325}});
  std::string content = written();
  lose_root(content);
  repair(content);
  EXPECT_EQ(all_held(), held);
  EXPECT_EQ(state(alice).deleted, deleted);
  EXPECT_EQ(state(alice).interest, interest);
}

TEST_F(LostCommit, DeletesNoPayloadThatWasStillToCome) {
  const auto add_entries = [&](const RangeSet& members) {
    ASSERT_TRUE(store::ingest(*store, carol.log(), carol.unit(members, false), verifier));
  };
  add_entries(up_to(20));
  carol.append_many(2);
  add_entries({{21, 22}});
  std::string content = written();
  lose_root(content);
  repair(content);
  EXPECT_EQ(all_held(), held);
  EXPECT_TRUE(state(carol).deleted.empty());
  const store::Lost carols = store->read()->find_lost(state(carol)).value();
  EXPECT_EQ(carols.payloads, up_to(22));
  EXPECT_EQ(carols.untold, up_to(22));
}

/// Who sent a payload has written them, or they are older.
TEST_F(LostCommit, IsNotTakenFromStatesThatNothingProves) {
  for (const bool is_older : {true, false}) {
    LogState claimed = state(bob);
    const LogState before = claimed;
    claimed.deleted = up_to(20);
    claimed.interest.entries.newest = 7;
    claimed.change = is_older ? before.change - 1 : 900;
    Bytes row;
    store::detail::encode_log(row, claimed, {});
    const auto key = store::detail::log_row_key(bob.log());
    store::detail::seal(row, Table::kLogs, key);
    std::vector<PageRow> rows{{Bytes(key.begin(), key.end()), row}};
    last_commits.front()();
    std::string content = written();
    lose_root(content);
    add_page(content, leaf_of(content.size() / kPage, rows));
    repair(content);
    EXPECT_EQ(state(bob), before);
    EXPECT_EQ(named.contains(bob.log()), !is_older);
  }
}

TEST_F(LostCommit, LeavesNumbersForLogsToComeWhateverRowsClaim) {
  Bytes entry;
  store::detail::encode_entry(entry, carol.bytes(1), carol.payload(1));
  const auto entry_key = store::detail::entry_row_key(UINT64_MAX, 1);
  store::detail::seal(entry, Table::kEntries, entry_key);
  Bytes forgotten;
  store::detail::encode_forgotten(forgotten);
  const auto forgotten_key = store::detail::forgotten_row_key(UINT64_MAX - 1);
  store::detail::seal(forgotten, Table::kMeta, forgotten_key);
  std::vector<PageRow> rows{{Bytes(entry_key.begin(), entry_key.end()), entry},
                            {Bytes(forgotten_key.begin(), forgotten_key.end()), forgotten}};
  last_commits.front()();
  std::string content = written();
  lose_root(content);
  add_page(content, leaf_of(content.size() / kPage, rows));
  repair(content);
  EXPECT_EQ(all_held(), held);
  add(carol, up_to(20));
  EXPECT_LT(state(carol).number, 10U);
  store.reset();
  open();
  EXPECT_EQ(known().size(), 3U);
}

TEST_F(LostCommit, IsNotFearedForWhatALargePayloadHasLeftBehind) {
  std::string payload;
  for (int n = 0; payload.size() < 60'000; ++n) payload += std::to_string(n);
  alice.append(payload);
  add(alice, {{21, 21}});
  delete_payloads(alice, {{21, 21}});
  add(carol, up_to(20));
  alice.append_many(2);
  for (const SeqNum n : {22U, 23U}) add(alice, {{n, n}});
  std::string content = written();
  lose_page(content, kPage - newest(content) * kPage);
  repair(content);
  EXPECT_FALSE(may_be_older);
  EXPECT_EQ(all_held(), held);
}

TEST_F(LostCommit, NamesTheLogThatItForgot) {
  ASSERT_TRUE(
      store->update([&](WriteTransaction& transaction) { return transaction.forget(bob.log()); }));
  std::string content = written();
  lose_root(content);
  repair(content);
  EXPECT_EQ(named, std::set{bob.log()});
}

TEST_F(LostCommit, IsNeverShortOfEntriesUnsaidWhateverPageIsLostBesides) {
  last_commits.front()();
  const std::string whole = written();
  for (std::size_t page = 2; page < whole.size() / kPage; ++page) {
    SCOPED_TRACE(page);
    for (const bool is_end : {false, true}) {
      if (is_end && page < whole.size() / kPage / 2) continue;
      std::string content = whole;
      lose_page(content, newest(content) * kPage);
      lose_page(content, page * kPage);
      if (is_end) content.resize(page * kPage);
      ASSERT_NO_FATAL_FAILURE(repair(content));
      if (!may_be_older && lost == 0U) {
        EXPECT_EQ(all_held(), held);
      }
    }
  }
}

TEST_F(LostCommit, IsNoneWhoseRowOfTheStoreHasAnotherId) {
  for (const bool is_forged : {true, false}) {
    store::detail::StoreMeta row{store->id(), 12, 100'000, 0, 10};
    if (is_forged) row.id = {};
    std::string content = written();
    const std::size_t meta = newest(content) * kPage;
    const std::size_t root = number_in(content, meta + kRootAt);
    lose_page(content, kPage - meta);
    Bytes value;
    store::detail::encode_meta(value, row);
    store::detail::seal(value, Table::kMeta, meta_row_key());
    std::vector<PageRow> rows{{Bytes(meta_row_key().begin(), meta_row_key().end()), value}};
    add_page(content, leaf_of(content.size() / kPage, rows));
    std::string page = content.substr(root * kPage, kPage);
    const std::size_t name = page.find(std::string("\4\0meta", 6));
    const std::uint64_t at = content.size() / kPage - 1;
    page.replace(name + 6 + 40, sizeof(at), reinterpret_cast<const char*>(&at), sizeof(at));
    add_page(content, page);
    repair(content);
    EXPECT_EQ(rows_of(*kv, Table::kChanges).size(), 2U);
    EXPECT_EQ(may_be_older, false);
    const Rows rows_kept = rows_of(*kv, Table::kMeta);
    const ByteView kept = rows_kept.back().second;
    const auto body = *store::detail::unseal(Table::kMeta, meta_row_key(), kept);
    EXPECT_EQ(store::detail::decode_meta(body)->last_change >= 100'000, !is_forged);
  }
}

}  // namespace
}  // namespace culm::test
