#include "culm/replication/node/admission.hpp"

#include <gtest/gtest.h>

namespace culm::node {
namespace {

using std::chrono::milliseconds;

constexpr auto kUnwanted = milliseconds(limits::kSessionUnwantedMs);
constexpr auto kQuiet = milliseconds(limits::kSessionQuietMs);
constexpr auto kUseful = milliseconds(limits::kSessionUsefulMs);

Address v4(int last) {
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, static_cast<std::uint8_t>(last)};
}

/// 2001:db8:0:`network`::`host`.
Address v6(std::uint8_t network, std::uint8_t host) {
  return {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, host};
}

/// Two places of each kind in each address, three in all.
constexpr AdmissionLimits kFew{3, 2, 3, 2};

class AdmissionTest : public testing::Test {
 protected:
  std::optional<SessionId> arrive(int address) { return admission.arrived(++last, v4(address)); }
  Admission::Verdict join(int address) {
    EXPECT_FALSE(arrive(address));
    return admission.established(last, now);
  }
  void use(SessionId id, bool has_wants, Instant at) {
    admission.used(id, at);
    admission.wants(id, has_wants);
  }
  void fill() {
    for (const int address : {1, 1, 2}) ASSERT_TRUE(join(address).is_admitted);
  }

  Admission admission{kFew};
  SessionId last = 0;
  Instant now{};
};

TEST_F(AdmissionTest, TheNewestHandshakeDisplacesTheOldestOfItsAddress) {
  EXPECT_FALSE(arrive(2));
  EXPECT_FALSE(arrive(1));
  EXPECT_FALSE(arrive(1));
  EXPECT_EQ(arrive(1), 2U);
  EXPECT_EQ(arrive(1), 3U);
}

TEST_F(AdmissionTest, OfAllHandshakesTheOldestOfTheAddressWithTheMostGoes) {
  EXPECT_FALSE(arrive(2));
  EXPECT_FALSE(arrive(1));
  EXPECT_FALSE(arrive(1));
  EXPECT_EQ(arrive(3), 2U);
  EXPECT_EQ(arrive(4), 1U) << "of equals the oldest";
}

TEST_F(AdmissionTest, HandshakesThatAreDoneOrClosedTakeNoPlace) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(arrive(1));
    static_cast<void>(admission.established(last, now));
    EXPECT_FALSE(arrive(1));
    EXPECT_FALSE(arrive(1));
    admission.leave(last);
    admission.leave(last - 1);
  }
}

TEST_F(AdmissionTest, WithoutAnyPlaceForHandshakesThereIsOne) {
  Admission none(AdmissionLimits{3, 2, 0, 0});
  EXPECT_FALSE(none.arrived(1, v4(1)));
  EXPECT_EQ(none.arrived(2, v4(1)), 1U);
  EXPECT_TRUE(none.established(2, now).is_admitted);
}

TEST_F(AdmissionTest, CountsOneIpv6NetworkAsOneAddress) {
  EXPECT_FALSE(admission.arrived(1, v6(1, 1)));
  EXPECT_FALSE(admission.arrived(2, v6(1, 2)));
  EXPECT_EQ(admission.arrived(3, v6(1, 3)), 1U);
  EXPECT_FALSE(admission.arrived(4, v6(2, 1)));
}

TEST_F(AdmissionTest, SessionsInUseAreNotEvicted) {
  fill();
  for (SessionId id = 1; id <= 3; ++id) use(id, true, now);
  now += kUnwanted;
  EXPECT_FALSE(join(3).is_admitted) << "too many in all";
  admission.leave(3);
  EXPECT_FALSE(join(1).is_admitted) << "too many of the address";
  EXPECT_TRUE(join(3).is_admitted);
}

TEST_F(AdmissionTest, WhoWantsNothingGoesAfterAWhile) {
  fill();
  now += kUnwanted - Duration(1);
  EXPECT_FALSE(join(3).is_admitted);
  now += Duration(1);
  use(1, false, now);
  const auto verdict = join(3);
  EXPECT_TRUE(verdict.is_admitted);
  EXPECT_EQ(verdict.evicted, 2U) << "the first was used since";
}

TEST_F(AdmissionTest, WhoWantsNothingGoesBeforeWhoWaitsForALogToGrow) {
  fill();
  use(1, true, now);
  now += 2 * kQuiet;
  use(2, false, now - kUnwanted);
  use(3, true, now);
  EXPECT_EQ(join(3).evicted, 2U);
  EXPECT_EQ(join(4).evicted, 1U) << "the newest is no cover for the quiet one";
  EXPECT_FALSE(join(4).is_admitted);
}

TEST_F(AdmissionTest, ToAskAndTakeBackIsNoUse) {
  fill();
  for (int i = 0; i < 10; ++i) {
    now += kUnwanted / 5;
    admission.wants(1, true);
    admission.wants(1, false);
    use(2, false, now);
    use(3, false, now);
  }
  EXPECT_EQ(join(3).evicted, 1U);
}

TEST_F(AdmissionTest, AnAddressThatIsFullEvictsOnlyItsOwn) {
  for (const int address : {2, 1, 1}) ASSERT_TRUE(join(address).is_admitted);
  now += kUnwanted;
  EXPECT_EQ(join(1).evicted, 2U);
}

TEST_F(AdmissionTest, WhoBroughtSomethingGoesLastAndAfterLong) {
  fill();
  for (SessionId id = 1; id <= 3; ++id) admission.brought(id);
  use(1, false, now + kQuiet);
  now += kUseful - Duration(1);
  EXPECT_FALSE(join(3).is_admitted);
  now += Duration(1);
  EXPECT_EQ(join(3).evicted, 2U);
  now += kUnwanted;
  EXPECT_EQ(join(3).evicted, 5U) << "before any that has brought something";
}

TEST_F(AdmissionTest, OfFarewellsTheOldestIsDropped) {
  fill();
  const SessionId first = last + 1;
  for (std::size_t i = 0; i < limits::kFarewells; ++i) EXPECT_FALSE(join(3).dropped);
  EXPECT_EQ(join(3).dropped, first);
  admission.leave(first + 1);
  EXPECT_FALSE(join(3).dropped);
  now += kUnwanted;
  const auto verdict = join(3);
  EXPECT_EQ(verdict.evicted, 1U);
  EXPECT_EQ(verdict.dropped, first + 2) << "age is counted from the farewell on";
}

TEST_F(AdmissionTest, WhoHasLeftIsNotKnown) {
  fill();
  admission.leave(1);
  admission.leave(1);
  use(1, true, now);
  admission.brought(1);
  EXPECT_TRUE(join(1).is_admitted);
}

}  // namespace
}  // namespace culm::node
