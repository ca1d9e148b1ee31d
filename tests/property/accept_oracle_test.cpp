#include "tests/support/accept_oracle.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tests/support/accept_worlds.hpp"

/// The accepting rule over verdicts against the rule that called a verifier itself: on any unit,
/// brought to its end, it says the same.
namespace culm::test {
namespace {

/// How often something happened, so that the worlds are known to have it.
struct Seen {
  std::size_t units = 0;
  std::size_t accepted = 0;
  std::size_t proven = 0;
  std::size_t newly_verified = 0;
  std::size_t bad_signatures = 0;
  std::size_t mismatches = 0;
  std::size_t other_refusals = 0;
  std::size_t second_tries = 0;
};

std::string describe(const std::vector<std::pair<SeqNum, Level>>& entries) {
  std::string text;
  for (const auto& [n, level] : entries) {
    text += std::to_string(n) + (level == Level::kVerified ? "v " : " ");
  }
  return text;
}

template <class Verdict>
std::vector<std::pair<SeqNum, Level>> entries_of(const Verdict& verdict) {
  std::vector<std::pair<SeqNum, Level>> out;
  for (const auto& accepted : verdict.accepted) {
    out.emplace_back(accepted.entry().seqnum(), accepted.level());
  }
  return out;
}

/// Units of one author's log in any state, over whatever is held of it.
class World {
 public:
  explicit World(std::uint64_t seed) : random(seed) {
    const SeqNum head = random.between(2, 80);
    switch (random.below(4)) {
      case 0: {
        RangeSet bad;
        log_ = badly_signed_log(random, head, bad);
        break;
      }
      case 1:
        take(std::move(LogBuilder("alice").append_many(head - 1).end()));
        break;
      default:
        take(std::move(LogBuilder("alice").append_many(head)));
    }
    const SeqNum at = random.between(1, head);
    LogBuilder other("alice");
    other.append_many(at - 1).append("fork").append_many(random.below(20));
    if (random.below(4) == 0) other.end("fork");
    for (SeqNum n = 1; n <= other.head(); ++n) branch_.emplace_back(other.entry(n));
    hold(head);
  }

  /// The next unit, mostly of what is wanted, and valid until the next call.
  std::vector<UnitEntry> next_unit() {
    buffers_.clear();
    const auto& from = random.below(4) == 0 ? branch_ : log_;
    RangeSet piece = random_ranges(random, from.size(), 2);
    if (random.below(3) != 0) piece = closure(piece, random.between(piece.max(), from.size()));
    if (random.below(3) != 0) piece -= held.held();
    for (const SeqNum n : members(piece)) buffers_.push_back(mutated(from[n - 1]));
    if (random.below(20) == 0 && buffers_.size() > 1) std::swap(buffers_.front(), buffers_.back());
    std::vector<UnitEntry> unit;
    for (const EntryBuffer& buffer : buffers_) {
      unit.push_back(unit_entry(buffer));
      if (random.below(30) == 0) unit.back().payload = as_bytes("entry 7");
    }
    return unit;
  }

  TestRandom random;
  MemoryLog held;
  LogKey key{key_from("alice").author(), LogId{0}};

 private:
  void take(const LogBuilder& log) {
    for (SeqNum n = 1; n <= log.head(); ++n) log_.emplace_back(log.entry(n));
  }

  /// Some of the log or of its branch, each entry at either level; perhaps more than the rule would
  /// have let in.
  void hold(SeqNum head) {
    const auto& from = random.below(5) == 0 ? branch_ : log_;
    const SeqNum last = std::min<SeqNum>(head, from.size());
    RangeSet some = random_ranges(random, last);
    if (random.below(2) == 0) some = closure(some, last);
    if (random.below(5) == 0) some = {};
    CountingVerifier verifier;
    for (const SeqNum n : members(some)) {
      const EntryView entry = from[n - 1].view();
      const bool is_verified =
          random.below(2) == 0 &&
          verifier.verify(entry.author(), entry.signed_bytes(), entry.signature());
      held.hold(entry, is_verified ? Level::kVerified : Level::kAttested);
    }
    if (random.below(4) == 0) held.set_cap(random.between(1, head + 1));
  }

  EntryBuffer mutated(const EntryBuffer& entry) {
    EntryFields fields = fields_of(entry.view());
    switch (random.below(60)) {
      case 0:
        return signed_badly(entry.view());
      case 1:  // a breach by the author
        if (fields.backlink) fields.backlink = hash(random.bytes(4));
        return sign_entry(fields, key_from("alice"));
      case 2:
        if (fields.lipmaalink) fields.lipmaalink = hash(random.bytes(4));
        return sign_entry(fields, key_from("alice"));
      case 3:
        fields.tag = Tag::kEndOfLog;
        return sign_entry(fields, key_from("alice"));
      case 4:
        fields.payload_size += 1;
        return entry_of(fields, entry.view().signature());
      case 5:
        if (random.below(4) == 0) fields.log.log_id = LogId{1};
        return sign_entry(fields, key_from("alice"));
      default:
        return entry;
    }
  }

  std::vector<EntryBuffer> log_;
  std::vector<EntryBuffer> branch_;
  std::vector<EntryBuffer> buffers_;
};

/// Brings the rule to its end, as a host does: everything that is missing is checked at once.
Result<UnitVerdict> to_its_end(World& world, std::span<const UnitEntry> unit, Verdicts& verdicts,
                               const AcceptOptions& options, Seen& seen) {
  CountingVerifier verifier;
  auto verdict = accept_unit(world.key, unit, world.held, verdicts, options);
  if (!verdict || verdict->missing.empty()) return verdict;
  EXPECT_TRUE(verdict->accepted.empty() && !verdict->proven && verdict->newly_verified.empty());
  ++seen.second_tries;
  for (const UncheckedEntry& item : verdict->missing) {
    const std::size_t known = verdicts.count();
    EXPECT_FALSE(verdicts.find(item.hash));
    EXPECT_EQ(item.hash, hash(item.entry.bytes()));
    check_signatures({&item, 1}, verifier, verdicts);
    EXPECT_EQ(verdicts.count(), known + 1);
  }
  auto again = accept_unit(world.key, unit, world.held, verdicts, options);
  EXPECT_TRUE(!again || again->missing.empty()) << "the second try decides";
  return again;
}

void count(Seen& seen, const Result<oracle::UnitVerdict>& wanted) {
  ++seen.units;
  if (!wanted) {
    const Errc code = wanted.error().code;
    ++(code == Errc::kEntrySignature ? seen.bad_signatures
       : code == Errc::kLinkMismatch ? seen.mismatches
                                     : seen.other_refusals);
    return;
  }
  if (!wanted->accepted.empty()) ++seen.accepted;
  if (wanted->evidence) ++seen.proven;
  if (!wanted->newly_verified.empty()) ++seen.newly_verified;
}

void expect_same(const Result<UnitVerdict>& got, const Result<oracle::UnitVerdict>& wanted,
                 const LogKey& log) {
  ASSERT_EQ(got.has_value(), wanted.has_value())
      << (got ? message(wanted.error()) : message(got.error()));
  if (!wanted) {
    EXPECT_EQ(got.error(), wanted.error()) << message(got.error()) << message(wanted.error());
    return;
  }
  EXPECT_EQ(got->newly_verified, wanted->newly_verified);
  ASSERT_EQ(got->proven.has_value(), wanted->evidence.has_value());
  if (!wanted->evidence) return;
  CountingVerifier verifier;
  EXPECT_EQ(got->proven->evidence(), *wanted->evidence);
  EXPECT_EQ(derive_defect(log, *wanted->evidence, verifier), got->proven->defect());
}

/// Verdicts that somebody happens to have.
Verdicts some_verdicts(World& world, std::span<const UnitEntry> unit) {
  CountingVerifier verifier;
  Verdicts verdicts;
  for (const UnitEntry& item : unit) {
    const UncheckedEntry one{EntryBuffer(item.entry), item.hash};
    if (world.random.below(3) == 0) check_signatures({&one, 1}, verifier, verdicts);
  }
  return verdicts;
}

void compare(World& world, std::span<const UnitEntry> unit, Seen& seen) {
  const AcceptOptions options{.full = world.random.below(4) == 0,
                              .loose = world.random.below(4) == 0};
  CountingVerifier verifier;
  const auto wanted = oracle::accept_unit(world.key, unit, world.held, verifier, options);
  count(seen, wanted);

  Verdicts none;
  const auto got = to_its_end(world, unit, none, options, seen);
  expect_same(got, wanted, world.key);
  CountingVerifier counter;
  const auto verified = verify_unit(world.key, unit, world.held, counter, options);
  expect_same(verified, wanted, world.key);
  // In vain are at most as many as were good before the first bad one.
  EXPECT_GE(counter.checks, verifier.checks);
  EXPECT_LE(counter.checks, wanted ? verifier.checks : 2 * verifier.checks);
  if (!wanted || ::testing::Test::HasFailure()) return;
  EXPECT_EQ(describe(entries_of(*got)), describe(entries_of(*wanted)));
  EXPECT_EQ(describe(entries_of(*verified)), describe(entries_of(*wanted)));
  EXPECT_EQ(got->signatures_checked, wanted->signatures_checked);

  // With more known than is asked for, the same entries; more of them are known to be authentic.
  Verdicts some = some_verdicts(world, unit);
  const auto informed = to_its_end(world, unit, some, options, seen);
  expect_same(informed, wanted, world.key);
  auto levels = entries_of(*wanted);
  for (auto& [n, level] : levels) {
    const auto item = std::ranges::find(unit, n, [](const auto& i) { return i.entry.seqnum(); });
    if (some.is_good(item->hash)) level = Level::kVerified;
  }
  EXPECT_EQ(describe(entries_of(*informed)), describe(levels));
  world.held.commit(*got);
}

TEST(AcceptOracle, TheRuleOverVerdictsSaysWhatTheRuleWithAVerifierSaid) {
  Seen seen;
  for (std::uint64_t seed = 10'000; seed < 11'000; ++seed) {
    World world(seed);
    CULM_TRACE_SEED(world.random);
    for (int i = 0; i < 6; ++i) {
      compare(world, world.next_unit(), seen);
      if (::testing::Test::HasFailure()) return;
    }
  }
  // All of it is there.
  for (const std::size_t count : {seen.accepted, seen.proven, seen.bad_signatures, seen.mismatches,
                                  seen.other_refusals, seen.second_tries}) {
    EXPECT_GT(count, seen.units / 60);
  }
  EXPECT_GT(seen.newly_verified, 10U);
}

}  // namespace
}  // namespace culm::test
