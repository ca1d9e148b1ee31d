#include <algorithm>
#include <functional>

#include "culm/feed/lipmaa.hpp"
#include "culm/store/appender.hpp"
#include "culm/store/audit.hpp"
#include "culm/store/detail/rows.hpp"

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

namespace detail = store::detail;
using store::Appender;
using store::Published;

RangeSet every_other(SeqNum first, SeqNum last) {
  std::vector<SeqRange> out;
  for (SeqNum n = first; n <= last; n += 2) out.push_back({n, n});
  return *RangeSet::from_canonical(std::move(out));
}

class Mark final : public store::AuthorMark {
 public:
  Result<std::optional<Published>> read() override { return published; }
  Result<void> write(const Published& next) override {
    published = next;
    return {};
  }

  std::optional<Published> published;
};

/// Of which every other payload was deleted, so that its payloads and deletions lie in blocks.
class OwnLogOfManyRanges : public testing::Test {
 protected:
  static constexpr SeqNum kHead = 4000;

  void SetUp() override {
    ASSERT_TRUE(store.ingest(log, up_to(1000)));
    for (SeqNum n = 1000; n < kHead; n += 1000) {
      ASSERT_TRUE(store.ingest(log, {{n + 1, n + 1000}}));
    }
    mark.published = Published{kHead, log.hash(kHead), store->id()};
    remove(every_other(2, kHead - 2));
  }

  void remove(const RangeSet& seqnums) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.delete_payloads(log.log(), seqnums, 10'000));
      return {};
    }));
  }

  /// By a process that has read nothing of the log.
  Result<SeqNum> append_to(MemoryStore& where) {
    CULM_TRY(auto appender, Appender::open(*where, log.key(), LogId{0}, mark, commit_into(*where)));
    const ByteView payload = as_bytes(std::string_view("another"));
    return appender.append({&payload, 1});
  }

  /// All blocks of the set but the last `left`.
  void damage_blocks(std::size_t set, std::size_t left) {
    Rows blocks = rows_of(store.kv(), Table::kSets);
    std::erase_if(
        blocks, [set](const auto& row) { return detail::parse_set_place(row.first)->set != set; });
    ASSERT_GT(blocks.size(), left + 1);
    blocks.resize(blocks.size() - left);
    for (auto& [key, value] : blocks) {
      value[value.size() / 2] ^= 1U;
      put_row(store.kv(), Table::kSets, key, value);
    }
  }

  LogBuilder log = LogBuilder("alice").append_many(kHead);
  Mark mark;
  MemoryStore store;
};

TEST_F(OwnLogOfManyRanges, IsAppendedToWithoutALookAtBlocksFarBelow) {
  damage_blocks(detail::kPayloadsSet, 1);
  damage_blocks(detail::kDeletedSet, 1);
  MemoryStore again = store.reopened();
  EXPECT_EQ(append_to(again), kHead + 1);
  EXPECT_EQ(append_to(again), kHead + 2);
  EXPECT_EQ(mark.published->seqnum, kHead + 2);
}

TEST_F(OwnLogOfManyRanges, HidesNoDamageFromWhoReadsAllOfIt) {
  damage_blocks(detail::kDeletedSet, 1);
  MemoryStore writer = store.reopened();
  ASSERT_EQ(append_to(writer), kHead + 1);
  EXPECT_EQ(code_of(writer->read()->get_log(log.log())), Errc::kStoreDamaged)
      << "what was written is not known as a whole state";
  MemoryStore again = writer.reopened();
  EXPECT_EQ(code_of(again->read()->get_log(log.log())), Errc::kStoreDamaged);
  EXPECT_EQ(code_of(audit_tables(*again->read())), Errc::kStoreDamaged);
  ASSERT_TRUE(again->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.drop_damaged(log.log(), {}));
    return {};
  }));
  const LogState mended = again.state(log.log());
  EXPECT_EQ(mended.held, up_to(kHead + 1));
  EXPECT_EQ(mended.payloads, up_to(kHead + 1) - every_other(2, kHead - 2));
  EXPECT_EQ(mended.deleted, every_other(2, kHead - 2));
  EXPECT_TRUE(audit_tables(*again->read()));
}

TEST_F(OwnLogOfManyRanges, ShowsALostLastBlockAlsoAfterAnAppend) {
  const Rows blocks = rows_of(store.kv(), Table::kSets);
  MemoryStore again = store.reopened();
  erase_row(again.kv(), Table::kSets, blocks.back().first);
  // The one before it is taken for the last, and the sum shows it ever after.
  ASSERT_EQ(append_to(again), kHead + 1);
  EXPECT_EQ(code_of(again->read()->get_log(log.log())), Errc::kStoreDamaged);
  EXPECT_EQ(code_of(audit_tables(*again->read())), Errc::kStoreDamaged);
}

TEST_F(OwnLogOfManyRanges, IsReadWholeBetweenAppends) {
  MemoryStore again = store.reopened();
  for (SeqNum head = kHead + 1; head <= kHead + 4; ++head) {
    ASSERT_EQ(append_to(again), head);
    if (head % 2 == 0) continue;
    const LogState state = again.state(log.log());
    EXPECT_EQ(state.deleted, every_other(2, kHead - 2));
    EXPECT_EQ(state.payloads, up_to(head) - state.deleted);
  }
  EXPECT_EQ(again.state(log.log()), again.reopened().state(log.log()));
  EXPECT_TRUE(audit_tables(*again->read()));
}

TEST_F(OwnLogOfManyRanges, IsWholeForWhatFollowsAnAppendInOneTransaction) {
  MemoryStore again = store.reopened();
  const LogBuilder more = LogBuilder(log).append("another");
  auto unit = *check_unit(log.log(), more.unit({{kHead + 1, kHead + 1}}, true));
  unit.check_signatures({}, store.verifier, {});
  ASSERT_TRUE(again->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.ingest(unit));
    CULM_TRY(const auto between, transaction.get_log(log.log()));
    EXPECT_EQ(between->deleted, every_other(2, kHead - 2));
    EXPECT_EQ(between->payloads, up_to(kHead + 1) - between->deleted);
    CULM_CHECK(transaction.delete_payloads(log.log(), {{1, 3}}, 10));
    CULM_CHECK(transaction.set_interest(log.log(), {{{{5, 9}}, 0}, true}));
    return {};
  }));
  const LogState state = again.reopened().state(log.log());
  EXPECT_EQ(state.deleted, every_other(2, kHead - 2) | up_to(3));
  EXPECT_EQ(state.payloads, up_to(kHead + 1) - state.deleted);
  EXPECT_EQ(state.interest.entries.ranges, (RangeSet{{5, 9}}));
  EXPECT_TRUE(audit_tables(*again->read()));
}

TEST_F(OwnLogOfManyRanges, OfWhichFewAreLeftLiesInItsRowAgain) {
  LogState state = store.state(log.log());
  state.deleted = every_other(2, 10) | every_other(3000, 3300);
  put_state(store.kv(), state);
  // A block as small as no store of ours writes it, with others behind it.
  const auto key = detail::log_row_key(log.log());
  const auto opened = [&] {
    return *detail::open_log(log.log(), **(*store.kv().begin_read())->get(Table::kLogs, key));
  }();
  detail::LogBlocks blocks = opened.blocks;
  detail::SetBlocks& deleted = blocks[detail::kDeletedSet];
  ASSERT_EQ(deleted.count, 1U);
  deleted = {deleted.ranges, 2, 0};
  const auto transaction = *store.kv().begin_write();
  Bytes row;
  for (const auto& ranges : {state.deleted.ranges().first(5), state.deleted.ranges().subspan(5)}) {
    const SeqNum first = ranges.front().first;
    const auto block = detail::set_row_key(opened.state.number, detail::kDeletedSet, first);
    detail::encode_block(row, first, ranges);
    deleted.sum += detail::seal(row, Table::kSets, block);
    ASSERT_TRUE(transaction->put(Table::kSets, block, row));
  }
  detail::encode_log(row, opened.state, blocks);
  detail::seal(row, Table::kLogs, key);
  ASSERT_TRUE(transaction->put(Table::kLogs, key, row));
  ASSERT_TRUE(transaction->commit());

  MemoryStore again = store.reopened();
  ASSERT_TRUE(again->update([&](WriteTransaction& writing) {
    return writing.undelete_payloads(log.log(), {{3100, 3300}});
  }));
  EXPECT_EQ(again.reopened().state(log.log()).deleted,
            every_other(2, 10) | every_other(3000, 3098));
  EXPECT_TRUE(audit_tables(*again->read()));
}

/// What a transaction does to a log; the same to whatever store.
using Step = std::function<Result<void>(WriteTransaction&)>;

class StatesReadInPart : public testing::Test {
 protected:
  static constexpr SeqNum kLast = 6000;

  RangeSet some(SeqNum first, SeqNum last, std::uint64_t count) {
    RangeSet out;
    for (; count > 0; --count) out.insert(random.between(first, last));
    return out;
  }

  Step ingest(const RangeSet& members) {
    const auto unit =
        std::make_shared<CheckedUnit>(*check_unit(log.log(), log.unit(members, true)));
    return ingest(unit);
  }
  Step ingest(const std::shared_ptr<CheckedUnit>& unit) {
    unit->check_signatures({}, verifier, {});
    return [this, unit](WriteTransaction& transaction) -> Result<void> {
      for (;;) {
        CULM_TRY(const auto attempt, transaction.ingest(*unit));
        if (attempt.report) return {};
        unit->check_missing(attempt.missing, verifier);
      }
    };
  }
  /// An entry of another branch, which disagrees with what is held far below.
  Step fork() {
    constexpr SeqNum kAt = 3280;
    const SeqNum first = random.between(700, lipmaa(kAt));
    const LogBuilder other = log.fork(first).append_many(kAt - first);
    return ingest(
        std::make_shared<CheckedUnit>(*check_unit(log.log(), other.unit({{kAt, kAt}}, true))));
  }
  Step remove(const RangeSet& seqnums) {
    return [this, seqnums](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.delete_payloads(log.log(), seqnums, 10'000));
      return {};
    };
  }
  Step take_again(const RangeSet& seqnums) {
    return [this, seqnums](WriteTransaction& transaction) {
      return transaction.undelete_payloads(log.log(), seqnums);
    };
  }

  /// Mostly near the head, where an author writes; sometimes anywhere, or all at once.
  Step any_step() {
    const SeqNum first = random.below(3) == 0 ? 1 : head - std::min<SeqNum>(head - 1, 50);
    const SeqNum low = random.between(first, head);
    switch (random.below(7)) {
      case 0:
      case 1: {
        const SeqNum from = head + 1;
        head += random.between(1, 30);
        return ingest({{from, head}});
      }
      case 2:
        return remove(some(low, head + 200, random.between(1, 40)));
      case 3:
        return take_again({{low, low + random.below(random.below(4) == 0 ? kLast : 60)}});
      case 4:
        return ingest({{low, low}});
      case 5: {
        const store::LogInterest interest{{every_other(1, random.between(1, 1500)), 0}, true};
        return [this, interest](WriteTransaction& transaction) {
          return transaction.set_interest(log.log(), interest);
        };
      }
      default:
        return remove(every_other(low, std::min(head, low + random.below(1200))));
    }
  }

  /// One store has read all of the log before, the other one nothing. Each says what the log is
  /// between the steps.
  void expect_same(const std::vector<Step>& steps) {
    MemoryStore whole({}, image);
    MemoryStore part({}, image);
    ASSERT_TRUE(whole->read()->get_log(log.log()));
    std::vector<LogState> states[2];
    const auto run = [&](MemoryStore& where, std::vector<LogState>& seen) {
      return where->update([&](WriteTransaction& transaction) -> Result<void> {
        for (const Step& step : steps) {
          CULM_CHECK(step(transaction));
          if (!is_asking) continue;
          CULM_TRY(const auto state, transaction.get_log(log.log()));
          seen.push_back(*state);
        }
        return {};
      });
    };
    ASSERT_EQ(code_of(run(whole, states[0])), Errc{});
    ASSERT_EQ(code_of(run(part, states[1])), Errc{});
    EXPECT_EQ(states[0], states[1]);
    for (const Table table : {Table::kLogs, Table::kSets, Table::kEntries}) {
      EXPECT_EQ(rows_of(whole.kv(), table), rows_of(part.kv(), table));
    }
    EXPECT_EQ(whole.state(log.log()), part.state(log.log()));
    image = part.kv().image();
  }

  void run(std::uint64_t seed) {
    random = TestRandom(seed);
    CULM_TRACE_SEED(random);
    MemoryStore store;
    head = random.between(3300, 4000);
    // Of each unit the last entry alone is verified.
    const SeqNum size = random.below(2) == 0 ? 1000 : random.between(2, 4);
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      for (SeqNum n = 1; n <= head; n += size) {
        CULM_CHECK(ingest({{n, std::min(head, n + size - 1)}})(transaction));
      }
      return remove(every_other(2, random.between(200, head)))(transaction);
    }));
    image = store.kv().image();
    for (int round = 0; round < 30 && head < kLast - 100; ++round) {
      SCOPED_TRACE("round " + std::to_string(round));
      is_asking = random.below(3) == 0;
      std::vector<Step> steps;
      for (std::uint64_t i = random.between(1, 3); i > 0; --i) steps.push_back(any_step());
      expect_same(steps);
      if (HasFailure()) return;
    }
    expect_same({fork()});
    EXPECT_TRUE(audit_tables(*MemoryStore({}, image)->read()));
  }

  TestRandom random{1};
  LogBuilder log = LogBuilder("alice").append_many(kLast);
  SeqNum head = 0;
  bool is_asking = false;
  Ed25519Verifier verifier;
  store::MemoryImage image;
};

TEST_F(StatesReadInPart, AreWrittenAsWholeOnes) {
  for (std::uint64_t seed = 1; seed <= 6 && !HasFailure(); ++seed) run(seed);
}

}  // namespace
}  // namespace culm::test
