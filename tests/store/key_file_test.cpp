#include "culm/store/key_file.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/store/secret_file.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::store {
namespace {

bool is_anything(ByteView /*text*/) { return true; }

class KeyFileTest : public testing::Test {
 protected:
  [[nodiscard]] Errc why_refused(const std::string& content) const {
    const std::string refused = place.path("refused");
    std::filesystem::remove(refused);
    EXPECT_TRUE(write_secret_file(refused, as_bytes(content)));
    const auto read = read_key_file(refused);
    return read ? Errc{} : read.error().code;
  }

  test::TempDir place;
  const std::string path = place.path("key");
  const SecretKey key = test::key_from("alice");
};

TEST_F(KeyFileTest, AKeyComesBackAsItWas) {
  ASSERT_TRUE(write_key_file(path, key));
  const auto back = read_key_file(path);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->author(), key.author());
  EXPECT_TRUE(equal(back->seed(), key.seed()));
  struct stat status = {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(KeyFileTest, AFileThatIsThereIsNeverOverwritten) {
  ASSERT_TRUE(write_secret_file(path, as_bytes("mine")));
  EXPECT_EQ(write_key_file(path, key).error().code, Errc::kFileExists);
  EXPECT_EQ(*read_secret_file(path, 10, is_anything), Bytes({'m', 'i', 'n', 'e'}));
  EXPECT_EQ(write_key_file(place.path("none/key"), key).error().code, Errc::kFileIo);
}

TEST_F(KeyFileTest, EachReasonToRefuseAFileHasItsName) {
  ASSERT_TRUE(write_key_file(path, key));
  EXPECT_EQ(read_key_file(place.path("none")).error().code, Errc::kKeyFileMissing);
  std::filesystem::create_symlink(path, place.path("link"));
  EXPECT_EQ(read_key_file(place.path("link")).error().code, Errc::kKeyFileLink);
  EXPECT_EQ(read_key_file(place.path()).error().code, Errc::kKeyFileKind);
  for (const mode_t mode : {0640U, 0604U, 0620U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_EQ(read_key_file(path).error().code, Errc::kKeyFileShared);
  }
}

TEST_F(KeyFileTest, WhatIsNotExactlyAKeyFileIsRefused) {
  ASSERT_TRUE(write_key_file(path, key));
  const Bytes bytes = *read_secret_file(path, 1000, is_anything);
  const std::string good(as_text(bytes));
  EXPECT_EQ(why_refused(""), Errc::kKeyFileFormat);
  EXPECT_EQ(why_refused(good.substr(1)), Errc::kKeyFileFormat);
  EXPECT_EQ(why_refused(good + "\n"), Errc::kKeyFileFormat);
  EXPECT_EQ(why_refused("culm-key 2" + good.substr(10)), Errc::kKeyFileVersion);
  std::string other = good;
  other[18] = other[18] == 'a' ? 'b' : 'a';
  EXPECT_EQ(why_refused(other), Errc::kKeyFileMismatch);
  for (std::size_t size = good.find('\n') + 1; size < good.size(); ++size) {
    EXPECT_EQ(why_refused(good.substr(0, size)), Errc::kKeyFileFormat) << size;
  }
}

TEST_F(KeyFileTest, WhoMayReadItIsAskedOnlyOfAKey) {
  for (const std::string& content : {std::string("notes\n"), std::string(1000, 'x')}) {
    std::filesystem::remove(path);
    ASSERT_TRUE(write_secret_file(path, as_bytes(content)));
    ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
    EXPECT_EQ(read_key_file(path).error().code, Errc::kKeyFileFormat);
  }
}

TEST_F(KeyFileTest, ASecretThatIsTooLongIsRefused) {
  ASSERT_TRUE(write_secret_file(path, as_bytes("12345")));
  EXPECT_TRUE(read_secret_file(path, 5, is_anything));
  EXPECT_EQ(read_secret_file(path, 4, is_anything).error().code, Errc::kKeyFileFormat);
}

}  // namespace
}  // namespace culm::store
