#include <algorithm>

#include <gtest/gtest.h>

#include "culm/feed/elided.hpp"

#include "tests/support/accept_worlds.hpp"

namespace culm::test {
namespace {

bool is_bearers_fault(Errc code) {
  switch (code) {
    case Errc::kUnitEmpty:
    case Errc::kUnitOrder:
    case Errc::kEntryForeign:
    case Errc::kEntrySignature:
    case Errc::kAuthorKey:
    case Errc::kPayloadHash:
    case Errc::kPayloadSize:
      return true;
    default:
      return false;
  }
}

void expect_all_accepted(MemoryLog& held, const RangeSet& piece) {
  CountingVerifier verifier;
  const auto unit = alice().unit(piece, true);
  const auto verdict = verify_unit(alice().log(), unit, held, verifier);
  ASSERT_TRUE(verdict) << message(verdict.error());
  EXPECT_FALSE(verdict->proven);
  EXPECT_EQ(seqnums_of(verdict->accepted), piece - held.held());
  EXPECT_LE(verifier.checks, 1U);
  EXPECT_EQ(verifier.checks, verdict->signatures_checked);
  held.commit(*verdict);
}

TEST(AcceptProperty, AscendingUnitsCostAtMostOneSignatureCheck) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    const Want want(random);
    MemoryLog held(alice(), want.held);
    for (const RangeSet& piece : cut(want.missing, random)) expect_all_accepted(held, piece);
    ASSERT_EQ(held.held(), want.held | want.missing);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(AcceptProperty, NewestFirstUnitsWithTheirPathCostAtMostOneSignatureCheck) {
  for (std::uint64_t seed = 1000; seed < 1300; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    const Want want(random);
    MemoryLog held(alice(), want.held);
    auto pieces = cut(want.missing, random);
    std::ranges::reverse(pieces);
    for (const RangeSet& piece : pieces) {
      const RangeSet unit = (piece | to_set(path_to_first(piece.min()))) - held.held();
      if (!unit.empty()) expect_all_accepted(held, unit);
    }
    ASSERT_EQ(held.held(), want.held | want.missing);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(AcceptProperty, AForgedEntryIsNeverAccepted) {
  CountingVerifier verifier;
  std::size_t units = 0;
  for (std::uint64_t seed = 2000; units < 2000; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    const Want want(random);
    MemoryLog held(alice(), want.held);
    for (const RangeSet& piece : cut(want.missing, random)) {
      const auto forged = forge_unit(alice(), piece, random);
      std::vector<UnitEntry> unit;
      bool is_changed = false;
      for (const EntryBuffer& buffer : forged) {
        unit.push_back(unit_entry(buffer));
        const SeqNum n = unit.back().entry.seqnum();
        is_changed |= !equal(buffer.bytes(), alice().bytes(n));
      }
      const auto verdict = verify_unit(alice().log(), unit, held, verifier);
      ASSERT_EQ(verdict.has_value(), !is_changed);
      if (!verdict) {
        EXPECT_EQ(verdict.error().code, Errc::kEntrySignature);
      }
      for (const SeqNum n : members(piece)) held.hold(alice().entry(n), Level::kAttested);
      ++units;
    }
    if (::testing::Test::HasFailure()) return;
  }
}

/// Every link between two held entries fits.
void expect_consistent(MemoryLog& held) {
  for (const SeqNum n : members(held.held())) {
    const EntryBuffer entry(*held.entry(n));
    for (const SeqNum target : {n - 1, lipmaa(n)}) {
      if (target == 0 || !held.held().contains(target)) continue;
      ASSERT_EQ(entry.view().link_to(target), held.entry(target)->hash()) << n << " " << target;
    }
  }
}

TEST(AcceptProperty, AForkIsProvedAndItsSenderNeverBlamed) {
  CountingVerifier verifier;
  std::size_t proved = 0;
  for (std::uint64_t seed = 3000; seed < 3300; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    const SeqNum at = random.between(1, 60);
    LogBuilder other = std::move(LogBuilder("alice").append_many(at - 1).append("fork"));
    other.append_many(80 - at);
    const SeqNum head = random.between(1, 80);
    const SeqNum other_head = random.between(1, 80);
    const RangeSet interest = random_ranges(random, head);
    MemoryLog held(alice(), closure(interest, head));
    const RangeSet wanted =
        closure(interest | random_ranges(random, other_head), other_head) - held.held();
    for (const RangeSet& piece : cut(wanted, random)) {
      const auto unit = other.unit(piece);
      const auto verdict = verify_unit(alice().log(), unit, held, verifier);
      if (!verdict) {
        ASSERT_FALSE(is_bearers_fault(verdict.error().code)) << message(verdict.error());
        ASSERT_NE(held.cap(), 0U) << message(verdict.error());
        continue;
      }
      if (verdict->proven) {
        const auto defect = derive_defect(alice().log(), verdict->proven->evidence(), verifier);
        ASSERT_TRUE(defect);
        ASSERT_EQ(*defect, verdict->proven->defect());
        EXPECT_GE(defect->at, at);
        EXPECT_TRUE(held.cap() == 0 || defect->at < held.cap());
        ++proved;
      }
      held.commit(*verdict);
      ASSERT_TRUE(held.cap() == 0 || held.held().largest_up_to(kSeqnumMax) < held.cap());
      expect_consistent(held);
    }
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(proved, 50U);
}

/// What nothing of `all` links to.
RangeSet sinks(const RangeSet& all) {
  RangeSet out = all;
  for (const SeqNum n : members(all)) {
    if (n > 1) out.erase({n - 1, n - 1});
    if (n > 1) out.erase({lipmaa(n), lipmaa(n)});
  }
  return out;
}

TEST(AcceptProperty, ASenderThatChecksItsSinksIsNotBlamedForBadSignatures) {
  CountingVerifier verifier;
  std::size_t accepted = 0;
  for (std::uint64_t seed = 4000; seed < 4150; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    RangeSet bad;
    const SeqNum head = random.between(2, 80);
    const auto log = badly_signed_log(random, head, bad);
    MemoryLog held;
    for (const RangeSet& piece : cut(closure(random_ranges(random, head), head), random)) {
      const RangeSet new_sinks = sinks(held.held() | piece) & piece;
      if (!(new_sinks & bad).empty()) break;  // this the sender must not send
      std::vector<UnitEntry> unit;
      for (const SeqNum n : members(piece)) unit.push_back(unit_entry(log[n - 1]));
      const auto verdict = verify_unit(log[0].view().log(), unit, held, verifier);
      ASSERT_TRUE(verdict) << message(verdict.error());
      EXPECT_EQ(verdict->accepted.size(), unit.size());
      held.commit(*verdict);
      accepted += (piece & bad).count();
    }
  }
  EXPECT_GT(accepted, 100U);
}

/// The elided form of `piece`, each payload there or not.
Bytes elide_some(const RangeSet& piece, const RangeSet& known, TestRandom& random,
                 RangeSet& payloads) {
  Bytes out;
  UnitEncoder encoder(out, known, random.below(4) == 0 ? LinkForm::kWhole : LinkForm::kElided);
  for (const SeqNum n : members(piece)) {
    const bool has_payload = random.below(2) == 0;
    if (has_payload) payloads.insert(n);
    encoder.add(alice().entry(n), has_payload ? std::optional(alice().payload(n)) : std::nullopt);
  }
  return out;
}

TEST(ElidedProperty, RestoresTheSameBytesForAnySetAndWhateverIsKnown) {
  for (std::uint64_t seed = 5000; seed < 5500; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    const RangeSet piece = random_ranges(random, kHead, 10);
    const RangeSet known = random_ranges(random, kHead, 10);
    RangeSet payloads;
    const Bytes elided = elide_some(piece, known, random, payloads);
    MemoryLog held(alice(), known);
    const auto unit = restore_unit(alice().log(), elided, held);
    ASSERT_TRUE(unit) << message(unit.error());
    ASSERT_EQ(seqnums_of(unit->entries()), piece);
    ASSERT_EQ(read_elided(elided)->seqnums, piece);
    for (const UnitEntry& item : unit->entries()) {
      const SeqNum n = item.entry.seqnum();
      ASSERT_TRUE(equal(item.entry.bytes(), alice().bytes(n)));
      ASSERT_EQ(item.hash, alice().hash(n));
      ASSERT_EQ(item.payload.has_value(), payloads.contains(n));
      ASSERT_TRUE(!item.payload || equal(*item.payload, alice().payload(n)));
    }
  }
}

TEST(ElidedProperty, NoFlippedByteGetsThroughTheAcceptingRule) {
  CountingVerifier verifier;
  std::size_t restored = 0;
  for (std::uint64_t seed = 6000; seed < 6012; ++seed) {
    TestRandom random(seed);
    CULM_TRACE_SEED(random);
    const Want want(random);
    const auto pieces = cut(want.missing, random);
    if (pieces.empty() || pieces[0].count() > 8) continue;
    MemoryLog held(alice(), want.held);
    RangeSet payloads;
    const Bytes good = elide_some(pieces[0], want.held, random, payloads);
    for (std::size_t place = 0; place < good.size(); ++place) {
      Bytes bytes = good;
      bytes[place] = static_cast<std::uint8_t>(bytes[place] ^ random.between(1, 255));
      const auto unit = restore_unit(alice().log(), bytes, held);
      if (!unit) continue;
      ++restored;
      ASSERT_FALSE(verify_unit(alice().log(), unit->entries(), held, verifier)) << place;
    }
  }
  EXPECT_GT(restored, 1000U);
}

}  // namespace
}  // namespace culm::test
