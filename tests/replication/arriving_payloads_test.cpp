#include "culm/replication/arriving_payloads.hpp"

#include <gtest/gtest.h>

#include "tests/support/log_builder.hpp"

namespace culm::replication {
namespace {

TEST(ArrivingPayloads, OfTooManySpoiltOnesTheOldestIsForgottenAlone) {
  const LogKey log = test::LogBuilder("alice").log();
  constexpr SeqNum kMax = ArrivingPayloads::kSpoiltMax;
  ArrivingPayloads payloads;
  for (SeqNum n = 1; n <= kMax; ++n) payloads.mark_spoilt(log, n);
  payloads.mark_spoilt(log, 1);  // once more, so 2 is the oldest
  payloads.mark_spoilt(log, kMax + 1);
  EXPECT_FALSE(payloads.is_spoilt(log, 2));
  EXPECT_TRUE(payloads.is_spoilt(log, 1));
  for (SeqNum n = 3; n <= kMax + 1; ++n) EXPECT_TRUE(payloads.is_spoilt(log, n)) << n;
}

TEST(ArrivingPayloads, WhatAnotherPeerBringsIsLeftToIt) {
  const LogKey log = test::LogBuilder("alice").log();
  const sealing::PeerKey one{{1}};
  const sealing::PeerKey two{{2}};
  ArrivingPayloads payloads;
  payloads.claim(log, 5, {1, one});
  EXPECT_TRUE(payloads.is_claimed(log, 5, {2, two}));
  EXPECT_TRUE(payloads.is_claimed(log, 5, {2, std::nullopt}));
  EXPECT_FALSE(payloads.is_claimed(log, 5, {2, one})) << "its session of before may be dead";
  EXPECT_TRUE(payloads.is_claimed_by(log, 5, 1));
  payloads.give_back(log, 5, 1);
  EXPECT_FALSE(payloads.is_claimed(log, 5, {2, two}));
}

}  // namespace
}  // namespace culm::replication
