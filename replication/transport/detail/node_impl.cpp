#include "culm/replication/transport/detail/node_impl.hpp"

#include <algorithm>

#include "culm/core/assert.hpp"

namespace culm::transport {
namespace {

using replication::SecureChannel;

/// Whether the socket is one that a connection can work with.
bool prepare(detail::tcp::socket& socket) {
  detail::ErrorCode code;
  socket.set_option(detail::tcp::no_delay(true), code);
  if (!code) socket.non_blocking(true, code);
  return !code;
}

void widen(Interest& interest, const Interest& by) {
  interest.ranges |= by.ranges;
  interest.newest = std::max(interest.newest, by.newest);
}

Result<void> add_interest(store::WriteTransaction& transaction, const LogKey& log,
                          const store::LogInterest& more) {
  CULM_TRY(const auto state, transaction.find_log(log));
  store::LogInterest interest = more;
  if (state && !state->interest.entries.empty()) {
    widen(interest.entries, state->interest.entries);
    interest.payloads |= state->interest.payloads;
  }
  if (state && interest == state->interest) return {};
  return transaction.set_interest(log, interest);
}

}  // namespace

Node::Impl::Impl(detail::asio::io_context& io, store::Store& store, replication::Policy& policy,
                 SignatureVerifier& verifier, Random& random, NodeOptions options)
    : io_(io),
      store_(store),
      policy_(policy),
      verifier_(verifier),
      random_(random),
      options_(std::move(options)),
      read_buffer_(limits::kReadBufferBytes),
      admissions_(options_.connections_max, options_.connections_per_address_max),
      stop_timer_(io) {}

void Node::Impl::start() {
  writer_.emplace(io_, store_, verifier_,
                  AcceptOptions{.full = options_.full_verification, .loose = false},
                  [weak = weak_from_this()](const detail::Writer::Committed& committed) {
                    if (const auto self = weak.lock()) self->committed(committed);
                  });
}

void Node::Impl::shut_down() {
  for (const auto& listener : listeners_) listener->close();
  for (const auto& [id, dial] : dials_) dial->dialer->cancel();
  for (const auto& [id, record] : sessions_) record.connection->abandon();
  sessions_.clear();
  stop_timer_.cancel();
  writer_.reset();
}

Result<Endpoint> Node::Impl::listen(const Endpoint& endpoint) {
  CULM_TRY(auto listener, detail::Listener::open(
                              io_, endpoint, [weak = weak_from_this()](detail::tcp::socket socket) {
                                if (const auto self = weak.lock()) self->accept(std::move(socket));
                              }));
  listeners_.push_back(listener);
  return listener->endpoint();
}

void Node::Impl::accept(detail::tcp::socket socket) {
  detail::ErrorCode code;
  const auto remote = socket.remote_endpoint(code);
  if (code || stopping_) return;
  auto ticket = admissions_.admit(remote.address());
  if (!ticket) {
    ++stats_.refused;
    return;
  }
  SessionRecord record;
  record.ref.remote = detail::to_endpoint(remote);
  record.ticket.emplace(*std::move(ticket));
  if (start_session(std::move(record), std::move(socket))) ++stats_.accepted;
}

DialId Node::Impl::dial(const Endpoint& endpoint, DialOptions options, SessionHandler handler) {
  const DialId id = ++last_dial_;
  auto dial = std::make_shared<Dial>();
  dial->endpoint = endpoint;
  dial->options = std::move(options);
  dial->handler = std::move(handler);
  if (stopping_) {
    tell_stopped(id, dial);
    return id;
  }
  dial->dialer = std::make_shared<detail::Dialer>(
      io_, endpoint, random_, [weak = weak_from_this(), id](Result<detail::tcp::socket> socket) {
        if (const auto self = weak.lock()) self->dialed(id, std::move(socket));
      });
  dials_.emplace(id, dial);

  // Behind the updates that were asked for before, so that what is wanted heeds them.
  update([](store::WriteTransaction& /*transaction*/) { return Result<void>(); },
         [weak = weak_from_this(), id](const Result<void>& /*done*/) {
           const auto self = weak.lock();
           if (!self) return;
           const auto found = self->dials_.find(id);
           if (found != self->dials_.end()) found->second->dialer->connect();
         });
  return id;
}

/// Of a dial that has no session: nothing else will be said of it.
void Node::Impl::tell_stopped(DialId id, const std::shared_ptr<Dial>& dial) {
  detail::asio::post(io_, [id, dial] {
    if (!dial->handler) return;
    dial->handler(SessionRef{0, id, dial->endpoint, std::nullopt},
                  replication::Ended{Error{Errc::kPeerClosed}, {}, {}});
  });
}

void Node::Impl::dialed(DialId id, Result<detail::tcp::socket> socket) {
  const auto found = dials_.find(id);
  if (found == dials_.end()) return;
  if (!socket) return dial_failed(id, socket.error());
  SessionRecord record;
  record.ref.dial = id;
  record.ref.remote = found->second->endpoint;
  record.dial = found->second;
  if (!start_session(std::move(record), *std::move(socket))) {
    return dial_failed(id, Error{Errc::kNetwork});
  }
  ++stats_.dialed;
}

void Node::Impl::dial_failed(DialId id, const Error& error) {
  const auto dial = dials_.at(id);
  tell(SessionRef{0, id, dial->endpoint, std::nullopt}, dial.get(),
       replication::Ended{error, {}, {}});
  dial_over(id, Duration::zero());
}

void Node::Impl::dial_over(DialId id, Duration lasted) {
  const auto found = dials_.find(id);
  if (found == dials_.end()) return;
  found->second->session = 0;
  if (found->second->options.reconnect && !stopping_) {
    found->second->dialer->retry(lasted);
  } else {
    dials_.erase(found);
  }
}

void Node::Impl::end_dial(DialId id) {
  const auto found = dials_.find(id);
  if (found == dials_.end()) return;
  const auto dial = found->second;
  dials_.erase(found);
  dial->dialer->cancel();
  if (auto* const connection = find_open(dial->session)) {
    connection->session().close();
    connection->pump();
  }
}

bool Node::Impl::start_session(SessionRecord record, detail::tcp::socket socket) {
  if (!prepare(socket)) return false;
  const SessionId id = ++last_session_;
  record.ref.id = id;
  record.since = detail::now();
  const auto dial = record.dial;
  replication::Session::Options options{
      .channel = {.role = dial ? SecureChannel::Role::kInitiator : SecureChannel::Role::kResponder,
                  .identity = options_.identity,
                  .network_id = options_.network_id,
                  .psk = options_.psk,
                  .expected_peer = dial ? dial->options.expected_peer : std::nullopt},
      .id = id,
      .agent = options_.agent};
  auto session = std::make_unique<replication::Session>(std::move(options), store_, policy_,
                                                        credit_, verifier_, random_, record.since);
  const auto asked = dial ? ask(dial->options, *session) : Result<void>();
  if (dial) dial->session = id;
  const auto connection =
      std::make_shared<detail::Connection>(std::move(socket), id, std::move(session), *this);
  record.connection = connection;
  sessions_.emplace(id, std::move(record));
  if (asked) {
    connection->pump();
  } else {
    connection->fail(asked.error());
  }
  return true;
}

Result<void> Node::Impl::ask(const DialOptions& options, replication::Session& session) {
  for (const LogKey& log : options.offers) {
    const auto offered = session.offer(log);
    if (!offered && offered.error().code != Errc::kLogUnknown) return offered;
  }
  if (options.wants.empty()) return {};
  CULM_TRY(const auto transaction, store_.read());
  for (replication::WantRequest want : options.wants) {
    CULM_TRY(const auto state, transaction.find_log(want.log));
    if (state && !want.quote_only) {
      Interest wide = want.interest;
      widen(wide, state->interest.entries);
      // Of more than a message carries, what is asked for now is asked for alone.
      if (wide.ranges.ranges().size() <= limits::kRangesPerMessageMax) want.interest = wide;
    }
    CULM_CHECK(session.want(want));
  }
  return {};
}

detail::Connection* Node::Impl::find_open(SessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || !found->second.connection->is_open()) return nullptr;
  return found->second.connection.get();
}

void Node::Impl::on_event(detail::Connection& connection, replication::Event& event) {
  if (auto* const received = std::get_if<replication::WorkReceived>(&event)) {
    writer_->post(std::move(received->work));
    return;
  }
  SessionRecord& record = sessions_.at(connection.id());
  if (const auto* const established = std::get_if<replication::Established>(&event)) {
    ++stats_.established;
    record.ref.peer = established->peer;
    record.agent = established->agent;
  }
  if (const auto* const accepted = std::get_if<replication::OfferAccepted>(&event)) {
    add_to_store(connection.id(), accepted->log, accepted->interest);
  }
  if (const auto* const has = std::get_if<replication::PeerHas>(&event)) {
    if (record.dial && has->head != 0) keep_interest(connection.id(), *record.dial, has->log);
  }
  tell(record.ref, record.dial.get(), event);
}

void Node::Impl::keep_interest(SessionId id, Dial& dial, const LogKey& log) {
  std::optional<store::LogInterest> wanted;
  for (const auto& want : dial.options.wants) {
    if (want.quote_only || want.log != log) continue;
    if (!wanted) wanted = store::LogInterest{{}, false};
    widen(wanted->entries, want.interest);
    wanted->payloads |= want.payloads;
  }
  if (!wanted || !dial.kept.insert(log).second) return;
  // In order with what the session receives, and so before the first of it is stored.
  add_to_store(id, log, *wanted);
}

void Node::Impl::add_to_store(SessionId id, const LogKey& log, const store::LogInterest& interest) {
  update(
      [log, interest](store::WriteTransaction& transaction) {
        return add_interest(transaction, log, interest);
      },
      [weak = weak_from_this(), id, log](const Result<void>& kept) {
        const auto self = weak.lock();
        if (!self || kept) return;
        const auto found = self->sessions_.find(id);
        if (found == self->sessions_.end()) return;
        if (found->second.dial) found->second.dial->kept.erase(log);
        if (ends(kept.error().code) < Scope::kSession) return;  // of this log alone
        if (auto* const connection = self->find_open(id)) connection->fail(kept.error());
      });
}

ObserverId Node::Impl::observe(NodeObserver observer) {
  observers_.emplace(++last_observer_, std::make_shared<const NodeObserver>(std::move(observer)));
  return last_observer_;
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

void Node::Impl::tell(const SessionRef& ref, const Dial* dial, const replication::Event& event) {
  if (dial != nullptr && dial->handler) dial->handler(ref, event);
  call_observers(&NodeObserver::session, ref, event);
}

void Node::Impl::on_closed(detail::Connection& connection) {
  stats_.sessions += connection.session().stats();
  // The caller may be walking through the sessions.
  detail::asio::post(io_, [weak = weak_from_this(), id = connection.id()] {
    if (const auto self = weak.lock()) self->forget(id);
  });
}

void Node::Impl::forget(SessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const DialId dial = found->second.ref.dial;
  const Duration lasted = detail::now() - found->second.since;
  sessions_.erase(found);
  if (dial != 0) dial_over(dial, lasted);
  stop_writer_when_alone();
}

void Node::Impl::update(store::Store::Body body, std::function<void(Result<void>)> handler) {
  run([body = std::move(body)](store::Store& store) { return store.update(body); },
      std::move(handler));
}

void Node::Impl::run(detail::Writer::StoreTask task, std::function<void(Result<void>)> handler) {
  if (!writer_stopped_) {
    writer_->run(std::move(task), std::move(handler));
  } else if (handler) {
    detail::asio::post(io_,
                       [handler = std::move(handler)] { handler(fail(Errc::kStoreReadOnly)); });
  }
}

void Node::Impl::committed(const detail::Writer::Committed& committed) {
  if (!committed.reports.empty()) ++stats_.commits;
  stats_.works += committed.reports.size();
  for (const auto& report : committed.reports) {
    const auto found = sessions_.find(report.id.session);
    if (found == sessions_.end() || found->second.connection->is_closed()) {
      credit_.give_back(report.credit);
    } else {
      found->second.connection->session().work_finished(report);
    }
    call_observers(&NodeObserver::committed, report);
  }
  for (const LogKey& log : committed.changed) {
    call_observers(&NodeObserver::log_changed, log);
  }
  fan_out(committed.changed);
}

void Node::Impl::log_changed(const LogKey& log) {
  call_observers(&NodeObserver::log_changed, log);
  fan_out({&log, 1});
}

void Node::Impl::fan_out(std::span<const LogKey> logs) {
  for (const auto& [id, record] : sessions_) {
    if (record.connection->is_open()) {
      for (const LogKey& log : logs) record.connection->session().log_changed(log);
    }
    record.connection->pump();
  }
}

std::vector<SessionStatus> Node::Impl::sessions() const {
  std::vector<SessionStatus> out;
  for (const auto& [id, record] : sessions_) {
    if (!record.connection->is_open()) continue;
    out.push_back({record.ref, record.agent, record.connection->session().stats()});
  }
  return out;
}

NodeStats Node::Impl::stats() const {
  NodeStats out = stats_;
  for (const auto& [id, record] : sessions_) {
    if (!record.connection->is_closed()) out.sessions += record.connection->session().stats();
  }
  return out;
}

void Node::Impl::stop(std::function<void()> handler) {
  CULM_ASSERT(!stopping_);
  stopping_ = true;
  stopped_ = std::move(handler);
  for (const auto& listener : listeners_) listener->close();
  listeners_.clear();
  for (const auto& [id, dial] : dials_) {
    dial->dialer->cancel();
    if (dial->session == 0) tell_stopped(id, dial);
  }
  std::erase_if(dials_, [](const auto& row) { return row.second->session == 0; });
  for (const auto& [id, record] : sessions_) {
    if (!record.connection->is_open()) continue;
    record.connection->session().close();
    record.connection->pump();
  }
  stop_timer_.expires_after(std::chrono::milliseconds(limits::kStopTimeoutMs));
  stop_timer_.async_wait([weak = weak_from_this()](const detail::ErrorCode& code) {
    const auto self = weak.lock();
    if (!self || code) return;
    for (const auto& [id, record] : self->sessions_) record.connection->abort();
  });
  stop_writer_when_alone();
}

void Node::Impl::stop_writer_when_alone() {
  if (!stopping_ || !sessions_.empty() || writer_stopped_) return;
  writer_stopped_ = true;
  stop_timer_.cancel();
  writer_->stop([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->stopped_) self->stopped_();
  });
}

}  // namespace culm::transport
