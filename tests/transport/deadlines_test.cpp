#include <array>
#include <chrono>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/replication/codec.hpp"
#include "culm/replication/frame.hpp"
#include "culm/replication/secure_channel.hpp"
#include "culm/replication/transport/node.hpp"

#include "tests/transport/node_fixture.hpp"

namespace culm::transport {
namespace {

using replication::Ended;
using replication::SecureChannel;
using test::LogBuilder;
using test::RawClient;
using test::run_until;
using test::TestNode;

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Deadlines, EndAHandshakeThatDoesNotCome) {
  test::asio::io_context io;
  TestNode node(io, 1);
  RawClient client(io);
  client.connect(node.start_listening());
  const auto begin = Clock::now();
  ASSERT_TRUE(run_until(io, [&] { return client.closed; }));
  EXPECT_GE(Clock::now() - begin, milliseconds(limits::kHandshakeTimeoutMs - 100));
  EXPECT_LE(Clock::now() - begin, milliseconds(limits::kHandshakeTimeoutMs) + seconds(2));
  EXPECT_EQ(node.why_ended(), Errc::kHandshake);
}

/// Asks for a log, allows any number of bytes, and never reads one of them.
class Glutton {
 public:
  explicit Glutton(test::asio::io_context& io)
      : random_(7),
        channel_({.role = SecureChannel::Role::kInitiator,
                  .identity = sealing::KeyPair::generate(random_)},
                 random_),
        socket_(io) {}

  void ask(const Endpoint& endpoint, const LogKey& log) {
    socket_.open(test::tcp::v4());
    socket_.set_option(test::tcp::socket::receive_buffer_size(4096));
    socket_.connect(test::to_tcp(endpoint));
    log_ = log;
    write();
    read();
  }

 private:
  void read() {
    socket_.async_read_some(
        test::asio::buffer(buffer_), [this](const test::ErrorCode& code, std::size_t size) {
          ASSERT_FALSE(code);
          Bytes plaintext;
          ASSERT_TRUE(channel_.receive(ByteView(buffer_).first(size), plaintext));
          if (!channel_.established()) return read();
          send_wishes();
        });
  }
  void send_wishes() {
    replication::Want want;
    want.id = 1;
    want.log = log_;
    want.interest = everything();
    Bytes plaintext;
    for (const replication::Message& message :
         {replication::Message(replication::Hello{}), replication::Message(want),
          replication::Message(replication::Credit{std::uint64_t{1} << 30U})}) {
      const std::size_t position = replication::begin_frame(plaintext);
      replication::encode(plaintext, message);
      replication::end_frame(plaintext, position);
    }
    ASSERT_TRUE(channel_.send(plaintext));
    write();
  }
  void write() {
    const ByteView output = channel_.pending_output();
    channel_.output_sent(socket_.write_some(test::asio::buffer(output.data(), output.size())));
    ASSERT_TRUE(channel_.pending_output().empty());
  }

  test::TestRandom random_;
  SecureChannel channel_;
  test::tcp::socket socket_;
  std::array<std::uint8_t, 4096> buffer_{};
  LogKey log_;
};

TEST(Deadlines, EndASessionWhosePeerTakesNothing) {
  LogBuilder log("alice");
  for (int i = 0; i < 1000; ++i) log.append(std::string(30'000, 'x'));
  test::asio::io_context io;
  TestNode author(io, 1);
  author.hold(log);
  Glutton glutton(io);
  glutton.ask(author.start_listening(), log.log());
  const auto sent = [&] { return author.node().stats().sessions; };
  ASSERT_TRUE(run_until(io, [&] { return sent().entries_sent > 0; }));
  const auto begin = Clock::now();
  const auto has_ended = [&] { return author.count<Ended>() == 1; };
  ASSERT_TRUE(run_until(io, has_ended, seconds(60)));
  EXPECT_EQ(author.why_ended(), Errc::kPeerSlow);
  EXPECT_LE(Clock::now() - begin, milliseconds(limits::kWriteStallTimeoutMs) + seconds(2));
  // What was made of the log is what the kernel took and the session's output, no more.
  EXPECT_LE(sent().payload_bytes_sent,
            sent().bytes_sent + limits::kSessionOutputBytesMax + limits::kMessageBytesMax);
  EXPECT_LT(sent().entries_sent, 1000U);
}

}  // namespace
}  // namespace culm::transport
