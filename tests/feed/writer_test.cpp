#include "culm/feed/writer.hpp"

#include <gtest/gtest.h>

#include "tests/support/log_builder.hpp"

namespace culm {
namespace {

using test::LogBuilder;

LogWriter::FindHash hashes_of(const LogBuilder& log) {
  return [&log](SeqNum n) -> Result<Hash> { return log.hash(n); };
}

LogTail tail_of(const LogBuilder& log) { return {log.head(), log.hash(log.head()), false}; }

TEST(LogWriter, WritesTheLogThatTheBuilderWrites) {
  LogBuilder log("alice", LogId{9});
  log.append_many(40).end("bye");
  LogWriter writer(log.key(), LogId{9}, {}, hashes_of(log));
  for (SeqNum n = 1; n <= log.head(); ++n) {
    const auto entry = writer.append(log.payload(n), log.entry(n).tag());
    ASSERT_TRUE(entry) << message(entry.error());
    EXPECT_TRUE(equal(entry->bytes(), log.bytes(n))) << n;
    EXPECT_EQ(writer.tail().seqnum, n);
    EXPECT_EQ(writer.tail().hash, log.hash(n));
  }
  EXPECT_TRUE(writer.tail().ended);
}

TEST(LogWriter, GoesOnFromATail) {
  LogBuilder log;
  log.append_many(7);
  LogWriter writer(log.key(), LogId{}, tail_of(log), hashes_of(log));
  const auto entry = writer.append(as_bytes("entry 8"));
  ASSERT_TRUE(entry);
  EXPECT_TRUE(equal(entry->bytes(), log.append_many(1).bytes(8)));
}

TEST(LogWriter, AsksOnlyForLipmaalinkTargets) {
  LogBuilder log;
  log.append_many(13);
  std::vector<SeqNum> asked;
  LogWriter writer(log.key(), LogId{}, {}, [&](SeqNum n) -> Result<Hash> {
    asked.push_back(n);
    return log.hash(n);
  });
  for (SeqNum n = 1; n <= 13; ++n) ASSERT_TRUE(writer.append(log.payload(n)));
  EXPECT_EQ(asked, (std::vector<SeqNum>{1, 4, 8, 4}));
}

TEST(LogWriter, TakesAPayloadThatWasHashedElsewhere) {
  LogBuilder log;
  log.append("streamed");
  LogWriter writer(log.key(), LogId{}, {}, hashes_of(log));
  const auto entry = writer.append(hash(as_bytes("streamed")), 8);
  ASSERT_TRUE(entry);
  EXPECT_TRUE(equal(entry->bytes(), log.bytes(1)));
}

TEST(LogWriter, NothingFollowsAnEndOfLogEntry) {
  LogBuilder log;
  LogWriter writer(log.key(), LogId{}, {}, hashes_of(log));
  ASSERT_TRUE(writer.append(as_bytes("x"), Tag::kEndOfLog));
  const auto entry = writer.append(as_bytes("y"));
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error(), error_for(Errc::kLogEnded, 1));
}

TEST(LogWriter, NothingFollowsTheLastSeqnum) {
  LogBuilder log;
  LogWriter writer(log.key(), LogId{}, {kSeqnumMax - 1, Hash{}, false},
                   [](SeqNum) -> Result<Hash> { return Hash{}; });
  ASSERT_TRUE(writer.append(as_bytes("x")));
  EXPECT_EQ(writer.tail().seqnum, kSeqnumMax);
  const auto entry = writer.append(as_bytes("y"));
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error(), error_for(Errc::kSeqnumEnd, kSeqnumMax));
}

TEST(LogWriter, RefusesAPayloadAboveTheLimit) {
  LogBuilder log;
  LogWriter writer(log.key(), LogId{}, {}, hashes_of(log));
  EXPECT_TRUE(writer.append(Hash{}, limits::kPayloadSizeBytesMax));
  const auto entry = writer.append(Hash{}, limits::kPayloadSizeBytesMax + 1);
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().code, Errc::kPayloadTooLarge);
}

TEST(LogWriter, AMissingTargetChangesNothing) {
  LogBuilder log;
  log.append_many(3);
  LogWriter writer(log.key(), LogId{}, tail_of(log), [](SeqNum n) -> Result<Hash> {
    return fail(error_for(Errc::kEntryNotHeld, n));
  });
  const auto entry = writer.append(as_bytes("x"));
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error(), error_for(Errc::kEntryNotHeld, 1));
  EXPECT_EQ(writer.tail(), tail_of(log));
}

}  // namespace
}  // namespace culm
