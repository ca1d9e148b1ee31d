#pragma once

#include <cstdint>
#include <vector>

#include "culm/replication/host/jsonl_file.hpp"
#include "culm/replication/host/writer.hpp"

namespace culm::host {

/// What came of an import.
struct JsonlImport {
  std::uint64_t added = 0;  ///< entries
  std::uint64_t known = 0;  ///< entries that were held before, the same
  std::uint64_t payloads_added = 0;
  std::uint64_t payloads_undeleted = 0;  ///< of those added: deleted here before
  std::uint64_t payloads_deleted = 0;    ///< not taken again
  std::uint64_t capped = 0;              ///< entries not taken, since the author forked their logs
  std::vector<JsonlFork> forks{};        ///< that these lie behind: proven by a line, or before
};

struct JsonlImportOptions {
  bool undelete = false;           ///< takes payloads too that were deleted here
  JsonlFile::Told told = nullptr;  ///< the entries done
};

/// Takes the entries of a file, checked before against the same store, and keeps what they are for:
/// entries with payload for their own sake, others as their proof; of a log that is there from
/// entry 1 on without a gap all is wanted from then on. What was committed
/// when it fails stays. Fails with the log that the writer or the store refused, as
/// `Writer::ingest`, or as `JsonlFile::read_payload`.
///
///     CULM_TRY(auto store, open_to_write("store", true, verifier, {.full = true}));
///     const auto import = import_jsonl(file, store);
[[nodiscard]] JsonlResult<JsonlImport> import_jsonl(const JsonlFile& file, WritableStore& store,
                                                    const JsonlImportOptions& options = {});

}  // namespace culm::host
