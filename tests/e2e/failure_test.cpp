#include "tools/cli/failure.hpp"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace culm::tools {
namespace {

/// Every error that does not give kVerification, by the status it gives.
const std::map<Exit, std::vector<std::string_view>> kExits{
    {Exit::kUsage,
     {"hex_format", "payload_too_large", "range", "range_order", "ranges_too_many", "limit",
      "address", "file_exists", "usage"}},
    {Exit::kNotFound,
     {"store_not_found", "log_unknown", "entry_not_held", "payload_not_held", "payload_deleted"}},
    {Exit::kStore,
     {"store_io", "store_full", "store_damaged", "store_version", "store_read_only", "store_format",
      "log_fragmented", "busy", "store_busy", "file_io"}},
    {Exit::kNetwork,
     {"frame_length",
      "frame_truncated",
      "msgpack_length",
      "msgpack_depth",
      "msgpack_type",
      "msgpack_noncanonical",
      "msgpack_trailing",
      "message_schema",
      "message_utf8",
      "message_type",
      "protocol_state",
      "protocol_version",
      "flow",
      "handshake",
      "decrypt",
      "unsolicited",
      "peer_silent",
      "peer_slow",
      "peer_stalled",
      "peer_closed",
      "peer_unexpected",
      "network",
      "timeout",
      "peer_full",
      "peer_foreign",
      "peer_network",
      "peer_self",
      "peer_hung_up",
      "peer_refused",
      "peer_store_full",
      "peer_store"}},
    {Exit::kFork,
     {"seqnum_end", "fork", "log_capped", "log_ended", "author_mark_behind", "author_mark_fork",
      "author_mark_format", "author_head_unknown"}},
    {Exit::kLocked, {"store_locked", "author_mark_locked", "node_silent"}},
};

TEST(Failure, EveryErrorHasItsExitStatus) {
  std::map<std::string_view, Exit> expected;
  for (const auto& [exit, names] : kExits) {
    for (const std::string_view name : names) EXPECT_TRUE(expected.emplace(name, exit).second);
  }
  std::size_t found = 0;
  for (int number = 1; number < 1000; ++number) {
    const auto code = static_cast<Errc>(number);
    if (name(code) == "unknown") continue;
    const auto row = expected.find(name(code));
    EXPECT_EQ(exit_of({code}), row == expected.end() ? Exit::kVerification : row->second)
        << name(code);
    found += row == expected.end() ? 0U : 1U;
  }
  EXPECT_EQ(found, expected.size());
}

}  // namespace
}  // namespace culm::tools
