// What each message of the peer sets off, and what the peer is told of a log.
#include <utility>
#include <variant>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/have.hpp"
#include "culm/replication/detail/scope.hpp"
#include "culm/replication/detail/session_impl.hpp"

namespace culm::replication {
namespace {

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

/// Why nothing is served or taken of a log.
DenyReason reason_for(const Error& error) {
  if (error.code == Errc::kStoreDamaged) return DenyReason::kDamaged;
  return ends(error.code) == Scope::kLog ? DenyReason::kBusy : DenyReason::kNotServed;
}

}  // namespace

Result<void> Session::Impl::dispatch(const Message& message, std::size_t message_bytes) {
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

Result<void> Session::Impl::on_hello(const Hello& hello) {
  if (hello_received_) return fail(Errc::kProtocolState);
  if (hello.version != kProtocolVersion) return fail(Errc::kProtocolVersion);
  hello_received_ = true;
  requester_.set_peer(*channel_.peer());
  liveness_.established();
  events_.push_back(Established{*channel_.peer(), hello.agent});
  return {};
}

Result<void> Session::Impl::on_offer(const Offer& offer) {
  CULM_CHECK(logs_.offer_received());
  const auto interest = policy_.accept_offer(*channel_.peer(), offer.log);
  if (!interest) {
    events_.push_back(OfferDeclined{offer.log});
    outbox_.send(Deny{offer.log, 0, DenyReason::kNotWanted});
    return {};
  }
  if (requester_.wants(offer.log)) return {};
  name(offer.log);
  const auto want = take_offer(offer.log, *interest);
  if (want) {
    events_.push_back(OfferAccepted{offer.log, *interest});
    return {};
  }
  // Whatever keeps this side from asking is not the peer's fault.
  if (ends(want.error().code) == Scope::kStore) return fail(want.error());
  outbox_.send(Deny{offer.log, 0, reason_for(want.error())});
  return {};
}

Result<WantId> Session::Impl::take_offer(const LogKey& log, const store::LogInterest& interest) {
  {
    CULM_TRY(const auto transaction, store_.read());
    const auto state = transaction.find_log(log);
    if (!state && state.error().code == Errc::kStoreDamaged) events_.push_back(Damaged{log, 0});
    if (!state) return fail(state.error());
    if (*state) CULM_CHECK(responder_.look(transaction, **state));
  }
  if (!damage_->unreadable(log).empty()) return fail(Errc::kStoreDamaged);
  return requester_.take_offer(log, interest);
}

Result<void> Session::Impl::say_have(const store::ReadTransaction& transaction,
                                     const store::LogState& log) {
  CULM_TRY(const auto have,
           make_have(transaction, log, log.served() - damage_->of(log.log), events_));
  outbox_.send(have);
  return {};
}

Result<void> Session::Impl::on_have(const Have& have) {
  if (!cares_for(have.log)) return {};  // of a want that has ended meanwhile
  CULM_CHECK(unless_of_log(requester_.on_have(have)));
  responder_.peer_holds(have.log, have.held, have.payloads);
  logs_.share(have.log);
  CULM_CHECK(unless_of_log(tell_defect(have.log)));
  return fork_search_.on_have(have);
}

Result<void> Session::Impl::on_want(const Want& want) {
  CULM_CHECK(responder_.take_id(want.id));
  logs_.want_received();
  const SeqNum head = want.held.empty() ? 0 : want.held.max();
  events_.push_back(PeerHas{want.log, head, want.held, want.payloads_held, want.payloads_excepted});
  if (!policy_.may_read(*channel_.peer(), want.log)) {
    await_news(want.log, true);  // it may be another time
    outbox_.send(Deny{want.log, want.id, DenyReason::kNotServed});
    return {};
  }
  const auto accepted = responder_.accept(want);
  if (!accepted && !is_of_log(accepted.error().code)) return fail(accepted.error());
  if (!accepted && accepted.error().code == Errc::kStoreDamaged) {
    events_.push_back(Damaged{want.log, store::damaged_entry(accepted.error())});
  }
  if (accepted) name(want.log);
  if (accepted && !want.live) await_news(want.log, false);
  const bool holds_some = !want.held.empty();
  if (accepted || (holds_some && cares_for(want.log))) logs_.share(want.log);
  if (accepted || holds_some) CULM_CHECK(unless_of_log(tell_defect(want.log)));
  if (accepted) return {};
  // After the defect: who knows many logs may forget this one at the deny.
  if (accepted.error().code == Errc::kStoreDamaged && !want.live) {
    outbox_.send(nothing_of(want.log));
    Quote quote;
    quote.want = want.id;
    outbox_.send(quote);
    outbox_.send(Done{want.id, DoneReason::kDamaged});
    return {};
  }
  const DenyReason reason = reason_for(accepted.error());
  if (reason == DenyReason::kNotServed) await_news(want.log, true);
  outbox_.send(Deny{want.log, want.id, reason});
  return {};
}

Result<void> Session::Impl::on_entries(const Entries& entries, std::size_t message_bytes) {
  CULM_TRY(const auto arrival, requester_.on_entries(entries, message_bytes));
  if (arrival) {
    responder_.peer_holds(arrival->log, arrival->contents.seqnums, arrival->contents.payloads);
  }
  return {};
}

Result<void> Session::Impl::on_credit(const Credit& credit) {
  if (credit.bytes > limits::kCreditBytesMax ||
      responder_.credit() + credit.bytes > limits::kCreditBytesMax) {
    return fail(Errc::kFlow);
  }
  responder_.add_credit(credit.bytes);
  return {};
}

Result<void> Session::Impl::on_compare(const Compare& compare) {
  if (compare.answer) return fork_search_.on_answer(compare);
  Compare answer{compare.log, compare.seqnum, true, std::nullopt, {}};
  if (policy_.may_read(*channel_.peer(), compare.log)) {
    auto found = answer_query(store_, compare);
    if (found) answer = *std::move(found);
    // What cannot be read is not served, and the peer is not left waiting.
    else if (!is_of_log(found.error().code))
      return fail(found.error());
    else if (const SeqNum damaged = store::damaged_entry(found.error()))
      events_.push_back(Damaged{compare.log, damaged});
  }
  outbox_.send(answer);
  return {};
}

Result<void> Session::Impl::on_defect(const DefectFound& defect) {
  CULM_CHECK(logs_.defect_received());
  if (cares_for(defect.log)) requester_.submit_evidence(defect.log, defect.evidence, true);
  return {};
}

Result<void> Session::Impl::on_deny(Deny deny) {
  if (deny.reason > DenyReason::kDamaged) deny.reason = DenyReason::kBusy;
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

void Session::Impl::on_bye(const Bye& bye) {
  switch (bye.code) {
    case 0:
      return end(std::nullopt, bye.text);
    case static_cast<std::uint16_t>(Errc::kBusy):
      return end(Error{Errc::kPeerFull}, bye.text);
    case static_cast<std::uint16_t>(Errc::kStoreFull):
      return end(Error{Errc::kPeerStoreFull}, bye.text);
    default:
      break;
  }
  const bool is_its_store = fault(static_cast<Errc>(bye.code)) == Fault::kOwnStore;
  end(Error{is_its_store ? Errc::kPeerStore : Errc::kPeerClosed}, bye.text);
}

void Session::Impl::name(const LogKey& log) {
  logs_.name(log);
  events_.push_back(LogNamed{log});
}

void Session::Impl::await_news(const LogKey& log, bool is_denied) {
  logs_.await_news(log, is_denied);
  if (logs_.is_awaited(log)) events_.push_back(LogNamed{log});
}

bool Session::Impl::cares_for(const LogKey& log) const {
  return logs_.is_named(log) || requester_.wants(log) || responder_.serves(log);
}

bool Session::Impl::knows(const LogKey& log) const {
  return logs_.is_shared(log) || responder_.serves(log) || requester_.is_answered(log);
}

Result<void> Session::Impl::tell_defect(const LogKey& log) {
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  if (!state || state->cap == 0) return {};
  if (outbox_.full()) {
    receipts_lack_room_ = true;
    logs_.receipt_due(log);
    return {};
  }
  if (!logs_.tell_cap(log, state->cap)) return {};
  CULM_TRY(const auto evidence, transaction.evidence(*state, 1));
  if (!evidence.empty()) outbox_.send(DefectFound{log, evidence.front()});
  // What is left below the cap is compared again.
  return say_have(transaction, *state);
}

Result<void> Session::Impl::send_receipt(const LogKey& log) {
  const bool is_wanted = requester_.wants(log);
  if (!is_wanted) {
    logs_.receipt_sent(log);
    if (!logs_.is_awaited(log) || !policy_.may_read(*channel_.peer(), log)) return {};
  }
  // What is new goes out before the word that it is here.
  const bool lacks_room = outbox_.full() || responder_.lacks_plan();
  receipts_lack_room_ = receipts_lack_room_ || lacks_room;
  if (!requester_.settled(log) || lacks_room) {
    logs_.receipt_due(log);
    return {};
  }
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  if (state && (is_wanted || !state->served().empty())) {
    CULM_CHECK(say_have(transaction, *state));
    logs_.news_told(log);
  }
  logs_.receipt_sent(log);
  return {};
}

Result<void> Session::Impl::send_receipts_put_off() {
  if (outbox_.full() || responder_.lacks_plan() || !std::exchange(receipts_lack_room_, false)) {
    return {};
  }
  for (const LogKey& log : logs_.receipts_due()) {
    CULM_CHECK(unless_of_log(send_receipt(log)));
    if (knows(log)) CULM_CHECK(unless_of_log(tell_defect(log)));
  }
  return {};
}

}  // namespace culm::replication
