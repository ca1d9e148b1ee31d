#include "culm/store/detail/log_sets.hpp"

#include "culm/store/audit.hpp"
#include "culm/store/detail/rows.hpp"

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

namespace detail = store::detail;

/// Each other seqnum from `first` on.
RangeSet every_other(SeqNum first, std::size_t ranges) {
  std::vector<SeqRange> out;
  for (SeqNum n = first; out.size() < ranges; n += 2) out.push_back({n, n});
  return *RangeSet::from_canonical(std::move(out));
}

/// A log of few entries of which much is wanted, and what is wanted changes.
class SetsOfALog : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store.ingest(log, up_to(5))); }

  void want(const RangeSet& wanted) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) {
      return transaction.set_interest(log.log(), {{wanted, 0}, true});
    }));
  }
  RangeSet wanted() { return store.state(log.log()).interest.entries.ranges; }
  Rows blocks() { return rows_of(store.kv(), Table::kSets); }

  /// What is read once more is `expected`, and lies in the rows as it is said.
  void expect(const RangeSet& expected) {
    MemoryStore again = store.reopened();
    EXPECT_EQ(again.state(log.log()).interest.entries.ranges, expected);
    EXPECT_TRUE(audit_tables(*again->read()));
    std::size_t ranges = 0;
    const Rows rows = blocks();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::vector<SeqRange> block;
      const auto body = *detail::unseal(Table::kSets, rows[i].first, rows[i].second);
      ASSERT_TRUE(detail::decode_block(block, detail::parse_set_place(rows[i].first)->first, body));
      EXPECT_LE(block.size(), limits::kRangesPerBlockMax);
      const bool is_last = i + 1 == rows.size();
      EXPECT_TRUE(is_last || block.size() >= limits::kRangesPerBlockMin);
      ranges += block.size();
    }
    const std::size_t all = expected.ranges().size();
    EXPECT_EQ(ranges, all > limits::kRangesPerRowMax ? all : 0);
  }

  LogBuilder log = LogBuilder("alice").append_many(6);
  MemoryStore store;
};

TEST_F(SetsOfALog, LieInTheRowUntilTheyAreTooMany) {
  for (const std::size_t ranges : {127U, 128U, 129U, 512U, 513U, 3000U, 129U, 128U, 0U}) {
    SCOPED_TRACE(ranges);
    const RangeSet set = every_other(9, ranges);
    want(set);
    expect(set);
    EXPECT_EQ(blocks().empty(), ranges <= 128);
  }
}

TEST_F(SetsOfALog, AreReadAsTheyWereWrittenWhateverChanged) {
  TestRandom random(17);
  CULM_TRACE_SEED(random);
  RangeSet set;
  for (int round = 0; round < 250; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    for (std::uint64_t i = random.between(1, 3); i > 0; --i) {
      const SeqNum first = random.between(1, 20'000);
      switch (random.below(6)) {
        case 0:
          set |= every_other(first, random.between(1, 2000));
          break;
        case 1:
          set.erase({first, first + random.below(6000)});
          break;
        case 2:
          set -= every_other(first, random.between(1, 700));
          break;
        case 3:
          set.insert({first, first + random.below(3000)});
          break;
        case 4:
          set.insert(random.below(20) == 0 ? kSeqnumMax : first);
          break;
        default:
          set.erase({first, first});
      }
    }
    want(set);
    expect(set);
    if (HasFailure()) return;
  }
}

TEST_F(SetsOfALog, OfMarksAreKnownAgainThoughTheyAreNoChangeOfTheLog) {
  LogState state = store.state(log.log());
  state.held = up_to(10'000);
  state.verified = every_other(1, 2000);
  put_state(store.kv(), state);
  EXPECT_EQ(store.state(log.log()).verified, state.verified);
  state.verified.erase({2001, 2001});
  state.verified.insert(5000);
  put_state(store.kv(), state);
  EXPECT_EQ(store.state(log.log()).verified, state.verified) << "as many as before";
}

/// Bytes of the rows of a log and its sets that differ.
std::size_t changed_bytes(store::Kv& kv, const std::vector<Rows>& before) {
  std::size_t bytes = 0;
  std::size_t i = 0;
  for (const Table table : {Table::kLogs, Table::kSets}) {
    for (const auto& row : rows_of(kv, table)) {
      if (std::ranges::find(before[i], row) == before[i].end()) bytes += row.second.size();
    }
    ++i;
  }
  return bytes;
}

TEST_F(SetsOfALog, OfWhichLittleChangesAreWrittenInLittle) {
  LogState state = store.state(log.log());
  state.deleted = every_other(10, 100'000);
  state.verified = every_other(1, 3);
  put_state(store.kv(), state);
  std::vector<Rows> before;
  const auto keep = [&] {
    before = {rows_of(store.kv(), Table::kLogs), rows_of(store.kv(), Table::kSets)};
  };
  keep();
  EXPECT_GT(before[1].size(), 100U);
  ASSERT_TRUE(store.ingest(log, {{6, 6}}));
  EXPECT_LT(changed_bytes(store.kv(), before), 200U) << "the row alone";
  for (const SeqNum n : {SeqNum{1}, SeqNum{100'001}, SeqNum{400'000}}) {
    keep();
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.delete_payloads(log.log(), {{n, n}}, 10));
      return {};
    }));
    EXPECT_LT(changed_bytes(store.kv(), before), 3000U) << n << ": a block, or one that was split";
  }
  state = store.reopened().state(log.log());
  EXPECT_EQ(state.deleted,
            every_other(10, 100'000) | (RangeSet{{1, 1}, {100'001, 100'001}, {400'000, 400'000}}));
}

TEST_F(SetsOfALog, ThatDoNotChangeAreNeitherCopiedNorTakenApart) {
  LogState state = store.state(log.log());
  state.deleted = every_other(10, 2000);
  put_state(store.kv(), state);
  const auto before = *store->read()->get_log(log.log());
  ASSERT_TRUE(store.ingest(log, {{6, 6}}));
  const auto after = *store->read()->get_log(log.log());
  EXPECT_EQ(after->held, up_to(6));
  EXPECT_EQ(after->deleted.ranges().data(), before->deleted.ranges().data());
  // What was written is known: a block that rots then is the audit's to find.
  want(every_other(9, 1000));
  auto [key, value] = blocks().back();
  value[value.size() / 2] ^= 1U;
  put_row(store.kv(), Table::kSets, key, value);
  EXPECT_EQ(wanted(), every_other(9, 1000));
  EXPECT_EQ(code_of(audit_tables(*store->read())), Errc::kStoreDamaged);
}

TEST_F(SetsOfALog, AreLimited) {
  RangeSet set = every_other(1, limits::kRangesPerLogMax);
  want(set);
  EXPECT_EQ(store.reopened().state(log.log()).interest.entries.ranges, set);
  set.insert(set.max() + 2);
  LogState state = store.state(log.log());
  state.interest.entries.ranges = set;
  const auto transaction = *store.kv().begin_write();
  Bytes row;
  EXPECT_EQ(code_of(detail::write_log(*transaction, nullptr, state, row)), Errc::kLogFragmented);
}

TEST_F(SetsOfALog, WithADamagedBlockTakeThatLogAloneAndAreMadeAgain) {
  const LogBuilder other = LogBuilder("bob").append_many(3);
  ASSERT_TRUE(store.ingest(other, up_to(3)));
  want(every_other(9, 2000));
  auto [key, value] = blocks().at(1);
  value[value.size() / 2] ^= 1U;
  put_row(store.kv(), Table::kSets, key, value);
  MemoryStore again = store.reopened();
  EXPECT_EQ(code_of(again->read()->get_log(log.log())), Errc::kStoreDamaged);
  EXPECT_EQ(code_of(audit_tables(*again->read())), Errc::kStoreDamaged);
  EXPECT_EQ(again.state(other.log()).held, up_to(3));
  ASSERT_TRUE(again->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.drop_damaged(log.log(), up_to(kSeqnumMax)));
    return {};
  }));
  EXPECT_EQ(again.state(log.log()).held, up_to(5));
  EXPECT_TRUE(rows_of(again.kv(), Table::kSets).empty());
  EXPECT_TRUE(audit_tables(*again->read()));
}

TEST_F(SetsOfALog, LeaveWhatWasWantedAndTheDeletionsThatCanStillBeRead) {
  const store::LogInterest interest{{{{1, 3}}, 0}, true};
  const RangeSet deleted = every_other(9, 2000);
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.set_interest(log.log(), interest));
    CULM_CHECK(transaction.delete_payloads(log.log(), deleted | RangeSet{{2, 2}}, 100));
    return {};
  }));
  auto [key, value] = blocks().at(1);
  value[value.size() / 2] ^= 1U;
  put_row(store.kv(), Table::kSets, key, value);
  MemoryStore again = store.reopened();
  ASSERT_TRUE(again->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.drop_damaged(log.log(), {}));
    return {};
  }));
  const LogState made = again.state(log.log());
  EXPECT_EQ(made.interest, interest);
  EXPECT_TRUE(made.deleted.contains(2));
  EXPECT_TRUE((deleted | RangeSet{{2, 2}}).contains(made.deleted));
  EXPECT_GT(made.deleted.count(), 1000U);
  EXPECT_TRUE(audit_tables(*again->read()));
}

TEST_F(SetsOfALog, AreForgottenWithIt) {
  want(every_other(9, 2000));
  ASSERT_TRUE(
      store->update([&](WriteTransaction& transaction) { return transaction.forget(log.log()); }));
  EXPECT_FALSE(blocks().empty());
  EXPECT_TRUE(audit_tables(*store->read()));
  bool is_done = false;
  for (std::size_t left = blocks().size(); !is_done; left = blocks().size()) {
    ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(is_done, transaction.erase_forgotten(3));
      return {};
    }));
    EXPECT_LE(left - blocks().size(), 3U);
    EXPECT_TRUE(audit_tables(*store->read()));
  }
  EXPECT_TRUE(blocks().empty());
}

}  // namespace
}  // namespace culm::test
