#include "culm/replication/host/file_reader.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/temp_dir.hpp"

namespace culm::host {
namespace {

constexpr std::uint64_t kMib = 1024 * 1024;

class Lines : public testing::Test {
 protected:
  /// The lines, put together of their pieces; each piece is of limited size.
  std::vector<std::string> read(const std::string& text, std::uint64_t size_max = 100 * kMib) {
    const int written = ::open(directory.path("file").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    Descriptor file(written);
    EXPECT_TRUE(write_all(file, text));
    ::lseek(file.get(), 0, SEEK_SET);
    LineReader lines(file, size_max, Errc::kLimit);
    std::vector<std::string> out;
    bool is_new = true;
    std::uint64_t offset = 0;
    while (true) {
      EXPECT_TRUE(text.empty() || lines.offset() <= text.size());
      const auto piece = lines.next_piece();
      failure = piece ? std::optional<Error>() : piece.error();
      if (!piece || !*piece) return out;
      EXPECT_EQ(text.substr(offset, (*piece)->text.size()), (*piece)->text);
      EXPECT_LE((*piece)->text.size(), 3 * kMib);
      EXPECT_TRUE((*piece)->is_last || (*piece)->text.size() >= kMib);
      if (is_new) out.emplace_back();
      out.back() += (*piece)->text;
      is_new = (*piece)->is_last;
      offset = lines.offset();
    }
  }

  test::TempDir directory;
  std::optional<Error> failure;
};

TEST_F(Lines, OfAnySizeComeInPiecesAndShortOnesWhole) {
  const std::string large(5 * kMib + 3, 'x');
  for (const std::string& end : {std::string(), std::string("\n")}) {
    EXPECT_EQ(read("a\n\n" + large + "\nb\n" + large + end),
              (std::vector<std::string>{"a", "", large, "b", large}));
    EXPECT_FALSE(failure);
  }
  EXPECT_TRUE(read("").empty());
  EXPECT_EQ(read("\n"), std::vector<std::string>{""});
  for (const std::size_t size : {kMib - 1, kMib, kMib + 1, 2 * kMib}) {
    const std::string line(size, 'y');
    EXPECT_EQ(read(line + "\n" + line), (std::vector<std::string>{line, line})) << size;
  }
}

TEST_F(Lines, ThatAreTooLongAreRefused) {
  const std::string large(3 * kMib, 'x');
  EXPECT_EQ(read(large, 3 * kMib).size(), 1U);
  EXPECT_FALSE(failure);
  read("a\n" + large, 3 * kMib - 1);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->code, Errc::kLimit);
}

}  // namespace
}  // namespace culm::host
