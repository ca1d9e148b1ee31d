#include "culm/feed/checked_unit.hpp"

#include <gtest/gtest.h>

#include "tests/support/held_log.hpp"

namespace culm::test {
namespace {

class CheckedUnitTest : public testing::Test {
 protected:
  [[nodiscard]] CheckedUnit check(const std::vector<UnitEntry>& unit) const {
    return *check_unit(alice.log(), unit);
  }

  /// Seqnums of entries of which a verdict is there.
  static RangeSet known(const CheckedUnit& unit) {
    RangeSet set;
    for (const UnitEntry& item : unit.entries()) {
      if (unit.verdicts().find(item.hash)) set.insert(item.entry.seqnum());
    }
    return set;
  }

  /// Those whose signatures are checked up front.
  RangeSet checked(const std::vector<UnitEntry>& entries, const RangeSet& held = {},
                   const AcceptOptions& options = {}) {
    CheckedUnit unit = check(entries);
    unit.check_signatures(held, verifier, options);
    return known(unit);
  }

  LogBuilder alice{std::move(LogBuilder("alice").append_many(20))};
  CountingVerifier verifier;
};

TEST_F(CheckedUnitTest, OwnsItsBytes) {
  CheckedUnit unit = [&] {
    LogBuilder gone("alice");
    gone.append_many(3);
    return *check_unit(gone.log(), gone.unit({{1, 3}}, true));
  }();
  const UnitEntry* second = unit.find(2);
  const CheckedUnit moved = std::move(unit);
  ASSERT_EQ(moved.entries().size(), 3U);
  EXPECT_EQ(moved.find(2), second);
  EXPECT_EQ(moved.find(4), nullptr);
  for (const UnitEntry& item : moved.entries()) {
    const SeqNum n = item.entry.seqnum();
    EXPECT_TRUE(equal(item.entry.bytes(), alice.bytes(n)));
    EXPECT_EQ(item.hash, alice.hash(n));
    EXPECT_TRUE(equal(*item.payload, alice.payload(n)));
    EXPECT_TRUE(item.payload_checked);
  }
}

TEST_F(CheckedUnitTest, RefusesWhatIsNoUnitOfTheLog) {
  const auto code = [&](const std::vector<UnitEntry>& unit) {
    return check_unit(alice.log(), unit).error();
  };
  auto unit = alice.unit({{1, 3}}, true);
  EXPECT_EQ(code({}), Error{Errc::kUnitEmpty});
  EXPECT_EQ(code({unit[1], unit[0]}), error_for(Errc::kUnitOrder, 1));
  const LogBuilder bob = std::move(LogBuilder("bob").append_many(2));
  EXPECT_EQ(code({unit[0], bob.unit({{2, 2}})[0]}), error_for(Errc::kEntryForeign, 2));
  unit[2].payload = as_bytes("another");
  EXPECT_EQ(code(unit), error_for(Errc::kPayloadHash, 3));
}

TEST_F(CheckedUnitTest, ChecksWhatNoOtherEntryOfTheUnitVouchesFor) {
  EXPECT_EQ(checked(alice.unit({{1, 20}})), (RangeSet{{20, 20}}));
  EXPECT_EQ(checked(alice.unit({{2, 2}, {4, 4}})), (RangeSet{{2, 2}, {4, 4}}));
  EXPECT_EQ(checked(alice.unit({{4, 4}, {13, 13}})), (RangeSet{{13, 13}}));  // by the lipmaalink
}

TEST_F(CheckedUnitTest, ALinkToOtherBytesDoesNotVouch) {
  const EntryBuffer other = alice.forged(3);
  auto unit = alice.unit({{1, 5}});
  unit[2] = unit_entry(other);
  EXPECT_EQ(checked(unit), (RangeSet{{3, 3}, {5, 5}}));
}

TEST_F(CheckedUnitTest, ChecksEverySignatureWhereThatIsAskedFor) {
  EXPECT_EQ(checked(alice.unit({{1, 5}}), {}, {.full = true}), (RangeSet{{1, 5}}));
  EXPECT_EQ(verifier.checks, 5U);
}

TEST_F(CheckedUnitTest, LeavesOutWhatIsHeld) {
  EXPECT_EQ(checked(alice.unit({{1, 5}}), {{4, 5}}), RangeSet());
  EXPECT_EQ(checked(alice.unit({{1, 5}}), {{1, 3}}, {.full = true}), (RangeSet{{4, 5}}));
  EXPECT_EQ(verifier.checks, 2U);
}

TEST_F(CheckedUnitTest, ChecksNoFurtherDownThanTheFirstBadSignature) {
  const EntryBuffer other = alice.forged(3);
  auto unit = alice.unit({{1, 5}});
  unit[2] = unit_entry(other);
  EXPECT_EQ(checked(unit, {}, {.full = true}), (RangeSet{{3, 5}}));
  EXPECT_EQ(verifier.checks, 3U);
}

TEST_F(CheckedUnitTest, ChecksNothingAgain) {
  Verdicts signed_here;
  for (const SeqNum n : {1U, 2U, 3U}) signed_here.add(alice.hash(n), {});
  auto unit = *check_unit(alice.log(), alice.unit({{1, 4}}), std::move(signed_here));
  unit.check_signatures({}, verifier, {.full = true});
  EXPECT_EQ(verifier.checks, 1U);
  MemoryLog held;
  const auto verdict =
      accept_unit(alice.log(), unit.entries(), held, unit.verdicts(), {.full = true});
  ASSERT_TRUE(verdict && verdict->missing.empty());
}

TEST_F(CheckedUnitTest, ChecksWhatTheRuleWasMissing) {
  MemoryLog held(alice, {{1, 5}});
  const LogBuilder other = alice.fork(5);
  CheckedUnit unit = check(other.unit({{5, 5}}));
  unit.check_signatures(held.held(), verifier, {});
  EXPECT_EQ(verifier.checks, 0U);
  const auto first = accept_unit(alice.log(), unit.entries(), held, unit.verdicts());
  ASSERT_TRUE(first);
  ASSERT_EQ(first->missing.size(), 1U);
  unit.check_missing(first->missing, verifier);
  const auto second = accept_unit(alice.log(), unit.entries(), held, unit.verdicts());
  ASSERT_TRUE(second && second->proven);
  EXPECT_EQ(second->proven->defect().at, 5U);
}

}  // namespace
}  // namespace culm::test
