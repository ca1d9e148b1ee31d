#include "culm/replication/host/detail/change_steps.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::host {
namespace {

/// Whether so many rows are enough to delete payloads and parts of payloads.
Result<bool> has_room(const store::ReadTransaction& transaction, const store::LogState& log,
                      const RangeSet& seqnums, std::size_t rows_left) {
  const auto rows_of_stage = [](std::uint64_t bytes) {
    return 2 + bytes / limits::kPayloadChunkBytes;
  };
  std::uint64_t rows = 0;
  CULM_TRY(const auto stages, transaction.arriving_stages(log, seqnums));
  for (const auto& stage : stages) rows += rows_of_stage(stage.size_bytes);
  const RangeSet held = log.payloads & seqnums;
  const std::uint64_t most = 2 * held.count() + log.payload_bytes / limits::kPayloadChunkBytes;
  if (rows + held.count() > rows_left || rows + most <= rows_left) {
    return rows + held.count() <= rows_left;
  }
  // Too few for all of the log: those that are named are looked at.
  const auto count = [&](const store::StoredEntry& stored) -> Result<bool> {
    const std::uint64_t bytes = stored.entry.payload_size();
    rows += bytes <= limits::kPayloadInlineBytesMax ? 1 : rows_of_stage(bytes);
    return rows <= rows_left;
  };
  CULM_CHECK(transaction.visit_sound_entries(log, held, count));
  return rows <= rows_left;
}

}  // namespace

bool ChangeSteps::erases() const {
  return std::ranges::all_of(changes_, [](const LogChange& change) {
    return std::holds_alternative<LogChange::Forget>(change.what);
  });
}

Result<bool> ChangeSteps::run(store::Store& store) {
  if (was_full_ && next_deletion() != nullptr) return delete_on_full_disk(store);
  Place then;
  bool is_done = false;
  const auto made = store.update([&](store::WriteTransaction& transaction) -> Result<void> {
    then = at_;
    CULM_TRY(is_done, step(transaction, then));
    return {};
  });
  if (made) {
    at_ = std::move(then);
    return is_done;
  }
  if (made.error().code == Errc::kStoreFull && next_deletion() != nullptr) {
    was_full_ = true;
    return delete_on_full_disk(store);
  }
  if (then.done.outcome || ends(made.error().code) == Scope::kStore) return fail(made.error());
  // One was refused after it had written: those before it are made again without it.
  if (then.done.count != at_.done.count) {
    alone_ = then.done.count;
    return false;
  }
  at_.done.outcome = then.done.outcome;
  return !erases();
}

/// Null where the next one is none.
const LogChange::DeletePayloads* ChangeSteps::next_deletion() const {
  if (at_.done.count == changes_.size()) return nullptr;
  return std::get_if<LogChange::DeletePayloads>(&changes_[at_.done.count].what);
}

/// Of one log, which has the store's reserve for that.
Result<bool> ChangeSteps::delete_on_full_disk(store::Store& store) {
  const RangeSet& seqnums = at_.is_begun ? at_.rest : next_deletion()->seqnums;
  CULM_TRY(at_.rest, store.delete_payloads(changes_[at_.done.count].log, seqnums));
  at_.is_begun = !at_.rest.empty();
  if (!at_.is_begun) ++at_.done.count;
  return at_.done.count == changes_.size();
}

Result<bool> ChangeSteps::step(store::WriteTransaction& transaction, Place& at) const {
  std::size_t rows_left = limits::kRowsPerStepMax;
  /// Whether it is done; it may take more steps, but for one that forgets.
  const auto make = [&](const LogChange& change) -> Result<bool> {
    const LogKey& log = change.log;
    if (std::holds_alternative<LogChange::Forget>(change.what)) {
      CULM_CHECK(transaction.forget(log));
      return true;
    }
    if (const auto* const interest = std::get_if<store::LogInterest>(&change.what)) {
      if (!at.is_begun) CULM_CHECK(transaction.set_interest(log, *interest));
      at.is_begun = true;
      return transaction.drop_unwanted_parts(log, rows_left);
    }
    const RangeSet& seqnums = std::get<LogChange::DeletePayloads>(change.what).seqnums;
    if (!at.is_begun) at.rest = seqnums;
    // What a step of its own has room for is not cut in two.
    if (!at.is_begun && rows_left < limits::kRowsPerStepMax) {
      CULM_TRY(const auto state, transaction.get_log(log));
      CULM_TRY(const bool has, has_room(transaction, *state, at.rest, rows_left));
      if (!has) return false;
    }
    CULM_TRY(at.rest, transaction.delete_within(log, at.rest, rows_left));
    at.is_begun = true;
    return at.rest.empty();
  };
  while (at.done.outcome && at.done.count < changes_.size()) {
    const bool is_for_the_next = at.done.count == alone_ && at.done.count != at_.done.count;
    if (rows_left == 0 || is_for_the_next) return false;
    const auto is_made = make(changes_[at.done.count]);
    // What was refused for itself leaves what came before it.
    if (!is_made && ends(is_made.error().code) == Scope::kStore) return fail(is_made.error());
    if (!is_made) {
      at.done.outcome = fail(is_made.error());
      break;
    }
    if (!*is_made) return false;
    ++at.done.count;
    at.is_begun = false;
    rows_left -= std::min<std::size_t>(rows_left, 1);
  }
  if (!erases()) return true;
  // They are forgotten, also where their rows cannot be erased.
  if (at.done.count != at_.done.count) return false;
  return transaction.erase_forgotten(rows_left);
}

}  // namespace culm::host
