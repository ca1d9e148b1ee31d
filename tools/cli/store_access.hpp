#pragma once

#include <memory>
#include <string>

#include "culm/replication/host/writer.hpp"
#include "culm/store/store.hpp"

#include "tools/cli/context.hpp"

namespace culm::tools {

/// "store DIR".
[[nodiscard]] std::string named(const Context& context);
/// Another process writes to the store; which one, where that is known.
[[nodiscard]] Failure locked(const Context& context);

/// Opens the store beside processes that write to it. Fails with exit 3 when there is none, 5
/// when it cannot be read.
[[nodiscard]] Outcome<std::unique_ptr<store::Store>> open_for_reading(const Context& context);

enum class IfMissing { kFail, kCreate };

/// A store to read and to write, by itself or through the node that runs on it.
class StoreAccess {
 public:
  /// `verifier` and `options` are for units ingested here; a node uses its own. Fails as
  /// `open_for_reading`, and with exit 8 and the pid when a node runs there that takes no requests.
  /// `verifier` must outlive this.
  [[nodiscard]] static Outcome<StoreAccess> open(const Context& context, IfMissing if_missing,
                                                 SignatureVerifier& verifier,
                                                 const AcceptOptions& options = {});

  [[nodiscard]] store::Store& store() noexcept { return *store_; }
  [[nodiscard]] host::Writer& writer() noexcept { return *writer_; }
  /// Whether a node did the writing when it was opened.
  [[nodiscard]] bool is_remote() const noexcept { return is_remote_; }

 private:
  StoreAccess(std::unique_ptr<store::Store> store, std::unique_ptr<host::Writer> writer,
              bool is_remote)
      : store_(std::move(store)), writer_(std::move(writer)), is_remote_(is_remote) {}

  std::unique_ptr<store::Store> store_;
  std::unique_ptr<host::Writer> writer_;
  bool is_remote_;
};

}  // namespace culm::tools
