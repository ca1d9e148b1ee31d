#include "tools/cli/output.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <sys/ioctl.h>
#include <sys/stat.h>

#include "culm/core/assert.hpp"

#include "tools/cli/commands.hpp"
#include "tools/cli/progress.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;

/// Code points, without what sets a colour: good enough for padding, whatever the terminal makes of
/// them.
std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  bool is_colour = false;
  for (const char c : text) {
    const bool starts_one = (static_cast<unsigned char>(c) & 0xC0U) != 0x80;
    if (c == '\033') is_colour = true;
    if (!is_colour && starts_one) ++width;
    if (c == 'm') is_colour = false;
  }
  return width;
}

std::string_view variable(const char* name) {
  const char* const found = std::getenv(name);
  return found == nullptr ? "" : found;
}

template <class... Arguments>
std::string format(const char* pattern, Arguments... arguments) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, arguments...);
  return text.data();
}

}  // namespace

Outcome<void> write_fully(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      Failure failure(error_system(Errc::kFileIo, errno));
      if (failure.exit != Exit::kReaderGone) failure.exit = Exit::kStore;
      return fail_with(std::move(failure));
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Output::Output(int descriptor, std::string name)
    : descriptor_(descriptor), name_(std::move(name)) {}

Outcome<void> Output::say(std::string_view words) { return write_raw(commands().complete(words)); }

Outcome<void> Output::write_raw(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() < kBufferBytes) return {};
  return flush();
}

Outcome<void> Output::write_json(Json value) {
  return write_raw(to_line(completed(std::move(value))) + "\n");
}

Outcome<void> Output::flush() {
  const std::string text = std::exchange(buffer_, {});
  if (!text.empty() && is_terminal()) clear_progress();
  if (auto written = write_fully(descriptor_, text); !written) {
    return fail_with(std::move(written.error()).about(name_));
  }
  return {};
}

bool Output::is_terminal() const { return ::isatty(descriptor_) == 1; }

bool Output::is_regular_file() const {
  struct stat status = {};
  return ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
}

std::string Output::toned(Tone tone, std::string text) const {
  if (!is_terminal() || !variable("NO_COLOR").empty() || is_dumb_terminal()) return text;
  const char* const start = tone == Tone::kGood      ? "\033[32m"
                            : tone == Tone::kPartial ? "\033[33m"
                                                     : "\033[31m";
  return start + std::move(text) + "\033[0m";
}

bool is_dumb_terminal() { return variable("TERM") == "dumb"; }

std::optional<std::size_t> columns_of(int descriptor) {
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return std::nullopt;
  return size.ws_col;
}

std::size_t terminal_columns() {
  return std::max<std::size_t>(columns_of(STDOUT_FILENO).value_or(100), 40);
}

std::string human_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (auto place = digits.size(); place > 3; place -= 3) digits.insert(place - 3, 1, ',');
  return digits;
}

std::string human_size(std::uint64_t size_bytes) {
  if (size_bytes < 1000) return std::to_string(size_bytes) + " B";
  constexpr std::array kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  auto value = static_cast<double>(size_bytes) / 1000;
  std::size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return format(value < 9.95 ? "%.1f %s" : "%.0f %s", value, kUnits.at(unit));
}

std::string human_duration(double seconds) {
  if (seconds < 60) return format(seconds < 10 ? "%.2f s" : "%.1f s", seconds);
  const auto whole = static_cast<unsigned long>(seconds);
  return format("%lu min %02lu s", whole / 60, whole % 60);
}

std::string human_duration(Duration duration) {
  return human_duration(std::chrono::duration<double>(duration).count());
}

std::string human_ranges(const RangeSet& set) {
  constexpr std::size_t kRangesShown = 8;
  RangeSet shown;
  // One more takes no more room than that there is one.
  const std::size_t count = set.ranges().size();
  const std::size_t first = count == kRangesShown + 1 ? count : std::min(count, kRangesShown);
  for (const SeqRange range : set.ranges().first(first)) {
    shown.insert(range);
  }
  return to_string(shown) + (shown == set ? "" : ",...");
}

std::string human_entries(std::uint64_t count) {
  return human_count(count) + (count == 1 ? " entry" : " entries");
}

std::string human_payloads(std::uint64_t count) {
  return human_count(count) + (count == 1 ? " payload" : " payloads");
}

std::string human_logs(std::uint64_t count) {
  return human_count(count) + (count == 1 ? " log" : " logs");
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_) widths_.push_back(width_of(column.header));
}

void Table::add(std::vector<std::string> cells) {
  CULM_ASSERT(cells.size() <= columns_.size());
  cells.resize(columns_.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    widths_[i] = std::max(widths_[i], width_of(cells[i]));
  }
  rows_.push_back(std::move(cells));
}

std::string Table::take() {
  std::string text;
  if (!rows_.empty() && !std::exchange(header_printed_, true)) {
    std::vector<std::string> headers;
    for (const Column& column : columns_) headers.push_back(column.header);
    text = line(headers);
  }
  for (const auto& row : rows_) text += line(row);
  rows_.clear();
  return text;
}

std::string Table::line(const std::vector<std::string>& cells) const {
  std::string text;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths_[i] - width_of(cells[i]), ' ');
    const bool is_right = columns_[i].align == Align::kRight;
    text += (i == 0 ? "" : "  ") + (is_right ? padding + cells[i] : cells[i] + padding);
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

}  // namespace culm::tools
