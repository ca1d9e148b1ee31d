#include "culm/store/backup.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/core/hash.hpp"
#include "culm/store/detail/lmdb.hpp"
#include "culm/store/detail/rows.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/detail/store_directory.hpp"

namespace culm::store {
namespace {

namespace fs = std::filesystem;

// Under this name no store is looked for.
constexpr std::string_view kPartName = "data.mdb.part";

Error file_error(int number) { return error_system(Errc::kFileIo, number); }

/// What fails at the copy is no failure of the store.
Error of_copy(const Error& error) {
  const bool is_system = error.detail_kind == ErrorDetail::kSystem;
  return is_system ? file_error(static_cast<int>(error.detail)) : error;
}

/// The copy while it comes to be. Removed when it ends, and so is the directory where it was made.
class Part {
 public:
  static Result<Part> begin(const std::string& directory) {
    std::error_code error;
    const bool is_new = fs::create_directories(directory, error);
    if (error) return fail(file_error(error.value()));
    Part part(directory, is_new);
    CULM_CHECK(part.open());
    return part;
  }
  Part(Part&& other) noexcept
      : directory_(std::move(other.directory_)),
        is_new_(other.is_new_),
        file_(std::exchange(other.file_, -1)) {}
  Part& operator=(Part&&) = delete;
  ~Part() {
    if (file_ < 0) return;
    ::unlink(path().c_str());
    if (is_new_) ::rmdir(directory_.c_str());
    ::close(file_);
  }

  [[nodiscard]] std::string path() const { return directory_ + "/" + std::string(kPartName); }

  /// Gives it its name.
  Result<std::uint64_t> finish() && {
    struct stat status = {};
    const std::string name = directory_ + "/data.mdb";
    if (::fsync(file_) != 0 || ::fstat(file_, &status) != 0 ||
        ::rename(path().c_str(), name.c_str()) != 0) {
      return fail(file_error(errno));
    }
    ::close(std::exchange(file_, -1));
    const auto synced = detail::sync_directory(directory_);
    if (!synced) return fail(of_copy(synced.error()));
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  Part(std::string directory, bool is_new) : directory_(std::move(directory)), is_new_(is_new) {}

  /// Of what a copy left that was killed, the place is taken.
  Result<void> open() {
    CULM_CHECK(check_empty());
    const int file = ::open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return fail(file_error(errno));
    struct stat opened = {};
    struct stat named = {};
    const bool is_locked = ::flock(file, LOCK_EX | LOCK_NB) == 0;
    // Who had the lock before may have given the file its name by now.
    const bool is_own = is_locked && ::fstat(file, &opened) == 0 &&
                        ::stat(path().c_str(), &named) == 0 && opened.st_ino == named.st_ino;
    if (!is_own || ::ftruncate(file, 0) != 0) {
      ::close(file);
      return fail(Errc::kStoreLocked);
    }
    file_ = file;
    return check_empty();
  }

  [[nodiscard]] Result<void> check_empty() const {
    std::error_code error;
    fs::directory_iterator place(directory_, error);
    for (; !error && place != fs::directory_iterator(); place.increment(error)) {
      if (place->path().filename() != kPartName) return fail(Errc::kFileExists);
    }
    if (error) return fail(file_error(error.value()));
    return {};
  }

  std::string directory_;
  bool is_new_;
  int file_ = -1;
};

constexpr std::size_t kIdRandomBytes = 8;

/// Behind what is random in `id`, what says whose backup it is.
StoreId with_origin(StoreId id, const StoreId& of) {
  Hasher hasher;
  hasher.update(of);
  hasher.update(ByteView(id).first(kIdRandomBytes));
  const Hash said = hasher.finish();
  std::ranges::copy(ByteView(said.bytes).first(id.size() - kIdRandomBytes),
                    id.begin() + kIdRandomBytes);
  return id;
}

Result<void> change_id(const std::string& file, Random& random) {
  CULM_TRY(detail::LmdbEnv env, detail::LmdbEnv::open_alone(file));
  CULM_TRY(auto begun, env.begin(false));
  if (!begun) return fail(Errc::kStoreIo);
  const ByteView key = detail::meta_row_key();
  CULM_TRY(const auto value, begun->get(Table::kMeta, key));
  if (!value) return fail(Errc::kStoreDamaged);
  CULM_TRY(const ByteView body, detail::unseal(Table::kMeta, key, *value));
  CULM_TRY(auto meta, detail::decode_meta(body));
  const StoreId of = meta.id;
  random.fill(meta.id);
  meta.id = with_origin(meta.id, of);
  Bytes row;
  detail::encode_meta(row, meta);
  detail::seal(row, Table::kMeta, key);
  CULM_CHECK(begun->put(Table::kMeta, key, row));
  return begun->commit();
}

}  // namespace

Result<std::uint64_t> back_up(LmdbKv& store, const std::string& directory, Random& random) {
  CULM_TRY(Part part, Part::begin(directory));
  const auto copied = store.copy_to(part.path());
  if (!copied) return fail(of_copy(copied.error()));
  const auto changed = change_id(part.path(), random);
  if (!changed) return fail(of_copy(changed.error()));
  return std::move(part).finish();
}

bool is_backup_of(const StoreId& id, const StoreId& of) { return id == with_origin(id, of); }

void drop_unfinished_backup(const std::string& directory, bool is_new) noexcept {
  const std::string path = directory + "/" + std::string(kPartName);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file >= 0 && ::flock(file, LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
  if (file >= 0) ::close(file);
  if (is_new) ::rmdir(directory.c_str());
}

std::uint64_t backed_up_bytes(const std::string& directory) {
  std::error_code error;
  const auto size = fs::file_size(directory + "/" + std::string(kPartName), error);
  return error ? 0 : size;
}

}  // namespace culm::store
