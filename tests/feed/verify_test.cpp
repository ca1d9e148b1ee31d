#include "culm/feed/verify.hpp"

#include <gtest/gtest.h>

#include "tests/support/held_log.hpp"
#include "tests/support/vectors.hpp"

namespace culm::test {
namespace {

/// A log of 20, a receiver, and what comes of units.
class AcceptUnit : public ::testing::Test {
 protected:
  AcceptUnit() { alice.append_many(20); }

  Result<UnitVerdict> accept(const std::vector<UnitEntry>& unit,
                             const AcceptOptions& options = {}) {
    return verify_unit(alice.log(), unit, held, verifier, options);
  }

  void expect_refused(const std::vector<UnitEntry>& unit, Errc code, SeqNum seqnum,
                      const AcceptOptions& options = {}) {
    const auto verdict = accept(unit, options);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(name(verdict.error().code), name(code));
    EXPECT_EQ(verdict.error(), error_for(code, seqnum));
  }

  /// The unit proves a defect at `at` and leaves `accepted`.
  void expect_defect(const std::vector<UnitEntry>& unit, DefectKind kind, SeqNum at,
                     const RangeSet& accepted) {
    const auto verdict = accept(unit);
    ASSERT_TRUE(verdict) << message(verdict.error());
    ASSERT_TRUE(verdict->proven);
    EXPECT_EQ(verdict->proven->defect(), (Defect{kind, at}));
    EXPECT_EQ(derive_defect(alice.log(), verdict->proven->evidence(), verifier),
              (Defect{kind, at}));
    EXPECT_EQ(seqnums_of(verdict->accepted), accepted);
  }

  void expect_accepted(const std::vector<UnitEntry>& unit, const RangeSet& accepted,
                       std::uint64_t checks) {
    const auto verdict = accept(unit);
    ASSERT_TRUE(verdict) << message(verdict.error());
    EXPECT_FALSE(verdict->proven);
    EXPECT_EQ(seqnums_of(verdict->accepted), accepted);
    EXPECT_EQ(verdict->signatures_checked, checks);
  }

  LogBuilder alice{"alice"};
  MemoryLog held;
  CountingVerifier verifier;
};

// --- Attested ------------------------------------------------------------------------------------

TEST_F(AcceptUnit, TakesAWholeRunForOneSignatureCheck) {
  const auto unit = alice.unit({{1, 20}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict);
  ASSERT_EQ(verdict->accepted.size(), 20U);
  EXPECT_EQ(verdict->signatures_checked, 1U);
  EXPECT_EQ(verifier.checks, 1U);
  for (const AcceptedEntry& accepted : verdict->accepted) {
    const SeqNum seqnum = accepted.entry().seqnum();
    EXPECT_EQ(accepted.level(), seqnum == 20 ? Level::kVerified : Level::kAttested);
    EXPECT_EQ(accepted.hash(), alice.hash(seqnum));
  }
}

TEST_F(AcceptUnit, LooksUpOnlyTargetsOutsideOfTheUnit) {
  held = MemoryLog(alice, {{1, 13}});
  const auto verdict = accept_unit(alice.log(), alice.unit({{14, 16}}), held, Verdicts());
  ASSERT_TRUE(verdict);
  EXPECT_EQ(held.lookups, 1U);  // 13; the links of 15 and 16 stay inside
}

TEST_F(AcceptUnit, ChecksEveryNewSinkAndNotOnlyTheLast) {
  held = MemoryLog(alice, {{1, 1}});
  expect_accepted(alice.unit({{2, 2}, {4, 4}}), {{2, 2}, {4, 4}}, 2);
  const EntryBuffer forged = alice.forged(2);
  expect_refused({unit_entry(forged), alice.unit({{4, 4}})[0]}, Errc::kEntrySignature, 2);
}

TEST_F(AcceptUnit, NeedsNoCheckBelowAHeldEntryThatVouches) {
  held = MemoryLog(alice, {{1, 1}, {4, 4}});
  expect_accepted(alice.unit({{2, 3}}), {{2, 3}}, 0);
}

TEST_F(AcceptUnit, ChecksAnEntryThatOnlyAnotherHashIsNamedFor) {
  held = MemoryLog(alice, {{1, 1}, {4, 4}});
  const EntryBuffer forged = alice.forged(3);
  expect_refused({unit_entry(forged)}, Errc::kEntrySignature, 3);
}

TEST_F(AcceptUnit, DoesNotLetAForgedEntryVouch) {
  // A chain of forgeries: 3 names the forged 2, and nobody signed 3.
  const EntryBuffer two = alice.forged(2);
  EntryFields fields = alice.fields(3);
  fields.backlink = hash(two.bytes());
  const EntryBuffer three = entry_of(fields, alice.entry(3).signature());
  expect_refused({alice.unit({{1, 1}})[0], unit_entry(two), unit_entry(three)},
                 Errc::kEntrySignature, 3);
}

TEST_F(AcceptUnit, DoesNotLetAnotherAuthorVouch) {
  // Mallory signs an entry whose backlink names a forged entry of Alice's.
  const EntryBuffer forged = alice.forged(1);
  LogBuilder mallory("mallory");
  mallory.append_many(1);
  EntryFields fields = mallory.next_fields("names a forgery");
  fields.backlink = hash(forged.bytes());
  mallory.append_fields(fields, "names a forgery");
  expect_refused({unit_entry(forged), mallory.unit({{2, 2}})[0]}, Errc::kEntryForeign, 2);
  expect_refused({unit_entry(forged)}, Errc::kEntrySignature, 1);
}

TEST_F(AcceptUnit, DoesNotLetAnotherLogOfTheAuthorVouch) {
  LogBuilder other("alice", LogId{9});
  other.append_many(2);
  expect_refused({alice.unit({{1, 1}})[0], other.unit({{2, 2}})[0]}, Errc::kEntryForeign, 2);
}

TEST_F(AcceptUnit, TakesABadSignatureThatAGoodOneVouchesFor) {
  const EntryBuffer bad = signed_badly(alice.entry(3));
  EntryFields fields = alice.fields(4);
  fields.backlink = hash(bad.bytes());
  const EntryBuffer four = resigned(alice, fields);
  held = MemoryLog(alice, {{1, 2}});
  expect_accepted({unit_entry(bad), unit_entry(four)}, {{3, 4}}, 1);
  expect_refused({unit_entry(bad), unit_entry(four)}, Errc::kLinkMismatch, 3, {.full = true});
  expect_refused({unit_entry(bad)}, Errc::kEntrySignature, 3);
}

TEST_F(AcceptUnit, ChecksEverySignatureWhenAskedTo) {
  const auto unit = alice.unit({{1, 20}});
  const auto verdict = accept(unit, {.full = true});
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->signatures_checked, 20U);
  for (const AcceptedEntry& accepted : verdict->accepted) {
    EXPECT_EQ(accepted.level(), Level::kVerified);
  }
}

// --- Anchored, order, repetition -----------------------------------------------------------------

TEST_F(AcceptUnit, RefusesUnanchoredEntriesUnlessLoose) {
  held = MemoryLog(alice, {{1, 1}});
  expect_refused(alice.unit({{6, 7}}), Errc::kUnitUnanchored, 6);
  const auto unit = alice.unit({{6, 7}});
  const auto verdict = accept(unit, {.loose = true});
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->accepted.size(), 2U);
}

TEST_F(AcceptUnit, RefusesEntryTwoAsTheFirst) {
  expect_refused(alice.unit({{2, 3}}), Errc::kUnitUnanchored, 2);
}

TEST_F(AcceptUnit, TakesNewestFirstUnitsWithTheirPathToOne) {
  expect_accepted(alice.unit({{1, 1}, {4, 4}, {13, 13}, {17, 20}}),
                  {{1, 1}, {4, 4}, {13, 13}, {17, 20}}, 1);
  held = MemoryLog(alice, {{1, 1}, {4, 4}, {13, 13}, {17, 20}});
  expect_accepted(alice.unit({{8, 8}, {12, 12}, {14, 16}}), {{8, 8}, {12, 12}, {14, 16}}, 0);
}

TEST_F(AcceptUnit, RefusesAnEmptyUnit) {
  const auto verdict = accept({});
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::kUnitEmpty);
}

TEST_F(AcceptUnit, B10RefusesAPoolWithAMissingMember) {
  expect_refused(alice.unit({{1, 1}, {4, 4}, {15, 15}}), Errc::kUnitUnanchored, 15);
}

TEST_F(AcceptUnit, B12RefusesAMemberOfAnotherLog) {
  LogBuilder bob("bob");
  bob.append_many(4);
  expect_refused({alice.unit({{1, 1}})[0], bob.unit({{4, 4}})[0]}, Errc::kEntryForeign, 4);
}

TEST_F(AcceptUnit, B13RefusesAnotherOrder) {
  const auto unit = alice.unit({{1, 4}});
  expect_refused({unit[0], unit[3], unit[2]}, Errc::kUnitOrder, 3);
  expect_refused({unit[0], unit[1], unit[1]}, Errc::kUnitOrder, 2);
}

TEST_F(AcceptUnit, A26TakesTheSameEntryOnce) {
  held = MemoryLog(alice, {{1, 6}});
  expect_accepted(alice.unit({{3, 5}}), {}, 0);
  expect_accepted(alice.unit({{4, 9}}), {{7, 9}}, 1);
}

// --- Signatures ----------------------------------------------------------------------------------

TEST_F(AcceptUnit, A12RefusesASignatureOfZeros) {
  const EntryBuffer zeros = entry_of(alice.fields(1), Signature{});
  expect_refused({unit_entry(zeros)}, Errc::kEntrySignature, 1);
}

TEST_F(AcceptUnit, A13RefusesEveryFlippedBitOfASignedEntry) {
  held = MemoryLog(alice, {{1, 3}});
  const ByteView good = alice.bytes(4);
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    Bytes bytes(good.begin(), good.end());
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1U << bit % 8);
    const auto entry = EntryView::parse(bytes);
    if (!entry) continue;  // refused before
    const auto verdict = accept({{*entry, entry->hash()}});
    ASSERT_FALSE(verdict) << "bit " << bit;
    const Errc code = verdict.error().code;
    EXPECT_TRUE(code == Errc::kEntrySignature || code == Errc::kEntryForeign) << "bit " << bit;
  }
}

TEST_F(AcceptUnit, A14RefusesAScalarThatIsNotReduced) {
  // L, the order of the prime-order group, little-endian.
  const auto order = from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  Signature signature = alice.entry(1).signature();
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += unsigned{signature.bytes[32 + i]} + (*order)[i];
    signature.bytes[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8U;
  }
  const EntryBuffer malleable = entry_of(alice.fields(1), signature);
  expect_refused({unit_entry(malleable)}, Errc::kEntrySignature, 1);
}

TEST_F(AcceptUnit, A15RefusesRThatIsSmallOrNotCanonical) {
  Bytes identity(32, 0);
  identity[0] = 1;
  const auto too_large =
      from_hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
  for (const Bytes& r : {identity, *too_large}) {
    Signature signature = alice.entry(1).signature();
    std::ranges::copy(r, signature.bytes.begin());
    const EntryBuffer entry = entry_of(alice.fields(1), signature);
    expect_refused({unit_entry(entry)}, Errc::kEntrySignature, 1);
  }
}

TEST_F(AcceptUnit, A16RefusesAuthorKeysOutsideOfThePrimeOrderGroup) {
  for (const char* key : {
           "0000000000000000000000000000000000000000000000000000000000000000",  // order 4
           "0100000000000000000000000000000000000000000000000000000000000000",  // identity
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // not canonical
           "0200000000000000000000000000000000000000000000000000000000000000",  // not on the curve
       }) {
    EntryFields fields = alice.fields(1);
    std::ranges::copy(*from_hex(key), fields.log.author.bytes.begin());
    const EntryBuffer entry = entry_of(fields, alice.entry(1).signature());
    const std::vector<UnitEntry> unit{unit_entry(entry)};
    const auto verdict = verify_unit(fields.log, unit, held, verifier);
    ASSERT_FALSE(verdict) << key;
    EXPECT_EQ(verdict.error(), error_for(Errc::kAuthorKey, 1)) << key;
  }
}

TEST_F(AcceptUnit, A17RefusesTheSignatureOfAnotherAuthor) {
  const LogBuilder bob("bob");
  const Signature signature = bob.key().sign(alice.entry(1).signed_bytes());
  const EntryBuffer entry = entry_of(alice.fields(1), signature);
  expect_refused({unit_entry(entry)}, Errc::kEntrySignature, 1);
}

TEST_F(AcceptUnit, A18RefusesAnEntryOfALogThatWasNotAskedFor) {
  LogBuilder bob("bob");
  bob.append_many(1);
  expect_refused(bob.unit({{1, 1}}), Errc::kEntryForeign, 1);
}

// --- Defects -------------------------------------------------------------------------------------

TEST_F(AcceptUnit, A19ProvesAForkByABacklink) {
  held = MemoryLog(alice, {{1, 5}});
  const LogBuilder other = alice.fork(5).append_many(4);
  expect_defect(other.unit({{6, 9}}), DefectKind::kForkByLink, 5, {});
}

TEST_F(AcceptUnit, A19ProvesAForkByALipmaalink) {
  held = MemoryLog(alice, {{1, 4}, {8, 8}});
  const LogBuilder other = alice.fork(8).append_many(4);
  expect_defect(other.unit({{12, 12}}), DefectKind::kForkByLink, 8, {});
}

TEST_F(AcceptUnit, A19ProvesALinkToAnotherEntryOfTheLog) {
  held = MemoryLog(alice, {{1, 7}});
  EntryFields fields = alice.fields(8);
  fields.lipmaalink = alice.hash(3);
  const EntryBuffer entry = resigned(alice, fields);
  expect_defect({unit_entry(entry)}, DefectKind::kForkByLink, 4, {});
}

TEST_F(AcceptUnit, ProvesAForkByTheLinkOfAHeldEntry) {
  held = MemoryLog(alice, {{1, 1}, {4, 4}, {13, 13}});
  const LogBuilder other = alice.fork(12);
  const auto below = alice.unit({{8, 8}});
  expect_defect({below[0], other.unit({{12, 12}})[0]}, DefectKind::kForkByLink, 12, {{8, 8}});
}

TEST_F(AcceptUnit, ProvesAForkByLinkInsideAUnit) {
  held = MemoryLog(alice, {{1, 7}});
  EntryFields fields = alice.fields(9);
  fields.backlink = alice.hash(2);
  const EntryBuffer nine = resigned(alice, fields);
  expect_defect({alice.unit({{8, 8}})[0], unit_entry(nine)}, DefectKind::kForkByLink, 8, {});
}

TEST_F(AcceptUnit, A20ProvesAFork) {
  held = MemoryLog(alice, {{1, 6}});
  const LogBuilder other = alice.fork(5);
  expect_defect(other.unit({{5, 5}}), DefectKind::kFork, 5, {});
}

TEST_F(AcceptUnit, B14ProvesAForkByAPoolMemberAndKeepsWhatIsBelow) {
  held = MemoryLog(alice, {{1, 4}, {8, 8}});
  const LogBuilder other = alice.fork(8).append_many(5);
  expect_defect(other.unit({{5, 8}, {12, 13}}), DefectKind::kFork, 8, {{5, 7}});
}

TEST_F(AcceptUnit, CountsTheLowestOfSeveralDefects) {
  held = MemoryLog(alice, {{1, 13}});
  const LogBuilder other = alice.fork(7).append_many(8);
  expect_defect(other.unit({{8, 8}, {12, 14}}), DefectKind::kForkByLink, 7, {});
  expect_defect(other.unit({{7, 14}}), DefectKind::kFork, 7, {});
}

TEST_F(AcceptUnit, ChecksTheHeldEndOfAForkOnce) {
  held = MemoryLog();
  for (SeqNum n = 1; n <= 6; ++n) held.hold(alice.entry(n), Level::kAttested);
  const LogBuilder other = alice.fork(5);
  const auto unit = other.unit({{5, 5}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->newly_verified, (RangeSet{{5, 5}}));
  EXPECT_EQ(verdict->signatures_checked, 2U);
}

TEST_F(AcceptUnit, BlamesTheBearerOfAForgedSecondEntry) {
  held = MemoryLog(alice, {{1, 6}});
  const EntryBuffer forged = alice.forged(5);
  expect_refused({unit_entry(forged)}, Errc::kEntrySignature, 5);
}

TEST_F(AcceptUnit, BlamesNobodyForAForkWithABadlySignedHeldEntry) {
  held = MemoryLog(alice, {{1, 4}});
  const EntryBuffer bad = signed_badly(alice.entry(5));
  held.hold(bad.view(), Level::kAttested);
  const LogBuilder other = alice.fork(5);
  expect_refused(other.unit({{5, 5}}), Errc::kLinkMismatch, 5);
}

TEST_F(AcceptUnit, BlamesNobodyForAForkWithABadlySignedNewEntry) {
  held = MemoryLog(alice, {{1, 5}});
  const LogBuilder other = alice.fork(5);
  const EntryBuffer bad = signed_badly(other.entry(5));
  EntryFields fields = alice.fields(6);
  fields.backlink = hash(bad.bytes());
  const EntryBuffer six = resigned(alice, fields);
  expect_refused({unit_entry(bad), unit_entry(six)}, Errc::kLinkMismatch, 5);
}

TEST_F(AcceptUnit, ChecksWhatACutTurnsIntoASink) {
  held = MemoryLog(alice, {{1, 6}, {8, 8}});
  const LogBuilder other = alice.fork(8);
  const auto unit = other.unit({{7, 8}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict);
  ASSERT_EQ(verdict->accepted.size(), 1U);
  EXPECT_EQ(verdict->accepted[0].level(), Level::kVerified);
}

TEST_F(AcceptUnit, KeepsTheEvidenceWhenACutLeavesABadSink) {
  held = MemoryLog(alice, {{1, 6}, {8, 8}});
  const EntryBuffer bad = signed_badly(alice.entry(7));
  EntryFields fields = alice.fields(8);
  fields.backlink = hash(bad.bytes());
  const EntryBuffer eight = resigned(alice, fields);
  // 7 disagrees with the held 8, and its own bad signature leaves that unproved.
  expect_refused({unit_entry(bad), unit_entry(eight)}, Errc::kLinkMismatch, 7);
  held = MemoryLog(alice, {{1, 6}, {9, 9}});
  const LogBuilder other = alice.fork(8);
  fields = other.fields(8);
  fields.backlink = hash(bad.bytes());
  const EntryBuffer other_eight = resigned(alice, fields);
  expect_defect({unit_entry(bad), unit_entry(other_eight)}, DefectKind::kForkByLink, 8, {});
}

// --- Cap, end-of-log, payload --------------------------------------------------------------------

TEST_F(AcceptUnit, TakesWhatIsBelowTheCap) {
  held = MemoryLog(alice, {{1, 2}});
  held.set_cap(5);
  const auto unit = alice.unit({{3, 6}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict);
  EXPECT_EQ(seqnums_of(verdict->accepted), (RangeSet{{3, 4}}));
  EXPECT_EQ(verdict->accepted.back().level(), Level::kVerified);
}

TEST_F(AcceptUnit, LetsNothingAboveTheCapVouch) {
  held = MemoryLog(alice, {{1, 1}, {13, 13}});
  held.set_cap(6);
  const auto unit = alice.unit({{4, 4}});
  const auto verdict = accept(unit);
  ASSERT_TRUE(verdict);
  ASSERT_EQ(verdict->accepted.size(), 1U);
  EXPECT_EQ(verdict->accepted[0].level(), Level::kVerified);
}

TEST_F(AcceptUnit, RefusesAUnitAtOrAboveTheCap) {
  held = MemoryLog(alice, {{1, 4}});
  held.set_cap(5);
  expect_refused(alice.unit({{5, 6}}), Errc::kLogCapped, 5);
}

TEST_F(AcceptUnit, KeepsNoEvidenceThatDoesNotLowerTheCap) {
  held = MemoryLog(alice, {{1, 4}});
  held.set_cap(5);
  const LogBuilder other = alice.fork(6).append_many(2);
  expect_refused({alice.unit({{6, 6}})[0], other.unit({{7, 7}})[0]}, Errc::kLogCapped, 6,
                 {.loose = true});
}

TEST_F(AcceptUnit, RefusesAnEntryAboveTheEndOfTheLog) {
  LogBuilder ended("alice");
  ended.append_many(3).end();
  ended.append("too late");
  expect_refused(ended.unit({{1, 5}}), Errc::kLogEnded, 5);
  held = MemoryLog(ended, {{1, 4}});
  expect_refused(ended.unit({{5, 5}}), Errc::kLogEnded, 5);
  held = MemoryLog(ended, {{1, 3}, {5, 5}});
  expect_refused(ended.unit({{4, 4}}), Errc::kLogEnded, 4);
}

TEST_F(AcceptUnit, TakesTheEndOfALog) {
  LogBuilder ended("alice");
  ended.append_many(3).end();
  expect_accepted(ended.unit({{1, 4}}), {{1, 4}}, 1);
}

TEST_F(AcceptUnit, A22RefusesAnotherPayload) {
  auto unit = alice.unit({{1, 4}}, true);
  expect_accepted(unit, {{1, 4}}, 1);
  unit[2].payload = as_bytes("another");
  expect_refused(unit, Errc::kPayloadHash, 3);
  held = MemoryLog(alice, {{1, 4}});
  expect_refused(unit, Errc::kPayloadHash, 3);  // held already, checked all the same
}

TEST_F(AcceptUnit, RefusesAPayloadOfAnotherSize) {
  EntryFields fields = alice.fields(1);
  fields.payload_size += 1;
  const EntryBuffer liar = resigned(alice, fields);
  UnitEntry item = unit_entry(liar);
  item.payload = alice.payload(1);
  expect_refused({item}, Errc::kPayloadSize, 1);
}

// --- Vectors -------------------------------------------------------------------------------------

class ReferenceVectors : public ::testing::Test {
 protected:
  static std::vector<Bytes> bytes_of(const nlohmann::json& list) {
    std::vector<Bytes> out;
    for (const auto& item : list) out.push_back(hex(item));
    return out;
  }

  /// Compares the verdict on one case with the reference's.
  void check(const nlohmann::json& test) {
    const auto held_bytes = bytes_of(test["held"]);
    const auto unit_bytes = bytes_of(test["unit"]);
    MemoryLog held;
    for (const Bytes& bytes : held_bytes) held.hold(*EntryView::parse(bytes), Level::kAttested);
    if (!test["cap"].is_null()) held.set_cap(test["cap"].get<SeqNum>());
    std::vector<UnitEntry> unit;
    for (const Bytes& bytes : unit_bytes) unit.push_back({*EntryView::parse(bytes), hash(bytes)});
    const Bytes& any = held_bytes.empty() ? unit_bytes.at(0) : held_bytes.at(0);
    const LogKey log = EntryView::parse(any)->log();

    const auto verdict = verify_unit(log, unit, held, verifier);
    if (!verdict) {
      const bool is_capped = test.value("levels", nlohmann::json()).empty() && held.cap() != 0;
      const std::string expected = is_capped ? "log_capped" : test.value("error", "none");
      EXPECT_EQ(name(verdict.error().code), expected);
      return;
    }
    ASSERT_FALSE(test.contains("error"));
    nlohmann::json levels = nlohmann::json::object();
    for (const AcceptedEntry& accepted : verdict->accepted) {
      levels[std::to_string(accepted.entry().seqnum())] =
          accepted.level() == Level::kVerified ? "verified" : "attested";
    }
    EXPECT_EQ(levels, test["levels"]);
    if (!test.contains("cap_after")) {
      EXPECT_EQ(verdict->signatures_checked, test["signatures_checked"].get<std::uint64_t>());
    }
    EXPECT_EQ(verdict->proven.has_value(), !test.value("kinds", nlohmann::json()).empty());
    if (!verdict->proven) return;
    const auto defect = derive_defect(log, verdict->proven->evidence(), verifier);
    ASSERT_TRUE(defect);
    EXPECT_EQ(defect->at, test["cap_after"].get<SeqNum>());
    const auto kinds = test["kinds"].get<std::vector<std::string>>();
    EXPECT_NE(std::ranges::find(kinds, name(defect->kind)), kinds.end());
  }

  CountingVerifier verifier;
};

TEST_F(ReferenceVectors, AgreeOnEveryUnit) {
  ASSERT_TRUE(initialize_crypto());
  CULM_VECTORS_OR_SKIP(vectors, spec_vectors("log.json"));
  std::size_t cases = 0;
  for (const auto& test : vectors["cases"]) {
    if (test["type"] != "unit") continue;
    if (test["unit"].empty() && test["held"].empty()) continue;
    SCOPED_TRACE(test["id"].get<std::string>());
    check(test);
    ++cases;
  }
  EXPECT_GT(cases, 30U);
}

}  // namespace
}  // namespace culm::test
