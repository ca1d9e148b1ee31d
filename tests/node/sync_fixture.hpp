#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "culm/replication/node/sync.hpp"

#include "tests/support/simulated_network.hpp"

namespace culm::node {

using std::chrono::minutes;
using test::LogBuilder;
using test::milliseconds;
using test::seconds;
using test::SimulatedNetwork;
using test::SimulatedNode;

/// A reader that syncs with an author and, where a test adds them, with others.
class SyncTest : public testing::Test {
 protected:
  static std::vector<LogBuilder> logs_of(std::size_t count) {
    std::vector<LogBuilder> logs;
    for (std::size_t i = 0; i < count; ++i) {
      logs.push_back(LogBuilder("author " + std::to_string(i)).append_many(3));
    }
    return logs;
  }
  static SyncRequest request_of(std::span<const LogBuilder> logs,
                                std::vector<const SimulatedNode*> peers) {
    SyncRequest request;
    for (const LogBuilder& one : logs) request.logs.emplace_back().log = one.log();
    for (const SimulatedNode* const peer : peers) request.peers.push_back({peer->endpoint()});
    return request;
  }
  SyncRequest request_of(std::vector<const SimulatedNode*> peers) {
    return request_of({&log, 1}, std::move(peers));
  }
  static SyncRequest live(SyncRequest request) {
    request.live = true;
    return request;
  }
  /// Once all that nodes were given to hold is stored.
  SyncId start(SyncRequest request) {
    network.run(seconds(1));
    ended_before = told<SyncEnded>().size();
    const SyncId id = reader.node().sync(std::move(request), network.now());
    reader.settle();
    return id;
  }
  bool run(const std::function<bool()>& done, Duration limit = minutes(2)) {
    return network.run_until(done, limit);
  }
  /// The report of the sync that was started last, which it waits for.
  SyncReport report(Duration limit = minutes(2)) {
    if (!run([&] { return told<SyncEnded>().size() > ended_before; }, limit)) {
      ADD_FAILURE() << "the sync has not ended";
      return {};
    }
    return told<SyncEnded>().back().report;
  }

  template <class T>
  [[nodiscard]] std::vector<T> told() const {
    std::vector<T> out;
    for (const SyncEvent& event : reader.synced) {
      if (const auto* const one = std::get_if<T>(&event)) out.push_back(*one);
    }
    return out;
  }
  [[nodiscard]] bool is_here() const { return reader.holds(log.log(), {{1, log.head()}}); }
  /// Of `log`; once all that the node was given to hold is stored.
  void delete_payloads(SimulatedNode& node, const RangeSet& seqnums) {
    network.run(seconds(1));
    const auto deleted =
        node.store().update([&](store::WriteTransaction& transaction) -> Result<void> {
          CULM_CHECK(transaction.delete_payloads(log.log(), seqnums, SIZE_MAX));
          return {};
        });
    EXPECT_TRUE(deleted);
  }
  /// By the reader; its syncs are not told.
  void forget(const LogKey& key) {
    reader.node().run([key](store::Store& store) {
      return store.update([&](store::WriteTransaction& writing) { return writing.forget(key); });
    });
    reader.settle();
    ASSERT_TRUE(run([&] { return !is_known(key); }));
  }
  [[nodiscard]] bool is_known(const LogKey& key) const {
    return *reader.store().read()->find_log(key) != nullptr;
  }
  void grow(SimulatedNode& node) {
    log.append("more");
    node.hold(log, {{log.head(), log.head()}});
  }

  SimulatedNetwork network{1};
  SimulatedNode& author = network.add("author");
  SimulatedNode& reader = network.add("reader");
  LogBuilder log = LogBuilder("alice").append_many(300);
  std::size_t ended_before = 0;
};

}  // namespace culm::node
