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
  bool is_more = true;
  for (;;) {
    const auto may_go_on = [&] {
      return state_->is_stopping || ((state_->is_awake || is_more) && !state_->is_committing);
    };
    state_->changed.wait(lock, may_go_on);
    if (!is_more) {
      state_->changed.wait_for(lock, pause_, [this] { return state_->is_stopping; });
    }
    if (state_->is_stopping) return;
    state_->is_awake = false;
    lock.unlock();
    is_more = step();
    lock.lock();
  }
}

/// False when nothing is left to do. A store that cannot be read is left to those who need it.
bool BackgroundVerifier::step() {
  Marks marks;
  std::size_t room = kStepMax;
  bool is_more = true;
  while (room != 0 && is_more && !is_stopping()) {
    std::optional<store::ReadTransaction::Change> change;
    if (const auto transaction = store_.read()) {
      const auto changes = transaction->changes(change_, 1);
      if (changes && !changes->empty()) change = changes->front();
    }
    is_more = change && check_some(*change, room, marks);
  }
  if (!marks.empty()) commit(std::move(marks));
  return is_more;
}

/// One portion of the log that has changed, and on to the next change when it is the last. False
/// when the store cannot be read now.
bool BackgroundVerifier::check_some(const store::ReadTransaction::Change& change, std::size_t& room,
                                    Marks& marks) {
  Seen& seen = seen_[change.log];
  const std::size_t portion = std::min(room, kPortion);
  auto checked = store::check_held(store_, change.log, seen.seqnums, portion, verifier_);
  if (!checked && checked.error().code == Errc::kStoreBusy) return false;
  std::size_t count = 0;
  if (checked) {
    const RangeSet looked_at = checked->good() | checked->bad();
    count = looked_at.count();
    seen.seqnums |= looked_at;
    seen.has_bad = seen.has_bad || !checked->bad().empty();
    if (!checked->good().empty()) marks.push_back(*std::move(checked));
  }
  room -= count;
  if (count == portion) return true;
  change_ = change.number;
  // Where all were good, what is verified says it all.
  if (!seen.has_bad) seen_.erase(change.log);
  return true;
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
