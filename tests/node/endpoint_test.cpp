#include "culm/replication/node/endpoint.hpp"

#include <gtest/gtest.h>

namespace culm::node {
namespace {

TEST(Endpoint, ReadsNamesAndAddresses) {
  EXPECT_EQ(parse_endpoint("example.org:7000"), (Endpoint{"example.org", 7000}));
  EXPECT_EQ(parse_endpoint("127.0.0.1:0"), (Endpoint{"127.0.0.1", 0}));
  EXPECT_EQ(parse_endpoint("[::1]:65535"), (Endpoint{"::1", 65535}));
}

TEST(Endpoint, RefusesWhatIsNotHostAndPort) {
  const char* const bad[] = {"",         ":1",         "host",    "host:",    "host:x",
                             "host:-1",  "host:+1",    "host: 1", "host:1 ",  "host:65536",
                             "::1:7000", "[::1]",      "[::1]7",  "[]:1",     "[host]:1",
                             "[::1:1",   "::1]:1",     "ho st:1", "host\n:1", "[[::1]]:1",
                             "host:1:2", "h\xc3\xa4:1"};
  for (const char* text : bad) {
    const auto parsed = parse_endpoint(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::kAddress);
  }
}

TEST(Endpoint, WritesWhatItReads) {
  for (const char* text : {"example.org:7000", "[fe80::1]:1", "10.0.0.1:80"}) {
    EXPECT_EQ(to_string(*parse_endpoint(text)), text);
  }
}

}  // namespace
}  // namespace culm::node
