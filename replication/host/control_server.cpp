#include "culm/replication/host/control_server.hpp"

#include <array>
#include <cerrno>
#include <set>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "culm/core/limits.hpp"
#include "culm/replication/host/control_protocol.hpp"
#include "culm/replication/host/descriptor.hpp"
#include "culm/replication/host/detail/asio.hpp"
#include "culm/replication/host/detail/performer.hpp"

namespace culm::host {
namespace {

using Socket = asio::local::stream_protocol::socket;

constexpr std::size_t kConnectionsMax = 256;
constexpr std::size_t kControlReadBytes = 64 * 1024;

/// Where the store is, wherever that is moved to.
Descriptor open_place(const std::string& directory) {
  return Descriptor(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/// A listening socket that only this user may connect to. The way over the descriptor of the
/// directory is always short enough for a socket's name.
Result<Descriptor> listen_in(const Descriptor& place) {
  const auto failed = [] { return fail(error_system(Errc::kFileIo, errno)); };
  const std::string name(control::kSocketName);
  const std::string path = "/proc/self/fd/" + std::to_string(place.get()) + "/" + name;
  if (place.get() < 0) return failed();
  if (::unlinkat(place.get(), name.c_str(), 0) != 0 && errno != ENOENT) return failed();

  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.get() < 0) return failed();
  // Nobody else may connect between the making of the socket and a change of its mode.
  const mode_t mask = ::umask(0177);
  const int bound =
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(mask);
  if (bound != 0 || ::listen(socket.get(), SOMAXCONN) != 0) return failed();
  return socket;
}

/// Whether nobody is there any more to hear the answer.
bool has_hung_up(int socket) {
  pollfd one{socket, 0, 0};
  return ::poll(&one, 1, 0) > 0 && (one.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace

class ControlServer::Impl : public std::enable_shared_from_this<ControlServer::Impl> {
 public:
  Impl(asio::io_context& io, Descriptor socket, Descriptor place, Performer performer)
      : acceptor_(io), place_(std::move(place)), performer_(performer) {
    acceptor_.assign(asio::local::stream_protocol(), ::dup(socket.get()));
  }

  void accept();
  void close();

 private:
  /// One process that asks, and waits for each answer before the next request is looked at.
  struct Client {
    explicit Client(Socket s) : socket(std::move(s)) {}

    Socket socket;
    std::string received;
    std::size_t scanned = 0;  ///< no request ends before this place
    std::array<char, kControlReadBytes> part{};
    std::string response;
    bool is_busy = false;
  };
  using ClientPtr = std::shared_ptr<Client>;

  void read(const ClientPtr& client);
  void next(const ClientPtr& client);
  void respond(const ClientPtr& client, const control::Response& response);
  void drop(const ClientPtr& client);
  [[nodiscard]] bool is_full() const { return clients_.size() >= kConnectionsMax; }

  asio::local::stream_protocol::acceptor acceptor_;
  Descriptor place_;
  Performer performer_;
  std::set<ClientPtr> clients_;
  bool closed_ = false;
};

void ControlServer::Impl::accept() {
  acceptor_.async_accept([self = shared_from_this()](const ErrorCode& code, Socket socket) {
    if (self->closed_ || code == asio::error::operation_aborted) return;
    if (!code) {
      const auto client = std::make_shared<Client>(std::move(socket));
      self->clients_.insert(client);
      self->read(client);
    }
    // Who comes now waits until another one goes.
    if (!self->is_full()) self->accept();
  });
}

void ControlServer::Impl::read(const ClientPtr& client) {
  client->socket.async_read_some(
      asio::buffer(client->part),
      [self = shared_from_this(), client](const ErrorCode& code, std::size_t size) {
        if (code) return self->drop(client);
        client->received.append(client->part.data(), size);
        self->next(client);
      });
}

void ControlServer::Impl::next(const ClientPtr& client) {
  std::string& received = client->received;
  const std::size_t size = control::request_size(received, client->scanned);
  if (size == 0) {
    if (received.size() <= control::kRequestBytesMax) return read(client);
    respond(client, {Error{Errc::kLimit}, Json::object()});
    received.clear();
    ErrorCode ignored;
    client->socket.shutdown(Socket::shutdown_receive, ignored);
    return;
  }
  auto request = control::decode_request(std::string_view(received).substr(0, size));
  received.erase(0, size);
  client->scanned = 0;
  if (!request) return respond(client, {request.error(), Json::object()});
  // Who did not wait for this node to go on was told that nothing is known of it.
  if (has_hung_up(client->socket.native_handle())) return drop(client);
  client->is_busy = true;
  performer_.perform(*std::move(request),
                     {[self = shared_from_this(), client](const control::Response& response) {
                        client->is_busy = false;
                        self->respond(client, response);
                      },
                      // It stays open while it is busy.
                      [socket = client->socket.native_handle()] { return has_hung_up(socket); }});
}

void ControlServer::Impl::respond(const ClientPtr& client, const control::Response& response) {
  client->response = control::encode(response);
  asio::async_write(client->socket, asio::buffer(client->response),
                    [self = shared_from_this(), client](const ErrorCode& code, std::size_t) {
                      client->response.clear();
                      if (code || self->closed_) return self->drop(client);
                      self->next(client);
                    });
}

void ControlServer::Impl::drop(const ClientPtr& client) {
  ErrorCode ignored;
  client->socket.close(ignored);
  const bool was_full = is_full();
  clients_.erase(client);
  if (was_full && !is_full() && !closed_) accept();
}

void ControlServer::Impl::close() {
  if (std::exchange(closed_, true)) return;
  ErrorCode ignored;
  acceptor_.close(ignored);
  ::unlinkat(place_.get(), std::string(control::kSocketName).c_str(), 0);
  const std::set<ClientPtr> clients = clients_;
  for (const ClientPtr& client : clients) {
    if (!client->is_busy && client->response.empty()) drop(client);
  }
}

ControlServer::ControlServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlServer::~ControlServer() { impl_->close(); }

Result<std::unique_ptr<ControlServer>> ControlServer::open(
    boost::asio::io_context& io, const std::string& directory, store::Store& store,
    transport::Node& node, OwnLogGuard& guard, SignatureVerifier& verifier, bool serves_every_log) {
  Descriptor place = open_place(directory);
  CULM_TRY(Descriptor socket, listen_in(place));
  auto impl = std::make_shared<Impl>(io, std::move(socket), std::move(place),
                                     Performer(store, node, guard, verifier, serves_every_log));
  impl->accept();
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

void ControlServer::close() { impl_->close(); }

}  // namespace culm::host
