#include "culm/replication/host/store_node.hpp"

#include <memory>

#include <gtest/gtest.h>

#include "culm/replication/host/detail/asio.hpp"
#include "culm/store/check.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"

namespace culm::host {
namespace {

/// What became of a log that was forgotten beside a live sync of all logs.
struct Forgotten {
  bool is_done = false;
  bool is_unknown = false;
  bool is_told = false;
};

Forgotten forget_beside_sync(const store::MemoryImage& image, const LogKey& log,
                             std::uint64_t fail_operation) {
  test::TestRandom random{1};
  auto kv = std::make_unique<store::MemoryKv>(
      store::MemoryOptions{.fail_operation = fail_operation}, image);
  const auto store = *store::Store::open(std::move(kv), random);
  replication::OpenPolicy policy;
  asio::io_context io;
  StoreNode host(io, *store, policy, {{.identity = sealing::KeyPair::generate(random)}});
  Forgotten out;
  node::SyncRequest request;
  request.peers.push_back({{"127.0.0.1", 1}, {}});
  request.logs.emplace_back().log = log;
  request.while_known.insert(log);
  request.live = true;
  bool is_begun = false;
  host.sync(
      request,
      [&](const node::SyncEvent& event) {
        is_begun = true;
        out.is_told = out.is_told || std::holds_alternative<node::SyncForgotten>(event);
        return true;
      },
      [](const node::SyncReport&) {});
  // It tells that nobody is there.
  while (!is_begun && io.run_one_for(std::chrono::seconds(30)) != 0) continue;
  out.is_done = host.writer().forget(log).has_value();
  io.poll();
  const auto transaction = *store->read();
  out.is_unknown = *transaction.find_log(log) == nullptr;
  bool is_stopped = false;
  host.stop([&] { is_stopped = true; });
  while (!is_stopped && io.run_one_for(std::chrono::seconds(30)) != 0) continue;
  return out;
}

TEST(StoreNode, SyncsHearOfALogThatIsForgottenWhereverErasingItFails) {
  const test::LogBuilder log = test::LogBuilder("alice").append_many(3);
  store::MemoryImage image;
  {
    test::TestRandom random{1};
    auto kv = std::make_unique<store::MemoryKv>();
    const store::MemoryKv& memory = *kv;
    const auto store = *store::Store::open(std::move(kv), random);
    Ed25519Verifier verifier;
    ASSERT_TRUE(store::ingest(*store, log.log(), log.unit({{1, 3}}, true), verifier));
    image = memory.image();
  }
  std::size_t half_done = 0;
  for (std::uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 200U);
    const Forgotten out = forget_beside_sync(image, log.log(), n);
    EXPECT_EQ(out.is_told, out.is_unknown) << n;
    if (out.is_done) break;
    if (out.is_unknown) ++half_done;
  }
  EXPECT_NE(half_done, 0U);
}

}  // namespace
}  // namespace culm::host
