#pragma once

#include <string>

#include "tools/cli/context.hpp"

namespace culm::tools {

/// Files of raw bytes; an empty name for one that was not given.
struct EntryFiles {
  std::string entry;
  std::string payload;
  std::string backlink;
  std::string lipmaalink;
};

/// Whether the files are an entry, its payload and its link targets: each exactly one canonical,
/// authentic entry, the targets those that the entry names by author, log, seqnum and hash. Fails
/// with exit 4 and the file that is wrong.
[[nodiscard]] Outcome<void> verify_entry_files(Context& context, const EntryFiles& files);

}  // namespace culm::tools
