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

TEST_F(VerdictsTest, ChecksNoFurtherThanTheFirstBadSignature) {
  std::vector<UncheckedEntry> entries;
  for (const SeqNum n : {1U, 2U, 3U}) {
    const EntryBuffer entry = n == 2 ? alice.forged(2) : EntryBuffer(alice.entry(n));
    entries.push_back({entry, hash(entry.bytes())});
  }
  check_signatures(entries, verifier, verdicts);
  EXPECT_EQ(verifier.checks, 2U);
  EXPECT_TRUE(verdicts.is_good(entries[0].hash));
  EXPECT_EQ(verdicts.find(entries[1].hash)->error().code, Errc::kEntrySignature);
  EXPECT_FALSE(verdicts.find(entries[2].hash));
}

}  // namespace
}  // namespace culm::test
