#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <set>

#include "culm/store/detail/rows.hpp"

#include "tests/store/salvaged_store.hpp"

/// A payload whose bytes look like pages of the file that it comes to lie in.
namespace culm::test {
namespace {

constexpr std::size_t kPart = limits::kPayloadChunkBytes;
constexpr std::size_t kParts = 2;
/// In front of the bytes of a part: LMDB's header, and the version.
constexpr std::size_t kAhead = 17;
constexpr std::uint64_t kForgedNewest = 7;
constexpr std::uint8_t kForgedId = 0xee;
constexpr std::uint64_t kRuns = 30;

template <class Key>
PageRow sealed(Table table, const Key& key, Bytes content) {
  store::detail::seal(content, table, key);
  return {Bytes(key.begin(), key.end()), std::move(content)};
}

class ForgedPages : public SalvagedStore {
 protected:
  using Heads = std::vector<std::size_t>;

  static PageRow forged_state(const LogKey& log, std::uint64_t number, SeqNum head) {
    LogState state;
    state.log = log;
    state.number = number;
    state.change = 900 + number;
    state.held = up_to(head);
    state.deleted = up_to(20);
    state.interest.entries.newest = kForgedNewest;
    Bytes out;
    store::detail::encode_log(out, state, {});
    return sealed(Table::kLogs, store::detail::log_row_key(log), std::move(out));
  }
  static PageRow forged_entry(std::uint64_t number, SeqNum seqnum, ByteView entry,
                              ByteView payload) {
    Bytes out;
    store::detail::encode_entry(out, entry, payload);
    return sealed(Table::kEntries, store::detail::entry_row_key(number, seqnum), std::move(out));
  }

  /// All that bytes can claim of the logs that are here, and of one that is not.
  std::vector<PageRow> forged_rows() const {
    std::vector<PageRow> rows{forged_state(alice.log(), 1, 30), forged_state(bob.log(), 2, 5),
                              forged_state(carol.log(), 4, 3)};
    for (SeqNum n = 1; n <= 3; ++n) {
      rows.push_back(forged_entry(4, n, carol.bytes(n), carol.payload(n)));
    }
    for (SeqNum n = 1; n <= 20; n += 3) {
      const EntryBuffer entry = alice.forged(n);
      rows.push_back(forged_entry(1, n, entry.bytes(), as_bytes("forged")));
      rows.push_back(forged_entry(2, n, carol.bytes(1), carol.payload(1)));
    }
    Bytes out;
    store::detail::StoreMeta meta;
    meta.log_count = meta.last_change = meta.last_stage = 1000;
    meta.id.fill(kForgedId);
    store::detail::encode_meta(out, meta);
    const auto meta_key = store::detail::meta_row_key();
    rows.push_back(sealed(Table::kMeta, meta_key, out));
    for (std::uint64_t number = 1; number <= 3; ++number) {
      store::detail::encode_forgotten(out);
      rows.push_back(sealed(Table::kMeta, store::detail::forgotten_row_key(number), out));
      const store::detail::StageRow stage{
          {number, 1, 70 + number}, store::detail::StageState::kPayload, 4};
      store::detail::encode_stage(out, stage);
      rows.push_back(
          sealed(Table::kStages, store::detail::stage_row_key(number, 1, 70 + number), out));
      store::detail::encode_chunk(out, as_bytes("evil"));
      rows.push_back(sealed(Table::kPayloads, store::detail::chunk_row_key(70 + number, 0), out));
      store::detail::encode_evidence(out, {});
      rows.push_back(sealed(Table::kEvidence, store::detail::entry_row_key(number, 3), out));
    }
    return rows;
  }

  /// A payload whose parts begin in these pages.
  std::string payload_for(const Heads& heads) const {
    std::string payload;
    std::vector<PageRow> rows;
    for (std::size_t part = 0; part < kParts; ++part) {
      std::string bytes = "part " + std::to_string(part) + " of mallory";
      bytes.resize(kPart);
      for (std::size_t page = 1; (page + 1) * kPage - kAhead <= kPart; ++page) {
        if (rows.empty()) rows = forged_rows();
        bytes.replace(page * kPage - kAhead, kPage, leaf_of(heads.at(part) / kPage + page, rows));
      }
      payload += bytes;
    }
    return payload;
  }

  static Heads heads_in(const std::string& content) {
    Heads heads;
    for (std::size_t part = 0; part < kParts; ++part) {
      heads.push_back(page_of(content, "part " + std::to_string(part) + " of mallory"));
    }
    return heads;
  }

  /// The file of a store that holds such a payload.
  std::string make() {
    Heads heads(kParts, 0);
    for (;;) {
      mallory = LogBuilder("mallory");
      mallory.append(payload_for(heads));
      add(mallory, up_to(1));
      id = store->id();
      std::string content = close();
      const Heads found = heads_in(content);
      if (found == heads) return content;
      heads = found;
      directory += "+";
      path = directory + "/data.mdb";
      SetUp();
    }
  }

  /// The pages that `repair` may miss, by what they hold.
  std::map<std::string, std::vector<std::size_t>> pages_of(const std::string& content) const {
    std::map<std::string, std::vector<std::size_t>> pages;
    pages["main"] = {page_of(content, "evidence")};
    pages["logs"] = {page_of(content, logs.at(0))};
    pages["heads"] = heads_in(content);
    const auto key = store::detail::chunk_row_key(1, 0);
    const std::uint64_t first = pages["heads"].at(0) / kPage;
    std::string node(key.begin(), key.end());
    node.append(reinterpret_cast<const char*>(&first), sizeof(first));
    pages["payloads"] = {page_of(content, node)};
    std::set<std::size_t> leaves;
    for (const std::string& row : entries) leaves.insert(page_of(content, row));
    pages["entries"].assign(leaves.begin(), leaves.end());
    return pages;
  }

  /// As `culm repair` does. False where nothing can be made of it.
  bool repair(const std::string& content) {
    store.reset();
    std::ofstream(path, std::ios::binary) << content;
    {
      auto made = store::Salvage::begin(directory, random);
      EXPECT_TRUE(made || made.error().code == Errc::kStoreDamaged);
      if (!made) return false;
      EXPECT_TRUE(std::move(*made).finish());
    }
    open();
    for (const LogKey& log : known()) {
      EXPECT_TRUE(drop_damaged(log, {}));
      const auto held = (*store->read()->get_log(log))->held;
      EXPECT_TRUE(drop_damaged(log, held));
    }
    return true;
  }
  Result<void> drop_damaged(const LogKey& log, const RangeSet& seqnums) {
    return store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(const RangeSet dropped, transaction.drop_damaged(log, seqnums));
      return {};
    });
  }

  void expect_nothing_forged() {
    store::StoreId forged;
    forged.fill(kForgedId);
    EXPECT_NE(store->id(), forged);
    const auto transaction = *store->read();
    for (const LogKey& log : known()) {
      const auto* const whose = log == alice.log()     ? &alice
                                : log == bob.log()     ? &bob
                                : log == mallory.log() ? &mallory
                                                       : nullptr;
      ASSERT_NE(whose, nullptr) << "a log that was never here";
      const auto state = *transaction.get_log(log);
      EXPECT_NE(state->interest.entries.newest, kForgedNewest);
      EXPECT_TRUE(up_to(whose->head()).contains(state->held));
      EXPECT_EQ(state->cap, 0U);
      for (SeqNum n = state->held.smallest_from(1); n != 0; n = state->held.smallest_from(n + 1)) {
        const auto entry = transaction.get_entry(*state, n);
        ASSERT_TRUE(entry) << message(entry.error());
        EXPECT_TRUE(equal(entry->entry.bytes(), whose->bytes(n)));
      }
      const auto report = *store::audit_log(transaction, *state, verifier);
      EXPECT_TRUE(!report.first_fault || report.first_fault->code == Errc::kUnitUnanchored)
          << message(*report.first_fault);
    }
    EXPECT_TRUE(store::audit_tables(transaction));
  }
  /// Both logs, as they were.
  void expect_all() {
    for (const LogBuilder* const log : {&alice, &bob}) {
      const auto state = store->read()->get_log(log->log());
      ASSERT_TRUE(state) << message(state.error());
      EXPECT_EQ((*state)->held, up_to(20));
      EXPECT_EQ((*state)->payloads, up_to(20));
      EXPECT_EQ((*state)->deleted, RangeSet());
    }
  }

  LogBuilder carol = LogBuilder("carol").append_many(3);
  LogBuilder mallory = LogBuilder("mallory");
  store::StoreId id{};
};

TEST_F(ForgedPages, AreNoRowsWhateverElseIsLost) {
  const std::string whole = make();
  const auto pages = pages_of(whole);
  for (unsigned int which = 1; which < 1U << pages.size(); ++which) {
    std::string lost;
    std::string content = whole;
    unsigned int bit = 0;
    for (const auto& [name, places] : pages) {
      if ((which >> bit++ & 1U) == 0) continue;
      lost += " " + name;
      for (const std::size_t page : places) lose_page(content, page);
    }
    SCOPED_TRACE("lost:" + lost);
    if (!repair(content)) {
      EXPECT_NE(lost.find("main"), std::string::npos);
      continue;
    }
    expect_nothing_forged();
    EXPECT_NE(store->id(), id);
    // Where the root of `logs` is not known either, what lies behind it may be of a payload.
    const bool may_be_less =
        lost.find("entries") != std::string::npos ||
        (lost.find("logs") != std::string::npos && lost.find("main") != std::string::npos);
    if (!may_be_less) expect_all();
  }
}

TEST_F(ForgedPages, AreNoRowsWhereAWrongNumberLeadsThere) {
  const std::string whole = make();
  const auto pages = pages_of(whole);
  for (const char* const table : {"meta", "logs", "entries", "payloads", "stages", "evidence"}) {
    for (const char* const lost : {"none", "payloads", "entries"}) {
      for (const std::size_t page : {1U, 8U}) {
        std::string content = whole;
        lead(content, table, heads_in(whole).at(0) / kPage + page);
        if (pages.contains(lost)) {
          for (const std::size_t at : pages.at(lost)) lose_page(content, at);
        }
        SCOPED_TRACE(std::string(table) + " leads to page " + std::to_string(page) +
                     ", lost: " + lost);
        ASSERT_TRUE(repair(content));
        expect_nothing_forged();
      }
    }
  }
}

/// What a bad disk does to the file, at random.
class RandomDamage {
 public:
  RandomDamage(TestRandom& random, std::string& content) : random_(random), content_(content) {}

  void hit() {
    const std::size_t page = random_.below(content_.size() / kPage) * kPage;
    pages.insert(page);
    switch (random_.below(4)) {
      case 0:
        content_.replace(page, kPage, text_of(random_.bytes(kPage)));
        break;
      case 1:
        content_.replace(page, kPage, std::string(kPage, '\0'));
        break;
      case 2:  // one bit, mostly where LMDB's own numbers are
        flip(page + random_.below(random_.below(4) == 0 ? kPage : 64));
        break;
      default:  // what was meant for another place
        content_.replace(page, kPage, content_, random_.below(content_.size() / kPage) * kPage,
                         kPage);
    }
  }

  std::set<std::size_t> pages;  ///< that were hit

 private:
  void flip(std::size_t at) {
    content_[at] = static_cast<char>(content_[at] ^ (1 << random_.below(8)));
  }

  TestRandom& random_;
  std::string& content_;
};

TEST_F(ForgedPages, AreNoRowsAfterRandomDamageThatLeavesAllThatIsLedTo) {
  const std::string whole = make();
  std::set<std::size_t> needed{0, kPage};
  for (const auto& [name, places] : pages_of(whole)) {
    if (name == "main" || name == "logs" || name == "entries") {
      needed.insert(places.begin(), places.end());
    }
  }
  for (std::size_t at = 0; at < whole.size(); at += kPage) {
    if (whole[at + 10] == 1) needed.insert(at);  // branches
  }
  run_with_seeds(kRuns, [&](TestRandom& chance) {
    std::string content = whole;
    RandomDamage damage(chance, content);
    for (std::uint64_t hits = chance.between(1, 4); hits > 0; --hits) damage.hit();
    if (!repair(content)) return;
    expect_nothing_forged();
    std::vector<std::size_t> both;
    std::ranges::set_intersection(needed, damage.pages, std::back_inserter(both));
    if (both.empty()) expect_all();
  });
}

}  // namespace
}  // namespace culm::test
