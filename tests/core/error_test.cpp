#include "culm/core/error.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "culm/core/result.hpp"

namespace culm {
namespace {

constexpr int kCodesMax = 1000;

TEST(Error, EveryErrcHasANameOfItsOwn) {
  // Enumerators cannot be listed by the language, so their number is counted in the header.
  std::ifstream header(CULM_SOURCE_DIR "/core/error.hpp");
  std::stringstream text;
  text << header.rdbuf();
  const std::string source = text.str();
  const auto from = source.find("enum class Errc");
  ASSERT_NE(from, std::string::npos);
  const std::string body = source.substr(from, source.find("};", from) - from);
  const std::regex enumerator("\n  k[A-Z][A-Za-z0-9]*");
  const auto enumerators = std::distance(std::sregex_iterator(body.begin(), body.end(), enumerator),
                                         std::sregex_iterator());

  std::set<std::string_view> names;
  std::set<std::string_view> descriptions;
  for (int code = 1; code < kCodesMax; ++code) {
    const auto errc = static_cast<Errc>(code);
    if (name(errc) == "unknown") continue;
    EXPECT_TRUE(names.insert(name(errc)).second) << name(errc);
    EXPECT_TRUE(descriptions.insert(describe(errc)).second) << describe(errc);
  }
  EXPECT_GT(enumerators, 60);
  EXPECT_EQ(names.size(), static_cast<std::size_t>(enumerators));
}

TEST(Error, NamesAreSnakeCaseAndDescriptionsAreSentencesWithoutStop) {
  const std::regex snake("[a-z][a-z0-9]*(_[a-z0-9]+)*");
  for (int code = 1; code < kCodesMax; ++code) {
    const auto errc = static_cast<Errc>(code);
    const std::string text(name(errc));
    EXPECT_TRUE(std::regex_match(text, snake)) << text;
    ASSERT_FALSE(describe(errc).empty()) << text;
    EXPECT_NE(describe(errc).back(), '.') << text;
  }
}

TEST(Error, MessageTellsThePlace) {
  EXPECT_EQ(message({Errc::kEntryTruncated}), "the entry ends too early");
  EXPECT_EQ(message(error_at(Errc::kEntryTruncated, 17)), "the entry ends too early (at byte 17)");
  EXPECT_EQ(message(error_for(Errc::kEntrySignature, 4)), "the signature is not good (seqnum 4)");
  EXPECT_EQ(message(error_system(Errc::kFileIo, ENOENT)),
            std::string("the file could not be read or written (") + std::strerror(ENOENT) + ")");
}

Result<int> half(int value) {
  if (value % 2 != 0) return fail(error_at(Errc::kRange, static_cast<std::uint64_t>(value)));
  return value / 2;
}

Result<int> quarter(int value) {
  CULM_TRY(const int once, half(value));
  CULM_TRY(const int twice, half(once));
  return twice;
}

Result<void> check_even(int value) {
  CULM_CHECK(half(value));
  return {};
}

TEST(Result, TryUnwrapsOrReturnsTheError) {
  EXPECT_EQ(quarter(8), 2);
  EXPECT_EQ(quarter(6).error(), error_at(Errc::kRange, 3));
  EXPECT_EQ(quarter(5).error(), error_at(Errc::kRange, 5));
}

TEST(Result, CheckReturnsTheErrorOrGoesOn) {
  EXPECT_TRUE(check_even(2));
  EXPECT_EQ(check_even(3).error(), error_at(Errc::kRange, 3));
}

}  // namespace
}  // namespace culm
