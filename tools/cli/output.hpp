#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "culm/core/time.hpp"
#include "culm/feed/range_set.hpp"

#include "tools/cli/failure.hpp"

namespace culm::tools {

/// Writes all of `text`. Fails with exit 141 when the reader went away, else with exit 5.
[[nodiscard]] Outcome<void> write_fully(int descriptor, std::string_view text);

/// What a state means for its reader: green, yellow, red.
enum class Tone { kGood, kPartial, kBad };

/// Buffered text to a descriptor that it does not own; standard output unless said otherwise.
class Output {
 public:
  explicit Output(int descriptor = STDOUT_FILENO, std::string name = "output");

  /// Words for people, their commands completed. Fails as `write_fully`.
  [[nodiscard]] Outcome<void> say(std::string_view words);
  /// The same as it is: what a log holds, and help.
  [[nodiscard]] Outcome<void> write_raw(std::string_view text);
  /// One line of JSON, its words completed.
  [[nodiscard]] Outcome<void> write_json(Json value);
  [[nodiscard]] Outcome<void> flush();
  [[nodiscard]] bool is_terminal() const;
  [[nodiscard]] bool is_regular_file() const;
  /// `text` in a colour where this is a terminal that has some and NO_COLOR is not set.
  [[nodiscard]] std::string toned(Tone tone, std::string text) const;
  /// What a failure of it is about.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  int descriptor_;
  std::string name_;
  std::string buffer_;
};

/// Whether TERM says that the terminal knows no control sequences.
[[nodiscard]] bool is_dumb_terminal();
/// Columns of the terminal that this is; nothing if it is none, or does not say.
[[nodiscard]] std::optional<std::size_t> columns_of(int descriptor);
/// Columns to print help on, 100 where there is no terminal.
[[nodiscard]] std::size_t terminal_columns();

/// "1,234,567", of a number that counts. One that names something, such as a seqnum, is printed as
/// it is typed: `--range 1,234` means two entries.
[[nodiscard]] std::string human_count(std::uint64_t count);
/// "512 B", "1.5 kB", "23 MB"; powers of 1000.
[[nodiscard]] std::string human_size(std::uint64_t size_bytes);
/// "0.35 s", "2 min 05 s".
[[nodiscard]] std::string human_duration(double seconds);
[[nodiscard]] std::string human_duration(Duration duration);
/// "5-9,20,...": as many whole ranges as a line has room for.
[[nodiscard]] std::string human_ranges(const RangeSet& set);
/// "1 entry", "2 entries".
[[nodiscard]] std::string human_entries(std::uint64_t count);
/// "1 payload", "2 payloads".
[[nodiscard]] std::string human_payloads(std::uint64_t count);
/// "1 log", "2 logs".
[[nodiscard]] std::string human_logs(std::uint64_t count);

/// Rows of text in aligned columns, printed in portions so that memory does not grow with the rows.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string header;
    Align align = Align::kRight;
  };
  explicit Table(std::vector<Column> columns);

  /// Columns without a cell stay empty.
  void add(std::vector<std::string> cells);
  /// The rows so far, and with the first of them the header; forgets them, keeps the widths.
  [[nodiscard]] std::string take();
  [[nodiscard]] std::size_t row_count() const noexcept { return rows_.size(); }

 private:
  [[nodiscard]] std::string line(const std::vector<std::string>& cells) const;

  std::vector<Column> columns_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
  bool header_printed_ = false;
};

}  // namespace culm::tools
