#include "culm/replication/host/background_verifier.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <sys/resource.h>

namespace culm::host {

namespace {

/// Between two looks at whether to stop: a few milliseconds.
constexpr std::size_t kPortion = 64;

}  // namespace

BackgroundVerifier::BackgroundVerifier(const store::Store& store, SignatureVerifier& verifier,
                                       Update update, std::chrono::milliseconds pause)
    : store_(store),
      verifier_(verifier),
      update_(std::move(update)),
      pause_(pause),
      thread_([this] { loop(); }) {}

BackgroundVerifier::~BackgroundVerifier() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->is_stopping = true;
  }
  state_->changed.notify_all();
  thread_.join();
}

void BackgroundVerifier::wake() {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->is_awake = true;
  }
  state_->changed.notify_all();
}

bool BackgroundVerifier::is_stopping() {
  const std::scoped_lock lock(state_->mutex);
  return state_->is_stopping;
}

void BackgroundVerifier::loop() {
  // On Linux that is this thread's own. Where it is refused all works, only less politely.
  ::setpriority(PRIO_PROCESS, 0, 10);
  std::unique_lock lock(state_->mutex);
  Rest rest = Rest::kMore;
  for (;;) {
    const auto may_go_on = [&] {
      return state_->is_stopping ||
             ((state_->is_awake || rest != Rest::kNothing) && !state_->is_committing);
    };
    state_->changed.wait(lock, may_go_on);
    if (rest != Rest::kMore) {
      state_->changed.wait_for(lock, pause_, [this] { return state_->is_stopping; });
    }
    if (state_->is_stopping) return;
    state_->is_awake = false;
    lock.unlock();
    rest = step();
    lock.lock();
  }
}

/// A store that cannot be read is left to those who need it.
BackgroundVerifier::Rest BackgroundVerifier::step() {
  Marks marks;
  std::size_t room = kStepMax;
  auto rest = Rest::kMore;
  while (room != 0 && rest == Rest::kMore && !is_stopping()) {
    const auto changes = next_change();
    if (!changes) {
      rest = changes.error().code == Errc::kStoreBusy ? Rest::kLater : Rest::kNothing;
    } else if (changes->empty()) {
      rest = Rest::kNothing;
    } else if (!check_some(changes->front(), room, marks)) {
      rest = Rest::kLater;
    }
  }
  if (!marks.empty()) commit(std::move(marks));
  return rest;
}

/// At most one.
Result<std::vector<store::ReadTransaction::Change>> BackgroundVerifier::next_change() {
  CULM_TRY(const auto transaction, store_.read());
  return transaction.changes(change_, 1);
}

/// One portion of the log that has changed, and on to the next change when it is the last. Fails
/// with kStoreBusy when the store cannot be read now.
Result<void> BackgroundVerifier::check_some(const store::ReadTransaction::Change& change,
                                            std::size_t& room, Marks& marks) {
  Seen& seen = seen_[change.log];
  const std::size_t portion = std::min(room, kPortion);
  auto checked =
      store::check_held(store_, change.log, seen.looked_at | seen.bad, portion, verifier_);
  if (!checked && checked.error().code == Errc::kStoreBusy) return fail(Errc::kStoreBusy);
  std::size_t count = 0;
  if (checked) {
    const RangeSet looked_at = checked->good() | checked->bad();
    count = looked_at.count();
    seen.looked_at |= looked_at;
    seen.bad |= checked->bad();
    if (!checked->good().empty()) marks.push_back(*std::move(checked));
  }
  room -= count;
  if (count == portion) return {};
  change_ = change.number;
  // What was good is marked as verified, or looked at again when the log has changed.
  seen.looked_at = {};
  if (seen.bad.empty()) seen_.erase(change.log);
  return {};
}

void BackgroundVerifier::commit(Marks marks) {
  {
    const std::scoped_lock lock(state_->mutex);
    state_->is_committing = true;
  }
  update_(
      [marks = std::move(marks)](store::WriteTransaction& transaction) -> Result<void> {
        for (const auto& checked : marks) CULM_CHECK(transaction.mark_verified(checked));
        return {};
      },
      [state = state_] {
        {
          const std::scoped_lock lock(state->mutex);
          state->is_committing = false;
        }
        state->changed.notify_all();
      });
}

}  // namespace culm::host
