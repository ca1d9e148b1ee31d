#pragma once

#include <memory>
#include <string>
#include <vector>

#include "culm/store/author_mark.hpp"

/// Where the author marks of a user lie: one place for all keys and stores, so that a key finds its
/// marks again under whatever path it is used. Spec: store.md#author-mark
namespace culm::store {

/// $CULM_MARKS, or culm/marks in $XDG_DATA_HOME, or in ~/.local/share. Fails with kFileIo for a
/// user without a home.
[[nodiscard]] Result<std::string> find_marks_directory();

/// "DIRECTORY/AUTHOR.LOG_ID.mark".
[[nodiscard]] std::string author_mark_path(const std::string& directory, const LogKey& log);

struct MarkUse {
  std::string directory;   ///< see `find_marks_directory`
  std::string key_path{};  ///< what an earlier version kept beside it is taken over; "": none
  std::string store_directory{};  ///< whose copy is told from it; "": none
  Duration wait_max = FileAuthorMark::kWaitMax;
};

/// Opens the mark of a log, and makes the directory and it where they are missing. Waits for what
/// is taken over as `FileAuthorMark::lock` does. Fails with kAuthorMarkLocked, kFileIo.
[[nodiscard]] Result<std::unique_ptr<FileAuthorMark>> open_author_mark(const MarkUse& use,
                                                                       const LogKey& log);

/// The logs that have a mark there, in order; none where there is no such directory. Fails with
/// kFileIo.
[[nodiscard]] Result<std::vector<LogKey>> list_author_marks(const std::string& directory);
/// Of these the logs whose mark says `Published::is_unasked`. Fails likewise.
[[nodiscard]] Result<std::vector<LogKey>> list_unasked_marks(const std::string& directory);

}  // namespace culm::store
