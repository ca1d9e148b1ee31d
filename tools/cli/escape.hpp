#pragma once

#include <cstddef>
#include <string>

#include "culm/core/bytes.hpp"

namespace culm::tools {

enum class LineEnds { kEscape, kKeep };

/// Appends `bytes` to `out` as text that cannot drive a terminal: control characters, escape
/// sequences, marks that reorder or hide text, and whatever is not UTF-8 become "\n", "\x1b" or
/// "\u{202e}"; the backslash is doubled. Tabs count as line ends. Returns how many bytes were used:
/// all, unless `more` is to come and the last character is cut.
std::size_t escape(std::string& out, ByteView bytes, LineEnds line_ends, bool more = false);

[[nodiscard]] std::string escaped(ByteView bytes);
[[nodiscard]] std::string escaped(std::string_view text);

/// `text` as a shell takes it for one word, and a terminal for text.
[[nodiscard]] std::string shell_word(std::string_view text);

/// The escaped start of `bytes`, at most `columns` characters; ends in "…" when not all is shown.
[[nodiscard]] std::string preview(ByteView bytes, std::size_t columns, bool is_whole = true);
/// The same of a peer's words; no command in them is taken for one of culm's.
[[nodiscard]] std::string said_by_peer(std::string_view text, std::size_t columns);

}  // namespace culm::tools
