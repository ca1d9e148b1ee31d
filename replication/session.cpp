#include "culm/replication/session.hpp"

#include <utility>

#include "culm/replication/detail/session_impl.hpp"

namespace culm::replication {

Session::Session(Options options, const store::Store& store, Policy& policy, CreditPool& credit,
                 ArrivingPayloads& payloads, SignatureVerifier& verifier, Random& random,
                 Instant now)
    : impl_(std::make_unique<Impl>(std::move(options), store, policy, credit, payloads, verifier,
                                   random, now)) {}

Session::~Session() = default;

Result<void> Session::receive(ByteView wire, Instant now) { return impl_->receive(wire, now); }

Result<void> Session::receive_end() { return impl_->receive_end(); }

ByteView Session::pending_output() const { return impl_->pending_output(); }

void Session::output_sent(std::size_t bytes, Instant now) { impl_->output_sent(bytes, now); }

bool Session::wants_input() const { return impl_->wants_input(); }

std::optional<Instant> Session::next_deadline() const { return impl_->next_deadline(); }

Result<void> Session::deadline_reached(Instant now) { return impl_->deadline_reached(now); }

std::optional<Event> Session::next_event() { return impl_->next_event(); }

Result<WantId> Session::want(const WantRequest& request) { return impl_->want(request); }

void Session::cancel(WantId want) { impl_->cancel(want); }

Result<void> Session::offer(const LogKey& log) { return impl_->offer(log); }

void Session::work_finished(const WorkReport& report) { impl_->work_finished(report); }

void Session::log_changed(const LogKey& log) { impl_->log_changed(log); }

void Session::entries_lost(const LogKey& log) { impl_->entries_lost(log); }
void Session::drop_finished(const LogKey& log, const RangeSet& seqnums) {
  impl_->drop_finished(log, seqnums);
}

bool Session::cares_for(const LogKey& log) const { return impl_->hears_of(log); }

bool Session::has_wants() const { return impl_->has_wants(); }

void Session::credit_freed(Instant now) { impl_->credit_freed(now); }

std::optional<Instant> Session::behind_since() const { return impl_->behind_since(); }

void Session::trim_input() { impl_->trim_input(); }

void Session::close(std::optional<Errc> code) { impl_->close(code); }

bool Session::ended() const { return impl_->ended(); }

bool Session::established() const { return impl_->established(); }

const SessionStats& Session::stats() const { return impl_->stats(); }

ByteView Session::no_room() const { return impl_->no_room(); }

}  // namespace culm::replication
