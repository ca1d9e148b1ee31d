#include "culm/replication/committer.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::LogBuilder;
using test::TestPeer;

/// An entry whose payload comes in three parts, from several sessions.
class CommitterTest : public testing::Test {
 protected:
  CommitterTest() {
    log.append(text);
    const auto bare = log.unit({{1, 1}});
    EXPECT_TRUE(peer.store().update([&](store::WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.ingest(log.log(), bare, peer.verifier));
      return {};
    }));
  }

  WorkReport bring(const std::shared_ptr<SessionToken>& session, std::size_t part,
                   std::string_view from) {
    constexpr std::size_t kPart = limits::kPayloadChunkBytes;
    const std::string_view bytes = from.substr(part * kPart, kPart);
    PayloadWork payload{1, part * kPart, part == 2, {}};
    append_bytes(payload.bytes, as_bytes(bytes));
    const Work work{{1, ++works}, log.log(), std::move(payload), bytes.size(), session};
    return peer.committer().commit({&work, 1}).front();
  }

  const std::string text = std::string(2 * limits::kPayloadChunkBytes + 5, 'x');
  const std::string garbage = std::string(text.size(), 'y');
  LogBuilder log{"alice"};
  TestPeer peer{1};
  std::shared_ptr<SessionToken> honest = std::make_shared<SessionToken>();
  std::shared_ptr<SessionToken> hostile = std::make_shared<SessionToken>();
  std::uint64_t works = 0;
};

TEST_F(CommitterTest, PartsOfAnotherSessionDoNotSpoilAPayload) {
  for (const std::size_t part : {0U, 1U, 2U}) {
    EXPECT_TRUE(bring(honest, part, text).outcome);
    EXPECT_TRUE(part == 2 || bring(hostile, 0, garbage).outcome);
  }
  EXPECT_TRUE(peer.state(log.log()).payloads.contains(1));
}

TEST_F(CommitterTest, WhoeverBroughtAWrongPartIsKnownAndTheNextMayBegin) {
  for (const std::size_t part : {0U, 1U}) EXPECT_TRUE(bring(hostile, part, garbage).outcome);
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  const auto wrong = bring(hostile, 2, garbage);
  ASSERT_FALSE(wrong.outcome);
  EXPECT_EQ(wrong.outcome.error().code, Errc::kPayloadHash);
  EXPECT_EQ(wrong.credit, 5U);
  for (const std::size_t part : {0U, 1U, 2U}) EXPECT_TRUE(bring(honest, part, text).outcome);
  EXPECT_TRUE(peer.state(log.log()).payloads.contains(1));
}

TEST_F(CommitterTest, ASessionThatIsGoneLeavesItsPayloadToOthers) {
  EXPECT_TRUE(bring(hostile, 0, garbage).outcome);
  hostile.reset();
  for (const std::size_t part : {0U, 1U, 2U}) EXPECT_TRUE(bring(honest, part, text).outcome);
  EXPECT_TRUE(peer.state(log.log()).payloads.contains(1));
}

TEST_F(CommitterTest, WhatADistrustedSessionLeftIsNotLookedAt) {
  hostile->is_distrusted = true;
  const auto report = bring(hostile, 0, text);
  ASSERT_FALSE(report.outcome);
  EXPECT_EQ(report.outcome.error().code, Errc::kPeerClosed);
}

}  // namespace
}  // namespace culm::replication
