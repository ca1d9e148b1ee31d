#include "culm/replication/host/file_reader.hpp"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <unistd.h>

namespace culm::host {
namespace {

constexpr std::size_t kFileReadBytes = 256 * 1024;
constexpr std::size_t kPieceBytes = 1024 * 1024;

}  // namespace

Result<std::size_t> read_some(const Descriptor& file, char* out, std::size_t size_bytes) {
  while (true) {
    const ssize_t got = ::read(file.get(), out, size_bytes);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return fail(error_system(Errc::kFileIo, errno));
  }
}

Result<void> write_all(const Descriptor& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(error_system(Errc::kFileIo, errno));
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::string> read_at(const Descriptor& file, std::uint64_t offset, std::size_t size_bytes) {
  std::string text(size_bytes, '\0');
  for (std::size_t done = 0; done < size_bytes;) {
    const ssize_t got = ::pread(file.get(), text.data() + done, size_bytes - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(error_system(Errc::kFileIo, errno));
    if (got == 0) return fail(Errc::kFileFormat);
    done += static_cast<std::size_t>(got);
  }
  return text;
}

LineReader::LineReader(const Descriptor& file, std::uint64_t size_max, Errc too_large)
    : file_(file), size_max_(size_max), too_large_(too_large) {}

Result<void> LineReader::fill() {
  buffer_.erase(0, start_);
  scanned_ -= start_;
  start_ = 0;
  const std::size_t old_size = buffer_.size();
  if (old_size > size_max_) return fail(too_large_);
  buffer_.resize(old_size + std::max(kFileReadBytes, old_size));
  CULM_TRY(const std::size_t got,
           read_some(file_, buffer_.data() + old_size, buffer_.size() - old_size));
  buffer_.resize(old_size + got);
  ended_ = got == 0;
  if (!ended_) last_ = buffer_.back();
  if (copy_ != nullptr) CULM_CHECK(write_all(*copy_, std::string_view(buffer_).substr(old_size)));
  return {};
}

Result<std::optional<std::string_view>> LineReader::next() {
  while (true) {
    const std::size_t end = buffer_.find('\n', scanned_);
    const bool is_found = end != std::string::npos;
    if (is_found || (ended_ && start_ < buffer_.size())) {
      const std::size_t stop = is_found ? end : buffer_.size();
      const auto line = std::string_view(buffer_).substr(start_, stop - start_);
      if (line.size() > size_max_) return fail(too_large_);
      start_ = scanned_ = stop + (is_found ? 1 : 0);
      offset_ += line.size() + (is_found ? 1 : 0);
      return line;
    }
    if (ended_) return std::optional<std::string_view>();
    scanned_ = buffer_.size();
    CULM_CHECK(fill());
  }
}

Result<std::optional<LineReader::Piece>> LineReader::next_piece() {
  while (true) {
    const std::size_t end = buffer_.find('\n', scanned_);
    const bool is_found = end != std::string::npos;
    const std::size_t stop = is_found ? end : buffer_.size();
    const bool is_last = is_found || (ended_ && (start_ < stop || line_bytes_ != 0));
    if (is_last || stop - start_ >= kPieceBytes) {
      const auto text = std::string_view(buffer_).substr(start_, stop - start_);
      line_bytes_ += text.size();
      if (line_bytes_ > size_max_) return fail(too_large_);
      if (is_last) line_bytes_ = 0;
      start_ = scanned_ = stop + (is_found ? 1 : 0);
      offset_ += text.size() + (is_found ? 1 : 0);
      return Piece{text, is_last};
    }
    if (ended_) return std::optional<Piece>();
    scanned_ = buffer_.size();
    CULM_CHECK(fill());
  }
}

bool LineReader::would_wait() const {
  if (ended_ || buffer_.find('\n', start_) != std::string::npos) return false;
  pollfd poll_for{file_.get(), POLLIN, 0};
  return ::poll(&poll_for, 1, 0) == 0;
}

}  // namespace culm::host
