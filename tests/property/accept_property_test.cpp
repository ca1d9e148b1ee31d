#include <algorithm>

#include <gtest/gtest.h>

#include "culm/feed/closure.hpp"
#include "culm/feed/elided.hpp"

#include "tests/support/held_log.hpp"
#include "tests/support/prng.hpp"

namespace culm::test {
namespace {

constexpr SeqNum kHead = 300;

const LogBuilder& alice() {
  static const LogBuilder log = std::move(LogBuilder("alice").append_many(kHead));
  return log;
}

RangeSet random_ranges(TestRandom& random, SeqNum head, std::size_t count_max = 3) {
  RangeSet set;
  for (std::size_t count = random.between(1, count_max); count > 0; --count) {
    const SeqNum first = random.between(1, head);
    set.insert({first, std::min(head, first + random.below(random.below(2) == 0 ? 2 : 30))});
  }
  return set;
}

std::vector<SeqNum> members(const RangeSet& set) {
  std::vector<SeqNum> out;
  for (const SeqRange range : set.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) out.push_back(n);
  }
  return out;
}

RangeSet to_set(std::span<const SeqNum> seqnums) {
  RangeSet set;
  for (const SeqNum n : seqnums) set.insert(n);
  return set;
}

/// Ascending pieces of random sizes.
std::vector<RangeSet> cut(const RangeSet& set, TestRandom& random) {
  const std::vector<SeqNum> all = members(set);
  std::vector<RangeSet> pieces;
  for (std::size_t start = 0; start < all.size();) {
    const std::size_t size = std::min(all.size() - start, std::size_t{1} + random.below(20));
    pieces.push_back(to_set(std::span(all).subspan(start, size)));
    start += size;
  }
  return pieces;
}

/// A receiver that holds a closed part of the log as of some earlier head, and what it lacks of a
/// larger one.
struct Want {
  explicit Want(TestRandom& random) {
    const SeqNum head = random.between(1, kHead);
    const SeqNum old_head = random.between(1, head);
    const RangeSet old_interest = random_ranges(random, old_head);
    if (random.below(4) != 0) held = closure(old_interest, old_head);
    missing = closure(old_interest | random_ranges(random, head), head) - held;
  }

  RangeSet held;
  RangeSet missing;
};

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
  const auto verdict = accept_unit(alice().log(), unit, held, verifier);
  ASSERT_TRUE(verdict) << message(verdict.error());
  EXPECT_FALSE(verdict->evidence);
  EXPECT_EQ(seqnums_of(verdict->accepted), piece - held.held());
  EXPECT_LE(verifier.checks, 1U);
  EXPECT_EQ(verifier.checks, verdict->signatures_checked);
  held.commit(*verdict, alice().log(), verifier);
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

/// Well-formed bytes at the place of an honest entry, by somebody without the author's key.
EntryBuffer forge(const LogBuilder& log, SeqNum n, TestRandom& random) {
  EntryFields fields = log.fields(n);
  Signature signature = log.entry(n).signature();
  switch (random.below(5)) {
    case 0:
      return signed_badly(log.entry(n));
    case 1:
      return log.forged(n);
    case 2:
      if (fields.backlink) fields.backlink = hash(random.bytes(4));
      fields.payload_size += 1;
      break;
    case 3:
      signature = LogBuilder("mallory").key().sign(log.entry(n).signed_bytes());
      break;
    default:
      signature = log.entry(random.between(1, log.head())).signature();
      fields.tag = Tag::kEndOfLog;
  }
  return entry_of(fields, signature);
}

/// Replaces one entry of the unit, or a chain of them up from it, each linking to the forged ones.
std::vector<EntryBuffer> forge_unit(const LogBuilder& log, const RangeSet& piece,
                                    TestRandom& random) {
  const std::vector<SeqNum> seqnums = members(piece);
  const std::size_t start = random.below(seqnums.size());
  const std::size_t end = start + 1 + random.below(2) * random.below(seqnums.size() - start);
  std::vector<EntryBuffer> out;
  for (std::size_t i = 0; i < seqnums.size(); ++i) {
    const SeqNum n = seqnums[i];
    if (i < start || i >= end) {
      out.emplace_back(log.entry(n));
    } else if (i == start) {
      out.push_back(forge(log, n, random));
    } else {
      EntryFields fields = log.fields(n);
      for (std::size_t below = start; below < i; ++below) {
        const Hash target = hash(out[below].bytes());
        if (seqnums[below] + 1 == n) fields.backlink = target;
        if (fields.lipmaalink && lipmaa(n) == seqnums[below]) fields.lipmaalink = target;
      }
      out.push_back(entry_of(fields, log.entry(n).signature()));
    }
  }
  return out;
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
      const auto verdict = accept_unit(alice().log(), unit, held, verifier);
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
      const auto verdict = accept_unit(alice().log(), unit, held, verifier);
      if (!verdict) {
        ASSERT_FALSE(is_bearers_fault(verdict.error().code)) << message(verdict.error());
        ASSERT_NE(held.cap(), 0U) << message(verdict.error());
        continue;
      }
      if (verdict->evidence) {
        const auto defect = derive_defect(alice().log(), *verdict->evidence, verifier);
        ASSERT_TRUE(defect);
        EXPECT_GE(defect->at, at);
        EXPECT_TRUE(held.cap() == 0 || defect->at < held.cap());
        ++proved;
      }
      held.commit(*verdict, alice().log(), verifier);
      ASSERT_TRUE(held.cap() == 0 || held.held().largest_up_to(kSeqnumMax) < held.cap());
      expect_consistent(held);
    }
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(proved, 50U);
}

/// A log whose author signed some entries badly, each vouched for by what is above.
std::vector<EntryBuffer> badly_signed_log(TestRandom& random, SeqNum head, RangeSet& bad) {
  const SecretKey key = key_from("alice");
  std::vector<EntryBuffer> entries;
  std::vector<Hash> hashes;
  for (SeqNum n = 1; n <= head; ++n) {
    EntryFields fields{.tag = Tag::kEntry,
                       .log = {key.author(), LogId{0}},
                       .seqnum = n,
                       .lipmaalink = {},
                       .backlink = {},
                       .payload_size = 0,
                       .payload_hash = hash({})};
    if (has_lipmaalink(n)) fields.lipmaalink = hashes[lipmaa(n) - 1];
    if (n > 1) fields.backlink = hashes[n - 2];
    const EntryBuffer entry = sign_entry(fields, key);
    if (random.below(3) == 0) {
      entries.push_back(signed_badly(entry.view()));
      bad.insert(n);
    } else {
      entries.push_back(entry);
    }
    hashes.push_back(hash(entries.back().bytes()));
  }
  return entries;
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
      const auto verdict = accept_unit(log[0].view().log(), unit, held, verifier);
      ASSERT_TRUE(verdict) << message(verdict.error());
      EXPECT_EQ(verdict->accepted.size(), unit.size());
      held.commit(*verdict, log[0].view().log(), verifier);
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
      ASSERT_FALSE(accept_unit(alice().log(), unit->entries(), held, verifier)) << place;
    }
  }
  EXPECT_GT(restored, 1000U);
}

}  // namespace
}  // namespace culm::test
