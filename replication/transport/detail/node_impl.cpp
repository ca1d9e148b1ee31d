#include "culm/replication/transport/detail/node_impl.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::transport {
namespace {

/// What the node asks for that is done before others on the `io_context` have their turn.
constexpr std::size_t kActionsPerTurn = 4096;
/// So long may be thought about a connection before it is given up.
constexpr Duration kAnswerMax = std::chrono::minutes(2);

bool prepare(detail::tcp::socket& socket) {
  detail::ErrorCode code;
  socket.set_option(detail::tcp::no_delay(true), code);
  if (!code) socket.non_blocking(true, code);
  return !code;
}

node::Address to_address(const detail::asio::ip::address& address) {
  namespace ip = detail::asio::ip;
  const auto v6 =
      address.is_v6() ? address.to_v6() : ip::make_address_v6(ip::v4_mapped, address.to_v4());
  node::Address out{};
  std::ranges::copy(v6.to_bytes(), out.begin());
  return out;
}

}  // namespace

template <class Handler>
auto Node::Impl::guarded(Handler handler) {
  return [weak = weak_from_this(), handler = std::move(handler)](auto&&... arguments) {
    if (const auto self = weak.lock()) {
      handler(*self, std::forward<decltype(arguments)>(arguments)...);
    }
  };
}

Node::Impl::Impl(detail::asio::io_context& io, const store::Store& store,
                 replication::Policy& policy, SignatureVerifier& verifier, Random& random,
                 node::JobRunner& runner, NodeOptions options)
    : io_(io),
      runner_(runner),
      node_(std::move(options), store, policy, verifier, random),
      shared_{node_, [this] { take_actions(); }, Bytes(limits::kReadBufferBytes)},
      timer_(io) {}

void Node::Impl::shut_down() {
  for (const auto& listener : listeners_) listener->close();
  for (const auto& [id, connector] : connectors_) connector->cancel();
  for (const auto& [id, socket] : sockets_) socket->close();
  timer_.cancel();
  // What they hold may call back here when it goes away.
  const auto dial_handlers = std::exchange(dial_handlers_, {});
  const auto sync_handlers = std::exchange(sync_handlers_, {});
  const auto task_handlers = std::exchange(task_handlers_, {});
  const auto observers = std::exchange(observers_, {});
  for (node::Job& job : node_.take_jobs()) runner_.run(std::move(job), [](const auto&) {});
  guard_.reset();
}

node::Node& Node::Impl::ask() {
  if (!taking_actions_ && !std::exchange(actions_posted_, true)) {
    detail::asio::post(io_, guarded([](Impl& self) {
                         self.actions_posted_ = false;
                         self.take_actions();
                       }));
  }
  return node_;
}

void Node::Impl::take_actions() {
  // A handler may come back here.
  if (std::exchange(taking_actions_, true)) return;
  // A handler may also ask for more each time that it is told something.
  std::size_t left = kActionsPerTurn;
  for (; left != 0; --left) {
    auto action = node_.next_action();
    if (!action) break;
    std::visit([this](auto& one) { perform(one); }, *action);
  }
  taking_actions_ = false;
  if (left == 0) static_cast<void>(ask());
  arm_timer();
}

void Node::Impl::arm_timer() {
  const auto deadline = node_.next_deadline();
  // A timer that fires too early costs less than one that is set again for each read.
  if (deadline && armed_ && *armed_ <= *deadline) return;
  armed_ = deadline;
  if (!deadline) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(std::chrono::steady_clock::time_point(deadline->time_since_epoch()));
  timer_.async_wait(guarded([](Impl& self, const detail::ErrorCode& code) {
    if (code) return;
    self.armed_.reset();
    self.node_.deadline_reached(detail::now());
    self.take_actions();
  }));
}

Result<Endpoint> Node::Impl::listen(const Endpoint& endpoint) {
  CULM_TRY(auto listener, detail::Listener::open(
                              io_, endpoint, guarded([](Impl& self, detail::tcp::socket socket) {
                                self.accept(std::move(socket));
                              })));
  listeners_.push_back(listener);
  return listener->endpoint();
}

void Node::Impl::accept(detail::tcp::socket socket) {
  detail::ErrorCode code;
  const auto remote = socket.remote_endpoint(code);
  if (code || !prepare(socket)) return;
  const auto session =
      node_.accepted(detail::to_endpoint(remote), to_address(remote.address()), detail::now());
  if (session) add_socket(std::move(socket), *session);
  take_actions();
}

void Node::Impl::connected(DialId id, Result<detail::tcp::socket> socket) {
  connectors_.erase(id);
  if (!socket || !prepare(*socket)) {
    node_.connect_failed(id, socket ? Error{Errc::kNetwork} : socket.error(), detail::now());
  } else if (const auto session = node_.connected(id, detail::now())) {
    add_socket(*std::move(socket), *session);
  }
  take_actions();
}

void Node::Impl::add_socket(detail::tcp::socket socket, SessionId id) {
  sockets_.emplace(id, std::make_shared<detail::Socket>(std::move(socket), id, shared_));
}

template <class Handler, class... Arguments>
void Node::Impl::call_observers(HandlerOfObserver<Handler> handler, const Arguments&... arguments) {
  for (ObserverId id = 0;;) {
    const auto next = observers_.upper_bound(id);
    if (next == observers_.end()) return;
    id = next->first;
    const auto observer = next->second;
    if ((*observer).*handler) ((*observer).*handler)(arguments...);
  }
}

void Node::Impl::perform(node::Connect& connect) {
  auto sync = before_dial_ ? node_.find_sync_of(connect.dial) : std::nullopt;
  if (!sync) return this->connect(connect.dial, connect.endpoint);
  asking_.insert_or_assign(connect.dial, ++last_question_);
  node_.extend_dial(connect.dial, detail::now() + kAnswerMax);
  auto answered = [dial = connect.dial, endpoint = connect.endpoint, sync = sync->first,
                   question = last_question_](Impl& self, const DialAnswer& answer) {
    const auto asked = self.asking_.find(dial);
    if (asked == self.asking_.end() || asked->second != question) return;
    self.asking_.erase(asked);
    self.may_connect(dial, endpoint, sync, answer);
    self.take_actions();
  };
  before_dial_({sync->first, std::move(sync->second), connect.endpoint},
               guarded(std::move(answered)));
}

void Node::Impl::may_connect(DialId id, const Endpoint& endpoint, node::SyncId sync,
                             const DialAnswer& answer) {
  const Instant now = detail::now();
  if (answer.ends_sync) {
    node_.end_sync(sync, now, answer.error);
  } else if (answer.error) {
    node_.connect_failed(id, *answer.error, now);
  } else {
    node_.extend_dial(id, now + std::chrono::milliseconds(limits::kConnectTimeoutMs));
    connect(id, endpoint);
  }
}

void Node::Impl::connect(DialId id, const Endpoint& endpoint) {
  const auto connector = std::make_shared<detail::Connector>(
      io_, guarded([id](Impl& self, Result<detail::tcp::socket> socket) {
        self.connected(id, std::move(socket));
      }));
  connectors_.insert_or_assign(id, connector);
  connector->connect(endpoint);
}

void Node::Impl::perform(node::CancelConnect& cancel) {
  asking_.erase(cancel.dial);
  const auto found = connectors_.find(cancel.dial);
  if (found == connectors_.end()) return;
  found->second->cancel();
  connectors_.erase(found);
}

void Node::Impl::perform(node::Transfer& transfer) {
  const auto found = sockets_.find(transfer.session);
  if (found != sockets_.end()) found->second->transfer();
}

void Node::Impl::perform(node::ShutDown& shut_down) {
  const auto found = sockets_.find(shut_down.session);
  if (found != sockets_.end()) found->second->shut_down();
}

void Node::Impl::perform(node::Close& close) {
  const auto found = sockets_.find(close.session);
  if (found == sockets_.end()) return;
  found->second->close(close.last_words);
  sockets_.erase(found);
}

void Node::Impl::perform(node::Perform& perform) {
  if (!guard_) guard_.emplace(detail::asio::make_work_guard(io_));
  runner_.run(std::move(perform.job), guarded([](Impl& self, node::JobResult result) {
                self.finished(std::move(result));
              }));
}

void Node::Impl::finished(node::JobResult result) {
  node_.finished(std::move(result), detail::now());
  if (node_.jobs_under_way() == 0) guard_.reset();
  take_actions();
}

void Node::Impl::perform(node::SessionEvent& event) {
  const auto handler = dial_handlers_.find(event.session.dial);
  if (handler != dial_handlers_.end()) handler->second(event.session, event.event);
  call_observers(&NodeObserver::session, event.session, event.event);
}

void Node::Impl::perform(node::SyncTold& told) {
  const auto handler = sync_handlers_.find(told.sync);
  if (handler == sync_handlers_.end()) return;
  if (!std::holds_alternative<node::SyncEnded>(told.event)) return handler->second(told.event);
  const auto last = sync_handlers_.extract(handler);
  last.mapped()(told.event);
}

void Node::Impl::perform(node::WorkCommitted& committed) {
  call_observers(&NodeObserver::committed, committed.report);
}

void Node::Impl::perform(node::LogChanged& changed) {
  call_observers(&NodeObserver::log_changed, changed.log);
}

void Node::Impl::perform(node::TaskFinished& finished) {
  auto handler = task_handlers_.extract(finished.task);
  if (handler) handler.mapped()(std::move(finished.outcome));
}

void Node::Impl::perform(node::Stopped& /*stopped*/) {
  if (const auto handler = std::exchange(stopped_, nullptr)) handler();
}

}  // namespace culm::transport
