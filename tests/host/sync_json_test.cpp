#include "culm/replication/host/sync_json.hpp"

#include <gtest/gtest.h>

#include "culm/feed/closure.hpp"

#include "tests/support/log_builder.hpp"

namespace culm::control {
namespace {

node::SyncRequest full_request() {
  node::SyncRequest request;
  request.peers = {{{"127.0.0.1", 7474}, sealing::PeerKey{}}, {{"::1", 7475}}};
  auto& want = request.logs.emplace_back();
  want.log = test::LogBuilder("alice", LogId{7}).log();
  want.interest = {{{1, 5}, {9, kSeqnumMax}}, 12};
  want.payloads = false;
  want.order = replication::Order::kNewestFirst;
  want.payload_size_max = 1000;
  want.budget_bytes = 50;
  request.logs.emplace_back().log = test::LogBuilder("bob").log();
  request.while_known = {request.logs.back().log};
  request.push = request.undelete = true;
  request.idle_max = std::chrono::seconds(7);
  return request;
}

node::SyncReport full_report() {
  node::SyncReport report;
  report.outcome = node::SyncOutcome::kFailed;
  report.error = error_for(Errc::kStoreFull, 4);
  report.took = std::chrono::milliseconds(1500);
  auto& log = report.logs.emplace_back();
  log.log = test::LogBuilder("alice").log();
  log.outcome = node::LogOutcome::kDenied;
  log.denied = replication::DenyReason::kBusy;
  log.offer_denied_by = {{{"127.0.0.1", 7474}, replication::DenyReason::kDamaged},
                         {{"127.0.0.1", 7475}, replication::DenyReason::kNotWanted}};
  log.error = Error{Errc::kBusy};
  log.entries = 3;
  log.cap = 9;
  log.missing = {{4, 8}};
  log.beyond_head = {{13, 14}};
  log.payloads_missing = {{1, 3}};
  log.payloads_left_out = {{2, 2}};
  log.dropped = {{9, 12}};
  log.payloads_dropped = {{9, 10}};
  log.cut_off = {{6, 6}};
  log.is_pushed = true;
  log.peer_heads = {7, kSeqnumMax};
  log.silent = {{"127.0.0.1", 7474}};
  log.damaged = {{"127.0.0.1", 7475}};
  log.unconfirmed = {{{"127.0.0.1", 7474}, {{5, 6}}, {{5, 9}}},
                     {{"::1", 7475}, {}, {{1, 1}}, true}};
  log.quote = replication::Quote{0, 1, 2, 3, 4, false};
  auto& peer = report.peers.emplace_back();
  peer.endpoint = {"127.0.0.1", 7474};
  peer.peer = sealing::PeerKey{};
  peer.stats.bytes_received = 77;
  peer.error = error_system(Errc::kNetwork, 111);
  peer.text = "a \"bye\"";
  return report;
}

TEST(SyncJson, ARequestComesBackAsItWas) {
  const std::string text = to_line(to_json(full_request()));
  const auto back = parse_sync_request(*parse_json_object(text));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_line(to_json(*back)), text);
  EXPECT_EQ(back->peers[0].endpoint, full_request().peers[0].endpoint);
  EXPECT_TRUE(back->peers[0].expected && !back->peers[1].expected);
  EXPECT_EQ(back->logs[0].interest, full_request().logs[0].interest);
  EXPECT_EQ(back->logs[0].payload_size_max, 1000U);
  EXPECT_FALSE(back->logs[0].payloads);
  EXPECT_EQ(back->while_known, full_request().while_known);
  EXPECT_EQ(back->idle_max, std::chrono::seconds(7));
}

TEST(SyncJson, AReportComesBackAsItWas) {
  const std::string text = to_line(to_json(full_report()));
  const auto back = parse_sync_report(*parse_json_object(text));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_line(to_json(*back)), text);
  EXPECT_EQ(back->error, full_report().error);
  EXPECT_EQ(back->logs[0].denied, replication::DenyReason::kBusy);
  EXPECT_EQ(back->logs[0].missing, (RangeSet{{4, 8}}));
  EXPECT_EQ(back->logs[0].beyond_head, (RangeSet{{13, 14}}));
  EXPECT_EQ(back->logs[0].payloads_left_out, (RangeSet{{2, 2}}));
  EXPECT_EQ(back->logs[0].dropped, (RangeSet{{9, 12}}));
  EXPECT_EQ(back->logs[0].cut_off, (RangeSet{{6, 6}}));
  EXPECT_EQ(back->logs[0].peer_heads, (std::vector<SeqNum>{7, kSeqnumMax}));
  EXPECT_EQ(back->logs[0].silent, full_report().logs[0].silent);
  EXPECT_EQ(back->logs[0].damaged, full_report().logs[0].damaged);
  ASSERT_EQ(back->logs[0].unconfirmed.size(), 2U);
  EXPECT_EQ(back->logs[0].unconfirmed[0].payloads, (RangeSet{{5, 9}}));
  EXPECT_FALSE(back->logs[0].unconfirmed[0].is_unsaid);
  EXPECT_TRUE(back->logs[0].unconfirmed[1].is_unsaid);
  EXPECT_EQ(back->peers[0].error, full_report().peers[0].error);
  EXPECT_EQ(back->stats.bytes_received, 77U) << "the sum of all peers";
}

TEST(SyncJson, WhatASyncMayNotBeAskedForIsRefused) {
  const auto is_refused = [](const std::function<void(node::SyncRequest&)>& spoil) {
    auto request = full_request();
    spoil(request);
    const auto parsed = parse_sync_request(*parse_json_object(to_line(to_json(request))));
    return !parsed && parsed.error().code == Errc::kFileFormat;
  };
  EXPECT_FALSE(is_refused([](auto&) {}));
  EXPECT_TRUE(is_refused([](auto& request) { request.peers.clear(); }));
  EXPECT_TRUE(is_refused([](auto& request) { request.peers.push_back(request.peers[0]); }));
  EXPECT_TRUE(is_refused([](auto& request) { request.logs.push_back(request.logs[0]); }));
  EXPECT_TRUE(is_refused([](auto& request) { request.quote_only = true; }));
}

TEST(SyncJson, EachMemberMustBeThere) {
  const Json whole = to_json(full_request());
  for (const char* const key : {"peers", "logs", "idle_max_us", "push", "quote_only", "undelete"}) {
    Json json = whole;
    json[key] = nullptr;
    EXPECT_FALSE(parse_sync_request(json)) << key;
  }
}

}  // namespace
}  // namespace culm::control
