#include "culm/replication/host/detail/change_steps.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"

namespace culm::host {
namespace {

/// At least as many rows as it takes to delete held payloads.
std::size_t count_rows(const store::LogState& log, const RangeSet& seqnums) {
  const std::uint64_t rows =
      (log.payloads & seqnums).count() + log.payload_bytes / limits::kPayloadChunkBytes;
  return static_cast<std::size_t>(std::min<std::uint64_t>(rows, SIZE_MAX));
}

/// At least as many as it takes to erase parts of payloads.
Result<std::size_t> count_rows_of_parts(const store::ReadTransaction& transaction,
                                        const LogKey& log) {
  CULM_TRY(const auto state, transaction.get_log(log));
  CULM_TRY(const auto stages, transaction.arriving_stages(*state, state->held));
  std::size_t rows = 0;
  for (const auto& stage : stages) rows += 2 + stage.size_bytes / limits::kPayloadChunkBytes;
  return rows;
}

void spend(std::size_t& rows_left, std::size_t rows) { rows_left -= std::min(rows_left, rows); }

}  // namespace

bool ChangeSteps::erases() const {
  return std::ranges::all_of(changes_, [](const LogChange& change) {
    return std::holds_alternative<LogChange::Forget>(change.what);
  });
}

Result<bool> ChangeSteps::run(store::Store& store) {
  Place then;
  bool is_done = false;
  const auto made = store.update([&](store::WriteTransaction& transaction) -> Result<void> {
    then = at_;
    CULM_TRY(is_done, step(transaction, then));
    return {};
  });
  if (!made && made.error().code == Errc::kStoreFull) return delete_on_full_disk(store, made);
  CULM_CHECK(made);
  at_ = std::move(then);
  return is_done;
}

/// Of one log, which has the store's reserve for that.
Result<bool> ChangeSteps::delete_on_full_disk(store::Store& store, const Result<void>& full) {
  const LogChange* const next =
      at_.done.count < changes_.size() ? &changes_[at_.done.count] : nullptr;
  const auto* const deletes =
      next == nullptr ? nullptr : std::get_if<LogChange::DeletePayloads>(&next->what);
  if (deletes == nullptr) return fail(full.error());
  CULM_TRY(at_.rest, store.delete_payloads(next->log, at_.is_begun ? at_.rest : deletes->seqnums));
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
      CULM_TRY(const std::size_t rows, count_rows_of_parts(transaction, log));
      CULM_TRY(const bool is_done, transaction.drop_unwanted_parts(log, rows_left));
      spend(rows_left, rows);
      return is_done;
    }
    const RangeSet& seqnums = std::get<LogChange::DeletePayloads>(change.what).seqnums;
    if (!at.is_begun) at.rest = seqnums;
    CULM_TRY(const auto state, transaction.get_log(log));
    const std::size_t rows = count_rows(*state, at.rest);
    // What a step of its own has room for is not cut in two.
    if (!at.is_begun && rows_left < limits::kRowsPerStepMax && rows_left < rows) return false;
    CULM_TRY(at.rest, transaction.delete_payloads(log, at.rest, rows_left));
    at.is_begun = true;
    spend(rows_left, rows);
    return at.rest.empty();
  };
  while (at.done.outcome && at.done.count < changes_.size()) {
    if (rows_left == 0) return false;
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
    spend(rows_left, 1);
  }
  if (!erases()) return true;
  // They are forgotten, also where their rows cannot be erased.
  if (at.done.count != at_.done.count) return false;
  return transaction.erase_forgotten(rows_left);
}

}  // namespace culm::host
