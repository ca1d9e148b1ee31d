#include "culm/feed/elided.hpp"

#include <gtest/gtest.h>

#include "culm/core/varu64.hpp"

#include "tests/support/held_log.hpp"

namespace culm::test {
namespace {

/// The elided form of `members`, all with their payloads or none.
Bytes elide(const LogBuilder& log, const RangeSet& members, const RangeSet& known = {},
            bool with_payloads = true, LinkForm link_form = LinkForm::kElided) {
  Bytes out;
  UnitEncoder encoder(out, known, link_form);
  for (const UnitEntry& item : log.unit(members, with_payloads)) {
    encoder.add(item.entry, item.payload);
  }
  return out;
}

class Elided : public ::testing::Test {
 protected:
  Elided() { alice.append_many(20).end("bye"); }

  void expect_same(const CheckedUnit& unit, const RangeSet& members, bool with_payloads = true) {
    const auto expected = alice.unit(members, with_payloads);
    ASSERT_EQ(unit.entries().size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const UnitEntry& item = unit.entries()[i];
      EXPECT_TRUE(equal(item.entry.bytes(), expected[i].entry.bytes())) << i;
      EXPECT_EQ(item.hash, expected[i].hash) << i;
      EXPECT_EQ(item.payload_checked, with_payloads) << i;
      ASSERT_EQ(item.payload.has_value(), with_payloads) << i;
      if (with_payloads) {
        EXPECT_TRUE(equal(*item.payload, *expected[i].payload)) << i;
      }
    }
  }

  void expect_round_trip(const RangeSet& members, const RangeSet& known, bool with_payloads) {
    MemoryLog receiver(alice, known);
    const Bytes elided = elide(alice, members, known, with_payloads);
    const auto unit = restore_unit(alice.log(), elided, receiver);
    ASSERT_TRUE(unit) << message(unit.error());
    expect_same(*unit, members, with_payloads);
    EXPECT_EQ(read_elided(elided)->seqnums, members);
  }

  void expect_refused(const Bytes& elided, Error error) {
    const auto unit = restore_unit(alice.log(), elided, held);
    ASSERT_FALSE(unit);
    EXPECT_EQ(name(unit.error().code), name(error.code));
    EXPECT_EQ(unit.error(), error);
  }

  LogBuilder alice{"alice"};
  MemoryLog held;
};

TEST_F(Elided, RestoresTheSameBytes) {
  expect_round_trip({{1, 21}}, {}, true);
  expect_round_trip({{1, 21}}, {}, false);
  expect_round_trip({{1, 1}, {4, 4}, {13, 13}, {17, 20}}, {}, true);
  expect_round_trip({{8, 12}, {21, 21}}, {{1, 4}, {7, 7}}, true);
  expect_round_trip({{20, 20}}, {}, false);
}

TEST_F(Elided, CostsAtMost168BytesAnEntryInARun) {
  LogBuilder log("alice");
  const std::string payload(100, 'x');
  for (int i = 0; i < 1000; ++i) log.append(payload);
  const Bytes elided = elide(log, {{1, 1000}});
  EXPECT_LE(elided.size(), 1000U * 168U);
  EXPECT_EQ(elided.size(), 1000U * (1 + 1 + 100 + 64));  // links and seqnums cost nothing
}

TEST_F(Elided, EncoderCountsItsBytesAndEntries) {
  Bytes out{7, 7};
  const RangeSet known;
  UnitEncoder encoder(out, known);
  const std::size_t first = encoder.add(alice.entry(1), alice.payload(1));
  const std::size_t second = encoder.add(alice.entry(4), std::nullopt);
  EXPECT_EQ(out.size(), 2 + first + second);
  EXPECT_EQ(encoder.entry_count(), 2U);
}

TEST_F(Elided, WritesWholeLinksWhenAsked) {
  const RangeSet known{{1, 13}};
  const Bytes whole = elide(alice, {{14, 20}}, known, true, LinkForm::kWhole);
  EXPECT_GT(whole.size(), elide(alice, {{14, 20}}, known).size() + 7 * 64 - 8);
  const auto unit = restore_unit(alice.log(), whole, held);  // holds nothing, needs nothing
  ASSERT_TRUE(unit);
  expect_same(*unit, {{14, 20}});
}

TEST_F(Elided, NoticesAnotherOrMissingTarget) {
  const Bytes elided = elide(alice, {{6, 7}}, {{1, 5}});
  expect_refused(elided, error_for(Errc::kElidedTarget, 5));
  const LogBuilder other = alice.fork(5);
  held = MemoryLog(other, {{1, 5}});
  expect_refused(elided, error_for(Errc::kElidedTarget, 5));
}

TEST_F(Elided, ARestorationWithACraftedPrefixFailsItsSignatureCheck) {
  // The prefix fits and the rest of the hash does not: as if an author had found a near collision.
  class Crafted final : public LinkTargets {
   public:
    explicit Crafted(const Hash& hash) : hash_(hash) { hash_.bytes[63] ^= 1U; }
    Result<std::optional<Hash>> find(SeqNum /*seqnum*/) override { return hash_; }

   private:
    Hash hash_;
  };
  Crafted targets(alice.hash(5));
  const Bytes elided = elide(alice, {{6, 7}}, {{1, 5}});
  const auto unit = restore_unit(alice.log(), elided, targets);
  ASSERT_TRUE(unit);
  held = MemoryLog(alice, {{1, 5}});
  CountingVerifier verifier;
  const auto verdict = verify_unit(alice.log(), unit->entries(), held, verifier);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, Errc::kEntrySignature);
}

TEST_F(Elided, HandsOnErrorsOfTheTargets) {
  class Failing final : public LinkTargets {
   public:
    Result<std::optional<Hash>> find(SeqNum /*seqnum*/) override { return fail(Errc::kStoreIo); }
  };
  Failing targets;
  const auto unit = restore_unit(alice.log(), elide(alice, {{6, 7}}, {{1, 5}}), targets);
  ASSERT_FALSE(unit);
  EXPECT_EQ(unit.error().code, Errc::kStoreIo);
}

TEST_F(Elided, MovesWithoutMovingEntries) {
  const Bytes elided = elide(alice, {{1, 3}});
  auto unit = restore_unit(alice.log(), elided, held);
  ASSERT_TRUE(unit);
  const std::uint8_t* place = unit->entries()[0].entry.bytes().data();
  const CheckedUnit moved = *std::move(unit);
  EXPECT_EQ(moved.entries()[0].entry.bytes().data(), place);
  expect_same(moved, {{1, 3}});
}

TEST_F(Elided, B11ShowsItsSeqnumsBeforeAnythingIsHashed) {
  EXPECT_EQ(read_elided(elide(alice, {{1, 1}, {4, 4}, {6, 6}}))->seqnums,
            (RangeSet{{1, 1}, {4, 4}, {6, 6}}));
}

TEST_F(Elided, RefusesNothing) {
  expect_refused({}, {Errc::kUnitEmpty});
  EXPECT_EQ(read_elided({}).error().code, Errc::kUnitEmpty);
}

TEST_F(Elided, RefusesEveryCutInsideAnEntry) {
  const Bytes elided = elide(alice, {{1, 2}});
  const std::size_t boundary = elide(alice, {{1, 1}}).size();
  for (std::size_t size = 1; size < elided.size(); ++size) {
    const auto unit = restore_unit(
        alice.log(), Bytes(elided.begin(), elided.begin() + static_cast<std::ptrdiff_t>(size)),
        held);
    ASSERT_EQ(unit.has_value(), size == boundary) << size;
    if (!unit) {
      EXPECT_EQ(unit.error().code, Errc::kElidedFormat) << size;
    }
  }
}

TEST_F(Elided, RefusesMaskBitsThatCannotBe) {
  const Bytes good = elide(alice, {{1, 2}});
  const auto with_mask = [&](std::size_t place, unsigned bits) {
    Bytes elided = good;
    elided[place] = static_cast<std::uint8_t>(elided[place] | bits);
    return elided;
  };
  const std::size_t second = elide(alice, {{1, 1}}).size();
  expect_refused(with_mask(0, 0x80), error_at(Errc::kElidedFormat, 0));      // reserved
  expect_refused(with_mask(0, 1U << 3U), error_at(Errc::kElidedFormat, 1));  // 1 has no backlink
  expect_refused(with_mask(0, 2U << 1U), error_at(Errc::kElidedFormat, 1));  // nor a lipmaalink
  expect_refused(with_mask(second, 1U << 1U), error_at(Errc::kElidedFormat, second + 1));
  expect_refused(with_mask(second, 3U << 3U), error_at(Errc::kElidedFormat, second + 1));
}

TEST_F(Elided, RefusesALeftOutLinkWithoutItsTarget) {
  Bytes elided = elide(alice, {{1, 2}});
  const Bytes second(elided.begin() + static_cast<std::ptrdiff_t>(elide(alice, {{1, 1}}).size()),
                     elided.end());
  Bytes alone{static_cast<std::uint8_t>(second[0] | 0x40U), 1};  // a gap of 1: seqnum 2
  alone.insert(alone.end(), second.begin() + 1, second.end());
  expect_refused(alone, error_at(Errc::kElidedFormat, 0));
}

TEST_F(Elided, RefusesSeqnumsBeyondTheLast) {
  LogBuilder log("alice");
  EntryFields fields{.tag = Tag::kEntry,
                     .log = log.log(),
                     .seqnum = kSeqnumMax,
                     .lipmaalink = {},
                     .backlink = Hash{},
                     .payload_size = 0,
                     .payload_hash = hash({})};
  if (has_lipmaalink(kSeqnumMax)) fields.lipmaalink = Hash{};
  const EntryBuffer last = sign_entry(fields, log.key());
  Bytes elided;
  const RangeSet known;
  UnitEncoder encoder(elided, known);
  encoder.add(last.view(), ByteView());
  const auto unit = restore_unit(log.log(), elided, held);
  ASSERT_TRUE(unit);
  EXPECT_TRUE(equal(unit->entries()[0].entry.bytes(), last.bytes()));

  const Bytes one(elided);
  const std::size_t end = elided.size();
  elided.insert(elided.end(), one.begin(), one.end());
  expect_refused(elided, error_at(Errc::kElidedFormat, end + 10));
  elided.resize(end);
  elided.insert(elided.end(), 70, 0);
  expect_refused(elided, error_at(Errc::kElidedFormat, end + 1));
}

TEST_F(Elided, RefusesAGapOfNothingAndNumbersTooLong) {
  const Bytes good = elide(alice, {{1, 1}});
  Bytes zero_gap{static_cast<std::uint8_t>(good[0] | 0x40U), 0};
  zero_gap.insert(zero_gap.end(), good.begin() + 1, good.end());
  expect_refused(zero_gap, error_at(Errc::kElidedFormat, 2));
  Bytes long_size{good[0], 0xf8, good[1]};
  long_size.insert(long_size.end(), good.begin() + 2, good.end());
  expect_refused(long_size, error_at(Errc::kElidedFormat, 1));
}

TEST_F(Elided, RefusesMoreThanItsLimits) {
  LogBuilder log("alice");
  log.append_many(limits::kUnitEntriesMax);
  Bytes elided = elide(log, {{1, limits::kUnitEntriesMax}}, {}, false);
  EXPECT_TRUE(restore_unit(log.log(), elided, held));
  elided.push_back(0);
  expect_refused(elided, {Errc::kLimit});
  EXPECT_EQ(read_elided(elided).error().code, Errc::kLimit);

  Bytes large{0x20};  // a payload claimed to be whole and larger than any in a unit
  varu64::append(large, limits::kPayloadInlineBytesMax + 1);
  expect_refused(large, {Errc::kLimit});
}

TEST_F(Elided, TakesAnyClaimedSizeOfAPayloadThatIsElsewhere) {
  EntryFields fields = alice.fields(1);
  fields.payload_size = kSeqnumMax;
  const EntryBuffer liar = resigned(alice, fields);
  Bytes elided;
  const RangeSet known;
  UnitEncoder encoder(elided, known);
  encoder.add(liar.view(), std::nullopt);
  const auto unit = restore_unit(alice.log(), elided, held);
  ASSERT_TRUE(unit);
  EXPECT_EQ(unit->entries()[0].entry.payload_size(), kSeqnumMax);
}

}  // namespace
}  // namespace culm::test
