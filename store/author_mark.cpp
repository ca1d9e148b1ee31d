#include "culm/store/author_mark.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "culm/store/detail/schema.hpp"

namespace culm::store {
namespace {

// A slot: magic 8, generation 8, author 32, log_id 8, seqnum 8, hash 64, store 16, checksum 8.
constexpr std::string_view kMagic = "culmmrk1";
constexpr std::size_t kContentSizeBytes = 8 + 8 + 32 + 8 + 8 + 64 + 16;
constexpr std::size_t kSlotSizeBytes = kContentSizeBytes + detail::kChecksumSizeBytes;
// A torn sector takes one slot with it, never both.
constexpr off_t kSlotDistanceBytes = 4096;

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
  append_bytes(out, as_bytes(kMagic));
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
  if (!equal(content.first(kMagic.size()), as_bytes(kMagic))) return std::nullopt;
  if (from_big_endian(slot.subspan(kContentSizeBytes)) != slot_checksum(content)) {
    return std::nullopt;
  }
  Mark mark;
  ByteView rest = content.subspan(kMagic.size());
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

tl::unexpected<Error> io_failure() { return fail(error_system(Errc::kFileIo, errno)); }

/// So that a new file is still there after a crash.
Result<void> sync_parent(const std::string& path) {
  auto parent = std::filesystem::path(path).parent_path();
  if (parent.empty()) parent = ".";
  const int directory = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return io_failure();
  const int synced = ::fsync(directory);
  const int error = errno;
  ::close(directory);
  if (synced != 0) return fail(error_system(Errc::kFileIo, error));
  return {};
}

}  // namespace

struct FileAuthorMark::Slots {
  std::optional<Mark> newest;
  /// A slot that was written holds something else now.
  bool any_damaged = false;
  /// A slot was never written: the first `write` did not come to its end.
  bool any_unwritten = false;
};

Result<std::unique_ptr<FileAuthorMark>> FileAuthorMark::open(const std::string& path,
                                                             const LogKey& log) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return io_failure();
  std::unique_ptr<FileAuthorMark> mark(new FileAuthorMark(descriptor, log));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return fail(Errc::kAuthorMarkLocked);
    return io_failure();
  }
  CULM_CHECK(sync_parent(path));
  return mark;
}

FileAuthorMark::~FileAuthorMark() { ::close(descriptor_); }

Result<FileAuthorMark::Slots> FileAuthorMark::read_slots() const {
  Slots slots;
  for (const off_t index : {0, 1}) {
    Slot slot{};
    std::size_t size = 0;
    while (size < slot.size()) {
      const ssize_t got = ::pread(descriptor_, slot.data() + size, slot.size() - size,
                                  index * kSlotDistanceBytes + static_cast<off_t>(size));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return io_failure();
      if (got == 0) break;
      size += static_cast<std::size_t>(got);
    }
    const auto mark = decode(slot);
    if (!mark) {
      (slot == Slot{} ? slots.any_unwritten : slots.any_damaged) = true;
      continue;
    }
    if (mark->log != log_) return fail(Errc::kAuthorMarkFormat);
    if (!slots.newest || slots.newest->generation < mark->generation) slots.newest = mark;
  }
  return slots;
}

Result<std::optional<Published>> FileAuthorMark::read() {
  CULM_TRY(const Slots slots, read_slots());
  if (slots.newest) return slots.newest->published;
  if (slots.any_damaged && !slots.any_unwritten) return fail(Errc::kAuthorMarkFormat);
  return std::nullopt;
}

Result<void> FileAuthorMark::write(const Published& published) {
  CULM_TRY(const Slots slots, read_slots());
  const std::uint64_t generation = slots.newest ? slots.newest->generation : 0;
  CULM_CHECK(write_slot(generation + 1, published));
  // With both slots in use from the start, an unwritten one beside a damaged one means that the
  // first write was interrupted, when nothing had been published.
  if (slots.newest && !slots.any_unwritten) return {};
  return write_slot(generation + 2, published);
}

Result<void> FileAuthorMark::write_slot(std::uint64_t generation,
                                        const Published& published) const {
  const Slot slot = encode({generation, log_, published});
  const off_t start = (generation % 2 == 0 ? 0 : 1) * kSlotDistanceBytes;
  std::size_t size = 0;
  while (size < slot.size()) {
    const ssize_t put = ::pwrite(descriptor_, slot.data() + size, slot.size() - size,
                                 start + static_cast<off_t>(size));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return io_failure();
    size += static_cast<std::size_t>(put);
  }
  if (::fdatasync(descriptor_) != 0) return io_failure();
  return {};
}

}  // namespace culm::store
