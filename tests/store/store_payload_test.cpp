#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

constexpr std::size_t kInline = limits::kPayloadInlineBytesMax;
constexpr std::size_t kChunk = limits::kPayloadChunkBytes;

TEST(StorePayload, ArrivesAfterItsEntry) {
  MemoryStore store;
  auto log = LogBuilder().append_many(3).append(long_text(kInline + 1)).append_many(2);
  ASSERT_TRUE(store.ingest(log, up_to(6), false));
  EXPECT_TRUE(store.state(log.log()).payloads.empty());
  const auto report = store.ingest(log, {{2, 5}});
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->added.empty());
  EXPECT_EQ(report->payloads_added, (RangeSet{{2, 5}}));
  const LogState state = store.state(log.log());
  EXPECT_EQ(state.payloads, (RangeSet{{2, 5}}));
  const auto transaction = *store->read();
  for (SeqNum n = 2; n <= 5; ++n)
    EXPECT_TRUE(equal(*payload_of(transaction, state, n), log.payload(n)));
  EXPECT_EQ(code_of(transaction.read_payload(state, 1, 0, 10)), Errc::kPayloadNotHeld);
}

TEST(StorePayload, AWrongOneIsRefusedAlsoForAHeldEntry) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(3);
  ASSERT_TRUE(store.ingest(log, up_to(3), false));
  auto unit = log.unit(up_to(3));
  const Bytes wrong{1, 2, 3};
  unit[1].payload = wrong;
  EXPECT_EQ(code_of(store.ingest(log.log(), unit)), Errc::kPayloadHash);
  EXPECT_TRUE(store.state(log.log()).payloads.empty());
}

TEST(StorePayload, AnEmptyOneIsHeldWithItsEntry) {
  MemoryStore store;
  const auto log = LogBuilder().append("").append("x").append("");
  ASSERT_TRUE(store.ingest(log, up_to(3), false));
  const LogState state = store.state(log.log());
  EXPECT_EQ(state.payloads, (RangeSet{{1, 1}, {3, 3}}));
  const auto transaction = *store->read();
  EXPECT_TRUE(transaction.get_entry(state, 1)->inline_payload);
  EXPECT_TRUE(transaction.read_payload(state, 3, 0, 10)->empty());
}

TEST(StorePayload, AnEmptyOneWithAnotherHashIsNeverHeld) {
  MemoryStore store;
  LogBuilder log;
  auto fields = log.next_fields("not empty");
  fields.payload_size = 0;
  log.append_fields(fields, "");
  ASSERT_TRUE(store.ingest(log, up_to(1), false));
  EXPECT_TRUE(store.state(log.log()).payloads.empty());
}

TEST(StorePayload, LiesInTheRowUpToTheLimitAndInChunksBeyond) {
  const std::size_t sizes[] = {1,          kInline,        kInline + 1,      kChunk,
                               kChunk + 1, 2 * kChunk - 1, 2 * kChunk + 1000};
  LogBuilder log;
  for (const std::size_t size : sizes) log.append(long_text(size));
  MemoryStore store;
  ASSERT_TRUE(store.ingest(log, up_to(log.head())));
  EXPECT_EQ(rows_of(store.kv(), Table::kPayloads).size(), 1U + 1U + 2U + 2U + 3U);
  const LogState state = store.state(log.log());
  const auto transaction = *store->read();
  for (SeqNum n = 1; n <= log.head(); ++n) {
    EXPECT_EQ(transaction.get_entry(state, n)->inline_payload.has_value(),
              log.payload(n).size() <= kInline);
    for (const std::size_t part : {std::size_t{777}, kChunk, std::size_t{1} << 20}) {
      EXPECT_TRUE(equal(*payload_of(transaction, state, n, part), log.payload(n)));
    }
    EXPECT_TRUE(transaction.read_payload(state, n, UINT64_MAX, 5)->empty());
  }
}

TEST(StorePayload, ComesInChunksInAnyOrder) {
  MemoryStore store;
  const std::string text = long_text(2 * kChunk + 5);
  const ByteView payload = as_bytes(text);
  const auto log = LogBuilder().append(text);
  ASSERT_TRUE(store.ingest(log, up_to(1), false));
  const auto put = [&](std::size_t offset, ByteView chunk) {
    return store->update([&](WriteTransaction& transaction) {
      return transaction.put_payload_chunk(log.log(), 1, offset, chunk);
    });
  };
  const auto finish = [&] {
    return store->update(
        [&](WriteTransaction& transaction) { return transaction.finish_payload(log.log(), 1); });
  };
  EXPECT_EQ(code_of(put(1, payload.first(kChunk))), Errc::kPayloadSize);
  EXPECT_EQ(code_of(put(0, payload.first(kChunk - 1))), Errc::kPayloadSize);
  EXPECT_EQ(code_of(put(3 * kChunk, payload.first(1))), Errc::kPayloadSize);
  EXPECT_TRUE(put(2 * kChunk, payload.subspan(2 * kChunk)));
  EXPECT_TRUE(put(0, payload.first(kChunk)));
  EXPECT_EQ(code_of(finish()), Errc::kPayloadSize) << "one is missing";
  EXPECT_TRUE(put(kChunk, payload.first(kChunk)));
  EXPECT_EQ(code_of(finish()), Errc::kPayloadHash) << "that was the wrong one";
  EXPECT_TRUE(store.state(log.log()).payloads.empty());
  EXPECT_TRUE(put(kChunk, payload.subspan(kChunk, kChunk)));
  EXPECT_TRUE(finish());
  EXPECT_TRUE(finish()) << "is held";
  const LogState state = store.state(log.log());
  EXPECT_EQ(state.payload_bytes, payload.size());
  EXPECT_TRUE(equal(*payload_of(*store->read(), state, 1), payload));
}

TEST(StorePayload, AChunkThatFitsTheRowIsHeldAtOnce) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(2);
  ASSERT_TRUE(store.ingest(log, up_to(2), false));
  const auto put = [&](SeqNum seqnum, ByteView chunk) {
    return store->update([&](WriteTransaction& transaction) {
      return transaction.put_payload_chunk(log.log(), seqnum, 0, chunk);
    });
  };
  EXPECT_EQ(code_of(put(2, log.payload(1))), Errc::kPayloadHash);
  EXPECT_EQ(code_of(put(3, log.payload(1))), Errc::kEntryNotHeld);
  EXPECT_TRUE(put(2, log.payload(2)));
  EXPECT_EQ(store.state(log.log()).payloads, (RangeSet{{2, 2}}));
  EXPECT_TRUE(rows_of(store.kv(), Table::kPayloads).empty());
}

class StoreDelete : public testing::Test {
 protected:
  Result<RangeSet> erase(const LogKey& log, const RangeSet& seqnums, std::size_t rows_max) {
    RangeSet remaining;
    CULM_CHECK(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(remaining, transaction.delete_payloads(log, seqnums, rows_max));
      return {};
    }));
    return remaining;
  }

  bool is_anywhere(std::string_view text) {
    for (const Table table : {Table::kEntries, Table::kPayloads}) {
      for (const auto& [key, value] : rows_of(store.kv(), table)) {
        if (as_text(value).find(text) != std::string_view::npos) return true;
      }
    }
    return false;
  }

  MemoryStore store;
};

TEST_F(StoreDelete, TakesTheBytesAndLeavesTheEntries) {
  auto log = LogBuilder().append("keep").append("secret inline").append("");
  log.append(long_text(kInline) + "secret in a chunk").append("last");
  ASSERT_TRUE(store.ingest(log, up_to(5)));
  ASSERT_TRUE(is_anywhere("secret inline") && is_anywhere("secret in a chunk"));
  EXPECT_EQ(erase(log.log(), {{2, 4}}, 100), RangeSet{});
  EXPECT_FALSE(is_anywhere("secret"));
  const LogState state = store.state(log.log());
  EXPECT_EQ(state.held, up_to(5));
  EXPECT_EQ(state.payloads, (RangeSet{{1, 1}, {5, 5}}));
  EXPECT_EQ(state.deleted, (RangeSet{{2, 4}}));
  EXPECT_EQ(state.payload_bytes, 8U);
  const auto transaction = *store->read();
  EXPECT_EQ(code_of(transaction.read_payload(state, 3, 0, 1)), Errc::kPayloadDeleted);
  for (SeqNum n = 1; n <= 5; ++n) {
    EXPECT_TRUE(equal(transaction.get_entry(state, n)->entry.bytes(), log.bytes(n)));
  }
}

TEST_F(StoreDelete, GoesInStepsLowestFirst) {
  const auto log = LogBuilder().append_many(25);
  ASSERT_TRUE(store.ingest(log, up_to(25)));
  RangeSet remaining{{3, 22}};
  for (const SeqNum first : {10U, 17U}) {
    remaining = *erase(log.log(), remaining, 7);
    EXPECT_EQ(remaining, (RangeSet{{first, 22}}));
    EXPECT_EQ(store.state(log.log()).deleted, (RangeSet{{3, first - 1}}));
    EXPECT_EQ(store.state(log.log()).payloads, (RangeSet{{1, 2}, {first, 25}}));
  }
  EXPECT_EQ(erase(log.log(), remaining, 7), RangeSet{});
  EXPECT_EQ(store.state(log.log()).deleted, (RangeSet{{3, 22}}));
}

TEST_F(StoreDelete, GoesThroughOneLargePayloadInSteps) {
  const auto log = LogBuilder().append(long_text(5 * kChunk)).append("next");
  ASSERT_TRUE(store.ingest(log, up_to(2)));
  EXPECT_EQ(erase(log.log(), up_to(2), 2), up_to(2));
  EXPECT_EQ(rows_of(store.kv(), Table::kPayloads).size(), 3U);
  EXPECT_EQ(store.state(log.log()).payloads, (RangeSet{{2, 2}})) << "half of it is not it";
  // The caller was killed and asks for the same again.
  EXPECT_EQ(erase(log.log(), up_to(2), 2), up_to(2));
  EXPECT_EQ(erase(log.log(), up_to(2), 2), RangeSet{});
  EXPECT_TRUE(rows_of(store.kv(), Table::kPayloads).empty());
  EXPECT_EQ(store.state(log.log()).deleted, up_to(2));
  EXPECT_EQ(store.state(log.log()).payload_bytes, 0U);
}

TEST_F(StoreDelete, TakesTheChunksOfAnUnfinishedPayload) {
  const std::string text = long_text(2 * kChunk);
  const auto log = LogBuilder().append_many(1).append(text);
  ASSERT_TRUE(store.ingest(log, up_to(2), false));
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) {
    return transaction.put_payload_chunk(log.log(), 2, 0, as_bytes(text).first(kChunk));
  }));
  EXPECT_EQ(erase(log.log(), up_to(2), 10), RangeSet{});
  EXPECT_TRUE(rows_of(store.kv(), Table::kPayloads).empty());
}

TEST_F(StoreDelete, WhatIsDeletedIsNotTakenAgainUntilAskedFor) {
  const std::string text = long_text(kInline + 1);
  auto log = LogBuilder().append_many(3).append(text).append("").append_many(2);
  ASSERT_TRUE(store.ingest(log, up_to(2)));
  EXPECT_EQ(erase(log.log(), {{2, 5}}, 100), RangeSet{}) << "held or not";
  ASSERT_TRUE(store.ingest(log, up_to(7)));
  EXPECT_EQ(store.state(log.log()).payloads, (RangeSet{{1, 1}, {6, 7}}));
  EXPECT_TRUE(rows_of(store.kv(), Table::kPayloads).empty());
  EXPECT_EQ(code_of(store->update([&](WriteTransaction& transaction) {
              return transaction.put_payload_chunk(log.log(), 4, 0, as_bytes(text));
            })),
            Errc::kPayloadDeleted);
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) {
    return transaction.undelete_payloads(log.log(), {{2, 5}});
  }));
  ASSERT_TRUE(store.ingest(log, up_to(7)));
  EXPECT_EQ(store.state(log.log()).payloads, up_to(7));
  EXPECT_TRUE(store.state(log.log()).deleted.empty());
}

TEST_F(StoreDelete, AnOpenRangeCoversWhatIsToCome) {
  const auto log = LogBuilder().append_many(5);
  ASSERT_TRUE(store.ingest(log, up_to(3)));
  EXPECT_EQ(erase(log.log(), {{2, kSeqnumMax}}, 100), RangeSet{});
  ASSERT_TRUE(store.ingest(log, up_to(5)));
  EXPECT_EQ(store.state(log.log()).payloads, up_to(1));
  const auto change = store.state(log.log()).change;
  EXPECT_EQ(erase(log.log(), {{2, kSeqnumMax}}, 100), RangeSet{});
  EXPECT_EQ(store.state(log.log()).change, change) << "nothing changed";
}

}  // namespace
}  // namespace culm::test
