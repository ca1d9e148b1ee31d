#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "culm/core/bytes.hpp"
#include "culm/replication/host/descriptor.hpp"

#include "tools/cli/failure.hpp"
#include "tools/cli/output.hpp"

namespace culm::tools {

using host::Descriptor;

/// A name as it may be printed.
[[nodiscard]] std::string shown(std::string_view path);

/// Opens for reading; "-" is standard input. Fails with kFileIo, also for a directory.
[[nodiscard]] Outcome<Descriptor> open_input(const std::string& path);

/// Opens a pipe, or another file that keeps nothing, for writing; nothing where `path` is none.
[[nodiscard]] Outcome<std::optional<Descriptor>> open_pipe(const std::string& path);

/// Whether what was read of it can be read once more: a file, from its start, and no pipe.
[[nodiscard]] bool can_be_read_again(const Descriptor& file);

/// An empty file to write and read that has no name, and so ends with its descriptor. Fails with
/// kFileIo.
[[nodiscard]] Outcome<Descriptor> make_nameless_file(const std::string& directory);

/// Whether `open_input` would succeed, without opening: a FIFO would wait for its writer. Returns
/// the size of a regular file, else 0.
[[nodiscard]] Outcome<std::uint64_t> check_input(const std::string& path);

/// Whether standard input, as a pipe or a regular file, has something to read. Never waits.
[[nodiscard]] bool has_input_now();

/// All bytes; fails with `too_large` when there are more than `size_max`.
[[nodiscard]] Outcome<Bytes> read_all(const Descriptor& file, std::uint64_t size_max,
                                      Errc too_large);

/// `open_input` and `read_all`, with errors about `path`.
[[nodiscard]] Outcome<Bytes> read_file(const std::string& path, std::uint64_t size_max,
                                       Errc too_large);

/// A file that did not exist before, and is removed again unless it is completed.
class NewFile {
 public:
  /// Fails with kFileExists, kFileIo.
  [[nodiscard]] static Outcome<std::unique_ptr<NewFile>> create(const std::string& path,
                                                                unsigned mode);
  ~NewFile();

  [[nodiscard]] Output& out() noexcept { return out_; }
  /// Writes past the buffer of `out`, which keeps no copy then.
  [[nodiscard]] Outcome<void> write_now(ByteView bytes);
  /// Writes what is buffered and makes the file and its name durable.
  [[nodiscard]] Outcome<void> complete();

 private:
  NewFile(std::string path, Descriptor file, bool is_named);

  std::string path_;
  Descriptor file_;
  Output out_;
  bool is_named_;
  bool is_complete_ = false;
};

}  // namespace culm::tools
