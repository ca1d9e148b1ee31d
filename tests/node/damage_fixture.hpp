#pragma once

#include <gtest/gtest.h>

#include "culm/replication/node/node.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/simulated_network.hpp"

namespace culm::node {

/// An author, a relay of its log whose store is damaged, and a reader.
class NodeDamage : public testing::Test {
 protected:
  bool run(const std::function<bool()>& done) {
    return network.run_until(done, std::chrono::minutes(1));
  }

  replication::WantRequest want(bool live = false) const {
    replication::WantRequest request;
    request.log = log.log();
    request.interest = everything();
    request.live = live;
    return request;
  }

  void hold(test::SimulatedNode& node) {
    node.hold(log);
    ASSERT_TRUE(run([&] { return node.holds(log.log(), {{1, log.head()}}); }));
  }

  /// The process of the node ends; when it begins again, a row is damaged.
  static void rot(test::SimulatedNode& node, store::Table table, std::size_t row,
                  std::optional<std::size_t> from_behind = std::nullopt,
                  const store::MemoryOptions& disk = {}) {
    store::MemoryKv kv({}, node.crash());
    auto [key, value] = test::rows_of(kv, table).at(row);
    value[value.size() - from_behind.value_or(value.size() / 2)] ^= 1U;
    test::put_row(kv, table, key, value);
    ASSERT_TRUE(node.start(kv.image(), disk));
  }
  /// Likewise a page with the rows of these entries.
  static void rot_page(test::SimulatedNode& node, SeqNum first, SeqNum last) {
    store::MemoryKv kv({}, node.crash());
    const auto rows = test::rows_of(kv, store::Table::kEntries);
    const auto key_of = [&](SeqNum n) { return rows.at(static_cast<std::size_t>(n - 1)).first; };
    const store::MemoryPage page{store::Table::kEntries, key_of(first), key_of(last)};
    ASSERT_TRUE(node.start(kv.image(), {.damaged = page}));
  }
  static void rot_entry(test::SimulatedNode& node, SeqNum n) {
    rot(node, store::Table::kEntries, static_cast<std::size_t>(n - 1));
  }
  /// It cannot be dropped either: nothing can be written.
  static void rot_entry_for_good(test::SimulatedNode& node, SeqNum n) {
    rot(node, store::Table::kEntries, static_cast<std::size_t>(n - 1), std::nullopt,
        {.fail_operation = 1});
  }
  /// What came of a sync that was done.
  SyncReport sync(test::SimulatedNode& node, const std::vector<const test::SimulatedNode*>& peers,
                  bool is_push = false) {
    SyncRequest request;
    request.push = is_push;
    request.logs.emplace_back().log = log.log();
    for (const test::SimulatedNode* const peer : peers) request.peers.push_back({peer->endpoint()});
    node.synced.clear();
    node.node().sync(std::move(request), network.now());
    node.settle();
    const auto is_done = [&] {
      return !node.synced.empty() && std::holds_alternative<SyncEnded>(node.synced.back());
    };
    EXPECT_TRUE(run(is_done));
    SyncReport none;
    none.logs.emplace_back();
    return is_done() ? std::get<SyncEnded>(node.synced.back()).report : none;
  }
  std::uint64_t number_in(test::SimulatedNode& node) { return node.state(log.log()).number; }
  RangeSet all_but(SeqNum n) const { return RangeSet{{1, log.head()}} - RangeSet{{n, n}}; }

  test::SimulatedNetwork network{1};
  test::SimulatedNode& author = network.add("author");
  test::SimulatedNode& relay = network.add("relay");
  test::SimulatedNode& reader = network.add("reader");
  test::LogBuilder log = test::LogBuilder("alice").append_many(800);
};

}  // namespace culm::node
