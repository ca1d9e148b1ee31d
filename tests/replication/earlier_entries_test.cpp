#include "culm/replication/detail/earlier_entries.hpp"

#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"

namespace culm::test {
namespace {

using replication::EarlierEntries;

TEST(EarlierEntries, NothingIsFoundOutsideTheUnits) {
  LogBuilder log;
  log.append_many(10);
  const auto unit = log.unit({{3, 4}, {7, 8}});
  EarlierEntries earlier;
  EXPECT_FALSE(earlier.find(3));
  earlier.add(unit, 0);
  for (const SeqNum n : {1U, 2U, 5U, 6U, 9U, 10U}) EXPECT_FALSE(earlier.find(n)) << n;
  for (const SeqNum n : {3U, 4U, 7U, 8U}) ASSERT_TRUE(earlier.find(n)) << n;
  EXPECT_EQ(earlier.find(7)->entry, &unit[2]);
}

TEST(EarlierEntries, TheHighestSeqnumIsARunOfItsOwn) {
  EntryFields fields = LogBuilder().append("x").fields(1);
  fields.seqnum = kSeqnumMax;
  fields.backlink = fields.lipmaalink = Hash{};
  const EntryBuffer entry = entry_of(fields, Signature{});
  const std::vector<UnitEntry> unit{{entry.view(), Hash{}, {}}};
  EarlierEntries earlier;
  earlier.add(unit, 1);
  earlier.add(unit, 2);
  ASSERT_TRUE(earlier.find(kSeqnumMax));
  EXPECT_EQ(earlier.find(kSeqnumMax)->place, 2U);
}

TEST(EarlierEntries, TheLatestUnitWithASeqnumHasIt) {
  LogBuilder log;
  log.append_many(60);
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    std::vector<std::vector<UnitEntry>> units;
    for (std::uint64_t count = random.between(1, 12); count > 0; --count) {
      RangeSet members;
      for (std::uint64_t ranges = random.between(1, 4); ranges > 0; --ranges) {
        const SeqNum first = random.between(1, log.head());
        members.insert({first, std::min(log.head(), first + random.below(20))});
      }
      units.push_back(log.unit(members));
    }
    EarlierEntries earlier;
    std::map<SeqNum, const UnitEntry*> expected;
    for (std::size_t place = 0; place < units.size(); ++place) {
      earlier.add(units[place], place);
      for (const UnitEntry& entry : units[place]) expected[entry.entry.seqnum()] = &entry;
      for (SeqNum n = 1; n <= log.head(); ++n) {
        const auto found = earlier.find(n);
        ASSERT_EQ(found.has_value(), expected.contains(n)) << n;
        if (!found) continue;
        ASSERT_EQ(found->entry, expected.at(n)) << n;
        const auto& unit = units[found->place];
        ASSERT_TRUE(found->entry >= unit.data() && found->entry < unit.data() + unit.size()) << n;
      }
    }
  }
}

}  // namespace
}  // namespace culm::test
