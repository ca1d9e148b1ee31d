#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "culm/core/result.hpp"
#include "culm/replication/host/descriptor.hpp"

/// Reading from descriptors. Fails with kFileIo unless it says otherwise.
namespace culm::host {

/// What is there, at most `size_bytes`; 0 at the end.
[[nodiscard]] Result<std::size_t> read_some(const Descriptor& file, char* out,
                                            std::size_t size_bytes);

/// Writes all of it.
[[nodiscard]] Result<void> write_all(const Descriptor& file, std::string_view text);

/// Part of a file at a place. Fails with kFileFormat when the file is shorter.
[[nodiscard]] Result<std::string> read_at(const Descriptor& file, std::uint64_t offset,
                                          std::size_t size_bytes);

/// Lines of a file, one at a time, without their line ends.
///
///     LineReader lines(file, kJsonlLineBytesMax, Errc::kFileFormat);
///     CULM_TRY(const auto line, lines.next());
///     if (line) print(*line);
class LineReader {
 public:
  /// `file` must outlive the reader. A line longer than `size_max` fails with `too_large`.
  LineReader(const Descriptor& file, std::uint64_t size_max, Errc too_large);
  /// Writes all that is read to `copy` as well, which must outlive the reader.
  void keep_copy(const Descriptor& copy) { copy_ = &copy; }

  /// Where the next line or piece starts, in bytes.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  /// Valid until the next call; nothing at the end. The last line may lack its line end.
  [[nodiscard]] Result<std::optional<std::string_view>> next();
  /// Of a line longer than about 1 MiB a piece at a time, so that memory does not grow with it; of
  /// others the whole. As `next`, which goes on behind the last piece of a line.
  struct Piece {
    std::string_view text;
    bool is_last = true;  ///< of its line
  };
  [[nodiscard]] Result<std::optional<Piece>> next_piece();
  /// Whether all was read, and the file ends neither with a line end nor with `closing`.
  [[nodiscard]] bool is_cut_before(char closing) const noexcept {
    return ended_ && last_ != '\n' && last_ != closing;
  }
  /// Whether `next` may have to wait for more input.
  [[nodiscard]] bool would_wait() const;

 private:
  [[nodiscard]] Result<void> fill();

  const Descriptor& file_;
  const Descriptor* copy_ = nullptr;
  std::uint64_t size_max_;
  Errc too_large_;
  std::string buffer_;
  std::size_t start_ = 0;    ///< of the next line in `buffer_`
  std::size_t scanned_ = 0;  ///< no line end before this place
  std::uint64_t offset_ = 0;
  std::uint64_t line_bytes_ = 0;  ///< of the line of which a piece is to follow
  bool ended_ = false;
  char last_ = '\n';  ///< that was read
};

}  // namespace culm::host
