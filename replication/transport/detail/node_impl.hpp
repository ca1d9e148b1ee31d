#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "culm/replication/transport/detail/connector.hpp"
#include "culm/replication/transport/detail/listener.hpp"
#include "culm/replication/transport/detail/socket.hpp"
#include "culm/replication/transport/node.hpp"

namespace culm::transport {

/// Does what the node asks for and tells it what came of it; decides nothing. Everything is looked
/// up by id, because a session may have ended when an answer comes. Handlers in the `io_context`
/// hold it weakly.
class Node::Impl final : public std::enable_shared_from_this<Node::Impl> {
 public:
  Impl(detail::asio::io_context& io, const store::Store& store, replication::Policy& policy,
       SignatureVerifier& verifier, Random& random, node::JobRunner& runner, NodeOptions options);

  /// Forgets all handlers and connections; gives the runner what is left.
  void shut_down();

  /// For calls of the application; what they bring about is told later.
  [[nodiscard]] node::Node& ask();

  [[nodiscard]] Result<Endpoint> listen(const Endpoint& endpoint);

 private:
  friend class Node;

  void take_actions();
  void accept(detail::tcp::socket socket);
  void connect(DialId id, const Endpoint& endpoint);
  void may_connect(DialId id, const Endpoint& endpoint, node::SyncId sync,
                   const DialAnswer& answer);
  void connected(DialId id, Result<detail::tcp::socket> socket);
  void add_socket(detail::tcp::socket socket, SessionId id);
  void arm_timer();
  void finished(node::JobResult result);

  // What the node asks for.
  void perform(node::Connect& connect);
  void perform(node::CancelConnect& cancel);
  void perform(node::Transfer& transfer);
  void perform(node::ShutDown& shut_down);
  void perform(node::Close& close);
  void perform(node::Perform& perform);
  void perform(node::SessionEvent& event);
  void perform(node::DialOver& over) { dial_handlers_.erase(over.dial); }
  void perform(node::FetchQuoted& /*quoted*/) {}
  void perform(node::FetchEnded& /*ended*/) {}
  void perform(node::SyncTold& told);
  void perform(node::WorkCommitted& committed);
  void perform(node::LogChanged& changed);
  void perform(node::TaskFinished& finished);
  void perform(node::Stopped& stopped);

  template <class Handler>
  using HandlerOfObserver = Handler NodeObserver::*;
  /// Calls one handler of each observer that has it; observers may come and go meanwhile.
  template <class Handler, class... Arguments>
  void call_observers(HandlerOfObserver<Handler> handler, const Arguments&... arguments);
  /// `handler` of this, as long as it is there.
  template <class Handler>
  [[nodiscard]] auto guarded(Handler handler);

  detail::asio::io_context& io_;
  node::JobRunner& runner_;
  node::Node node_;

  detail::Socket::Shared shared_;
  /// While jobs are under way the `io_context` has work.
  std::optional<detail::asio::executor_work_guard<detail::asio::io_context::executor_type>> guard_;
  std::vector<std::shared_ptr<detail::Listener>> listeners_;
  std::map<DialId, std::shared_ptr<detail::Connector>> connectors_;
  BeforeDial before_dial_;
  std::map<DialId, std::uint64_t> asking_;  ///< dials whose answer is waited for, by question
  std::uint64_t last_question_ = 0;
  std::map<SessionId, std::shared_ptr<detail::Socket>> sockets_;
  detail::asio::steady_timer timer_;
  std::optional<Instant> armed_;  ///< when the timer fires

  std::map<DialId, SessionHandler> dial_handlers_;
  std::map<node::SyncId, SyncHandler> sync_handlers_;
  std::map<node::TaskId, std::function<void(Result<void>)>> task_handlers_;
  std::map<ObserverId, std::shared_ptr<const NodeObserver>> observers_;
  ObserverId last_observer_ = 0;
  std::function<void()> stopped_;
  bool taking_actions_ = false;
  bool actions_posted_ = false;
};

}  // namespace culm::transport
