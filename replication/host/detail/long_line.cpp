#include "culm/replication/host/detail/long_line.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace culm::host {
namespace {

constexpr std::size_t kRunBytesMin = 64 * 1024;
constexpr std::size_t kKeptBytesMax = 8 * 1024 * 1024;
constexpr std::size_t kRunsMax = 16;
/// A text that begins so stands for a run, and says which. Nobody else has reason to write it; who
/// does has named bytes that must have the hash in the entry all the same.
constexpr std::string_view kMark = "\\u0001run ";
constexpr std::string_view kMarkRead = "\x01run ";

bool is_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

Result<void> LongLine::put(std::string_view piece) {
  while (!piece.empty()) {
    if (is_running_ && is_escaped_) {
      put_escape(piece);
      continue;
    }
    if (is_running_) {
      const std::size_t size = std::min(piece.find_first_of("\"\\"), piece.size());
      add_digits(runs_.back(), piece.substr(0, size));
      place_ += size;
      piece.remove_prefix(size);
      if (piece.empty()) continue;
      is_running_ = piece.front() == '\\';
      if (is_running_) put_escape(piece);
      continue;
    }
    const char c = piece.front();
    ++place_;
    piece.remove_prefix(1);
    if (is_inside_) {
      put_inside(c);
    } else {
      put_outside(c);
    }
    if (kept_.size() > kKeptBytesMax || runs_.size() > kRunsMax) return fail(Errc::kFileFormat);
  }
  return {};
}

void LongLine::put_outside(char c) {
  const bool is_more_space = c == ' ' && kept_.ends_with(' ');
  if (!is_more_space) kept_ += c;
  if (c != '"') return;
  is_inside_ = may_run_ = true;
  text_at_ = kept_.size();
}

void LongLine::put_inside(char c) {
  kept_ += c;
  if (c == '"' && !is_escaped_) is_inside_ = false;
  is_escaped_ = c == '\\' && !is_escaped_;
  may_run_ = may_run_ && is_digit(c);
  if (may_run_ && kept_.size() - text_at_ == kRunBytesMin) begin_run();
}

/// The run goes on behind it, though it is no hex: an escaped quote does not end the text.
void LongLine::put_escape(std::string_view& piece) {
  runs_.back().is_hex = false;
  is_escaped_ = !is_escaped_;
  ++place_;
  piece.remove_prefix(1);
}

void LongLine::begin_run() {
  Run& run = runs_.emplace_back();
  run.read.offset = place_ - kRunBytesMin;
  add_digits(run, std::string_view(kept_).substr(text_at_));
  kept_.resize(text_at_);
  kept_ += kMark;
  kept_ += std::to_string(runs_.size() - 1);
  is_running_ = true;
  may_run_ = false;
}

void LongLine::add_digits(Run& run, std::string_view digits) {
  if (!run.is_hex || digits.empty()) return;
  if (!run.odd.empty()) {
    run.odd += digits.front();
    digits.remove_prefix(1);
    add_digits(run, std::exchange(run.odd, {}));
  }
  const std::size_t size = digits.size() / 2 * 2;
  const auto bytes = from_hex(digits.substr(0, size));
  run.is_hex = run.is_hex && bytes;
  if (!bytes) return;
  run.hasher.update(*bytes);
  run.read.size_bytes += bytes->size();
  run.odd = digits.substr(size);
}

Result<LongLine::Content> LongLine::finish() {
  CULM_TRY(const JsonlTexts texts, pick_jsonl(kept_));
  Content content;
  const auto encoded = from_hex(texts.encoded);
  if (!encoded) return fail(Errc::kHexFormat);
  content.entry.encoded = *encoded;
  const bool is_run = texts.payload && texts.payload->starts_with(kMarkRead);
  std::size_t number = runs_.size();
  if (is_run) {
    const std::string_view digits = std::string_view(*texts.payload).substr(kMarkRead.size());
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (number >= runs_.size()) return fail(Errc::kHexFormat);
  }
  for (const Run& run : runs_) {
    const bool is_payload = is_run && &run == &runs_[number];
    if (!run.is_hex) return fail(is_payload ? Errc::kHexFormat : Errc::kFileFormat);
  }
  if (!texts.payload) return content;
  if (!is_run) {
    content.entry.payload = from_hex(*texts.payload);
    if (!content.entry.payload) return fail(Errc::kHexFormat);
    return content;
  }
  Run& run = runs_[number];
  if (!run.odd.empty()) return fail(Errc::kHexFormat);
  run.read.hash = run.hasher.finish();
  content.payload = run.read;
  return content;
}

}  // namespace culm::host
