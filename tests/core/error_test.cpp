#include "culm/core/error.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "culm/core/result.hpp"

namespace culm {
namespace {

constexpr int kCodesMax = 1000;

std::string read_source(const std::string& path) {
  std::ifstream file(CULM_SOURCE_DIR "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> find_all(const std::string& text, const std::regex& pattern) {
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
    found.push_back((*at)[1]);
  }
  return found;
}

std::vector<Errc> known_codes() {
  std::vector<Errc> codes;
  for (int code = 1; code < kCodesMax; ++code) {
    if (name(static_cast<Errc>(code)) != "unknown") codes.push_back(static_cast<Errc>(code));
  }
  return codes;
}

TEST(Error, EveryErrcHasExactlyOneRow) {
  // The language cannot list enumerators, so header and table are read as text.
  const std::string header = read_source("core/error.hpp");
  const auto from = header.find("enum class Errc");
  ASSERT_NE(from, std::string::npos);
  const std::string body = header.substr(from, header.find("};", from) - from);
  const auto enumerators = find_all(body, std::regex("\n  (k[A-Z][A-Za-z0-9]*)"));
  EXPECT_GT(enumerators.size(), 60U);

  auto rows = find_all(read_source("core/error.cpp"), std::regex("\\{Errc::(k[A-Za-z0-9]*), \""));
  EXPECT_EQ(rows, enumerators) << "same order, each once";

  std::set<std::string_view> names;
  std::set<std::string_view> descriptions;
  for (const Errc code : known_codes()) {
    EXPECT_TRUE(names.insert(name(code)).second) << name(code);
    EXPECT_TRUE(descriptions.insert(describe(code)).second) << describe(code);
  }
  EXPECT_EQ(names.size(), enumerators.size());
}

TEST(Error, TheTableOfTheSpecificationIsTheTableOfTheCode) {
  std::vector<std::string> stated;
  for (const Errc code : known_codes()) {
    std::string row = "| `" + std::string(name(code)) + "` | " + std::string(name(fault(code)));
    row += " | " + std::string(name(ends(code))) + " | ";
    stated.push_back(row + (full_may_help(code) ? "yes |" : "no |"));
  }
  const std::string page = read_source("spec/errors.md");
  const std::string table = page.substr(page.find("## Table"));
  EXPECT_EQ(find_all(table, std::regex("\n(\\| `.*)")), stated);
}

TEST(Error, BlameIsScoped) {
  for (const Errc code : known_codes()) {
    SCOPED_TRACE(name(code));
    // Who is blamed loses the session; the author's deeds and the caller's cost nobody else.
    if (fault(code) == Fault::kPeer) {
      EXPECT_EQ(ends(code), Scope::kSession);
    }
    if (fault(code) == Fault::kAuthor) {
      EXPECT_EQ(ends(code), Scope::kLog);
    }
    if (fault(code) == Fault::kCaller) {
      EXPECT_EQ(ends(code), Scope::kCall);
    }
    if (fault(code) == Fault::kOwnStore) {
      EXPECT_NE(ends(code), Scope::kSession);
    }
  }
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
