#include "tools/cli/escape.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace culm::tools {
namespace {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t size_bytes = 0;  ///< 0: not UTF-8
  bool is_cut = false;
};

CodePoint decode_utf8(ByteView bytes) {
  const std::uint8_t first = bytes[0];
  if (first < 0x80) return {first, 1};
  const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return {};
  std::uint32_t value = first & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if (i == bytes.size()) return {0, 0, true};
    if ((bytes[i] & 0xC0U) != 0x80) return {};
    value = value << 6U | (bytes[i] & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = value >= 0xD800 && value < 0xE000;
  if (value < kLeast.at(size) || value > 0x10FFFF || is_surrogate) return {};
  return {value, size};
}

/// Characters that move the cursor, change the direction or the meaning of what follows, or that
/// nobody sees.
bool is_dangerous(std::uint32_t value) {
  struct Span {
    std::uint32_t first;
    std::uint32_t last;
  };
  constexpr std::array<Span, 12> kSpans = {{{0x00, 0x1F},
                                            {0x7F, 0x9F},
                                            {0xAD, 0xAD},
                                            {0x61C, 0x61C},
                                            {0x180E, 0x180E},
                                            {0x200B, 0x200F},
                                            {0x2028, 0x202E},
                                            {0x2060, 0x206F},
                                            {0xFEFF, 0xFEFF},
                                            {0xFFF0, 0xFFFB},
                                            {0xE0000, 0xE01EF},
                                            {0xF0000, 0x10FFFF}}};
  return std::ranges::any_of(
      kSpans, [value](const Span& span) { return value >= span.first && value <= span.last; });
}

void append_hex(std::string& out, const char* pattern, std::uint32_t value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  out += text.data();
}

}  // namespace

std::size_t escape(std::string& out, ByteView bytes, LineEnds line_ends, bool more) {
  std::size_t used = 0;
  while (used < bytes.size()) {
    const CodePoint point = decode_utf8(bytes.subspan(used));
    if (point.is_cut && more) return used;
    const std::uint8_t byte = bytes[used];
    const bool is_line_end = byte == '\n' || byte == '\t';
    if (is_line_end && line_ends == LineEnds::kKeep) {
      out += static_cast<char>(byte);
    } else if (is_line_end || byte == '\r' || byte == '\\') {
      out += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : byte == '\r' ? "\\r" : "\\\\";
    } else if (point.size_bytes == 0 || point.value < 0x80) {
      const bool is_shown = point.size_bytes == 1 && !is_dangerous(byte);
      if (is_shown) {
        out += static_cast<char>(byte);
      } else {
        append_hex(out, "\\x%02x", byte);
      }
    } else if (is_dangerous(point.value)) {
      append_hex(out, "\\u{%x}", point.value);
    } else {
      out += as_text(bytes.subspan(used, point.size_bytes));
    }
    used += std::max<std::size_t>(point.size_bytes, 1);
  }
  return used;
}

std::string escaped(ByteView bytes) {
  std::string text;
  escape(text, bytes, LineEnds::kEscape);
  return text;
}

std::string escaped(std::string_view text) { return escaped(as_bytes(text)); }

std::string preview(ByteView bytes, std::size_t columns, bool is_whole) {
  std::string text;
  std::size_t shown = 0;
  for (std::size_t used = 0; used < bytes.size();) {
    const CodePoint point = decode_utf8(bytes.subspan(used));
    const std::size_t size = std::max<std::size_t>(point.size_bytes, 1);
    std::string character;
    escape(character, bytes.subspan(used, size), LineEnds::kEscape);
    const std::size_t width = point.size_bytes > 1 && character[0] != '\\' ? 1 : character.size();
    if (shown + width + 1 > columns) return text + "…";
    text += character;
    shown += width;
    used += size;
  }
  return is_whole ? text : text + "…";
}

std::string said_by_peer(std::string_view text, std::size_t columns) {
  std::string shown = preview(as_bytes(text), columns);
  std::ranges::replace(shown, '`', '\'');
  return shown;
}

std::string shell_word(std::string_view text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./,:@%+=").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, is_plain)) return std::string(text);
  std::string readable(text);
  std::erase(readable, '\\');
  const bool is_readable = escaped(std::string_view(readable)) == readable;
  std::string word = is_readable ? "'" : "$'";
  for (const char c : text) {
    if (is_plain(c) || (is_readable && c != '\'')) {
      word += c;
    } else if (is_readable) {
      word += "'\\''";
    } else {
      word += "\\x" + to_hex(as_bytes(std::string_view(&c, 1)));
    }
  }
  return word + "'";
}

}  // namespace culm::tools
