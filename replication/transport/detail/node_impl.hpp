#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "culm/replication/transport/detail/admissions.hpp"
#include "culm/replication/transport/detail/connection.hpp"
#include "culm/replication/transport/detail/dialer.hpp"
#include "culm/replication/transport/detail/listener.hpp"
#include "culm/replication/transport/detail/writer.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::transport {

/// Holds what belongs together and looks everything up by id, because a session may have ended when
/// the writer answers. Handlers in the `io_context` hold it weakly.
class Node::Impl final : public detail::Connection::Host,
                         public std::enable_shared_from_this<Node::Impl> {
 public:
  Impl(detail::asio::io_context& io, store::Store& store, replication::Policy& policy,
       SignatureVerifier& verifier, Random& random, NodeOptions options);

  void start();
  /// Forgets all handlers and connections and ends the writer.
  void shut_down();

  [[nodiscard]] Result<Endpoint> listen(const Endpoint& endpoint);
  DialId dial(const Endpoint& endpoint, DialOptions options, SessionHandler handler);
  void end_dial(DialId id);
  /// The session as long as it has not ended.
  [[nodiscard]] detail::Connection* find_open(SessionId id);
  void run(detail::Writer::StoreTask task, std::function<void(Result<void>)> handler);
  void update(store::Store::Body body, std::function<void(Result<void>)> handler);
  void log_changed(const LogKey& log);
  ObserverId observe(NodeObserver observer);
  void end_observe(ObserverId id) { observers_.erase(id); }
  [[nodiscard]] std::vector<SessionStatus> sessions() const;
  [[nodiscard]] NodeStats stats() const;
  void stop(std::function<void()> handler);

  void on_event(detail::Connection& connection, replication::Event& event) override;
  void on_closed(detail::Connection& connection) override;
  [[nodiscard]] MutableByteView read_buffer() override { return read_buffer_; }

 private:
  struct Dial {
    Endpoint endpoint;
    DialOptions options;
    SessionHandler handler;
    std::shared_ptr<detail::Dialer> dialer;
    SessionId session = 0;  ///< 0: none now
    std::set<LogKey> kept;  ///< wants that are in the store's interest
  };
  struct SessionRecord {
    SessionRef ref;
    std::string agent;
    std::shared_ptr<detail::Connection> connection;
    std::optional<detail::Admissions::Ticket> ticket;  ///< of one who has called
    std::shared_ptr<Dial> dial;                        ///< of one who was called
    Instant since;
  };

  void accept(detail::tcp::socket socket);
  void dialed(DialId id, Result<detail::tcp::socket> socket);
  void dial_failed(DialId id, const Error& error);
  void tell_stopped(DialId id, const std::shared_ptr<Dial>& dial);
  void dial_over(DialId id, Duration lasted);
  [[nodiscard]] bool start_session(SessionRecord record, detail::tcp::socket socket);
  /// Makes the wants and offers of a dial on its new session.
  [[nodiscard]] Result<void> ask(const DialOptions& options, replication::Session& session);
  void forget(SessionId id);

  void committed(const detail::Writer::Committed& committed);
  void fan_out(std::span<const LogKey> logs);
  /// The wants of a dial become the store's interest, once the peer holds something of the log.
  void keep_interest(SessionId id, Dial& dial, const LogKey& log);
  void add_to_store(SessionId id, const LogKey& log, const store::LogInterest& interest);
  void tell(const SessionRef& ref, const Dial* dial, const replication::Event& event);
  void stop_writer_when_alone();
  template <class Handler>
  using HandlerOfObserver = Handler NodeObserver::*;
  /// Calls one handler of each observer that has it; observers may come and go meanwhile.
  template <class Handler, class... Arguments>
  void call_observers(HandlerOfObserver<Handler> handler, const Arguments&... arguments);

  detail::asio::io_context& io_;
  store::Store& store_;
  replication::Policy& policy_;
  SignatureVerifier& verifier_;
  Random& random_;
  NodeOptions options_;

  replication::CreditPool credit_;
  Bytes read_buffer_;
  detail::Admissions admissions_;
  std::optional<detail::Writer> writer_;
  std::map<ObserverId, std::shared_ptr<const NodeObserver>> observers_;
  ObserverId last_observer_ = 0;
  NodeStats stats_;

  std::vector<std::shared_ptr<detail::Listener>> listeners_;
  std::map<SessionId, SessionRecord> sessions_;
  std::map<DialId, std::shared_ptr<Dial>> dials_;
  SessionId last_session_ = 0;
  DialId last_dial_ = 0;

  detail::asio::steady_timer stop_timer_;
  std::function<void()> stopped_;
  bool stopping_ = false;
  bool writer_stopped_ = false;
};

}  // namespace culm::transport
