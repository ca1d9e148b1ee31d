#include "culm/replication/session.hpp"

#include <utility>

#include "culm/replication/detail/machine.hpp"

namespace culm::replication {

Session::Session(Options options, const store::Store& store, Policy& policy, CreditPool& credit,
                 SignatureVerifier& verifier, Random& random, Instant now)
    : machine_(std::make_unique<Machine>(std::move(options), store, policy, credit, verifier,
                                         random, now)) {}

Session::~Session() = default;

Result<void> Session::receive(ByteView wire, Instant now) { return machine_->receive(wire, now); }

Result<void> Session::receive_end() { return machine_->receive_end(); }

ByteView Session::pending_output() const { return machine_->pending_output(); }

void Session::output_sent(std::size_t bytes) { machine_->output_sent(bytes); }

bool Session::wants_input() const { return machine_->wants_input(); }

std::optional<Instant> Session::next_deadline() const { return machine_->next_deadline(); }

Result<void> Session::deadline_reached(Instant now) { return machine_->deadline_reached(now); }

std::optional<Event> Session::next_event() { return machine_->next_event(); }

Result<WantId> Session::want(const WantRequest& request) { return machine_->want(request); }

void Session::cancel(WantId want) { machine_->cancel(want); }

Result<void> Session::offer(const LogKey& log) { return machine_->offer(log); }

void Session::work_finished(const WorkReport& report) { machine_->work_finished(report); }

void Session::log_changed(const LogKey& log) { machine_->log_changed(log); }

void Session::close(std::optional<Errc> code) { machine_->close(code); }

bool Session::ended() const { return machine_->ended(); }

bool Session::established() const { return machine_->established(); }

const SessionStats& Session::stats() const { return machine_->stats(); }

}  // namespace culm::replication
