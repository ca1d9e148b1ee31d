#include "culm/store/author_mark_place.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <pwd.h>
#include <unistd.h>

#include "culm/store/backup.hpp"
#include "culm/store/detail/file_number.hpp"

namespace culm::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".mark";

std::optional<std::string> find_variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Result<std::string> find_home() {
  if (auto home = find_variable("HOME")) return *std::move(home);
  const passwd* const user = ::getpwuid(::getuid());
  if (user == nullptr || user->pw_dir == nullptr || *user->pw_dir == '\0') {
    return fail(error_system(Errc::kFileIo, ENOENT));
  }
  return user->pw_dir;
}

/// Of versions that kept it beside the key: "KEY_PATH.LOG_ID.mark".
std::string old_path(const std::string& key_path, LogId log_id) {
  return key_path + "." + std::to_string(to_integer(log_id)) + std::string(kSuffix);
}

std::uint64_t number_of(const std::string& store_directory) {
  return store_directory.empty() ? 0 : detail::store_number(store_directory);
}

bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

Result<std::optional<FiledMark>> read_file(const std::string& directory, const LogKey& log,
                                           std::uint64_t store_file) {
  const auto mark = FileAuthorMark::open_to_read(author_mark_path(directory, log), log, store_file);
  if (!mark && mark.error() == error_system(Errc::kFileIo, ENOENT)) return std::nullopt;
  if (!mark) return fail(mark.error());
  return (*mark)->read_file();
}

Result<std::optional<Published>> read_mark(const std::string& directory, const LogKey& log,
                                           std::uint64_t store_file) {
  CULM_TRY(const auto file, read_file(directory, log, store_file));
  return file ? std::optional(file->published) : std::nullopt;
}

/// Takes what the file of an earlier version says, if it says more.
Result<void> take_over(FileAuthorMark& mark, const LogKey& log, const std::string& old) {
  CULM_TRY(const auto other, FileAuthorMark::open(old, log));
  const auto theirs = other->read();
  if (!theirs) return {};  // damaged; ours is what counts
  CULM_CHECK(with_lock(mark, [&]() -> Result<void> {
    const auto ours = mark.read();
    const SeqNum seqnum = ours && *ours ? (*ours)->seqnum : 0;
    const bool says_more = *theirs && seqnum < (*theirs)->seqnum;
    if (!says_more) return {};
    return mark.write({(*theirs)->seqnum, (*theirs)->hash, (*theirs)->store});
  }));
  ::unlink(old.c_str());
  return {};
}

}  // namespace

Result<std::string> find_marks_directory() {
  if (auto marks = find_variable("CULM_MARKS")) return *std::move(marks);
  const auto data = find_variable("XDG_DATA_HOME");
  // A relative one is to be passed over: XDG Base Directory Specification.
  if (data && data->starts_with('/')) return *data + "/culm/marks";
  CULM_TRY(const std::string home, find_home());
  return home + "/.local/share/culm/marks";
}

std::string author_mark_path(const std::string& directory, const LogKey& log) {
  return directory + "/" + to_hex(log.author.bytes) + "." + std::to_string(to_integer(log.log_id)) +
         std::string(kSuffix);
}

Result<std::unique_ptr<FileAuthorMark>> open_author_mark(const MarkUse& use, const LogKey& log) {
  const std::string path = author_mark_path(use.directory, log);
  const std::string old = old_path(use.key_path, log.log_id);
  const bool is_older = !use.key_path.empty() && is_file(old);
  if (is_older && !is_file(path)) {
    // As it is, damaged ones as well: they say that there was one.
    CULM_TRY(const bool is_copied, FileAuthorMark::copy(old, path));
    if (is_copied) ::unlink(old.c_str());
  }
  CULM_TRY(auto mark,
           FileAuthorMark::open(path, log, use.wait_max, number_of(use.store_directory)));
  if (is_older && is_file(old)) CULM_CHECK(take_over(*mark, log, old));
  return mark;
}

Result<std::vector<LogKey>> list_author_marks(const std::string& directory) {
  std::vector<LogKey> logs;
  std::error_code error;
  fs::directory_iterator file(directory, error);
  // Who may not look there has appended nothing from there.
  const bool is_none = error == std::errc::no_such_file_or_directory ||
                       error == std::errc::not_a_directory || error == std::errc::permission_denied;
  if (is_none) return logs;
  for (; !error && file != fs::directory_iterator(); file.increment(error)) {
    const std::string name = file->path().filename().string();
    if (!name.ends_with(kSuffix)) continue;
    const auto log = parse_log_key(std::string_view(name).substr(0, name.size() - kSuffix.size()));
    if (log) logs.push_back(*log);
  }
  if (error) return fail(error_system(Errc::kFileIo, error.value()));
  std::ranges::sort(logs);
  return logs;
}

Result<std::optional<Published>> read_author_mark(const std::string& directory, const LogKey& log,
                                                  const std::string& store_directory) {
  return read_mark(directory, log, number_of(store_directory));
}

Result<AuthorMarks> AuthorMarks::list(std::string directory, const std::string& store_directory) {
  AuthorMarks marks;
  CULM_TRY(marks.logs_, list_author_marks(directory));
  marks.directory_ = std::move(directory);
  marks.store_file_ = number_of(store_directory);
  return marks;
}

Result<std::optional<Published>> AuthorMarks::read(const LogKey& log) const {
  if (!std::ranges::binary_search(logs_, log)) return std::nullopt;
  return read_mark(directory_, log, store_file_);
}

namespace {

struct MarkOfLog {
  LogKey log;
  FiledMark mark;
  bool is_gone;
};

/// That of the store, and those of stores that it is a backup of, as far as marks name them.
std::set<StoreId> list_ids(const std::vector<MarkOfLog>& all, const StoreId& store, GoneFrom from) {
  std::set<StoreId> ids{store};
  for (std::size_t before = 0; before != ids.size();) {
    before = ids.size();
    for (const MarkOfLog& one : all) {
      const Published& published = one.mark.published;
      if (published.is_unasked() || ids.contains(published.store)) continue;
      const auto is_its_backup = [&](const StoreId& id) {
        return is_backup_of(id, published.store);
      };
      const bool is_known = from == GoneFrom::kRepaired && !one.is_gone;
      if (is_known || std::ranges::any_of(ids, is_its_backup)) ids.insert(published.store);
    }
  }
  return ids;
}

}  // namespace

std::vector<GoneLog> AuthorMarks::list_gone(const ReadTransaction& transaction,
                                            const StoreId& store, GoneFrom from) const {
  const auto is_gone = [&transaction](const LogKey& log) {
    const auto found = transaction.find_outline(log);
    return found && !*found;
  };
  std::vector<GoneLog> gone;
  if (std::ranges::none_of(logs_, is_gone)) return gone;
  std::vector<MarkOfLog> all;
  for (const LogKey& log : logs_) {
    const auto mark = read_file(directory_, log, store_file_);
    if (mark && *mark) all.push_back({log, **mark, is_gone(log)});
  }
  const std::set<StoreId> ids = list_ids(all, store, from);
  // As an unasked mark names no store, the file tells that it was written beside.
  std::set<std::uint64_t> files{store_file_};
  for (const auto& [log, mark, is_gone_here] : all) {
    if (ids.contains(mark.published.store)) files.insert(mark.store_file);
  }
  files.erase(0);
  for (const auto& [log, mark, is_gone_here] : all) {
    const auto& [published, store_file, is_forgotten] = mark;
    const bool is_of_this = ids.contains(published.store) || files.contains(store_file);
    if (!is_gone_here || published.seqnum == 0 || is_forgotten) continue;
    if (is_of_this || from == GoneFrom::kAny) gone.push_back({log, published.seqnum});
  }
  return gone;
}

Result<void> note_forgotten(const std::string& directory, const LogKey& log) {
  if (!is_file(author_mark_path(directory, log))) return {};
  CULM_TRY(const auto mark, open_author_mark({.directory = directory}, log));
  return with_lock(*mark, [&] { return mark->write_forgotten(); });
}

Result<bool> is_unasked(const std::string& directory, const LogKey& log) {
  const auto published = read_author_mark(directory, log);
  if (!published && published.error().code == Errc::kAuthorMarkFormat) return false;
  if (!published) return fail(published.error());
  return *published && (*published)->is_unasked();
}

}  // namespace culm::store
