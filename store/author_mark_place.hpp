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
/// What the mark of a log there says, to the store in `store_directory` if that is named; nothing
/// where there is none. Takes no lock, and needs no permission to write. Fails as
/// `AuthorMark::read`.
[[nodiscard]] Result<std::optional<Published>> read_author_mark(
    const std::string& directory, const LogKey& log, const std::string& store_directory = {});
/// Notes in the mark of a log, where there is one, that it is forgotten on purpose; see
/// `FileAuthorMark::write_forgotten`. Fails as that, and with kAuthorMarkLocked.
[[nodiscard]] Result<void> note_forgotten(const std::string& directory, const LogKey& log);
/// Whether that is `Published::is_unasked`. What a damaged mark has said, `Appender::open` asks
/// for. Fails with kFileIo.
[[nodiscard]] Result<bool> is_unasked(const std::string& directory, const LogKey& log);

/// An own log that a store knows nothing of.
struct GoneLog {
  LogKey log;
  SeqNum published = 0;  ///< the last entry, by its mark
};

/// Which logs are gone from a store: those that were last appended to in it, or in one that it is a
/// copy of from before; of one that was repaired the id may be new, so that those count as well
/// whose marks name the store that the marks of logs in it name; or those of any store.
enum class GoneFrom { kThis, kRepaired, kAny };

/// The marks in a directory as one store finds them, for who asks for many: of a log that is not in
/// the list no file is looked for.
class AuthorMarks {
 public:
  AuthorMarks() = default;  ///< none
  /// Fails as `list_author_marks`.
  [[nodiscard]] static Result<AuthorMarks> list(std::string directory,
                                                const std::string& store_directory);
  /// As `read_author_mark`.
  [[nodiscard]] Result<std::optional<Published>> read(const LogKey& log) const;
  /// Logs that the store does not know, though nobody has forgotten them. Passes over what it
  /// cannot read.
  [[nodiscard]] std::vector<GoneLog> list_gone(const ReadTransaction& transaction,
                                               const StoreId& store, GoneFrom from) const;

 private:
  std::string directory_;
  std::uint64_t store_file_ = 0;
  std::vector<LogKey> logs_;
};

}  // namespace culm::store
