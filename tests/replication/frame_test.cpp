#include "culm/replication/frame.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

#include "tests/support/prng.hpp"

namespace culm::replication {
namespace {

void feed(FrameReader& reader, ByteView bytes) { append_bytes(reader.fill(), bytes); }

/// Appends all messages that are there to `out`.
void drain(FrameReader& reader, std::vector<Bytes>& out) {
  for (;;) {
    const auto message = reader.next();
    ASSERT_TRUE(message);
    if (!*message) return;
    out.emplace_back((*message)->begin(), (*message)->end());
  }
}

TEST(Frame, IsLengthThenMessage) {
  Bytes out{9};
  append_frame(out, Bytes{1, 2, 3});
  EXPECT_EQ(out, (Bytes{9, 0, 0, 0, 3, 1, 2, 3}));
}

TEST(Frame, CanBeEncodedInPlace) {
  Bytes out{9};
  const std::size_t position = begin_frame(out);
  append_bytes(out, Bytes(0x1234, 7));
  end_frame(out, position);
  ASSERT_EQ(out.size(), 1 + kFramePrefixBytes + 0x1234);
  EXPECT_TRUE(equal(ByteView(out).first(6), Bytes{9, 0, 0, 0x12, 0x34, 7}));
}

TEST(FrameDeathTest, EmptyAndOversizeMessagesAreBugs) {
  Bytes out;
  EXPECT_DEATH(append_frame(out, {}), "bug: size >= 1");
  const Bytes oversize(limits::kMessageBytesMax + 1);
  EXPECT_DEATH(append_frame(out, oversize), "bug: size >= 1");
}

TEST(FrameReader, GivesTheSameMessagesForEveryChunking) {
  test::TestRandom random(31);
  CULM_TRACE_SEED(random);
  std::vector<Bytes> messages;
  Bytes stream;
  for (const std::size_t size : {1U, 2U, 3U, 4U, 5U, 40U, 1U, 17U}) {
    messages.push_back(random.bytes(size));
    append_frame(stream, messages.back());
  }
  for (std::size_t chunk = 1; chunk <= stream.size(); ++chunk) {
    FrameReader reader;
    std::vector<Bytes> got;
    for (std::size_t at = 0; at < stream.size(); at += chunk) {
      feed(reader, ByteView(stream).subspan(at, std::min(chunk, stream.size() - at)));
      ASSERT_NO_FATAL_FAILURE(drain(reader, got));
    }
    EXPECT_EQ(got, messages) << "chunks of " << chunk;
    EXPECT_TRUE(reader.finish());
  }
}

TEST(FrameReader, TakesTheLargestMessage) {
  Bytes stream;
  append_frame(stream, Bytes(limits::kMessageBytesMax, 5));
  FrameReader reader;
  feed(reader, stream);
  std::vector<Bytes> got;
  drain(reader, got);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].size(), limits::kMessageBytesMax);
}

TEST(FrameReader, RefusesLengthZeroAndAboveTheLimitAtTheLengthItself) {
  for (const Bytes& length : {Bytes{0, 0, 0, 0}, Bytes{0, 4, 0, 1}, Bytes{255, 255, 255, 255}}) {
    FrameReader reader;
    feed(reader, length);
    for (int call = 0; call < 2; ++call) {
      const auto message = reader.next();
      ASSERT_FALSE(message);
      EXPECT_EQ(message.error().code, Errc::kFrameLength);
      feed(reader, Bytes{1, 2, 3});
    }
    EXPECT_EQ(reader.finish().error().code, Errc::kFrameTruncated);
  }
  static_assert(limits::kMessageBytesMax == 0x40000);
}

TEST(FrameReader, GivesWhatStandsBeforeABadLength) {
  Bytes stream;
  append_frame(stream, Bytes{1});
  append_bytes(stream, Bytes(4));
  FrameReader reader;
  feed(reader, stream);
  EXPECT_TRUE(reader.next()->has_value());
  EXPECT_EQ(reader.next().error().code, Errc::kFrameLength);
}

TEST(FrameReader, TellsATruncatedEndAtEveryCut) {
  Bytes stream;
  append_frame(stream, Bytes{1, 2, 3});
  append_frame(stream, Bytes{4});
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    FrameReader reader;
    feed(reader, ByteView(stream).first(cut));
    std::vector<Bytes> got;
    drain(reader, got);
    const bool at_boundary = cut == 0 || cut == 7 || cut == stream.size();
    EXPECT_EQ(reader.finish().has_value(), at_boundary) << cut;
  }
}

TEST(FrameReader, KeepsNoMemoryForALengthThatWasOnlyAnnounced) {
  FrameReader reader;
  feed(reader, Bytes{0, 4, 0, 0, 1});
  EXPECT_FALSE(reader.next()->has_value());
  EXPECT_LE(reader.fill().capacity(), 64U);
}

TEST(FrameReader, GivesALargeBufferBackWhenSmallMessagesFollow) {
  Bytes stream;
  append_frame(stream, Bytes(limits::kMessageBytesMax, 5));
  FrameReader reader;
  feed(reader, stream);
  std::vector<Bytes> got;
  drain(reader, got);
  EXPECT_GE(reader.fill().capacity(), limits::kMessageBytesMax);
  append_frame(reader.fill(), Bytes{1});
  drain(reader, got);
  EXPECT_LE(reader.fill().capacity(), limits::kIdleBufferBytesMax);
}

}  // namespace
}  // namespace culm::replication
