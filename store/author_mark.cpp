#include "culm/store/author_mark.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/store/detail/file_number.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store {
namespace {

namespace fs = std::filesystem;

// A slot: magic 8, generation 8, author 32, log_id 8, seqnum 8, hash 64, store 16, checksum 8.
constexpr std::string_view kMarkMagic = "culmmrk1";
constexpr std::size_t kContentSizeBytes = 8 + 8 + 32 + 8 + 8 + 64 + 16;
constexpr std::size_t kSlotSizeBytes = kContentSizeBytes + detail::kChecksumSizeBytes;
// A torn sector takes one slot with it, never both.
constexpr off_t kSlotDistanceBytes = 4096;

// Behind the slots, which files these were written for: magic 8, the mark's 8, the store's 8,
// checksum 8.
constexpr std::string_view kPlaceMagic = "culmplc1";
constexpr off_t kPlaceStartBytes = 2 * kSlotDistanceBytes;
constexpr std::size_t kPlaceSizeBytes = 8 + 8 + 8 + detail::kChecksumSizeBytes;

// Behind that, what was published of the log when it was forgotten: magic 8, seqnum 8, checksum 8.
constexpr std::string_view kForgottenMagic = "culmfgt1";
constexpr off_t kForgottenStartBytes = kPlaceStartBytes + off_t{kPlaceSizeBytes};
constexpr std::size_t kForgottenSizeBytes = 8 + 8 + detail::kChecksumSizeBytes;

/// How a store id begins that is none: behind it a number of 4 bytes and the start of the hash of
/// an entry.
constexpr std::uint64_t kBranchKind = 0x02000000;
constexpr unsigned kBetweenBits = 32;
constexpr std::uint64_t kBetweenMax = (std::uint64_t{1} << kBetweenBits) - 1;
constexpr std::size_t kBranchHashBytes = 8;

/// The generation of both slots before the first write.
constexpr std::uint64_t kUnpublished = 0;

using Slot = std::array<std::uint8_t, kSlotSizeBytes>;

struct Mark {
  std::uint64_t generation = 0;
  LogKey log;
  Published published;
};

std::uint64_t slot_checksum(ByteView content) {
  return detail::checksum(0, as_bytes("author mark"), content);
}

Slot encode(const Mark& mark) {
  Bytes out;
  append_bytes(out, as_bytes(kMarkMagic));
  append_bytes(out, to_big_endian(mark.generation));
  append_bytes(out, detail::log_row_key(mark.log));
  append_bytes(out, to_big_endian(mark.published.seqnum));
  append_bytes(out, mark.published.hash.bytes);
  append_bytes(out, mark.published.store);
  append_bytes(out, to_big_endian(slot_checksum(out)));
  Slot slot;
  std::ranges::copy(out, slot.begin());
  return slot;
}

std::optional<Mark> decode(ByteView slot) {
  const ByteView content = slot.first(kContentSizeBytes);
  if (!equal(content.first(kMarkMagic.size()), as_bytes(kMarkMagic))) return std::nullopt;
  if (from_big_endian(slot.subspan(kContentSizeBytes)) != slot_checksum(content)) {
    return std::nullopt;
  }
  Mark mark;
  ByteView rest = content.subspan(kMarkMagic.size());
  const auto take = [&rest](std::size_t size) {
    const ByteView part = rest.first(size);
    rest = rest.subspan(size);
    return part;
  };
  mark.generation = from_big_endian(take(8));
  mark.log = *detail::parse_log_row_key(take(sizeof(detail::LogRowKey)));
  mark.published.seqnum = from_big_endian(take(8));
  std::ranges::copy(take(mark.published.hash.bytes.size()), mark.published.hash.bytes.begin());
  std::ranges::copy(take(mark.published.store.size()), mark.published.store.begin());
  return mark;
}

tl::unexpected<Error> mark_failure() { return fail(error_system(Errc::kFileIo, errno)); }

off_t place_of(std::uint64_t generation) {
  return generation % 2 == 0 ? off_t{0} : kSlotDistanceBytes;
}

Result<void> write_at(int descriptor, ByteView bytes, off_t start) {
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t put = ::pwrite(descriptor, bytes.data() + size, bytes.size() - size,
                                 start + static_cast<off_t>(size));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return mark_failure();
    size += static_cast<std::size_t>(put);
  }
  if (::fdatasync(descriptor) != 0) return mark_failure();
  return {};
}

Result<void> write_unpublished(int descriptor, const LogKey& log) {
  const Slot slot = encode({kUnpublished, log, {}});
  CULM_CHECK(write_at(descriptor, slot, 0));
  return write_at(descriptor, slot, kSlotDistanceBytes);
}

/// What there is of `size` bytes.
Result<Bytes> read_at(int descriptor, off_t start, std::size_t size) {
  Bytes bytes(size);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(descriptor, bytes.data() + done, size - done, start + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return mark_failure();
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

/// What the file holds of both slots.
Result<Bytes> read_whole(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return mark_failure();
  auto bytes = read_at(descriptor, 0, static_cast<std::size_t>(kPlaceStartBytes));
  ::close(descriptor);
  return bytes;
}

/// Each that is missing, durable before the next is made in it: the topmost, or "".
Result<std::string> make_directory(const fs::path& directory) {
  std::error_code error;
  if (directory.empty() || fs::is_directory(directory, error)) return "";
  CULM_TRY(std::string topmost, make_directory(directory.parent_path()));
  const bool is_made = fs::create_directory(directory, error);
  if (is_made && !error) fs::permissions(directory, fs::perms::owner_all, error);
  if (error) return fail(error_system(Errc::kFileIo, error.value()));
  if (!is_made) return topmost;
  CULM_CHECK(sync_parent(directory));
  return topmost.empty() ? directory.string() : topmost;
}

using Clock = std::chrono::steady_clock;

// The bytes of the file that are locked. Who wants to append takes the turn, waits for the lock,
// and then passes the turn on: so one who appends without end, and asks again at once, comes after
// who waited meanwhile.
constexpr off_t kTurnByte = 0;
constexpr off_t kLockByte = 1;

// Of the open file, not of the process: they exclude each other within a process as well.
struct flock one_byte(short type, off_t start) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = start;
  range.l_len = 1;
  return range;
}

void unlock_byte(int descriptor, off_t start) {
  auto range = one_byte(F_UNLCK, start);
  ::fcntl(descriptor, F_OFD_SETLK, &range);
}

/// fcntl waits either not at all or for ever, so a bounded wait has to ask again.
Result<void> lock_byte(int descriptor, off_t start, Clock::time_point end) {
  constexpr Duration kRetryMin = std::chrono::microseconds(200);
  constexpr Duration kRetryMax = std::chrono::milliseconds(10);
  for (Duration retry = kRetryMin;; retry = std::min(2 * retry, kRetryMax)) {
    auto range = one_byte(F_WRLCK, start);
    if (::fcntl(descriptor, F_OFD_SETLK, &range) == 0) return {};
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return mark_failure();
    const auto now = Clock::now();
    if (now >= end) return fail(Errc::kAuthorMarkLocked);
    std::this_thread::sleep_until(std::min(end, now + retry));
  }
}

struct stat look_at(int descriptor) {
  struct stat file = {};
  ::fstat(descriptor, &file);
  return file;
}

// What is written is dated so: just not at the time of its change. A copy has both times alike, or
// the one alone that can be set.
constexpr long kDateNanoseconds = 1'414;
constexpr long kDateStep = 10'000;
constexpr std::int64_t kDateSlack = 1'000'000;

bool is_touched(const struct stat& file) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t seconds = file.st_ctim.tv_sec - file.st_mtim.tv_sec;
  // Some file systems know seconds alone.
  if (file.st_mtim.tv_nsec == 0 && file.st_ctim.tv_nsec == 0) return seconds < -1 || seconds > 1;
  if (file.st_mtim.tv_nsec % kDateStep != kDateNanoseconds || seconds < -1 || seconds > 1) {
    return true;
  }
  const std::int64_t apart = seconds * kSecond + file.st_ctim.tv_nsec - file.st_mtim.tv_nsec;
  return apart == 0 || apart < -kDateSlack || apart > kDateSlack;
}

void date(int descriptor) {
  constexpr int kTriesMax = 10;
  for (int tried = 0; tried < kTriesMax && is_touched(look_at(descriptor)); ++tried) {
    struct timespec time = look_at(descriptor).st_ctim;
    time.tv_nsec = time.tv_nsec / kDateStep * kDateStep + kDateNanoseconds;
    const std::array<struct timespec, 2> times = {timespec{0, UTIME_OMIT}, time};
    ::futimens(descriptor, times.data());
  }
}

}  // namespace

StoreId branch_store(const Hash& other, std::uint64_t between) {
  if (between > kBetweenMax) return kUnaskedStore;
  StoreId store{};
  const auto hash =
      std::ranges::copy(to_big_endian(kBranchKind << kBetweenBits | between), store.begin());
  std::ranges::copy(ByteView(other.bytes).first(kBranchHashBytes), hash.out);
  return store;
}

SeqNum Published::branch_at() const noexcept {
  const std::uint64_t said = from_big_endian(store);
  return said >> kBetweenBits == kBranchKind ? seqnum + 1 + (said & kBetweenMax) : 0;
}

bool is_unasked(AuthorMark& mark) {
  const auto published = mark.read();
  return published && *published && (*published)->is_unasked();
}

Result<void> sync_parent(const std::string& path) {
  auto parent = fs::path(path).parent_path();
  if (parent.empty()) parent = ".";
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // One that may be passed but not read cannot be synced; its owner has to.
  if (directory < 0 && errno == EACCES) return {};
  if (directory < 0) return mark_failure();
  const int synced = ::fsync(directory);
  const int error = errno;
  ::close(directory);
  if (synced != 0) return fail(error_system(Errc::kFileIo, error));
  return {};
}

struct FileAuthorMark::Opened {
  int descriptor;
  Made made;
};

/// The file comes to be whole or not at all, so that one that is cut short was damaged. Somebody
/// else may be faster.
template <class Fill>
Result<FileAuthorMark::Made> FileAuthorMark::make(const std::string& path, Fill fill) {
  Made made;
  CULM_TRY(made.directory, make_directory(fs::path(path).parent_path()));
  std::string draft = path + ".new.XXXXXX";  // of this thread alone
  const int descriptor = ::mkostemp(draft.data(), O_CLOEXEC);
  if (descriptor < 0) return mark_failure();
  Result<void> filled = fill(descriptor);
  ::close(descriptor);
  made.is_file = filled && ::link(draft.c_str(), path.c_str()) == 0;
  if (filled && !made.is_file && errno != EEXIST) filled = mark_failure();
  ::unlink(draft.c_str());
  CULM_CHECK(filled);
  CULM_CHECK(sync_parent(path));
  return made;
}

/// Who is refused meanwhile takes back the file, and the directories, that he has made.
Result<FileAuthorMark::Opened> FileAuthorMark::open_or_make(const std::string& path,
                                                            const LogKey& log) {
  constexpr int kTriesMax = 100;
  const Error is_gone = error_system(Errc::kFileIo, ENOENT);
  Made made;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor >= 0) return Opened{descriptor, std::move(made)};
    if (errno != ENOENT) return mark_failure();
    auto done = make(path, [&log](int opened) { return write_unpublished(opened, log); });
    if (!done && done.error() != is_gone) return fail(done.error());
    if (done) made = *std::move(done);
  }
  return fail(is_gone);
}

constexpr std::size_t kStoreFileAt = kPlaceMagic.size() + 8;

/// The number of the store's file in a place; 0 where that is damaged, or tells of none.
static std::uint64_t store_file_of(ByteView place) {
  const ByteView content = place.first(kStoreFileAt + 8);
  const bool is_sound = equal(content.first(kPlaceMagic.size()), as_bytes(kPlaceMagic)) &&
                        from_big_endian(place.subspan(kStoreFileAt + 8)) == slot_checksum(content);
  return is_sound ? from_big_endian(content.subspan(kStoreFileAt)) : 0;
}

/// Whether the mark's file is the same, and both have a store, which differ.
static bool is_written_beside_another(ByteView written_for, ByteView place) {
  const std::uint64_t before = store_file_of(written_for);
  const std::uint64_t now = store_file_of(place);
  return before != 0 && now != 0 && before != now &&
         equal(written_for.first(kStoreFileAt), place.first(kStoreFileAt));
}

static Bytes make_forgotten(SeqNum seqnum) {
  Bytes out;
  append_bytes(out, as_bytes(kForgottenMagic));
  append_bytes(out, to_big_endian(seqnum));
  append_bytes(out, to_big_endian(slot_checksum(out)));
  return out;
}

struct FileAuthorMark::Slots {
  std::optional<Mark> newest;
  bool any_damaged = false;
  bool is_copied = false;
  bool is_elsewhere = false;
  std::uint64_t store_file = 0;
  bool is_forgotten = false;
};

Result<std::unique_ptr<FileAuthorMark>> FileAuthorMark::open(const std::string& path,
                                                             const LogKey& log, Duration wait_max,
                                                             std::uint64_t store_file) {
  CULM_TRY(Opened opened, open_or_make(path, log));
  std::unique_ptr<FileAuthorMark> mark(
      new FileAuthorMark(path, opened.descriptor, log, wait_max, store_file));
  mark->made_ = std::move(opened.made);
  return mark;
}

Result<std::unique_ptr<FileAuthorMark>> FileAuthorMark::open_to_read(const std::string& path,
                                                                     const LogKey& log,
                                                                     std::uint64_t store_file) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return mark_failure();
  return std::unique_ptr<FileAuthorMark>(
      new FileAuthorMark(path, descriptor, log, Duration(0), store_file));
}

Result<bool> FileAuthorMark::copy(const std::string& other, const std::string& path) {
  const auto bytes = read_whole(other);
  if (!bytes && bytes.error() == error_system(Errc::kFileIo, ENOENT)) return false;
  if (!bytes) return fail(bytes.error());
  CULM_TRY(const Made made,
           make(path, [&bytes](int opened) { return write_at(opened, *bytes, 0); }));
  return made.is_file;
}

FileAuthorMark::~FileAuthorMark() {
  if (made_.is_file) remove_unwritten();
  ::close(descriptor_);
}

/// Who waits for the lock meanwhile, `lock` opens the file for again.
void FileAuthorMark::remove_unwritten() const {
  if (!lock_byte(descriptor_, kLockByte, Clock::time_point::min())) return;
  const auto slots = read_slots();
  const bool is_unwritten =
      slots && !slots->any_damaged && slots->newest->generation == kUnpublished;
  if (!is_unwritten || look_at(descriptor_).st_nlink == 0) return;
  ::unlink(path_.c_str());
  if (made_.directory.empty()) return;
  const auto end = fs::path(made_.directory).parent_path();
  for (auto made = fs::path(path_).parent_path(); made != end && made.has_filename();
       made = made.parent_path()) {
    if (::rmdir(made.c_str()) != 0) return;
  }
}

Result<void> FileAuthorMark::lock() {
  const auto end = Clock::now() + wait_max_;
  for (;;) {
    CULM_CHECK(lock_byte(descriptor_, kTurnByte, end));
    auto locked = lock_byte(descriptor_, kLockByte, end);
    unlock_byte(descriptor_, kTurnByte);
    if (!locked || look_at(descriptor_).st_nlink != 0) return locked;
    CULM_TRY(Opened again, open_or_make(path_, log_));
    ::close(descriptor_);
    descriptor_ = again.descriptor;
    made_ = std::move(again.made);
  }
}

void FileAuthorMark::unlock() noexcept { unlock_byte(descriptor_, kLockByte); }

Result<FileAuthorMark::Slots> FileAuthorMark::read_slots() const {
  Slots slots;
  constexpr std::size_t kSizeBytes = kForgottenStartBytes + kForgottenSizeBytes;
  CULM_TRY(Bytes file, read_at(descriptor_, 0, kSizeBytes));
  file.resize(kSizeBytes);
  for (const std::size_t start : std::array<std::size_t, 2>{0, kSlotDistanceBytes}) {
    const auto mark = decode(ByteView(file).subspan(start, kSlotSizeBytes));
    if (!mark) {
      slots.any_damaged = true;
      continue;
    }
    if (mark->log != log_) return fail(Errc::kAuthorMarkFormat);
    if (!slots.newest || slots.newest->generation < mark->generation) slots.newest = mark;
  }
  const ByteView written_for = ByteView(file).subspan(kPlaceStartBytes, kPlaceSizeBytes);
  CULM_TRY(const Bytes place, make_place(store_file_));
  slots.is_copied = !equal(written_for, place) || is_touched(look_at(descriptor_));
  slots.is_elsewhere = is_written_beside_another(written_for, place);
  slots.store_file = store_file_of(written_for);
  slots.is_forgotten = slots.newest && equal(ByteView(file).subspan(kForgottenStartBytes),
                                             make_forgotten(slots.newest->published.seqnum));
  return slots;
}

Result<Bytes> FileAuthorMark::make_place(std::uint64_t store_file) const {
  const std::uint64_t number = detail::file_number(descriptor_);
  if (number == 0) return mark_failure();
  Bytes out;
  append_bytes(out, as_bytes(kPlaceMagic));
  append_bytes(out, to_big_endian(number));
  append_bytes(out, to_big_endian(store_file));
  append_bytes(out, to_big_endian(slot_checksum(out)));
  return out;
}

Result<std::optional<Published>> FileAuthorMark::read() {
  CULM_TRY(const auto file, read_file());
  return file ? std::optional(file->published) : std::nullopt;
}

Result<std::optional<FiledMark>> FileAuthorMark::read_file() {
  CULM_TRY(const Slots slots, read_slots());
  if (!slots.newest) return fail(Errc::kAuthorMarkFormat);
  if (slots.newest->generation == kUnpublished) return std::nullopt;
  Published published = slots.newest->published;
  published.is_overtaken = slots.any_damaged;
  published.is_copied = slots.is_copied;
  published.is_elsewhere = slots.is_elsewhere;
  return FiledMark{published, slots.store_file, slots.is_forgotten};
}

/// A copy stays one: it is not dated.
Result<void> FileAuthorMark::write_forgotten() {
  CULM_TRY(const auto file, read_file());
  if (!file || file->is_forgotten) return {};
  const bool was_touched = is_touched(look_at(descriptor_));
  const Bytes forgotten = make_forgotten(file->published.seqnum);
  CULM_CHECK(write_at(descriptor_, forgotten, kForgottenStartBytes));
  if (!was_touched) date(descriptor_);
  return {};
}

Result<void> FileAuthorMark::write(const Published& published) {
  CULM_TRY(const Slots slots, read_slots());
  const std::uint64_t generation = slots.newest ? slots.newest->generation + 1 : 1;
  const Slot slot = encode({generation, log_, published});
  CULM_CHECK(write_at(descriptor_, slot, place_of(generation)));
  // What tells of a published entry never stands beside a slot that tells of none, so that it
  // cannot be lost with one slot; and where both were damaged both are made good.
  const bool is_alone = !slots.newest || slots.newest->generation == kUnpublished;
  if (is_alone && (!slots.newest || published.seqnum != 0)) {
    CULM_CHECK(
        write_at(descriptor_, encode({generation + 1, log_, published}), place_of(generation + 1)));
  }
  if (slots.is_copied) {
    CULM_TRY(const Bytes place, make_place(published.is_copied ? 0 : store_file_));
    CULM_CHECK(write_at(descriptor_, place, kPlaceStartBytes));
  }
  date(descriptor_);
  return {};
}

}  // namespace culm::store
