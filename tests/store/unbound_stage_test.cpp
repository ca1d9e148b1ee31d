#include "culm/store/appender.hpp"
#include "culm/store/audit.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::test {
namespace {

using store::Appender;
using store::KvClaim;
using store::StagedPayload;

constexpr std::size_t kChunk = limits::kPayloadChunkBytes;

class Mark final : public store::AuthorMark {
 public:
  Result<std::optional<store::Published>> read() override { return published; }
  Result<void> write(const store::Published& next) override {
    published = next;
    return {};
  }

  std::optional<store::Published> published;
};

Result<StagedPayload> stage(Store& store, const KvClaim& claim, std::string_view text) {
  StagedPayload staged{{}, hash(as_bytes(text)), text.size()};
  CULM_CHECK(store.update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(staged.stage, transaction.begin_unbound_stage(claim));
    return {};
  }));
  for (std::size_t offset = 0; offset < text.size(); offset += kChunk) {
    const ByteView part = as_bytes(text.substr(offset, kChunk));
    CULM_CHECK(store.update([&](WriteTransaction& transaction) {
      return transaction.put_unbound_part(staged.stage, offset, part);
    }));
  }
  return staged;
}

class UnboundStage : public testing::Test {
 protected:
  Appender open() {
    return *Appender::open(*store, key, LogId{0}, mark, store::commit_into(*store));
  }
  Result<bool> bind(const LogKey& to, SeqNum seqnum, const StagedPayload& staged) {
    bool is_bound = false;
    CULM_CHECK(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(is_bound, transaction.bind_stage(to, seqnum, staged));
      return {};
    }));
    return is_bound;
  }
  Errc put(const Stage& to, std::uint64_t offset, std::string_view part) {
    return code_of(store->update([&](WriteTransaction& transaction) {
      return transaction.put_unbound_part(to, offset, as_bytes(part));
    }));
  }
  std::size_t rows() { return rows_of(store.kv(), Table::kPayloads).size(); }
  std::size_t stages() { return rows_of(store.kv(), Table::kStages).size(); }

  const std::string text = long_text(3 * kChunk + 7);
  SecretKey key = key_from("alice");
  LogKey log{key.author(), LogId{0}};
  Mark mark;
  MemoryStore store;
  std::optional<KvClaim> claim = *store->claim();
};

TEST_F(UnboundStage, BecomesThePayloadOfAnEntryWithTheCommitOfThatAndIsNotCopied) {
  auto appender = open();
  ASSERT_EQ(appender.append({{as_bytes("before")}}), 1U);
  const StagedPayload staged = *stage(*store, *claim, text);
  const Rows before = rows_of(store.kv(), Table::kPayloads);
  EXPECT_EQ(*store->read()->unbound_stages(), std::vector{staged.stage});
  EXPECT_EQ(appender.append_staged(staged), 2U);
  EXPECT_EQ(mark.published->seqnum, 2U);
  EXPECT_EQ(rows_of(store.kv(), Table::kPayloads), before);
  EXPECT_TRUE(store->read()->unbound_stages()->empty());
  const LogState state = store.state(log);
  EXPECT_EQ(state.payloads, up_to(2));
  EXPECT_EQ(state.payload_bytes, text.size() + 6);
  const auto transaction = *store->read();
  EXPECT_TRUE(equal(*payload_of(transaction, state, 2), as_bytes(text)));
  Ed25519Verifier verifier;
  EXPECT_TRUE(store::audit_log(transaction, state, verifier)->is_sound());
  EXPECT_TRUE(store::audit_tables(transaction));
  EXPECT_EQ(appender.append({{as_bytes("behind")}}), 3U);
}

TEST_F(UnboundStage, TakesPartsInOrderAndNoneBehindAShortOne) {
  const StagedPayload staged = *stage(*store, *claim, text.substr(0, kChunk));
  const std::string_view all = text;
  EXPECT_EQ(put(staged.stage, 0, all.substr(0, kChunk)), Errc::kPayloadSize);
  EXPECT_EQ(put(staged.stage, 2 * kChunk, "x"), Errc::kPayloadSize);
  EXPECT_EQ(put(staged.stage, kChunk, ""), Errc::kPayloadSize);
  EXPECT_EQ(put(staged.stage, kChunk, all.substr(0, kChunk + 1)), Errc::kPayloadSize);
  EXPECT_EQ(put(staged.stage, kChunk, "end"), Errc{});
  EXPECT_EQ(put(staged.stage, kChunk + 3, "more"), Errc::kPayloadSize);
  EXPECT_EQ(put({0, staged.stage.seqnum, 99}, 0, "x"), Errc::kPayloadNotHeld);
}

TEST_F(UnboundStage, IsNoPayloadOfAnEntryThatSaysOtherwise) {
  const std::string other(text.size(), 'y');
  const auto logs = LogBuilder("bob").append(other).append(text).append("short");
  ASSERT_TRUE(store.ingest(logs, up_to(3), false));
  const StagedPayload staged = *stage(*store, *claim, text);
  EXPECT_EQ(code_of(bind(logs.log(), 1, staged)), Errc::kPayloadHash);
  EXPECT_EQ(code_of(bind(logs.log(), 3, staged)), Errc::kPayloadSize);
  EXPECT_EQ(code_of(bind(logs.log(), 4, staged)), Errc::kEntryNotHeld);
  EXPECT_EQ(bind(logs.log(), 2, staged), true);
  EXPECT_EQ(bind(logs.log(), 2, staged), false) << "is held";
  EXPECT_EQ(code_of(bind(logs.log(), 1, staged)), Errc::kPayloadNotHeld) << "it is bound already";
}

TEST_F(UnboundStage, ThatIsGoneLeavesNoEntryWithoutItsPayload) {
  auto appender = open();
  ASSERT_EQ(appender.append({{as_bytes("before")}}), 1U);
  const StagedPayload staged = *stage(*store, *claim, text);
  claim.reset();
  EXPECT_EQ(store->reclaim(), true);
  EXPECT_EQ(code_of(appender.append_staged(staged)), Errc::kPayloadNotHeld);
  EXPECT_EQ(store.state(log).held, up_to(1));
  EXPECT_EQ(mark.published->seqnum, 1U);
  EXPECT_EQ(appender.append({{as_bytes("behind")}}), 2U);
}

TEST_F(UnboundStage, IsErasedOnceNobodyClaimsItAndOnlyThen) {
  std::optional<KvClaim> other = *store->claim();
  const StagedPayload mine = *stage(*store, *claim, text);
  ASSERT_TRUE(stage(*store, *other, text));
  EXPECT_EQ(store->reclaim(), true);
  EXPECT_EQ(rows(), 8U);
  other.reset();
  EXPECT_EQ(store->reclaim(), true);
  EXPECT_EQ(rows(), 4U);
  EXPECT_EQ(*store->read()->unbound_stages(), std::vector{mine.stage});
  claim.reset();
  EXPECT_EQ(store->reclaim(), true);
  EXPECT_EQ(rows() + stages(), 0U);
}

TEST_F(UnboundStage, IsErasedInStepsOfLimitedSize) {
  ASSERT_TRUE(stage(*store, *claim, text));
  const auto step = [&](std::size_t rows_max) {
    bool is_done = false;
    EXPECT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(is_done, transaction.drop_unclaimed([](auto) { return false; }, rows_max));
      return {};
    }));
    return is_done;
  };
  EXPECT_FALSE(step(3));
  EXPECT_EQ(rows(), 1U);
  EXPECT_TRUE(audit_tables(*store->read()));
  EXPECT_TRUE(step(3));
  EXPECT_EQ(rows() + stages(), 0U);
}

TEST_F(UnboundStage, IsCountedAsArrivingAndLeftAloneByWhoTidiesStagesOfEntries) {
  ASSERT_TRUE(stage(*store, *claim, text));
  const auto transaction = *store->read();
  EXPECT_TRUE(transaction.unfinished_stages(9)->empty());
  EXPECT_EQ(transaction.staged_bytes(), text.size());
  EXPECT_TRUE(audit_tables(transaction));
}

TEST_F(UnboundStage, WhoseRowIsDamagedIsErasedToo) {
  const StagedPayload staged = *stage(*store, *claim, text);
  const auto [number, seqnum, id] = staged.stage;
  put_row(store.kv(), Table::kStages, store::detail::stage_row_key(number, seqnum, id), Bytes(12));
  auto appender = open();
  EXPECT_EQ(code_of(appender.append_staged(staged)), Errc::kPayloadNotHeld);
  claim.reset();
  EXPECT_EQ(store->reclaim(), true);
  EXPECT_EQ(rows() + stages(), 0U);
}

TEST_F(UnboundStage, APayloadInMemoryLargerThanAUnitIsOneOfItsOwn) {
  std::vector<std::size_t> units;
  auto appender =
      *Appender::open(*store, key, LogId{0}, mark, [&](const auto& unit, const auto& m) {
        units.push_back(unit.entries().size());
        return store::commit_into(*store)(unit, m);
      });
  const std::string large(limits::kCommitBytesTarget + 1, 'x');
  const std::string half(limits::kCommitBytesTarget / 2, 'x');
  const std::vector<ByteView> payloads{as_bytes("a"), as_bytes(large), as_bytes(half),
                                       as_bytes(half), as_bytes("b")};
  EXPECT_EQ(appender.append(payloads), 5U);
  EXPECT_EQ(units, (std::vector<std::size_t>{1, 1, 2, 1}));
}

TEST(UnboundStageOnDisk, OfAKilledProcessIsErasedAndThatOfALivingOneIsNot) {
  const TempDir directory;
  const std::string place = directory.path("store");
  const auto open = [&] {
    TestRandom random(1);
    return *Store::open(*store::LmdbKv::open(place, {.map_size_bytes = 1 << 24}), random);
  };
  const std::string text = long_text(3 * kChunk);
  ChildProcess other([&](const ParentLine& parent) {
    const auto store = open();
    const auto claim = store->claim();
    if (!claim || !stage(*store, *claim, text)) return 1;
    parent.tell();
    parent.await();
    return 0;
  });
  ASSERT_TRUE(other.await());
  const auto store = open();
  EXPECT_EQ(store->reclaim(), true);
  EXPECT_EQ(store->read()->unbound_stages()->size(), 1U);
  EXPECT_EQ(store->read()->staged_bytes(), text.size());
  other.kill();
  EXPECT_EQ(store->reclaim(), true);
  EXPECT_TRUE(store->read()->unbound_stages()->empty());
  EXPECT_EQ(store->read()->staged_bytes(), 0U);
  EXPECT_TRUE(store::audit_tables(*store->read()));
}

}  // namespace
}  // namespace culm::test
