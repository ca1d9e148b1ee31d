#include "culm/replication/host/sync_lines.hpp"

#include <gtest/gtest.h>

namespace culm::control {
namespace {

const node::Endpoint kEndpoint{"127.0.0.1", 7474};

TEST(SyncLines, AnEventNamesItselfAndWhatItIsOf) {
  const auto line = event_line(node::SyncPushed{kEndpoint, {}, 12});
  ASSERT_TRUE(line);
  EXPECT_EQ(*line->find_text("event"), "pushed");
  EXPECT_EQ(*line->find_text("address"), "127.0.0.1:7474");
  EXPECT_EQ(line->find_number("head"), 12U);
  const auto part = event_line(node::SyncPushed{kEndpoint, {}, 12, {}, {{3, 4}}});
  EXPECT_EQ(*part->find_text("event"), "pushed_in_part") << "who waits for a push is not misled";
  EXPECT_EQ(*part->find_text("unconfirmed_payloads"), "3-4");
  EXPECT_EQ(*event_line(node::SyncDenied{kEndpoint, {}, {}, true, {}})->find_text("event"),
            "offer_denied");
}

TEST(SyncLines, ALogThatDoesNotJoinIsNotSaidToHaveJoined) {
  EXPECT_EQ(*event_line(node::SyncJoined{})->find_text("event"), "joined");
  const auto line = event_line(node::SyncJoined{{}, Error{Errc::kBusy}});
  EXPECT_EQ(*line->find_text("event"), "not_joined");
  EXPECT_EQ(*line->find_text("message"), message(Error{Errc::kBusy}));
}

TEST(SyncLines, OfProgressAndTheEndThereIsNone) {
  EXPECT_FALSE(event_line(node::SyncProgress{}));
  EXPECT_FALSE(event_line(node::SyncEnded{}));
}

TEST(SyncLines, AReportIsALineForEachLogAndOneForAll) {
  node::SyncRequest request;
  request.push = true;
  node::SyncReport report;
  report.logs.resize(2);
  report.logs[1].outcome = node::LogOutcome::kComplete;
  report.logs[1].is_pushed = true;
  report.peers.push_back({kEndpoint, sealing::PeerKey{}});
  report.peers.push_back({kEndpoint});
  report.peers[1].error = Error{Errc::kTimeout};
  const auto lines = report_lines(request, report);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(*lines[1].find_text("state"), "complete");
  EXPECT_EQ(lines[1].find_bool("pushed"), true);
  EXPECT_TRUE(lines[0].find_array("unconfirmed"));
  EXPECT_FALSE(lines[1].find("cap")) << "that is between processes";
  const auto& peers = *lines[2].find_array("peers");
  ASSERT_EQ(peers.size(), 2U);
  EXPECT_EQ(*peers[0].find_text("state"), "ok");
  EXPECT_EQ(*peers[1].find_text("state"), "timeout");
  EXPECT_TRUE(lines[2].find_text("peer"));
}

TEST(SyncLines, AQuoteIsALineForEachLog) {
  node::SyncRequest request;
  request.quote_only = true;
  node::SyncReport report;
  report.peers.push_back({kEndpoint});
  report.logs.resize(1);
  report.logs[0].quote = replication::Quote{};
  const auto lines = report_lines(request, report);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].find_object("quote"));
  EXPECT_FALSE(lines[0].find("state"));
}

}  // namespace
}  // namespace culm::control
