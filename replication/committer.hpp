#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "culm/feed/verify.hpp"
#include "culm/store/store.hpp"

namespace culm::replication {

/// Names one piece of work of one session; unique in the process of the host.
struct WorkId {
  std::uint64_t session = 0;
  std::uint64_t work = 0;

  friend auto operator<=>(const WorkId&, const WorkId&) = default;
};

/// A unit in the elided form.
struct UnitWork {
  Bytes elided;
};

/// Part of a large payload, in order.
struct PayloadWork {
  SeqNum seqnum = 0;
  std::uint64_t offset = 0;
  bool last = false;
  Bytes bytes;
};

/// Evidence that came by itself.
struct EvidenceWork {
  Evidence evidence;
};

/// What a session wants done to the store.
struct Work {
  WorkId id;
  LogKey log;
  std::variant<UnitWork, PayloadWork, EvidenceWork> content;
};

/// What came of it.
struct WorkReport {
  WorkId id;
  LogKey log;
  Result<store::IngestReport> outcome;
};

/// Restores, verifies and appends what sessions received, many pieces in one transaction. Belongs
/// to the one thread that writes; no session is touched.
class Committer {
 public:
  /// All must outlive the committer.
  Committer(store::Store& store, SignatureVerifier& verifier, const AcceptOptions& options);

  /// Commits `works` in one transaction, each whole or not at all, and reports on each, in order.
  /// Durable when it returns. When the store itself fails, every report says so.
  [[nodiscard]] std::vector<WorkReport> commit(std::span<const Work> works);

 private:
  [[nodiscard]] Result<store::IngestReport> apply(store::WriteTransaction& transaction,
                                                  const Work& work);
  [[nodiscard]] Result<store::IngestReport> apply_unit(store::WriteTransaction& transaction,
                                                       const LogKey& log, const UnitWork& unit);

  store::Store& store_;
  SignatureVerifier& verifier_;
  AcceptOptions options_;
};

}  // namespace culm::replication
