#include "tools/cli/escape.hpp"

#include <gtest/gtest.h>

namespace culm::tools {
namespace {

TEST(Escape, LeavesTextAsItIs) {
  for (const char* text : {"", "plain", "Grüße, 世界 🙂", "quote \" and 'single'"}) {
    EXPECT_EQ(escaped(std::string_view(text)), text);
  }
}

TEST(Escape, EscapesWhatDrivesATerminal) {
  EXPECT_EQ(escaped(std::string_view("\x1b[2J\x07\x7f")), "\\x1b[2J\\x07\\x7f");
  EXPECT_EQ(escaped(std::string_view("a\n\t\r\\")), "a\\n\\t\\r\\\\");
  EXPECT_EQ(escaped(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(escaped(std::string_view("\u009b31m")), "\\u{9b}31m");
  EXPECT_EQ(escaped(std::string_view("\u202e\u2066\u200f\u061c\ufeff")),
            "\\u{202e}\\u{2066}\\u{200f}\\u{61c}\\u{feff}");
}

TEST(Escape, MakesAWordThatAShellTakesBack) {
  EXPECT_EQ(shell_word("./a-b_c/1.key"), "./a-b_c/1.key");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("my store\\ü"), "'my store\\ü'");
  EXPECT_EQ(shell_word("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(shell_word("a\x1b'\xff"), "$'a\\x1b\\x27\\xff'");
}

TEST(Escape, EscapesWhatIsNotUtf8) {
  EXPECT_EQ(escaped(std::string_view("\xff\xc0\xaf\x80")), "\\xff\\xc0\\xaf\\x80");
  EXPECT_EQ(escaped(std::string_view("\xed\xa0\x80")), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(escaped(std::string_view("\xe0\x80\xaf")), "\\xe0\\x80\\xaf");  // overlong
  EXPECT_EQ(escaped(std::string_view("\xf4\x90\x80\x80")), "\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(escaped(std::string_view("\xe4\xb8")), "\\xe4\\xb8");  // cut
}

TEST(Escape, AnyPartsGiveTheSameText) {
  const std::string text = "é世🙂\xff\x1b\u202e\n\\end";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    std::string out;
    Bytes waiting;
    for (std::size_t at = 0; at < text.size(); at += size) {
      append_bytes(waiting, as_bytes(std::string_view(text).substr(at, size)));
      const std::size_t used = escape(out, waiting, LineEnds::kEscape, true);
      waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(used));
    }
    escape(out, waiting, LineEnds::kEscape);
    EXPECT_EQ(out, escaped(std::string_view(text))) << "parts of " << size;
  }
}

TEST(Preview, ShowsAtMostTheColumnsGiven) {
  const auto of = [](std::string_view text, std::size_t columns) {
    return preview(as_bytes(text), columns);
  };
  EXPECT_EQ(of("short", 20), "short");
  EXPECT_EQ(of("0123456789", 6), "01234…");
  EXPECT_EQ(of("ab\x1b"
               "cd",
               6),
            "ab…");
  EXPECT_EQ(of("ééééééé", 4), "ééé…");
  EXPECT_EQ(preview(as_bytes("start"), 20, false), "start…");
}

}  // namespace
}  // namespace culm::tools
