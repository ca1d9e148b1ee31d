#include "culm/store/audit.hpp"

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

/// Stages of the last entry of a log, whose payload is not held.
class StoreStage : public testing::Test {
 protected:
  explicit StoreStage(std::string bytes = long_text(2 * kChunk + 5)) : text(std::move(bytes)) {
    log.append(text);
    EXPECT_TRUE(store.ingest(log, up_to(1), false));
  }

  static std::vector<Stage> unfinished(const Store& of) {
    std::vector<Stage> out;
    const auto found = of.read()->unfinished_stages(9);
    for (const auto& one : *found) out.push_back(one.stage);
    return out;
  }

  std::optional<Stage> begin(const store::Bearer& bearer = {}) {
    std::optional<Stage> stage;
    EXPECT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(stage, transaction.begin_stage(log.log(), 1, bearer));
      return {};
    }));
    return stage;
  }

  Result<bool> put(const Stage& stage, std::size_t offset, std::string_view part) {
    return updated([&](WriteTransaction& transaction) {
      return transaction.put_stage_part(log.log(), stage, offset, as_bytes(part));
    });
  }

  Result<bool> put_all(const Stage& stage, std::string_view bytes) {
    for (std::size_t offset = 0; offset < bytes.size(); offset += kChunk) {
      CULM_TRY(const bool is_put, put(stage, offset, bytes.substr(offset, kChunk)));
      if (!is_put) return false;
    }
    return true;
  }

  Result<bool> finish(const Stage& stage, std::string_view hashed) {
    return updated([&](WriteTransaction& transaction) {
      return transaction.finish_stage(log.log(), stage, hash(as_bytes(hashed)));
    });
  }

  /// In as many steps of `rows_max` rows as it takes.
  int drop(const Stage& stage, std::size_t rows_max) {
    for (int steps = 1;; ++steps) {
      std::size_t rows_left = rows_max;
      const auto gone = updated(
          [&](WriteTransaction& transaction) { return transaction.drop_stage(stage, rows_left); });
      EXPECT_TRUE(gone);
      if (!gone || *gone) return steps;
    }
  }

  template <class Step>
  Result<bool> updated(Step step) {
    bool done = false;
    CULM_CHECK(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(done, step(transaction));
      return {};
    }));
    return done;
  }

  std::size_t rows() { return rows_of(store.kv(), Table::kPayloads).size(); }
  std::size_t stages() { return rows_of(store.kv(), Table::kStages).size(); }

  const std::string text;
  LogBuilder log;
  MemoryStore store;
};

TEST_F(StoreStage, BecomesThePayloadWithItsLastPartAndIsNotCopied) {
  const Stage stage = *begin();
  EXPECT_EQ(code_of(finish(stage, text)), Errc::kPayloadSize) << "parts are missing";
  EXPECT_EQ(put_all(stage, text), true);
  const Rows before = rows_of(store.kv(), Table::kPayloads);
  EXPECT_TRUE(store.state(log.log()).payloads.empty());
  EXPECT_EQ(finish(stage, text), true);
  EXPECT_EQ(rows_of(store.kv(), Table::kPayloads), before);
  EXPECT_EQ(finish(stage, text), false) << "is held";
  EXPECT_EQ(put(stage, 0, text), false);
  EXPECT_FALSE(begin());
  const LogState state = store.state(log.log());
  EXPECT_EQ(state.payload_bytes, text.size());
  EXPECT_TRUE(equal(*payload_of(*store->read(), state, 1), as_bytes(text)));
  EXPECT_EQ(drop(stage, 1), 1) << "a payload stays";
  EXPECT_EQ(rows_of(store.kv(), Table::kPayloads), before);
}

TEST_F(StoreStage, TakesPartsInOrderAlone) {
  const Stage stage = *begin();
  const std::string_view all = text;
  EXPECT_EQ(code_of(put(stage, 1, all.substr(1, kChunk))), Errc::kPayloadSize);
  EXPECT_EQ(code_of(put(stage, 0, all.substr(0, kChunk - 1))), Errc::kPayloadSize);
  EXPECT_EQ(code_of(put(stage, kChunk, all.substr(kChunk, kChunk))), Errc::kPayloadSize);
  EXPECT_EQ(put(stage, 0, all.substr(0, kChunk)), true);
  EXPECT_EQ(code_of(put(stage, 0, all.substr(0, kChunk))), Errc::kPayloadSize) << "came already";
  EXPECT_EQ(put(stage, kChunk, all.substr(kChunk, kChunk)), true);
  EXPECT_EQ(code_of(put(stage, 2 * kChunk, "12345678")), Errc::kPayloadSize) << "more than is due";
  EXPECT_EQ(put(stage, 2 * kChunk, all.substr(2 * kChunk)), true);
  EXPECT_EQ(code_of(put(stage, text.size(), "")), Errc::kPayloadSize) << "all is there";
}

TEST_F(StoreStage, OfAnotherHashIsNotThePayloadAndSpoilsNoOther) {
  const std::string garbage(text.size(), 'y');
  const Stage wrong = *begin();
  const Stage good = *begin();
  EXPECT_EQ(put_all(wrong, garbage), true);
  EXPECT_EQ(put_all(good, text), true);
  EXPECT_EQ(code_of(finish(wrong, garbage)), Errc::kPayloadHash);
  EXPECT_EQ(finish(good, text), true);
  EXPECT_EQ(rows(), 6U);
  EXPECT_EQ(unfinished(*store), std::vector{wrong});
  EXPECT_EQ(drop(wrong, 1), 4) << "three parts and what knows of them";
  EXPECT_EQ(rows(), 3U);
  EXPECT_TRUE(equal(*payload_of(*store->read(), store.state(log.log()), 1), as_bytes(text)));
}

TEST_F(StoreStage, TakesNoMoreOnceItIsHalfDropped) {
  const Stage stage = *begin();
  EXPECT_EQ(put(stage, 0, text.substr(0, kChunk)), true);
  EXPECT_EQ(put(stage, kChunk, text.substr(kChunk, kChunk)), true);
  std::size_t rows_left = 1;
  EXPECT_EQ(updated([&](WriteTransaction& to) { return to.drop_stage(stage, rows_left); }), false);
  EXPECT_EQ(put(stage, 2 * kChunk, text.substr(2 * kChunk)), false);
  EXPECT_EQ(finish(stage, text), false);
  EXPECT_EQ(drop(stage, 9), 1);
  EXPECT_EQ(rows() + stages(), 0U);
  EXPECT_EQ(put(stage, 0, text.substr(0, kChunk)), false) << "is gone";
}

TEST_F(StoreStage, IsFoundAgainAfterARestart) {
  const Stage stage = *begin();
  EXPECT_EQ(put(stage, 0, text.substr(0, kChunk)), true);
  MemoryStore later = store.reopened();
  EXPECT_EQ(unfinished(*later), std::vector{stage});
  EXPECT_TRUE(later->read()->unfinished_stages(0)->empty());
  EXPECT_TRUE(audit_tables(*later->read()));
}

TEST_F(StoreStage, SaysWhoseItsPartsAreUntilTheyAreOfSeveral) {
  const sealing::PeerKey alice{{1}};
  const sealing::PeerKey bob{{2}};
  const auto put_of = [&](const Stage& stage, std::size_t offset, const sealing::PeerKey& peer) {
    return updated([&](WriteTransaction& to) {
      return to.put_stage_part(log.log(), stage, offset, as_bytes(text).subspan(offset, kChunk),
                               peer);
    });
  };
  const auto arriving = [&] {
    return *store->read()->arriving_stages(store.state(log.log()), {{1, 9}});
  };
  const Stage mixed = *begin({alice});
  const Stage alone = *begin({bob, true});
  EXPECT_EQ(put_of(mixed, 0, alice), true);
  EXPECT_EQ(put_of(alone, 0, bob), true);
  EXPECT_EQ(arriving()[0].bearer, (store::Bearer{alice, false}));
  EXPECT_EQ(arriving()[1].bearer, (store::Bearer{bob, true}));
  EXPECT_EQ(put_of(mixed, kChunk, bob), true);
  EXPECT_EQ(arriving()[0].bearer, store::Bearer());
  EXPECT_EQ(arriving()[0].size_bytes, 2 * kChunk);
  EXPECT_TRUE(
      equal(*store->read()->read_part(mixed, kChunk), as_bytes(text).subspan(kChunk, kChunk)));
  EXPECT_EQ(code_of(store->read()->read_part(mixed, 2 * kChunk)), Errc::kStoreDamaged);

  std::size_t no_rows = 0;
  EXPECT_EQ(updated([&](WriteTransaction& to) { return to.drop_stage(mixed, no_rows); }), false);
  ASSERT_EQ(arriving().size(), 1U) << "what is to go takes no parts at once";
  EXPECT_EQ(arriving()[0].stage, alone);
  EXPECT_EQ(put(*begin(), 0, text.substr(0, kChunk)), true);
  EXPECT_EQ(store->read()->arriving_stages(store.state(log.log()), {{1, 9}}, 1)->size(), 1U);
  EXPECT_TRUE(store->read()->arriving_stages(store.state(log.log()), {{2, 9}})->empty());
  const Stage whole = *begin();
  EXPECT_EQ(put_all(whole, text), true);
  EXPECT_EQ(finish(whole, text), true);
  EXPECT_TRUE(arriving().empty()) << "nobody wants it any more";
  const auto stages = *store->read()->unfinished_stages(9);
  for (const auto& left : stages) EXPECT_FALSE(left.takes_parts);
}

TEST(StorePayload, IsTakenWholeWithAHashThatFits) {
  LogBuilder log;
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, kInline, kInline + 1, kChunk}) {
    log.append(long_text(size));
  }
  MemoryStore store;
  ASSERT_TRUE(store.ingest(log, up_to(log.head()), false));
  ASSERT_TRUE(store->update([&](WriteTransaction& to) -> Result<void> {
    CULM_CHECK(to.delete_payloads(log.log(), {{1, 1}}, 9));
    return to.undelete_payloads(log.log(), {{1, 1}});
  }));
  const auto put = [&](SeqNum n, ByteView payload, ByteView hashed) {
    Result<bool> taken = false;
    EXPECT_TRUE(store->update([&](WriteTransaction& to) -> Result<void> {
      taken = to.put_payload(log.log(), n, payload, hash(hashed));
      return {};
    }));
    return taken;
  };
  for (SeqNum n = 1; n <= log.head(); ++n) {
    EXPECT_EQ(code_of(put(n, log.payload(n), as_bytes("other"))), Errc::kPayloadHash);
    EXPECT_EQ(code_of(put(n, as_bytes("other size"), log.payload(n))), Errc::kPayloadSize);
    EXPECT_EQ(put(n, log.payload(n), log.payload(n)), true);
    EXPECT_EQ(put(n, log.payload(n), log.payload(n)), false) << "is held";
    EXPECT_TRUE(equal(*payload_of(*store->read(), store.state(log.log()), n), log.payload(n)));
  }
  EXPECT_EQ(rows_of(store.kv(), Table::kPayloads).size(), 2U);
  const auto& state = store.state(log.log());
  const auto report = audit_log(*store->read(), state, store.verifier);
  EXPECT_TRUE(report && report->is_sound());
}

TEST(StorePayload, OfASinglePartNeedsNoStage) {
  MemoryStore store;
  const auto log = LogBuilder().append(long_text(kChunk));
  ASSERT_TRUE(store.ingest(log, up_to(1), false));
  EXPECT_EQ(code_of(store->update([&](WriteTransaction& to) {
              return to.begin_stage(log.log(), 1).map([](auto) {});
            })),
            Errc::kPayloadSize);
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
  EXPECT_EQ(erase(log.log(), up_to(2), 2), (RangeSet{{2, 2}}));
  EXPECT_EQ(erase(log.log(), {{2, 2}}, 2), RangeSet{});
  EXPECT_TRUE(rows_of(store.kv(), Table::kPayloads).empty());
  EXPECT_EQ(store.state(log.log()).deleted, up_to(2));
  EXPECT_EQ(store.state(log.log()).payload_bytes, 0U);
}

TEST_F(StoreDelete, TakesTheChunksOfAnUnfinishedPayload) {
  const std::string text = long_text(2 * kChunk);
  const auto log = LogBuilder().append_many(1).append(text);
  ASSERT_TRUE(store.ingest(log, up_to(2), false));
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const auto stage, transaction.begin_stage(log.log(), 2));
    CULM_CHECK(transaction.put_stage_part(log.log(), *stage, 0, as_bytes(text).first(kChunk)));
    return {};
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
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const auto stage, transaction.begin_stage(log.log(), 4));
    EXPECT_FALSE(stage);
    return {};
  }));
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
