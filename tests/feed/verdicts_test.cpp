#include "culm/feed/verdicts.hpp"

#include <gtest/gtest.h>

#include "tests/support/held_log.hpp"

namespace culm::test {
namespace {

class VerdictsTest : public testing::Test {
 protected:
  Result<UnitVerdict> accept(const std::vector<UnitEntry>& unit,
                             const AcceptOptions& options = {}) {
    return accept_unit(alice.log(), unit, held, verdicts, options);
  }

  /// What the rule is missing, by seqnum.
  RangeSet missing(const std::vector<UnitEntry>& unit, const AcceptOptions& options = {}) {
    const auto verdict = accept(unit, options);
    if (!verdict) return {};
    EXPECT_TRUE(verdict->missing.empty() || verdict->accepted.empty());
    RangeSet set;
    for (const UncheckedEntry& item : verdict->missing) set.insert(item.entry.view().seqnum());
    return set;
  }

  void check(const EntryView& entry) {
    const UncheckedEntry one{EntryBuffer(entry), entry.hash()};
    check_signatures({&one, 1}, verifier, verdicts);
  }

  LogBuilder alice{std::move(LogBuilder("alice").append_many(20))};
  MemoryLog held;
  CountingVerifier verifier;
  Verdicts verdicts;
};

TEST_F(VerdictsTest, TheRuleTellsWhatItIsMissingAndDecidesNothingMeanwhile) {
  EXPECT_EQ(missing(alice.unit({{1, 5}})), (RangeSet{{5, 5}}));
  EXPECT_EQ(missing(alice.unit({{1, 5}}), {.full = true}), (RangeSet{{1, 5}}));
  check(alice.entry(5));
  const auto unit = alice.unit({{1, 5}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict);
  EXPECT_TRUE(verdict->missing.empty());
  EXPECT_EQ(seqnums_of(verdict->accepted), (RangeSet{{1, 5}}));
}

TEST_F(VerdictsTest, AnErrorBehindAnUnknownSignatureDoesNotCount) {
  const EntryBuffer forged = alice.forged(9);
  const std::vector unit{unit_entry(forged)};
  EXPECT_EQ(missing(unit), (RangeSet{{9, 9}}));  // and unanchored, which would blame nobody
  check(forged.view());
  EXPECT_EQ(accept(unit).error(), error_for(Errc::kEntrySignature, 9));
}

TEST_F(VerdictsTest, AVerdictIsForTheseBytesAlone) {
  check(alice.entry(1));
  EXPECT_EQ(missing(alice.unit({{1, 1}})), RangeSet());
  const EntryBuffer forged = alice.forged(1);
  EXPECT_EQ(missing({unit_entry(forged)}), (RangeSet{{1, 1}}));
  const EntryBuffer badly = signed_badly(alice.entry(1));
  EXPECT_EQ(missing({unit_entry(badly)}), (RangeSet{{1, 1}}));
}

TEST_F(VerdictsTest, ABadSignatureThatIsVouchedForDoesNotMatter) {
  LogBuilder log = std::move(LogBuilder("alice").append_many(4).append_badly_signed());
  log.append_many(1);
  check(log.entry(5));
  check(log.entry(6));
  const auto unit = log.unit({{1, 6}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict) << message(verdict.error());
  EXPECT_EQ(verdict->accepted[4].level(), Level::kAttested);
  EXPECT_EQ(verdict->accepted[5].level(), Level::kVerified);
}

TEST_F(VerdictsTest, WhatIsKnownToBeGoodIsVerifiedThoughTheRuleDidNotAsk) {
  check(alice.entry(3));
  check(alice.entry(5));
  const auto unit = alice.unit({{1, 5}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->signatures_checked, 1U);
  EXPECT_EQ(verdict->accepted[2].level(), Level::kVerified);
  EXPECT_EQ(verdict->accepted[3].level(), Level::kAttested);
}

TEST_F(VerdictsTest, TheHeldSideOfAForkIsAskedForToo) {
  held.hold(alice.entry(1), Level::kAttested);
  const LogBuilder other = alice.fork(1);
  const auto unit = other.unit({{1, 1}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict);
  ASSERT_EQ(verdict->missing.size(), 2U);
  EXPECT_EQ(verdict->missing[0].hash, other.hash(1));
  EXPECT_EQ(verdict->missing[1].hash, alice.hash(1));
  check_signatures(verdict->missing, verifier, verdicts);
  const auto decided = accept(unit);
  ASSERT_TRUE(decided && decided->proven);
  EXPECT_EQ(decided->proven->defect(), (Defect{DefectKind::kFork, 1}));
  EXPECT_EQ(decided->newly_verified, (RangeSet{{1, 1}}));
}

/// Entries 1 to `count`, of which one has a bad signature, or none does.
std::vector<UncheckedEntry> entries_of(const LogBuilder& log, SeqNum count, SeqNum bad = 0) {
  std::vector<UncheckedEntry> entries;
  for (SeqNum n = 1; n <= count; ++n) {
    const EntryBuffer entry = n == bad ? log.forged(n) : EntryBuffer(log.entry(n));
    entries.push_back({entry, hash(entry.bytes())});
  }
  return entries;
}

TEST_F(VerdictsTest, NoMoreIsCheckedBehindABadSignatureThanWasGoodBeforeIt) {
  const SeqNum count = alice.head();
  for (SeqNum bad = 1; bad <= count; ++bad) {
    const auto entries = entries_of(alice, count, bad);
    CountingVerifier counter;
    Verdicts found;
    check_signatures(entries, counter, found);
    EXPECT_LE(counter.checks, bad + (bad - 1));
    for (SeqNum n = 1; n < bad; ++n) EXPECT_TRUE(found.is_good(entries[n - 1].hash));
    EXPECT_EQ(found.find(entries[bad - 1].hash)->error().code, Errc::kEntrySignature);
  }
}

TEST_F(VerdictsTest, ABadSignatureOfOneUnitKeepsNoneOfAnotherFromBeingChecked) {
  const auto first = entries_of(alice, 5, 1);
  const auto second = entries_of(alice, 5, 4);
  Verdicts of_first;
  Verdicts of_second;
  const DueSignatures due[] = {due_of(first, of_first), due_of(second, of_second)};
  check_signatures(due, verifier);
  EXPECT_EQ(of_first.count(), 1U);
  EXPECT_TRUE(of_second.is_good(second[2].hash));
  EXPECT_FALSE(of_second.find(second[3].hash)->has_value());
}

TEST_F(VerdictsTest, TheSameBytesInSeveralUnitsAreCheckedOnce) {
  const auto entries = entries_of(alice, 5);
  const auto tail = std::vector(entries.begin() + 2, entries.end());
  Verdicts verdicts_of[3];
  const DueSignatures due[] = {due_of(entries, verdicts_of[0]), due_of(entries, verdicts_of[1]),
                               due_of(tail, verdicts_of[2])};
  check_signatures(due, verifier);
  EXPECT_EQ(verifier.checks, 5U);
  EXPECT_EQ(verdicts_of[0].count(), 5U);
  EXPECT_EQ(verdicts_of[1].count(), 5U);
  EXPECT_EQ(verdicts_of[2].count(), 3U);
}

}  // namespace
}  // namespace culm::test
