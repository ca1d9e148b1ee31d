#include "culm/replication/host/control_server.hpp"

#include <array>
#include <cerrno>
#include <functional>
#include <optional>
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
#include "culm/replication/host/sync_json.hpp"
#include "culm/store/check.hpp"

namespace culm::host {
namespace {

using Socket = asio::local::stream_protocol::socket;
using Answer = std::function<void(const control::Response&)>;

constexpr std::size_t kConnectionsMax = 256;
constexpr std::size_t kReadBytes = 64 * 1024;

/// A listening socket that only this user may connect to. The way over the descriptor of the
/// directory is always short enough for a socket's name.
Result<Descriptor> listen_in(const std::string& directory) {
  const auto failed = [] { return fail(error_system(Errc::kFileIo, errno)); };
  const Descriptor place(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
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

/// What another process has signed, looking at the store as it was then, must still be the end of
/// the log: two entries with one seqnum are a fork, and these nobody has seen yet.
Result<void> check_is_new(const store::Store& store, const LogKey& log,
                          std::span<const UnitEntry> unit) {
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  if (!state || unit.empty()) return {};
  const SeqNum first = unit.front().entry.seqnum();
  if (state->held.smallest_from(first) == 0) return {};
  return fail(error_for(Errc::kAuthorMarkFork, first));
}

}  // namespace

// With a name of its own: GCC warns of a member whose type has none, where sources are compiled as
// one.
/// Does what requests ask for, in the node's thread that writes.
class Performer {
 public:
  Performer(store::Store& store, transport::Node& node, SignatureVerifier& verifier,
            bool serves_every_log)
      : store_(store), node_(node), verifier_(verifier), serves_every_log_(serves_every_log) {}

  void perform(control::Request request, Answer answer) {
    std::visit([&](auto& one) { start(std::move(one), std::move(answer)); }, request);
  }

 private:
  void start(control::IngestRequest request, Answer answer);
  void start(control::DeletePayloadsRequest request, Answer answer);
  void start(control::DropDamagedRequest request, Answer answer);
  void start(control::ForgetRequest request, Answer answer);
  void start(control::SetInterestRequest request, Answer answer);
  void start(control::CompactRequest request, Answer answer);
  void start(const control::PublishRequest& request, const Answer& answer);
  void start(control::StatusRequest request, const Answer& answer);
  void start(control::SyncRequest request, Answer answer);

  store::Store& store_;
  transport::Node& node_;
  SignatureVerifier& verifier_;
  bool serves_every_log_;
};

void Performer::start(control::IngestRequest request, Answer answer) {
  const auto shared = std::make_shared<control::IngestRequest>(std::move(request));
  const auto report = std::make_shared<store::IngestReport>();
  node_.run(
      [shared, report, this](store::Store& store) -> Result<void> {
        CULM_TRY(const auto unit, to_unit(shared->entries));
        // The node is the only one who writes: what is new now is so when it is committed.
        if (shared->is_own) {
          CULM_CHECK(check_is_new(store, shared->log, unit));
          // Before it is stored, so that nobody is shown it in between.
          if (!unit.empty()) store.hold_back(shared->log, unit.front().entry.seqnum());
        }
        auto done = store::ingest(store, shared->log, unit, verifier_, {.full = true});
        // After kStoreIo nobody knows whether it is stored.
        const bool is_refused = !done && done.error().code != Errc::kStoreIo;
        if (is_refused && shared->is_own) store.release(shared->log);
        CULM_TRY(*report, std::move(done));
        return {};
      },
      [report, answer = std::move(answer)](const Result<void>& done) {
        if (!done) return answer({done.error(), Json::object()});
        answer({std::nullopt, control::to_fields(*report)});
      });
}

void Performer::start(control::DeletePayloadsRequest request, Answer answer) {
  const auto rest = std::make_shared<RangeSet>();
  node_.run(
      [request, rest](store::Store& store) -> Result<void> {
        CULM_TRY(*rest, store.delete_payloads(request.log, request.seqnums));
        return {};
      },
      [this, log = request.log, rest, answer = std::move(answer)](const Result<void>& done) {
        if (!done) return answer({done.error(), Json::object()});
        if (rest->empty()) return answer({});
        start(control::DeletePayloadsRequest{log, std::move(*rest)}, answer);
      });
}

void Performer::start(control::DropDamagedRequest request, Answer answer) {
  node_.update(
      [request](store::WriteTransaction& transaction) -> Result<void> {
        CULM_CHECK(transaction.drop_damaged(request.log, request.seqnums));
        return {};
      },
      [answer = std::move(answer)](const Result<void>& done) {
        control::Response response;
        if (!done) response.error = done.error();
        answer(response);
      });
}

void Performer::start(control::ForgetRequest request, Answer answer) {
  const auto is_done = std::make_shared<bool>(false);
  node_.update(
      [request, is_done](store::WriteTransaction& transaction) -> Result<void> {
        if (request.log) CULM_CHECK(transaction.forget(*request.log));
        CULM_TRY(*is_done, transaction.erase_forgotten(limits::kRowsPerStepMax));
        return {};
      },
      [this, is_done, answer = std::move(answer)](const Result<void>& done) {
        if (!done) return answer({done.error(), Json::object()});
        if (*is_done) return answer({});
        start(control::ForgetRequest{}, answer);
      });
}

void Performer::start(control::SetInterestRequest request, Answer answer) {
  node_.update(
      [request](store::WriteTransaction& transaction) {
        return transaction.set_interest(request.log, request.interest);
      },
      [answer = std::move(answer)](const Result<void>& done) {
        control::Response response;
        if (!done) response.error = done.error();
        answer(response);
      });
}

void Performer::start(control::CompactRequest /*request*/, Answer answer) {
  node_.run([](store::Store& store) { return store.compact(); },
            [answer = std::move(answer)](const Result<void>& done) {
              control::Response response;
              if (!done) response.error = done.error();
              answer(response);
            });
}

void Performer::start(const control::PublishRequest& request, const Answer& answer) {
  store_.release(request.log);
  node_.log_changed(request.log);
  answer({});
}

Json to_json(const replication::SessionStats& stats) {
  return {{"bytes_received", stats.bytes_received},
          {"bytes_sent", stats.bytes_sent},
          {"entries_received", stats.entries_received},
          {"entries_sent", stats.entries_sent}};
}

void Performer::start(control::StatusRequest /*request*/, const Answer& answer) {
  control::Response response;
  Json sessions = Json::array();
  for (const node::SessionStatus& session : node_.sessions()) {
    Json one = {{"session", session.session.id},
                {"remote", node::to_string(session.session.remote)},
                {"called", session.session.dial == 0 ? "us" : "by us"},
                {"agent", session.agent}};
    if (session.session.peer) one["peer"] = to_hex(session.session.peer->bytes);
    one.update(to_json(session.stats));
    sessions.push_back(std::move(one));
  }
  const node::NodeStats stats = node_.stats();
  Json logs = Json::object();
  if (const auto transaction = store_.read()) {
    constexpr std::size_t kListedMax = 1000;
    for (const LogKey& log :
         transaction->list_logs({}, kListedMax).value_or(std::vector<LogKey>{})) {
      if (const auto state = transaction->get_log(log)) logs[to_string(log)] = (*state)->head();
    }
  }
  response.fields = {{"pid", ::getpid()},          {"sessions", std::move(sessions)},
                     {"accepted", stats.accepted}, {"displaced", stats.displaced},
                     {"refused", stats.refused},   {"evicted", stats.evicted},
                     {"dialed", stats.dialed},     {"established", stats.established},
                     {"commits", stats.commits},   {"logs", std::move(logs)}};
  response.fields.update(to_json(stats.sessions));
  answer(response);
}

void Performer::start(control::SyncRequest request, Answer answer) {
  // One that serves some logs alone shows peers no others.
  if (request.sync.push && !serves_every_log_) {
    return answer({Error{Errc::kStoreLocked}, Json::object()});
  }
  node_.sync(std::move(request.sync), [answer = std::move(answer)](const node::SyncEvent& event) {
    const auto* const ended = std::get_if<node::SyncEnded>(&event);
    if (ended != nullptr) answer({std::nullopt, control::to_json(ended->report)});
  });
}

class ControlServer::Impl : public std::enable_shared_from_this<ControlServer::Impl> {
 public:
  Impl(asio::io_context& io, Descriptor socket, std::string directory, Performer performer)
      : acceptor_(io), directory_(std::move(directory)), performer_(performer) {
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
    std::array<char, kReadBytes> part{};
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
  std::string directory_;
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
  const std::size_t size =
      control::request_size(std::string_view(received).substr(client->scanned));
  if (size == 0) {
    client->scanned = received.empty() ? 0 : received.size() - 1;
    if (received.size() <= control::kRequestBytesMax) return read(client);
    respond(client, {Error{Errc::kLimit}, Json::object()});
    received.clear();
    ErrorCode ignored;
    client->socket.shutdown(Socket::shutdown_receive, ignored);
    return;
  }
  auto request =
      control::decode_request(std::string_view(received).substr(0, client->scanned + size));
  received.erase(0, client->scanned + size);
  client->scanned = 0;
  if (!request) return respond(client, {request.error(), Json::object()});
  // Who did not wait for this node to go on was told that nothing is known of it.
  if (has_hung_up(client->socket.native_handle())) return drop(client);
  client->is_busy = true;
  performer_.perform(*std::move(request),
                     [self = shared_from_this(), client](const control::Response& response) {
                       client->is_busy = false;
                       self->respond(client, response);
                     });
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
  ::unlink((directory_ + "/" + std::string(control::kSocketName)).c_str());
  const std::set<ClientPtr> clients = clients_;
  for (const ClientPtr& client : clients) {
    if (!client->is_busy && client->response.empty()) drop(client);
  }
}

ControlServer::ControlServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlServer::~ControlServer() { impl_->close(); }

Result<std::unique_ptr<ControlServer>> ControlServer::open(
    boost::asio::io_context& io, const std::string& directory, store::Store& store,
    transport::Node& node, SignatureVerifier& verifier, bool serves_every_log) {
  CULM_TRY(Descriptor socket, listen_in(directory));
  auto impl = std::make_shared<Impl>(io, std::move(socket), directory,
                                     Performer(store, node, verifier, serves_every_log));
  impl->accept();
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(impl)));
}

void ControlServer::close() { impl_->close(); }

}  // namespace culm::host
