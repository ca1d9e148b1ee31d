#include "culm/replication/host/control_server.hpp"

#include <future>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "culm/replication/host/control_protocol.hpp"
#include "culm/replication/host/descriptor.hpp"
#include "culm/replication/host/detail/asio.hpp"
#include "culm/replication/host/store_node.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::host {
namespace {

/// A node whose clients ask; `io` goes on only when the test says so.
class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() { EXPECT_TRUE(node.serve_requests(directory.path(), true)); }

  Descriptor connect() {
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = directory.path(std::string(control::kSocketName));
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    return socket;
  }

  /// Sends a request, and returns once it waits for the thread that writes.
  void send(const Descriptor& socket, const std::string& request) {
    ASSERT_EQ(::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    for (int left = 1; left > 0;) {
      ASSERT_NE(io.run_one_for(std::chrono::seconds(30)), 0U);
      ASSERT_EQ(::ioctl(socket.get(), SIOCOUTQ, &left), 0);
    }
    io.poll();
  }

  /// Keeps the thread that writes busy until the promise is kept.
  std::promise<void> block() {
    std::promise<void> release;
    node.node().run(
        [done = release.get_future().share()](store::Store&) -> Result<void> {
          done.wait();
          return {};
        },
        {});
    io.poll();
    return release;
  }

  /// Until all that was asked is done.
  void finish() {
    bool is_done = false;
    node.node().run([](store::Store&) -> Result<void> { return {}; },
                    [&](const Result<void>&) { is_done = true; });
    while (!is_done) ASSERT_NE(io.run_one_for(std::chrono::seconds(30)), 0U);
  }

  [[nodiscard]] SeqNum head() const {
    const auto transaction = *store->read();
    const auto state = *transaction.find_log(log.log());
    return state ? state->head() : 0;
  }

  [[nodiscard]] std::string ingest() const {
    return control::encode_ingest(log.log(), log.unit({{1, log.head()}}, true));
  }

  test::TempDir directory;
  test::TestRandom random{1};
  std::unique_ptr<store::Store> store =
      *store::Store::open(std::make_unique<store::MemoryKv>(), random);
  replication::OpenPolicy policy;
  asio::io_context io;
  StoreNode node{io, *store, policy, {{.identity = sealing::KeyPair::generate(random)}}};
  test::LogBuilder log = test::LogBuilder("alice").append_many(3);
};

TEST_F(ControlServerTest, WhatIsAskedBesideABusyWriterIsDoneWhenItsTurnComes) {
  auto release = block();
  const Descriptor client = connect();
  send(client, ingest());
  EXPECT_EQ(head(), 0U);
  release.set_value();
  finish();
  EXPECT_EQ(head(), 3U);
}

/// It would ask again, and what was appended would be so twice.
TEST_F(ControlServerTest, NothingIsWrittenForWhoHasGoneBeforeItsTurnCame) {
  auto release = block();
  {
    const Descriptor client = connect();
    send(client, ingest());
  }
  release.set_value();
  finish();
  EXPECT_EQ(head(), 0U);
  const Descriptor next = connect();
  send(next, ingest());
  finish();
  EXPECT_EQ(head(), 3U) << "others are served as before";
}

}  // namespace
}  // namespace culm::host
