#include "culm/replication/detail/liveness.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

namespace culm::test {
namespace {

using replication::Liveness;
using std::chrono::milliseconds;

constexpr milliseconds kHandshake(limits::kHandshakeTimeoutMs);
constexpr milliseconds kPing(limits::kPingIntervalMs);
constexpr milliseconds kIdle(limits::kIdleTimeoutMs);
constexpr milliseconds kStall(limits::kWantStallTimeoutMs);
constexpr milliseconds kEnd(limits::kSessionTimeoutMs);
constexpr milliseconds kMoment(1);

class LivenessTest : public testing::Test {
 protected:
  /// What a deadline comes to: "ping", "close", "", or the name of an error.
  std::string at(Instant now) {
    const auto due = liveness.deadline_reached(now, peer_owes);
    if (!due) return std::string(name(due.error().code));
    return *due == Liveness::Due::kPing ? "ping" : *due == Liveness::Due::kClose ? "close" : "";
  }

  Instant start{milliseconds(7)};
  bool peer_owes = false;
  Liveness liveness{start};
};

TEST_F(LivenessTest, AHandshakeThatTakesTooLongEnds) {
  EXPECT_EQ(liveness.next_deadline(false), start + kHandshake);
  liveness.bytes_received(100, start + kHandshake - kMoment);
  EXPECT_EQ(at(start + kHandshake - kMoment), "");
  EXPECT_EQ(liveness.next_deadline(false), start + kHandshake) << "whatever came";
  EXPECT_EQ(at(start + kHandshake), "handshake");
}

TEST_F(LivenessTest, SilenceIsAskedAboutOnceAndThenEnds) {
  liveness.established();
  EXPECT_EQ(liveness.next_deadline(false), start + kPing);
  EXPECT_EQ(at(start + kPing - kMoment), "");
  EXPECT_EQ(at(start + kPing), "ping");
  EXPECT_EQ(at(start + kPing + kMoment), "");
  EXPECT_EQ(liveness.next_deadline(false), start + kIdle);
  EXPECT_EQ(at(start + kIdle), "peer_silent");
}

TEST_F(LivenessTest, AnythingThatComesBreaksTheSilence) {
  liveness.established();
  EXPECT_EQ(at(start + kPing), "ping");
  const Instant later = start + kIdle - kMoment;
  liveness.bytes_received(1, later);
  EXPECT_EQ(liveness.next_deadline(false), later + kPing);
  EXPECT_EQ(at(later + kPing), "ping");
  EXPECT_EQ(at(later + kIdle), "peer_silent");
}

TEST_F(LivenessTest, WhoDoesNotListenBlamesNobodyForSilenceAndStaysAudible) {
  liveness.established();
  Instant now = start;
  for (int i = 0; i < 10; ++i) {
    now += kPing;
    liveness.not_listening(now);
    EXPECT_EQ(at(now), "ping") << i;
  }
  EXPECT_EQ(at(now + kIdle - kPing), "peer_silent") << "now it is listened for";
}

TEST_F(LivenessTest, APeerThatOwesAndOnlyTalksIsStalled) {
  liveness.established();
  peer_owes = true;
  const milliseconds step(5'000);
  Instant now = start;
  for (; now < start + kStall; now += step) {
    liveness.bytes_received(10, now);
    EXPECT_TRUE(liveness.check_stall(peer_owes));
    EXPECT_LE(liveness.next_deadline(peer_owes), start + kStall);
  }
  liveness.bytes_received(10, now);
  EXPECT_EQ(liveness.check_stall(peer_owes).error().code, Errc::kPeerStalled);
  EXPECT_EQ(at(now), "peer_stalled");
}

TEST_F(LivenessTest, ProgressAndManyBytesGiveMoreTime) {
  liveness.established();
  peer_owes = true;
  EXPECT_TRUE(liveness.check_stall(peer_owes));
  liveness.bytes_received(10, start + kStall - kMoment);
  liveness.progressed();
  EXPECT_TRUE(liveness.check_stall(peer_owes));
  const Instant again = start + kStall - kMoment;
  liveness.bytes_received(10, again + kStall - kMoment);
  EXPECT_TRUE(liveness.check_stall(peer_owes)) << "which began again with the progress";
  liveness.bytes_received(limits::kProgressBytes, again + kStall);
  EXPECT_TRUE(liveness.check_stall(peer_owes));
  EXPECT_TRUE(liveness.check_stall(peer_owes));
  EXPECT_EQ(at(again + 2 * kStall), "peer_stalled");
}

TEST_F(LivenessTest, NobodyStallsWhileThisSideIsBusy) {
  liveness.established();
  peer_owes = true;
  EXPECT_TRUE(liveness.check_stall(peer_owes));
  EXPECT_TRUE(liveness.check_stall(false));  // what came is being committed
  liveness.bytes_received(1, start + 2 * kStall);
  EXPECT_TRUE(liveness.check_stall(peer_owes));
  EXPECT_EQ(at(start + 3 * kStall), "peer_stalled");
}

TEST_F(LivenessTest, EvenTheBestSessionEnds) {
  liveness.established();
  liveness.bytes_received(1, start + kEnd - kMoment);
  EXPECT_EQ(liveness.next_deadline(false), start + kEnd);
  EXPECT_EQ(at(start + kEnd - kMoment), "");
  EXPECT_EQ(at(start + kEnd), "close");
  Liveness silent(start);
  silent.established();
  EXPECT_EQ(*silent.deadline_reached(start + kEnd, true), Liveness::Due::kClose) << "before all";
}

}  // namespace
}  // namespace culm::test
