#pragma once

#include <span>

#include "culm/replication/host/log_change.hpp"
#include "culm/store/store.hpp"

namespace culm::host {

/// Makes changes of logs in transactions of bounded size: each of many small ones, so that what is
/// small is done by one of them or not at all.
class ChangeSteps {
 public:
  /// Borrows them. Without any, what is left of logs forgotten before is erased.
  explicit ChangeSteps(std::span<const LogChange> changes) : changes_(changes) {}

  /// The next transaction; whether it was the last. Fails as the store.
  [[nodiscard]] Result<bool> run(store::Store& store);

  /// What has come of them up to now.
  [[nodiscard]] const ChangedLogs& done() const noexcept { return at_.done; }

 private:
  /// How far it is. What a transaction does to it counts once that is committed.
  struct Place {
    ChangedLogs done;
    bool is_begun = false;  ///< with the next one
    RangeSet rest;          ///< of the payloads that this one deletes
  };

  Result<bool> step(store::WriteTransaction& transaction, Place& at) const;
  Result<bool> delete_on_full_disk(store::Store& store);
  [[nodiscard]] const LogChange::DeletePayloads* next_deletion() const;
  [[nodiscard]] bool erases() const;

  std::span<const LogChange> changes_;
  Place at_;
  std::size_t alone_ = 0;  ///< this one begins a transaction
  bool was_full_ = false;
};

}  // namespace culm::host
