#include "culm/replication/host/node_key.hpp"

#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "culm/core/bytes.hpp"
#include "culm/store/secret_file.hpp"

#include "tests/support/temp_dir.hpp"

namespace culm::host {
namespace {

TEST(NodeKey, APeerKeyIsMadeOnceAndStaysTheSame) {
  const test::TempDir place;
  const auto first = open_peer_key(place.path("peer.key"));
  const auto again = open_peer_key(place.path("peer.key"));
  const auto other = open_peer_key(place.path("other.key"));
  ASSERT_TRUE(first && again && other);
  EXPECT_EQ(first->public_key(), again->public_key());
  EXPECT_NE(first->public_key(), other->public_key());
}

TEST(NodeKey, IsSixtyFourHexDigitsAndPerhapsALineEnd) {
  const test::TempDir place;
  const std::string digits(64, 'a');
  std::size_t number = 0;
  const auto is_read = [&](const std::string& content) {
    const std::string path = place.path(std::to_string(++number));
    EXPECT_TRUE(store::write_secret_file(path, as_bytes(content)));
    const auto key = read_node_key(path);
    EXPECT_TRUE(key || key.error().code == Errc::kKeyFileFormat);
    return key.has_value();
  };
  EXPECT_TRUE(is_read(digits));
  EXPECT_TRUE(is_read(digits + "\n"));
  for (const std::string& content : {std::string(), digits.substr(1), digits + "a", digits + "\n\n",
                                     "g" + digits.substr(1), "\n" + digits.substr(1)}) {
    EXPECT_FALSE(is_read(content)) << content;
  }
}

TEST(NodeKey, WhoMayReadItIsAskedOnlyOfAKey) {
  const test::TempDir place;
  for (const auto& [content, code] : {std::pair(std::string("notes\n"), Errc::kKeyFileFormat),
                                      std::pair(std::string(64, 'a'), Errc::kKeyFileShared)}) {
    const std::string path = place.path(std::to_string(content.size()));
    ASSERT_TRUE(store::write_secret_file(path, as_bytes(content)));
    ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
    EXPECT_EQ(read_node_key(path).error().code, code);
  }
}

TEST(NodeKey, NetworksWithDifferentNamesAreDifferent) {
  EXPECT_EQ(network_id_of(""), (std::array<std::uint8_t, 32>{}));
  EXPECT_NE(network_id_of("a"), network_id_of("b"));
  EXPECT_NE(network_id_of("a"), network_id_of(""));
}

}  // namespace
}  // namespace culm::host
