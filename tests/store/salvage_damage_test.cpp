#include <algorithm>
#include <map>
#include <set>

#include "culm/store/detail/page.hpp"
#include "culm/store/detail/rows.hpp"

#include "tests/store/salvaged_store.hpp"

/// Whatever pages a file loses, inner ones as well, what lies in its other leaves is there after it
/// was written again.
namespace culm::test {
namespace {

using store::detail::kNoPage;
using store::detail::Tree;

constexpr std::uint64_t kRuns = 30;
constexpr std::size_t kHitsMax = 12;

struct Row {
  LogKey log;
  SeqNum seqnum;
};

/// What the newest commit of a sound file leads to.
class Pages {
 public:
  explicit Pages(const std::string& content) : content_(content) {
    const bool is_second = meta_number(1, 144) > meta_number(0, 144);
    const std::size_t newest = is_second ? 1 : 0;
    visit(tree_at(newest, store::detail::kMetaFreeAt), [](ByteView, ByteView) {});
    const Tree main = tree_at(newest, store::detail::kMetaMainAt);
    root = main.root;
    visit(main, [&](ByteView name, ByteView tree) {
      tables.emplace(as_text(name), store::detail::read_tree(tree));
    });
    for (const auto& table : tables) {
      visit(table.second, [&](ByteView key, ByteView value) {
        const auto opened = store::detail::open_entry_row({key, value});
        if (table.first != "entries" || !opened) return;
        leaves[at_].push_back({opened->entry.log(), opened->entry.seqnum()});
      });
    }
  }

  std::size_t root = 0;
  std::map<std::string, Tree> tables;
  std::map<std::size_t, std::vector<Row>> leaves;  ///< of entries
  std::vector<std::size_t> inner;                  ///< roots and branches
  std::set<std::size_t> led;                       ///< tree pages
  std::set<std::size_t> runs;                      ///< of values that lie in pages

 private:
  ByteView page(std::size_t number) const {
    return as_bytes(content_).subspan(number * kPage, kPage);
  }
  std::uint64_t meta_number(std::size_t meta, std::size_t at) const {
    return store::detail::number_at<std::uint64_t>(page(meta), at);
  }
  Tree tree_at(std::size_t meta, std::size_t at) const {
    return store::detail::read_tree(page(meta).subspan(at));
  }
  template <class Visit>
  void visit(const Tree& tree, Visit visit_row) {
    if (tree.root == kNoPage) return;
    inner.push_back(tree.root);
    visit_page(tree.root, visit_row);
  }
  template <class Visit>
  void visit_page(std::size_t number, Visit visit_row) {
    led.insert(number);
    const ByteView bytes = page(number);
    const bool is_leaf = store::detail::has_header(bytes, number, store::detail::kLeaf);
    for (std::size_t at = store::detail::kHeaderBytes; at < store::detail::lower_of(bytes);
         at += 2) {
      const std::size_t node = store::detail::number_at<std::uint16_t>(bytes, at);
      at_ = number;
      const ByteView key = store::detail::key_of(bytes, node);
      if (!is_leaf) {
        visit_page(store::detail::child_of(bytes, node), visit_row);
        continue;
      }
      const std::size_t begin = node + store::detail::kNodeBytes + key.size();
      if (store::detail::is_value_elsewhere(bytes, node)) {
        const auto first = store::detail::number_at<std::uint64_t>(bytes, begin);
        const std::size_t size = store::detail::value_bytes_of(bytes, node);
        for (std::size_t i = 0; i * kPage < size + 16; ++i) runs.insert(first + i);
      } else {
        visit_row(key, bytes.subspan(begin, store::detail::value_bytes_of(bytes, node)));
      }
    }
  }

  const std::string& content_;
  std::size_t at_ = 0;
};

class DamagedPages : public SalvagedStore {
 protected:
  void SetUp() override {
    SalvagedStore::SetUp();
    add(carol, up_to(5));
    for (SeqNum n = 21; n <= 120; n += 20) {
      for (LogBuilder* const log : {&alice, &bob}) {
        log->append_many(20);
        add(*log, {{n, n + 19}});
      }
    }
    carol.append(std::string(60'000, 'c'));
    add(carol, {{6, 6}});
    delete_payloads(alice, deleted);
    add(dave, up_to(5));
    forget(dave);
    alice.append_many(5);
    add(alice, {{121, 125}});
    store.reset();
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    whole = std::move(content).str();
  }

  void delete_payloads(const LogBuilder& log, const RangeSet& seqnums) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(const auto done, transaction.delete_payloads(log.log(), seqnums, 1U << 20U));
      return {};
    }));
  }

  /// As `culm repair` does.
  void repair(const std::string& content) {
    store.reset();
    std::ofstream(path, std::ios::binary) << content;
    {
      auto made = store::Salvage::begin(directory, random);
      ASSERT_TRUE(made) << message(made.error());
      pages = made->damaged_pages();
      may_be_more = made->may_more_be_damaged();
      lost = made->lost_entries();
      old_logs = made->old_logs();
      ASSERT_TRUE(std::move(*made).finish());
    }
    open();
    for (const LogKey& log : known()) {
      drop_damaged(log, {});
      drop_damaged(log, (*store->read()->get_log(log))->held);
    }
  }
  void drop_damaged(const LogKey& log, const RangeSet& seqnums) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(const RangeSet dropped, transaction.drop_damaged(log, seqnums));
      return {};
    }));
  }

  bool is_hit(const std::string& content, std::size_t page) const {
    const std::size_t at = page * kPage;
    return at >= content.size() || content.compare(at, kPage, whole, at, kPage) != 0;
  }

  /// What is there is sound, and nothing came back unsaid.
  void expect_sound_and_said() {
    const auto transaction = *store->read();
    for (const LogKey& log : known()) {
      const auto state = transaction.get_log(log);
      ASSERT_TRUE(state) << message(state.error());
      const auto report = *store::audit_log(transaction, **state, verifier);
      EXPECT_TRUE(!report.first_fault || report.first_fault->code == Errc::kUnitUnanchored)
          << message(*report.first_fault);
      if (old_logs.contains(log)) continue;
      EXPECT_NE(log, dave.log()) << "was forgotten";
      EXPECT_TRUE(log != alice.log() || ((*state)->payloads & deleted).empty());
    }
    EXPECT_TRUE(store::audit_tables(transaction));
  }

  void expect_kept(const std::string& content, const Pages& before) {
    const auto transaction = *store->read();
    for (const auto& [page, rows] : before.leaves) {
      if (is_hit(content, page)) continue;
      for (const auto& [log, seqnum] : rows) {
        const auto state = transaction.get_log(log);
        EXPECT_TRUE(state && (*state)->held.contains(seqnum))
            << to_string(log) << " " << seqnum << " of page " << page;
      }
    }
  }

  void expect_counts(const std::string& content, const Pages& before, bool are_metas_lost) {
    std::uint64_t hit = are_metas_lost ? 2 : 0;
    for (const std::size_t page : before.led) hit += is_hit(content, page) ? 1U : 0U;
    EXPECT_TRUE(may_be_more || pages >= hit) << pages << " of " << hit;
    for (const std::size_t page : before.runs) hit += is_hit(content, page) ? 1U : 0U;
    EXPECT_LE(pages, hit);
    std::uint64_t found = 0;
    bool is_forgotten_back = false;
    for (const LogKey& log : known()) {
      is_forgotten_back = is_forgotten_back || log == dave.log();
      found += (*store->read()->get_log(log))->held.count();
    }
    if (is_forgotten_back) return;
    EXPECT_EQ(lost.has_value(), !are_metas_lost && !is_hit(content, before.root));
    EXPECT_EQ(lost.value_or(before.tables.at("entries").rows - found),
              before.tables.at("entries").rows - found);
  }

  std::string whole;
  std::uint64_t pages = 0;
  bool may_be_more = false;
  std::optional<std::uint64_t> lost;
  std::set<LogKey> old_logs;
  LogBuilder carol = LogBuilder("carol").append_many(5);
  LogBuilder dave = LogBuilder("dave").append_many(5);
  const RangeSet deleted{{30, 45}};
};

TEST_F(DamagedPages, BringNoPayloadBackThatAnyStateSaysWasDeleted) {
  const Pages before(whole);
  std::string content = whole;
  content.replace(0, 2 * kPage, 2 * kPage, '\0');
  for (const auto& [page, rows] : before.leaves) {
    const bool is_deleted = std::ranges::any_of(rows, [&](const Row& row) {
      return row.log == alice.log() && deleted.contains(row.seqnum);
    });
    std::vector<PageRow> none;  // behind a page of other bytes states would be doubtful
    if (is_deleted) content.replace(page * kPage, kPage, leaf_of(page, none));
  }
  repair(content);
  EXPECT_EQ(state(alice).payloads, state(alice).held - deleted);
  EXPECT_EQ(state(alice).deleted, deleted);
  EXPECT_TRUE(old_logs.contains(alice.log()));
  expect_sound_and_said();
}

TEST_F(DamagedPages, ForgetNoLogWhoseStateIsThere) {
  open();
  const auto number = state(alice).number;
  std::string content = close();
  const Pages before(content);
  Bytes forgotten;
  store::detail::encode_forgotten(forgotten);
  const auto key = store::detail::forgotten_row_key(number);
  store::detail::seal(forgotten, Table::kMeta, key);
  std::vector<PageRow> rows{{Bytes(key.begin(), key.end()), forgotten}};
  add_page(content, leaf_of(0, rows));
  add_free_list(content, content.size() / kPage - 1);
  whole = content;
  lose_page(content, content.size() - kPage);
  lose_page(content, before.tables.at("entries").root * kPage);
  repair(content);
  ASSERT_EQ(known().size(), 3U);
  EXPECT_EQ(state(alice).deleted, deleted);
  expect_kept(content, before);
  expect_sound_and_said();
}

TEST_F(DamagedPages, HoldNoEntryThatMayBeOldAndIsNotSigned) {
  open();
  const auto number = state(alice).number;
  std::string content = close();
  const Pages before(content);
  const auto lost_leaf = std::ranges::find_if(
      before.leaves, [&](const auto& leaf) { return leaf.second.front().log == alice.log(); });
  ASSERT_NE(lost_leaf, before.leaves.end());
  std::vector<PageRow> rows;
  for (const auto& [log, seqnum] : lost_leaf->second) {
    if (log != alice.log()) continue;
    Bytes entry;
    store::detail::encode_entry(entry, alice.forged(seqnum).bytes(), as_bytes("forged"));
    const auto key = store::detail::entry_row_key(number, seqnum);
    store::detail::seal(entry, Table::kEntries, key);
    rows.push_back({Bytes(key.begin(), key.end()), entry});
  }
  std::ranges::reverse(rows);
  add_page(content, leaf_of(content.size() / kPage, rows));
  rows.clear();
  put_page(content, lost_leaf->first * kPage, leaf_of(lost_leaf->first, rows));
  add_free_list(content, content.size() / kPage - 1);
  whole = content;
  lose_page(content, content.size() - kPage);
  lose_page(content, before.tables.at("entries").root * kPage);
  repair(content);
  expect_sound_and_said();
}

TEST_F(DamagedPages, AreFoundWhereNothingLeadsToAny) {
  const Pages before(whole);
  for (const std::size_t first : before.inner) {
    for (const std::size_t second : before.inner) {
      if (second <= first) continue;
      std::string content = whole;
      lose_page(content, first * kPage);
      lose_page(content, second * kPage);
      SCOPED_TRACE(std::to_string(first) + " and " + std::to_string(second));
      ASSERT_NO_FATAL_FAILURE(repair(content));
      expect_sound_and_said();
      expect_kept(content, before);
    }
  }
}

TEST_F(DamagedPages, LoseNothingOfAnyLeafThatIsWhole) {
  const Pages before(whole);
  const std::size_t count = whole.size() / kPage;
  run_with_seeds(kRuns, [&](TestRandom& chance) {
    std::string content = whole;
    const bool are_metas_lost = chance.below(8) == 0;
    if (are_metas_lost) content.replace(0, 2 * kPage, 2 * kPage, '\0');
    if (chance.below(3) == 0) content.resize((count - chance.between(1, count / 4)) * kPage);
    for (std::uint64_t hits = chance.below(kHitsMax); hits > 0; --hits) {
      // Every other one of those that lead to others.
      const bool is_inner = chance.below(2) == 0;
      const std::size_t page = is_inner ? before.inner.at(chance.below(before.inner.size()))
                                        : chance.between(2, count - 1);
      if ((page + 1) * kPage > content.size()) continue;
      const bool is_zero = chance.below(2) == 0;
      content.replace(page * kPage, kPage,
                      is_zero ? std::string(kPage, '\0') : text_of(chance.bytes(kPage)));
    }
    ASSERT_NO_FATAL_FAILURE(repair(content));
    expect_sound_and_said();
    expect_kept(content, before);
    expect_counts(content, before, are_metas_lost);
  });
}

}  // namespace
}  // namespace culm::test
