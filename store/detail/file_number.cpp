#include "culm/store/detail/file_number.hpp"

#include <cstdio>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/core/bytes.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

// Magic 8, the number that is carried on 8, the file's before 8, that of the next 8, checksum 8.
constexpr std::string_view kNumberMagic = "culmorg1";
constexpr std::size_t kContentSizeBytes = 8 + 8 + 8 + 8;
constexpr std::size_t kSizeBytes = kContentSizeBytes + kChecksumSizeBytes;

std::uint64_t number_of(int directory, const char* path, int flags) noexcept {
  constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
  struct statx file = {};
  if (::statx(directory, path, flags, STATX_INO | STATX_BTIME, &file) != 0) return 0;
  if ((file.stx_mask & STATX_BTIME) == 0) return file.stx_ino;
  const auto seconds = static_cast<std::uint64_t>(file.stx_btime.tv_sec);
  return file.stx_ino + seconds * kNanosecondsPerSecond + file.stx_btime.tv_nsec;
}

std::string data_path(const std::string& directory) { return directory + "/data.mdb"; }
std::string origin_path(const std::string& directory) { return directory + "/origin"; }

std::uint64_t origin_checksum(ByteView content) { return checksum(0, as_bytes("origin"), content); }

/// The number that was carried to the file `number`, or that itself.
std::uint64_t find_origin(const std::string& directory, std::uint64_t number) {
  const int file = ::open(origin_path(directory).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return number;
  Bytes bytes(kSizeBytes);
  const bool is_whole = ::pread(file, bytes.data(), bytes.size(), 0) == std::ssize(bytes);
  ::close(file);
  const ByteView content = ByteView(bytes).first(kContentSizeBytes);
  const bool is_good =
      is_whole && equal(content.first(kNumberMagic.size()), as_bytes(kNumberMagic)) &&
      from_big_endian(ByteView(bytes).subspan(kContentSizeBytes)) == origin_checksum(content);
  if (!is_good) return number;
  const bool is_of_this = from_big_endian(content.subspan(16)) == number ||
                          from_big_endian(content.subspan(24)) == number;
  return is_of_this ? from_big_endian(content.subspan(8)) : number;
}

}  // namespace

std::uint64_t file_number(const std::string& path) noexcept {
  return number_of(AT_FDCWD, path.c_str(), 0);
}

std::uint64_t file_number(int descriptor) noexcept {
  return number_of(descriptor, "", AT_EMPTY_PATH);
}

std::uint64_t store_number(const std::string& directory) {
  const std::uint64_t number = file_number(data_path(directory));
  return number == 0 ? 0 : find_origin(directory, number);
}

void carry_number_over(const std::string& directory, const std::string& next) {
  const std::uint64_t number = file_number(data_path(directory));
  Bytes bytes;
  append_bytes(bytes, as_bytes(kNumberMagic));
  append_bytes(bytes, to_big_endian(find_origin(directory, number)));
  append_bytes(bytes, to_big_endian(number));
  append_bytes(bytes, to_big_endian(file_number(next)));
  append_bytes(bytes, to_big_endian(origin_checksum(bytes)));
  const std::string path = origin_path(directory);
  const std::string draft = path + ".new";
  const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return;
  const bool is_written =
      ::write(file, bytes.data(), bytes.size()) == std::ssize(bytes) && ::fsync(file) == 0;
  ::close(file);
  if (!is_written || std::rename(draft.c_str(), path.c_str()) != 0) ::unlink(draft.c_str());
}

}  // namespace culm::store::detail
