#pragma once

#include <memory>
#include <stop_token>

#include "culm/replication/host/append_gate.hpp"
#include "culm/replication/host/replica.hpp"
#include "culm/replication/host/writer.hpp"

namespace culm::host {

/// A sync on a node of its own. Precondition: the store is locked for it, as long as this lives.
class SyncRun {
 public:
  /// All but `directory` and `own` must outlive it. `own`: see `StoreNodeOptions`.
  [[nodiscard]] static Result<std::unique_ptr<SyncRun>> start(
      store::Store& store, const std::string& directory, const ReplicaOptions& options,
      const node::SyncRequest& request, const Replica::Told& told,
      const std::optional<OwnLogs>& own = std::nullopt);
  SyncRun(const SyncRun&) = delete;
  SyncRun& operator=(const SyncRun&) = delete;
  ~SyncRun();

  /// Runs it in this thread until it has ended, of itself or because of `stop`.
  [[nodiscard]] node::SyncReport run(const std::stop_token& stop);
  /// To write to the store meanwhile, from any thread.
  [[nodiscard]] Writer& writer();

 private:
  class Impl;
  explicit SyncRun(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace culm::host
