#include "culm/replication/detail/machine.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/have.hpp"
#include "culm/replication/detail/scope.hpp"

namespace culm::replication {
namespace {

constexpr auto kCreditRetry = std::chrono::milliseconds(50);

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

/// What brings a want or a comparison nearer to its end, and cannot be said at no cost for ever.
bool is_progress(const Message& message) {
  return std::holds_alternative<Quote>(message) || std::holds_alternative<Entries>(message) ||
         std::holds_alternative<Payload>(message) || std::holds_alternative<Ready>(message) ||
         std::holds_alternative<Done>(message) || std::holds_alternative<Deny>(message) ||
         std::holds_alternative<Compare>(message);
}

}  // namespace

Session::Machine::Machine(Options options, const store::Store& store, Policy& policy,
                          CreditPool& credit, SignatureVerifier& verifier, Random& random,
                          Instant now)
    : agent_(std::move(options.agent)),
      store_(store),
      policy_(policy),
      channel_(options.channel, random),
      responder_(store, verifier, outbox_, stats_),
      requester_(options.id, store, credit, outbox_, events_, stats_),
      liveness_(now) {
  outbox_.send(Hello{kProtocolVersion, agent_});
}

Result<void> Session::Machine::receive(ByteView wire, Instant now) {
  if (ended_) return fail(Errc::kPeerClosed);
  liveness_.bytes_received(wire.size(), now);
  stats_.bytes_received += wire.size();
  if (auto received = channel_.receive(wire, reader_.fill()); !received) {
    return go_on(std::move(received));
  }
  auto done = read_messages();
  if (done) done = liveness_.check_stall(awaits_peer());
  return go_on(std::move(done));
}

Result<void> Session::Machine::read_messages() {
  while (!ended_ && !outbox_.overfull()) {
    CULM_TRY(const auto frame, reader_.next());
    if (!frame) break;
    CULM_TRY(const auto message, decode(*frame));
    CULM_CHECK(dispatch(message, frame->size()));
  }
  return {};
}

Result<void> Session::Machine::receive_end() {
  if (ended_) return {};
  Error error{Errc::kFrameTruncated};
  if (const auto finished = channel_.finish(); !finished) error = finished.error();
  end(error, {});
  return fail(error);
}

Result<void> Session::Machine::dispatch(const Message& message, std::size_t message_bytes) {
  if (!hello_received_ && !std::holds_alternative<Hello>(message)) {
    return fail(Errc::kProtocolState);
  }
  if (is_progress(message)) liveness_.progressed();
  return std::visit(
      Overloaded{
          [&](const Hello& hello) { return on_hello(hello); },
          [&](const Offer& offer) { return on_offer(offer); },
          [&](const Have& have) { return on_have(have); },
          [&](const Want& want) { return on_want(want); },
          [&](const Quote& quote) { return requester_.on_quote(quote); },
          [&](const Entries& entries) { return on_entries(entries, message_bytes); },
          [&](const Payload& payload) { return requester_.on_payload(payload, message_bytes); },
          [&](const Ready& ready) { return requester_.on_ready(ready); },
          [&](const Done& done) { return requester_.on_done(done); },
          [&](const Cancel& cancel) {
            responder_.cancel(cancel.want);
            return Result<void>();
          },
          [&](const Credit& credit) { return on_credit(credit); },
          [&](const Compare& compare) { return on_compare(compare); },
          [&](const DefectFound& defect) { return on_defect(defect); },
          [&](const Deny& deny) { return on_deny(deny); },
          [&](const Ping& ping) {
            outbox_.send(Pong{ping.nonce});
            return Result<void>();
          },
          [&](const Pong&) { return Result<void>(); },
          [&](const Bye& bye) {
            on_bye(bye);
            return Result<void>();
          },
      },
      message);
}

Result<void> Session::Machine::on_hello(const Hello& hello) {
  if (hello_received_) return fail(Errc::kProtocolState);
  if (hello.version != kProtocolVersion) return fail(Errc::kProtocolVersion);
  hello_received_ = true;
  liveness_.established();
  events_.push_back(Established{*channel_.peer(), hello.agent});
  return {};
}

Result<void> Session::Machine::on_offer(const Offer& offer) {
  CULM_CHECK(logs_.offer_received());
  const auto interest = policy_.accept_offer(*channel_.peer(), offer.log);
  if (!interest) {
    events_.push_back(OfferDeclined{offer.log});
    outbox_.send(Deny{offer.log, 0, DenyReason::kNotWanted});
    return {};
  }
  if (requester_.wants(offer.log)) return {};
  WantRequest request;
  request.log = offer.log;
  request.interest = interest->entries;
  request.payloads = interest->payloads;
  request.live = true;
  logs_.name(offer.log);
  const auto want = requester_.want(request);
  if (want) {
    events_.push_back(OfferAccepted{offer.log, *interest});
    return {};
  }
  // Whatever keeps this side from asking is not the peer's fault.
  if (ends(want.error().code) == Scope::kStore) return fail(want.error());
  outbox_.send(Deny{offer.log, 0, DenyReason::kBusy});
  return {};
}

Result<void> Session::Machine::on_have(const Have& have) {
  if (!concerns_peer(have.log)) return {};  // of a want that has ended meanwhile
  requester_.on_have(have);
  responder_.peer_holds(have.log, have.held, have.payloads);
  CULM_CHECK(unless_of_log(tell_defect(have.log)));
  return unless_of_log(start_comparison(have));
}

Result<void> Session::Machine::on_want(const Want& want) {
  CULM_CHECK(responder_.take_id(want.id));
  logs_.want_received();
  const SeqNum head = want.held.empty() ? 0 : want.held.max();
  events_.push_back(PeerHas{want.log, head, want.held, want.payloads_held, want.payloads_excepted});
  if (!policy_.may_read(*channel_.peer(), want.log)) {
    outbox_.send(Deny{want.log, want.id, DenyReason::kNotServed});
    return {};
  }
  const auto accepted = responder_.accept(want);
  if (accepted) {
    logs_.name(want.log);
    return unless_of_log(tell_defect(want.log));
  }
  const Errc code = accepted.error().code;
  if (!is_of_log(code)) return fail(accepted.error());
  const bool is_busy = ends(code) == Scope::kLog;
  outbox_.send(Deny{want.log, want.id, is_busy ? DenyReason::kBusy : DenyReason::kNotServed});
  return {};
}

Result<void> Session::Machine::on_entries(const Entries& entries, std::size_t message_bytes) {
  CULM_TRY(const auto arrival, requester_.on_entries(entries, message_bytes));
  if (arrival) {
    responder_.peer_holds(arrival->log, arrival->contents.seqnums, arrival->contents.payloads);
  }
  return {};
}

Result<void> Session::Machine::on_credit(const Credit& credit) {
  if (credit.bytes > limits::kCreditBytesMax ||
      responder_.credit() + credit.bytes > limits::kCreditBytesMax) {
    return fail(Errc::kFlow);
  }
  responder_.add_credit(credit.bytes);
  return {};
}

Result<void> Session::Machine::on_compare(const Compare& compare) {
  auto done = compare.answer ? advance_comparison(compare) : answer_comparison(compare);
  if (compare.answer && is_of_log(done)) end_comparison(compare.log);
  return unless_of_log(std::move(done));
}

Result<void> Session::Machine::on_defect(const DefectFound& defect) {
  CULM_CHECK(logs_.defect_received());
  if (concerns_peer(defect.log)) requester_.submit_evidence(defect.log, defect.evidence, true);
  return {};
}

Result<void> Session::Machine::on_deny(const Deny& deny) {
  CULM_CHECK(logs_.deny_received(requester_.wants_sent()));
  if (deny.want == 0) {
    if (logs_.offer_denied(deny.log)) events_.push_back(Denied{0, deny.log, deny.reason});
  } else if (deny.reason == DenyReason::kUnanchored || deny.reason == DenyReason::kCapped) {
    responder_.drop(deny.want);
  } else {
    requester_.on_deny(deny);
  }
  return {};
}

void Session::Machine::on_bye(const Bye& bye) {
  std::optional<Error> error;
  if (bye.code != 0) error = Error{Errc::kPeerClosed};
  end(error, bye.text);
}

bool Session::Machine::concerns_peer(const LogKey& log) const {
  return logs_.is_named(log) || requester_.wants(log) || responder_.serves(log);
}

Result<void> Session::Machine::tell_defect(const LogKey& log) {
  if (!concerns_peer(log)) return {};
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  if (!state || state->cap == 0) return {};
  if (!logs_.tell_cap(log, state->cap)) return {};
  CULM_TRY(const auto evidence, transaction.evidence(*state, 1));
  if (!evidence.empty()) outbox_.send(DefectFound{log, evidence.front()});
  // What is left below the cap is compared anew.
  CULM_TRY(const auto have, make_have(transaction, *state));
  outbox_.send(have);
  return {};
}

Result<void> Session::Machine::send_receipt(const LogKey& log) {
  if (!requester_.wants(log)) return {};
  if (!requester_.settled(log)) {
    logs_.receipt_due(log);
    return {};
  }
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  if (state) {
    CULM_TRY(const auto have, make_have(transaction, *state));
    outbox_.send(have);
  }
  logs_.receipt_sent(log);
  return {};
}

void Session::Machine::output_sent(std::size_t bytes) {
  stats_.bytes_sent += bytes;
  channel_.output_sent(bytes);
  outbox_.set_unsent(channel_.pending_output().size());
  if (!ended_) static_cast<void>(go_on(read_messages()));
}

std::optional<Instant> Session::Machine::next_deadline() const {
  if (ended_) return std::nullopt;
  const Instant next = liveness_.next_deadline(awaits_peer());
  if (!hello_received_) return next;
  if (responder_.has_more()) return std::min(next, liveness_.now());
  return credit_missing_ ? std::min(next, liveness_.now() + kCreditRetry) : next;
}

Result<void> Session::Machine::deadline_reached(Instant now) {
  if (ended_) return {};
  const auto due = liveness_.deadline_reached(now, awaits_peer());
  if (!due) return go_on(fail(due.error()));
  if (*due == Liveness::Due::kClose) {
    close(std::nullopt);
    return {};
  }
  if (*due == Liveness::Due::kPing) outbox_.send(Ping{++ping_nonce_});
  return hello_received_ ? go_on({}) : Result<void>();
}

bool Session::Machine::awaits_peer() const {
  return requester_.awaits_peer() || !comparisons_.empty();
}

std::optional<Event> Session::Machine::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Result<WantId> Session::Machine::want(const WantRequest& request) {
  if (ended_) return fail(Errc::kProtocolState);
  auto id = requester_.want(request);
  if (id) logs_.name(request.log);
  liveness_.progressed();
  flush();
  return id;
}

void Session::Machine::cancel(WantId want) {
  requester_.cancel(want);
  flush();
}

Result<void> Session::Machine::offer(const LogKey& log) {
  if (ended_) return fail(Errc::kProtocolState);
  if (!logs_.can_offer()) return fail(Errc::kBusy);
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.get_log(log));
  if (state.head() == 0) return fail(Errc::kLogUnknown);
  logs_.offer_sent(log);
  outbox_.send(Offer{log, state.head()});
  flush();
  return {};
}

void Session::Machine::work_finished(const WorkReport& report) {
  auto finished = requester_.work_finished(report);
  if (ended_) return;
  const bool is_settled = finished && requester_.settled(report.log);
  // Where the last piece changed nothing, nobody else will say that the log has changed.
  if (is_settled && logs_.is_receipt_due(report.log)) {
    finished = unless_of_log(send_receipt(report.log));
  }
  const auto postponed = postponed_.find(report.log);
  if (finished && is_settled && postponed != postponed_.end()) {
    const Have have = std::move(postponed->second);
    postponed_.erase(postponed);
    finished = unless_of_log(start_comparison(have));
    requester_.release(report.log);
  }
  static_cast<void>(go_on(finished));
}

void Session::Machine::log_changed(const LogKey& log) {
  if (ended_) return;
  responder_.log_changed(log);
  // What is new goes out before the word that it is here, or the peer would have to ask about it.
  auto said = responder_.pump();
  if (said) said = unless_of_log(send_receipt(log));
  if (said) said = unless_of_log(tell_defect(log));
  static_cast<void>(go_on(said));
}

void Session::Machine::close(std::optional<Errc> code) {
  if (ended_) return;
  Bye bye;
  if (code) {
    bye.code = static_cast<std::uint16_t>(*code);
    bye.text = describe(*code);
  }
  outbox_.send(bye);
  flush();
  end(std::nullopt, {});
}

Result<void> Session::Machine::go_on(Result<void> result) {
  if (result && !ended_) {
    credit_missing_ = requester_.top_up();
    result = responder_.pump();
  }
  if (!result && !ended_) {
    const Error error = result.error();
    if (fault(error.code) == Fault::kPeer) requester_.distrust();
    if (channel_.established()) {
      outbox_.send(Bye{static_cast<std::uint16_t>(error.code), std::string(describe(error.code))});
    }
    flush();
    end(error, {});
  } else {
    flush();
  }
  return result;
}

void Session::Machine::flush() {
  Bytes& plaintext = outbox_.plaintext();
  if (channel_.established() && !plaintext.empty() && !ended_) {
    // A key that is used up cannot encrypt a farewell either.
    if (const auto sent = channel_.send(plaintext); !sent) end(sent.error(), {});
    plaintext.clear();
  }
  outbox_.set_unsent(channel_.pending_output().size());
}

void Session::Machine::end(std::optional<Error> error, std::string text) {
  ended_ = true;
  events_.push_back(Ended{error, std::move(text), stats_});
}

}  // namespace culm::replication
