#include "culm/store/salvage.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/store/detail/page_file.hpp"
#include "culm/store/detail/reconciliation.hpp"
#include "culm/store/detail/row_salvage.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/detail/store_directory.hpp"
#include "culm/store/lmdb_kv.hpp"

namespace culm::store {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSalvageRoomBytes = std::size_t{16} << 20U;
/// Rows of pages that were nearly empty fill pages to the half.
constexpr std::size_t kMapPerFile = 4;
constexpr int kLooksMax = 3;

constexpr std::string_view kKeptName = "data.mdb.damaged";

std::string data_file(const std::string& directory) { return directory + "/data.mdb"; }

/// One that was killed may have given the file a name already.
bool is_taken(const std::string& path, const std::string& by_other_than) {
  struct stat named = {};
  struct stat own = {};
  if (::lstat(path.c_str(), &named) != 0) return false;
  return ::stat(by_other_than.c_str(), &own) != 0 || named.st_dev != own.st_dev ||
         named.st_ino != own.st_ino;
}

/// What an earlier repair has kept stays: it may have what that has lost.
std::string next_kept_file(const std::string& directory) {
  const std::string first = directory + "/" + std::string(kKeptName);
  std::string path = first;
  for (int n = 2; is_taken(path, data_file(directory)); ++n) path = first + "." + std::to_string(n);
  return path;
}

Error not_kept(int number) {
  const bool is_full = number == ENOSPC || number == EDQUOT;
  return error_system(is_full ? Errc::kStoreFull : Errc::kStoreIo, number);
}

/// Who is killed leaves a draft, which the next one writes over.
Result<void> keep_copy(const std::string& directory, const std::string& as) {
  const std::string draft = directory + "/" + std::string(kKeptName) + ".new";
  std::error_code error;
  fs::copy_file(data_file(directory), draft, fs::copy_options::overwrite_existing, error);
  const int file = error ? -1 : ::open(draft.c_str(), O_RDONLY | O_CLOEXEC);
  const bool is_durable = file >= 0 && ::fsync(file) == 0;
  const int number = error ? error.value() : errno;
  if (file >= 0) ::close(file);
  if (is_durable && ::rename(draft.c_str(), as.c_str()) == 0) {
    return detail::sync_directory(directory);
  }
  const Error why = not_kept(is_durable ? errno : number);
  ::unlink(draft.c_str());
  return fail(why);
}

/// Under a second name, which stays when another file takes the first. Not each file system has
/// these.
Result<void> keep(const std::string& directory, const std::string& as) {
  if (::link(data_file(directory).c_str(), as.c_str()) != 0 && errno != EEXIST) {
    const int number = errno;
    const bool has_none = number == EPERM || number == EOPNOTSUPP || number == ENOSYS;
    return has_none ? keep_copy(directory, as) : fail(not_kept(number));
  }
  if (is_taken(as, data_file(directory))) return fail(error_system(Errc::kStoreIo, EEXIST));
  return detail::sync_directory(directory);
}

}  // namespace

std::vector<KeptFile> list_kept(const std::string& directory) {
  std::vector<KeptFile> files;
  std::error_code error;
  fs::directory_iterator place(directory, error);
  for (; !error && place != fs::directory_iterator(); place.increment(error)) {
    if (!place->path().filename().string().starts_with(kKeptName)) continue;
    const auto size = place->file_size(error);
    if (!error) files.push_back({place->path().string(), size});
    error.clear();
  }
  std::ranges::sort(files, {}, [](const KeptFile& file) {
    return std::pair(file.path.size(), file.path);  // 10 comes behind 2
  });
  return files;
}

Result<std::uint64_t> count_damaged_pages(const std::string& directory) {
  // Others may write meanwhile, over pages that nothing leads to any more.
  for (int looks = 0;; ++looks) {
    CULM_TRY(auto file, detail::PageFile::open(data_file(directory)));
    const std::uint64_t transaction = file.transaction();
    CULM_TRY(const auto damaged, file.count_damaged());
    if (damaged == 0 || looks == kLooksMax) return 0;
    CULM_TRY(auto again, detail::PageFile::open(data_file(directory)));
    const bool is_same = again.transaction() == transaction;
    CULM_TRY(const auto found, again.count_damaged());
    if (is_same && found == damaged) return damaged;
  }
}

bool can_salvage(const std::string& directory) {
  auto file = detail::PageFile::open(data_file(directory));
  if (!file) return file.error().code != Errc::kStoreDamaged;
  bool is_any = false;
  const auto look = [&](const detail::PageFile::Place& place, const KvRow& row) -> Result<void> {
    for (const Table one : {Table::kMeta, Table::kLogs, Table::kEntries}) {
      const bool may_be = place.may_be_bytes ? place.is_like_entries && one == Table::kEntries
                                             : !place.table || *place.table == one;
      is_any = is_any || (may_be && detail::unseal(one, row.key, row.value));
    }
    if (is_any) return fail(Errc::kStoreBusy);  // enough was read
    return {};
  };
  return !file->read(look) || is_any;
}

struct Salvage::State {
  std::string directory;
  std::string place;
  detail::DirectoryClaim claim;
  detail::WriterLock lock;
  std::uint64_t damaged_pages = 0;
  std::optional<std::uint64_t> lost_entries{};
  std::optional<std::uint64_t> unnamed_entries{};
  std::set<LogKey> old_logs{};
  bool may_be_older = false;
  bool are_all_logs_found = false;
  bool may_more_be_damaged = false;
  std::string kept_file{};

  ~State() {
    std::error_code error;
    fs::remove_all(place, error);
  }
  Result<void> make(Random& random);
  Result<void> replace();
};

Salvage::Salvage(std::unique_ptr<State> state) : state_(std::move(state)) {}
Salvage::Salvage(Salvage&& other) noexcept = default;
Salvage& Salvage::operator=(Salvage&&) noexcept = default;
Salvage::~Salvage() = default;

const std::string& Salvage::directory() const noexcept { return state_->place; }
std::uint64_t Salvage::damaged_pages() const noexcept { return state_->damaged_pages; }
std::optional<std::uint64_t> Salvage::lost_entries() const noexcept { return state_->lost_entries; }
std::optional<std::uint64_t> Salvage::unnamed_entries() const noexcept {
  return state_->unnamed_entries;
}

const std::set<LogKey>& Salvage::old_logs() const noexcept { return state_->old_logs; }
bool Salvage::are_all_logs_found() const noexcept { return state_->are_all_logs_found; }
bool Salvage::may_be_older() const noexcept { return state_->may_be_older; }
const std::string& Salvage::kept_file() const noexcept { return state_->kept_file; }
bool Salvage::may_more_be_damaged() const noexcept { return state_->may_more_be_damaged; }

Result<Salvage> Salvage::begin(const std::string& directory, Random& random) {
  CULM_CHECK(detail::check_files(directory));
  CULM_TRY(auto claim, detail::DirectoryClaim::take(directory));
  CULM_TRY(auto lock,
           detail::WriterLock::take(directory, detail::LockFor::kNode, LmdbKv::kNodeLockWaitMax));
  std::unique_ptr<State> state(
      new State{directory, detail::salvage_path(directory), std::move(claim), std::move(lock)});
  CULM_CHECK(state->make(random));
  // Of a log that was begun then nothing is left.
  if (state->may_be_older) state->lost_entries = state->unnamed_entries = std::nullopt;
  return Salvage(std::move(state));
}

Result<void> Salvage::State::make(Random& random) {
  CULM_TRY(auto file, detail::PageFile::open(data_file(directory)));
  std::error_code error;
  fs::remove_all(place, error);  // what was left by one that was killed
  CULM_TRY(const std::uint64_t bytes, file_size_bytes(directory));
  LmdbOptions options;
  options.map_size_bytes = kMapPerFile * static_cast<std::size_t>(bytes) + kSalvageRoomBytes;
  options.allow_network_filesystem = true;  // it is where the store is
  CULM_TRY(const auto kv, LmdbKv::open(place, options));
  detail::RowSalvage rows(*kv);
  const std::uint64_t newest = file.transaction();
  CULM_TRY(damaged_pages, rows.run(file));
  may_be_older = file.may_be_older();
  may_more_be_damaged = file.may_more_be_damaged() || may_be_older;
  const bool is_newest = file.transaction() == newest && !may_be_older;  // a meta page leads there
  const bool is_all_read =
      damaged_pages != 0 && is_newest && !file.are_tables_damaged() && rows.are_all_sound();
  if (!is_all_read) kept_file = next_kept_file(directory);
  CULM_TRY(const auto writing, kv->begin_write());
  CULM_TRY(auto reconciled, detail::reconcile(*writing, random, rows.lost(), file));
  if (file.counts_rows_of(Table::kEntries) && !reconciled.has_forgotten) {
    const std::uint64_t had = file.rows_of(Table::kEntries);
    lost_entries = had - std::min(had, reconciled.entries);
    unnamed_entries = had - std::min(had, reconciled.named);
  }
  are_all_logs_found = reconciled.are_all_logs && !may_be_older;
  old_logs = std::move(reconciled.old_logs);
  return writing->commit();
}

Result<void> Salvage::State::replace() {
  struct stat status = {};
  const std::string made = data_file(place);
  const bool is_ready = ::stat(data_file(directory).c_str(), &status) == 0 &&
                        ::chmod(made.c_str(), status.st_mode & 07777U) == 0 &&
                        ::chown(made.c_str(), status.st_uid, status.st_gid) == 0 &&
                        ::rename(made.c_str(), detail::copy_path(directory).c_str()) == 0;
  if (!is_ready) return fail(error_system(Errc::kStoreIo, errno));
  std::error_code error;
  fs::remove_all(place, error);  // before, so that who is killed leaves none of it
  return detail::replace_data_file(directory, LmdbKv::kNodeLockWaitMax, detail::LockFile::kGoes);
}

Result<void> Salvage::finish() && {
  const std::string& directory = state_->directory;
  const std::string& kept = state_->kept_file;
  if (kept.empty()) return state_->replace();
  struct stat status = {};
  const bool is_new = ::lstat(kept.c_str(), &status) != 0;
  Result<void> done = keep(directory, kept);
  if (done) done = state_->replace();
  // The store's own file needs no second name.
  if (!done && is_new && !is_taken(kept, data_file(directory))) ::unlink(kept.c_str());
  return done;
}

}  // namespace culm::store
