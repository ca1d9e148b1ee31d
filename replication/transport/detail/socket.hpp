#pragma once

#include <functional>
#include <memory>

#include "culm/replication/node/node.hpp"
#include "culm/replication/transport/detail/asio.hpp"

namespace culm::transport::detail {

/// Moves the bytes of one session between its socket and the node.
///
/// The socket does not block. Reading goes straight into a buffer that all sockets of a node share,
/// and writing straight out of the session's output, so an idle connection holds no buffer and no
/// byte is copied on the way. While the node wants no input nothing is read: a peer that does not
/// read is not answered. Kept alive by its own handlers until closed.
class Socket : public std::enable_shared_from_this<Socket> {
 public:
  /// What all sockets of a node have; each is closed before it goes away.
  struct Shared {
    node::Node& node;
    std::function<void()> take_actions;  ///< the node has something to do
    Bytes read_buffer;                   ///< scratch memory for one read
  };

  /// `socket` is connected and does not block.
  Socket(tcp::socket socket, node::SessionId session, Shared& shared);

  /// Writes what there is, as long as its turn lasts, and waits for what may be read or written.
  void transfer();
  void shut_down();
  /// Forgets what is shared. Tries once to write `last_words`.
  void close(ByteView last_words = {});

 private:
  [[nodiscard]] bool write_some(std::size_t& bytes_left);
  void wait_writable();
  void wait_readable();
  void read_some();

  tcp::socket socket_;
  node::SessionId session_;
  Shared* shared_;  // null once closed
  bool waits_readable_ = false;
  bool waits_writable_ = false;
};

}  // namespace culm::transport::detail
