#include "culm/replication/detail/session_impl.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/buffer.hpp"
#include "culm/replication/detail/scope.hpp"

namespace culm::replication {

Session::Impl::Impl(Options options, const store::Store& store, Policy& policy, CreditPool& credit,
                    ArrivingPayloads& payloads, SignatureVerifier& verifier, Random& random,
                    Instant now)
    : agent_(std::move(options.agent)),
      damage_(std::move(options.damage)),
      store_(store),
      policy_(policy),
      channel_(options.channel, random),
      outbox_(credit),
      responder_(store, credit, verifier, *damage_, outbox_, events_, stats_),
      requester_(options.id, store, policy, credit, payloads, *damage_, outbox_, events_, stats_),
      fork_search_(store, requester_, outbox_),
      pool_(credit),
      liveness_(now) {
  outbox_.send(Hello{kProtocolVersion, agent_});
}

Result<void> Session::Impl::receive(ByteView wire, Instant now) {
  if (ended_) return fail(Errc::kPeerClosed);
  liveness_.bytes_received(wire.size(), now);
  stats_.bytes_received += wire.size();
  stats_.heard = now;
  if (auto received = channel_.receive(wire, reader_.fill()); !received) {
    return go_on(std::move(received));
  }
  responder_.begin_turn(true);
  auto done = read_messages(now);
  if (done) done = liveness_.check_stall(awaits_peer());
  return go_on(std::move(done));
}

Result<void> Session::Impl::read_messages(Instant now) {
  std::size_t left = limits::kMessagesPerTurn;
  const auto is_turn_over = [&] { return left == 0 || responder_.is_turn_over(); };
  for (; !ended_ && !is_overfull() && !is_turn_over() && !requester_.must_wait(); --left) {
    CULM_TRY(const auto frame,
             reader_.next(hello_received_ ? limits::kMessageBytesMax : limits::kHelloBytesMax));
    if (!frame) {
      // What is left has only begun.
      if (left != limits::kMessagesPerTurn) behind_since_.reset();
      break;
    }
    CULM_TRY(const auto message, decode(*frame));
    CULM_CHECK(dispatch(message, frame->size()));
  }
  has_unread_ = is_turn_over();
  input_changed(now);
  return {};
}

void Session::Impl::input_changed(Instant now) {
  charge_input();
  // What waits for room to store it is this side's affair.
  const bool is_behind = input_charged_ != 0 && !requester_.is_waiting() &&
                         reader_.held() + channel_.input_held() > limits::kIdleBufferBytesMax;
  if (!is_behind)
    behind_since_.reset();
  else if (!behind_since_)
    behind_since_ = now;
}

void Session::Impl::charge_input() {
  const std::uint64_t memory = reader_.memory() + channel_.input_memory();
  // What the credit of a peer that brings much stands for counts in the pool already.
  const std::uint64_t counted = limits::kSessionInputBytesFree + requester_.credit_taken();
  const std::uint64_t charged = memory - std::min(memory, counted);
  pool_.give_back_input(std::exchange(input_charged_, charged));
  pool_.charge_input(charged);
  if (charged == 0) behind_since_.reset();
}

void Session::Impl::release_input() {
  reader_ = {};
  channel_.drop_input();
  release(outbox_.plaintext());
  charge_input();
}

void Session::Impl::trim_input() {
  reader_.trim();
  channel_.trim_input();
  charge_input();
}

Result<void> Session::Impl::receive_end() {
  if (ended_) return {};
  // The channel forgets now what it holds.
  requester_.ended(reader_.held() + channel_.input_held());
  Error error{Errc::kFrameTruncated};
  if (const auto finished = channel_.finish(); !finished) error = finished.error();
  end(error, {});
  release_input();
  return fail(error);
}

void Session::Impl::output_sent(std::size_t bytes, Instant now) {
  stats_.bytes_sent += bytes;
  channel_.output_sent(bytes);
  output_changed();
  if (ended_) return;
  auto done = has_unread_ ? Result<void>() : read_messages(now);
  // What is new goes out before the word that it is here.
  if (done && !ended_) done = responder_.pump();
  if (done && !ended_) done = send_receipts_put_off();
  static_cast<void>(go_on(std::move(done)));
}

void Session::Impl::credit_freed(Instant now) {
  requester_.credit_freed();
  if (!ended_) static_cast<void>(go_on(has_unread_ ? Result<void>() : read_messages(now)));
}

std::optional<Instant> Session::Impl::next_deadline() const {
  if (ended_) return std::nullopt;
  const Instant next = liveness_.next_deadline(awaits_peer());
  if (!hello_received_) return next;
  if (responder_.has_more() || has_unread_) return std::min(next, liveness_.now());
  return next;
}

Result<void> Session::Impl::deadline_reached(Instant now) {
  if (ended_) return {};
  if (!listens()) liveness_.not_listening(now);
  const auto due = liveness_.deadline_reached(now, awaits_peer());
  if (!due) return go_on(fail(due.error()));
  if (*due == Liveness::Due::kClose) {
    close(std::nullopt);
    return {};
  }
  if (*due == Liveness::Due::kPing) outbox_.send(Ping{++ping_nonce_});
  if (!hello_received_) return {};
  responder_.begin_turn(true);
  auto done = read_messages(now);
  if (receipts_lack_room_) {
    if (done && !ended_) done = responder_.pump();
    if (done && !ended_) done = send_receipts_put_off();
  }
  return go_on(std::move(done));
}

bool Session::Impl::awaits_peer() const {
  return listens() && (requester_.awaits_peer() || fork_search_.awaits_peer());
}

std::optional<Event> Session::Impl::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Result<WantId> Session::Impl::want(const WantRequest& request) {
  if (ended_) return fail(Errc::kProtocolState);
  if (const auto& peer = channel_.peer()) requester_.set_peer(*peer);
  auto id = requester_.want(request);
  if (id) name(request.log);
  liveness_.progressed();
  flush();
  return id;
}

void Session::Impl::cancel(WantId want) {
  requester_.cancel(want, reader_.held() + channel_.input_held());
  flush();
}

Result<void> Session::Impl::offer(const LogKey& log) {
  if (ended_) return fail(Errc::kProtocolState);
  if (!logs_.can_offer()) return fail(Errc::kBusy);
  CULM_TRY(const auto transaction, store_.read());
  CULM_TRY(const auto state, transaction.get_log(log));
  if (state->head() == 0) return fail(Errc::kLogUnknown);
  logs_.offer_sent(log);
  events_.push_back(LogNamed{log});
  outbox_.send(Offer{log, state->head()});
  flush();
  return {};
}

void Session::Impl::work_finished(const WorkReport& report) {
  auto finished = requester_.work_finished(report);
  if (ended_) return;
  if (finished && requester_.settled(report.log)) {
    // Where the last piece changed nothing, nobody else will say that the log has changed.
    if (logs_.is_receipt_due(report.log)) finished = unless_of_log(send_receipt(report.log));
    if (finished) finished = fork_search_.on_settled(report.log);
  }
  static_cast<void>(go_on(finished));
}

void Session::Impl::log_changed(const LogKey& log) {
  if (ended_) return;
  responder_.log_changed(log);
  responder_.begin_turn(false);
  // What is new goes out before the word that it is here, or the peer would have to ask about it.
  auto said = responder_.pump();
  if (said) said = unless_of_log(requester_.leave_out_deleted(log));
  if (said) said = unless_of_log(send_receipt(log));
  if (said && knows(log)) said = unless_of_log(tell_defect(log));
  static_cast<void>(go_on(said));
}

void Session::Impl::entries_lost(const LogKey& log) {
  if (!ended_) static_cast<void>(go_on(unless_of_log(requester_.ask_again(log))));
}

void Session::Impl::drop_finished(const LogKey& log, const RangeSet& seqnums) {
  if (ended_) return;
  responder_.drop_finished(log, seqnums);
  responder_.begin_turn(false);
  auto said = responder_.pump();
  if (said) said = unless_of_log(send_receipt(log));
  static_cast<void>(go_on(said));
}

void Session::Impl::close(std::optional<Errc> code) {
  if (ended_) return;
  Bye bye;
  if (code) {
    bye.code = static_cast<std::uint16_t>(*code);
    bye.text = describe(*code);
  }
  outbox_.send(bye);
  flush();
  end(std::nullopt, {});
  release_input();
}

Result<void> Session::Impl::go_on(Result<void> result) {
  if (result && !ended_) {
    requester_.top_up();
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
  ended_ ? release_input() : charge_input();
  return result;
}

void Session::Impl::flush() {
  Bytes& plaintext = outbox_.plaintext();
  if (plaintext.empty() || ended_) {
    release(plaintext);
  } else if (channel_.established()) {
    // A key that is used up cannot encrypt a farewell either.
    if (const auto sent = channel_.send(plaintext); !sent) end(sent.error(), {});
    // Much of it is for who reads quickly; many who do not hold none meanwhile.
    pool_.is_short_of_output() ? release(plaintext) : plaintext.clear();
  }
  output_changed();
}

void Session::Impl::output_changed() {
  outbox_.set_unsent(channel_.pending_output().size(), channel_.output_memory());
}

void Session::Impl::end(std::optional<Error> error, std::string text) {
  ended_ = true;
  requester_.ended(reader_.held() + channel_.input_held());
  events_.push_back(Ended{error, std::move(text), stats_});
}

}  // namespace culm::replication
