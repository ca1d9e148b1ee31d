#include "culm/store/appender.hpp"

#include "culm/store/audit.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/child_process.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::test {
namespace {

using store::Appender;
using store::AppenderOptions;
using store::AuthorMark;
using store::commit_into;
using store::FileAuthorMark;
using store::Published;
using store::SignedUnit;

/// A mark that can be copied, lost and refused.
class MemoryMark final : public AuthorMark {
 public:
  Result<std::optional<Published>> read() override {
    if (is_damaged) return fail(Errc::kAuthorMarkFormat);
    return published;
  }
  Result<void> write(const Published& next) override {
    if (is_write_failing) return fail(Errc::kFileIo);
    is_damaged = false;
    published = next;
    return {};
  }

  std::optional<Published> published;
  bool is_damaged = false;
  bool is_write_failing = false;
};

class AppenderTest : public testing::Test {
 protected:
  Result<Appender> open(MemoryStore& where, const AppenderOptions& options = {}) {
    return Appender::open(*where, key, LogId{0}, mark, commit_into(*where), options);
  }

  Errc refusal(MemoryStore& where, const AppenderOptions& options = {}) {
    const auto opened = open(where, options);
    return opened ? Errc{} : opened.error().code;
  }

  /// Appends "entry n" up to and with `last`, as `LogBuilder` does.
  Result<SeqNum> append_to(MemoryStore& where, SeqNum last) {
    CULM_TRY(auto appender, open(where));
    return append_to(appender, last);
  }
  static Result<SeqNum> append_to(Appender& appender, SeqNum last) {
    std::vector<std::string> texts;
    std::vector<ByteView> payloads;
    for (SeqNum n = appender.head() + 1; n <= last; ++n)
      texts.push_back("entry " + std::to_string(n));
    for (const std::string& text : texts) payloads.push_back(as_bytes(text));
    return appender.append(payloads);
  }

  SecretKey key = key_from("alice");
  LogKey log{key.author(), LogId{0}};
  MemoryMark mark;
  MemoryStore store;
};

TEST_F(AppenderTest, AppendsAndMovesTheMark) {
  ASSERT_EQ(append_to(store, 30), 30U);
  const auto wanted = LogBuilder("alice").append_many(30);
  const LogState state = store.state(log);
  EXPECT_EQ(state.held, up_to(30));
  EXPECT_EQ(state.payloads, up_to(30));
  EXPECT_EQ(state.verified, up_to(30));
  const auto transaction = *store->read();
  for (SeqNum n = 1; n <= 30; ++n) {
    EXPECT_TRUE(equal(transaction.get_entry(state, n)->entry.bytes(), wanted.bytes(n)));
  }
  EXPECT_EQ(mark.published, (Published{30, wanted.hash(30), store->id()}));
}

TEST_F(AppenderTest, WritesAMarkBeforeTheFirstEntry) {
  auto appender = *Appender::open(
      *store, key, LogId{0}, mark, [&](const SignedUnit& unit, const auto& move_mark) {
        EXPECT_EQ(mark.published, (Published{0, {}, store::kBegunStore}));
        return commit_into(*store)(unit, move_mark);
      });
  EXPECT_FALSE(mark.published) << "nothing was appended";
  EXPECT_EQ(append_to(appender, 1), 1U);
}

TEST_F(AppenderTest, AsksTheGateAgainUntilSomethingWasAppended) {
  ASSERT_EQ(append_to(store, 3), 3U);
  mark.published->store = {9};
  const auto of_another = mark.published;
  int asked = 0;
  const AppenderOptions options{.gate = [&](SeqNum) {
    ++asked;
    return Result<bool>(true);
  }};
  ASSERT_TRUE(open(store, options));
  auto failing = *Appender::open(
      *store, key, LogId{0}, mark,
      [](const SignedUnit&, const auto&) { return fail(Errc::kStoreFull); }, options);
  EXPECT_EQ(append_to(failing, 4).error().code, Errc::kStoreFull);
  EXPECT_EQ(mark.published, of_another);
  auto appender = *open(store, options);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(append_to(appender, 4), 4U);
  ASSERT_TRUE(open(store, options));
  EXPECT_EQ(asked, 3);
}

TEST_F(AppenderTest, RemembersThatNobodyCouldBeAskedUntilSomebodyWas) {
  ASSERT_EQ(append_to(store, 3), 3U);
  mark.published->store = {9};
  int asked = 0;
  bool is_answered = false;
  const AppenderOptions options{.gate = [&](SeqNum) {
    ++asked;
    return Result<bool>(is_answered);
  }};
  for (const SeqNum last : {4U, 5U}) {
    auto appender = *open(store, options);
    EXPECT_EQ(append_to(appender, last), last);
    EXPECT_TRUE(mark.published->is_unasked());
  }
  ASSERT_EQ(append_to(store, 6), 6U);
  EXPECT_TRUE(mark.published->is_unasked()) << "also behind one that has no gate";
  auto appender = *open(store, options);
  EXPECT_EQ(append_to(appender, 7), 7U);
  EXPECT_EQ(asked, 3) << "once for each appender";
  EXPECT_TRUE(mark.published->is_unasked());
  // Another one is answered, and this one goes on behind it.
  is_answered = true;
  auto other = *open(store, options);
  EXPECT_EQ(append_to(other, 8), 8U);
  EXPECT_EQ(mark.published->store, store->id());
  EXPECT_EQ(append_to(appender, 8), 9U) << "its head is as of its last call";
  EXPECT_EQ(mark.published->store, store->id());
  ASSERT_TRUE(open(store, options));
  EXPECT_EQ(asked, 4);
}

TEST_F(AppenderTest, RefusesABranchThatThePeersAreKnownToHoldOtherwiseUntilItIsForgotten) {
  const auto here = LogBuilder("alice").append_many(5);
  ASSERT_EQ(append_to(store, 5), 5U);
  mark.published = Published{3, here.hash(3), store::branch_store(here.hash(4))};
  EXPECT_TRUE(mark.published->is_branch());
  EXPECT_TRUE(mark.published->is_unasked());
  const AppenderOptions answered{.gate = [](SeqNum) { return Result<bool>(true); }};
  EXPECT_EQ(open(store).error(), error_for(Errc::kAuthorMarkFork, 4));
  EXPECT_EQ(open(store, answered).error(), error_for(Errc::kAuthorMarkFork, 4));
  // Another entry 4 was taken in its place, or nothing was yet.
  mark.published->store = store::branch_store(here.hash(5));
  ASSERT_TRUE(open(store));
  MemoryStore shorter;
  mark.published.reset();
  ASSERT_EQ(append_to(shorter, 3), 3U);
  mark.published = Published{3, here.hash(3), store::branch_store(here.hash(4))};
  auto appender = *open(shorter, answered);
  ASSERT_EQ(append_to(appender, 4), 4U);
  EXPECT_EQ(mark.published->store, shorter->id());
  EXPECT_FALSE((Published{3, here.hash(3), store::StoreId{2, 0, 0, 1}}.is_branch()));
}

TEST_F(AppenderTest, RefusesABranchOfWhichTheFirstEntryIsNotKnown) {
  const auto here = LogBuilder("alice").append_many(400);
  ASSERT_EQ(append_to(store, 400), 400U);
  mark.published = Published{3, here.hash(3), store::branch_store(here.hash(310), 306)};
  EXPECT_EQ(mark.published->branch_at(), 310U);
  EXPECT_TRUE(mark.published->is_unasked());
  EXPECT_EQ(open(store).error(), error_for(Errc::kAuthorMarkFork, 310));
  // The same start of a hash, of another entry.
  mark.published->store = store::branch_store(here.hash(310), 305);
  ASSERT_TRUE(open(store));
  // What a mark has no room to tell is only that nobody was asked.
  EXPECT_EQ(store::branch_store(here.hash(310), std::uint64_t{1} << 32U), store::kUnaskedStore);
}

TEST_F(AppenderTest, SaysOfAMarkThatLaggedThatNobodyCouldBeAsked) {
  ASSERT_EQ(append_to(store, 3), 3U);
  const auto lagging = mark.published;
  ASSERT_EQ(append_to(store, 4), 4U);
  mark.published = lagging;
  ASSERT_TRUE(open(store, {.gate = [](SeqNum) { return Result<bool>(false); }}));
  EXPECT_EQ(mark.published->seqnum, 4U);
  EXPECT_TRUE(mark.published->is_unasked());
}

TEST_F(AppenderTest, GoesOnWhereItWas) {
  for (const SeqNum last : {1U, 2U, 5U, 41U}) ASSERT_EQ(append_to(store, last), last);
  auto appender = *open(store);
  EXPECT_EQ(appender.head(), 41U);
  EXPECT_EQ(appender.append({}), 41U);
  const auto wanted = LogBuilder("alice").append_many(41);
  EXPECT_EQ(mark.published->hash, wanted.hash(41));
}

TEST_F(AppenderTest, KeepsWhatIsAppendedThoughItWasDeletedAhead) {
  ASSERT_EQ(append_to(store, 3), 3U);
  ASSERT_TRUE(store->delete_payloads(log, {{3, 9}}));
  ASSERT_EQ(append_to(store, 5), 5U);
  EXPECT_EQ(store.state(log).payloads, (RangeSet{{1, 2}, {4, 5}}));
  EXPECT_EQ(store.state(log).deleted, (RangeSet{{3, 3}, {6, 9}}));
}

TEST_F(AppenderTest, GoesOnBehindWhatIsHeldBack) {
  ASSERT_EQ(append_to(store, 3), 3U);
  const auto wanted = LogBuilder("alice").append_many(2);
  mark.published = Published{2, wanted.hash(2), store->id()};  // moving it failed
  store->hold_back(log, 3);
  EXPECT_EQ(append_to(store, 4), 4U);
  EXPECT_EQ(mark.published->seqnum, 4U);
  EXPECT_EQ(store.state(log).held, up_to(4));
}

TEST_F(AppenderTest, AnOvertakenMarkWantsAStoreThatIsAhead) {
  ASSERT_EQ(append_to(store, 3), 3U);
  mark.published->is_overtaken = true;
  EXPECT_EQ(refusal(store), Errc::kAuthorMarkFormat);
  MemoryStore empty;
  mark.published->seqnum = 0;
  EXPECT_EQ(refusal(empty), Errc::kAuthorMarkFormat);
  // The writing of the mark for 3 did not end: its entry had been committed.
  mark.published->seqnum = 2;
  mark.published->hash = LogBuilder("alice").append_many(2).hash(2);
  ASSERT_TRUE(open(store));
  EXPECT_FALSE(mark.published->is_overtaken);
  EXPECT_EQ(mark.published->seqnum, 3U);
}

TEST_F(AppenderTest, EndsALogForGood) {
  auto appender = *open(store);
  ASSERT_EQ(append_to(appender, 3), 3U);
  EXPECT_EQ(appender.end(as_bytes("bye")), 4U);
  EXPECT_EQ(append_to(appender, 5).error(), error_for(Errc::kLogEnded, 4));
  EXPECT_EQ(refusal(store), Errc::kLogEnded);
  EXPECT_EQ(store.state(log).end_of_log, 4U);
}

TEST_F(AppenderTest, ManyPayloadsAreSeveralUnits) {
  std::vector<std::size_t> sizes;
  auto appender = *Appender::open(*store, key, LogId{0}, mark,
                                  [&](const SignedUnit& unit, const auto& move_mark) {
                                    sizes.push_back(unit.entries().size());
                                    return commit_into(*store)(unit, move_mark);
                                  });
  const std::vector<ByteView> payloads(2 * limits::kUnitEntriesMax + 5, as_bytes("x"));
  ASSERT_EQ(appender.append(payloads), payloads.size());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{limits::kUnitEntriesMax, limits::kUnitEntriesMax, 5}));
  EXPECT_EQ(store.state(log).held, up_to(payloads.size()));
  const auto transaction = *store->read();
  EXPECT_TRUE(audit_log(transaction, **transaction.get_log(log), store.verifier)->is_sound());
}

TEST_F(AppenderTest, TakesLargePayloads) {
  const std::string text = long_text(5 * limits::kPayloadChunkBytes + 7);
  auto appender = *open(store);
  const ByteView payload = as_bytes(text);
  ASSERT_EQ(appender.append({&payload, 1}), 1U);
  EXPECT_TRUE(equal(*payload_of(*store->read(), store.state(log), 1), payload));
}

TEST_F(AppenderTest, RefusesARestoredBackupOfTheStore) {
  ASSERT_EQ(append_to(store, 10), 10U);
  MemoryStore backup = store.reopened();
  ASSERT_EQ(append_to(store, 12), 12U);
  const auto opened = open(backup);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), error_for(Errc::kAuthorMarkBehind, 12));
  EXPECT_EQ(refusal(backup, {.adopt = true}), Errc::kAuthorMarkBehind) << "no option helps";
  // The log taken back from a peer.
  ASSERT_TRUE(backup.ingest(LogBuilder("alice").append_many(12), {{11, 12}}));
  EXPECT_EQ(append_to(backup, 14), 14U);
}

TEST_F(AppenderTest, RefusesAStoreThatLostRows) {
  ASSERT_EQ(append_to(store, 10), 10U);
  MemoryStore empty;
  EXPECT_EQ(refusal(empty), Errc::kAuthorMarkBehind);
  erase_row(store.kv(), Table::kEntries, store::detail::entry_row_key(1, 10));
  EXPECT_EQ(refusal(store), Errc::kStoreDamaged);
}

TEST_F(AppenderTest, RefusesAStoreWithAnotherEntryThanWasPublished) {
  const auto ours = LogBuilder("alice").append_many(10);
  ASSERT_TRUE(store.ingest(ours.fork(8).append_many(4), up_to(12)));
  mark.published = Published{9, ours.hash(9), store->id()};
  const auto opened = open(store);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), error_for(Errc::kAuthorMarkFork, 9));
}

TEST_F(AppenderTest, MovesTheMarkUpAfterACrashBeforeItWasWritten) {
  auto appender = *open(store);
  ASSERT_EQ(append_to(appender, 1), 1U);
  mark.is_write_failing = true;
  EXPECT_EQ(append_to(appender, 3).error().code, Errc::kFileIo);
  EXPECT_EQ(mark.published->seqnum, 1U);
  mark.is_write_failing = false;
  EXPECT_EQ(append_to(appender, 5), 5U) << "the same appender";
  mark.published = Published{0, {}, store->id()};
  EXPECT_EQ(open(store)->head(), 5U) << "and a new one";
  EXPECT_EQ(mark.published->seqnum, 5U);
}

TEST_F(AppenderTest, GoesOnFromAnotherStoreThatIsAheadOnTheSameChain) {
  ASSERT_EQ(append_to(store, 10), 10U);
  MemoryStore other;
  ASSERT_TRUE(other.ingest(LogBuilder("alice").append_many(13), up_to(13)));
  ASSERT_EQ(append_to(other, 14), 14U);
  EXPECT_EQ(refusal(store), Errc::kAuthorMarkBehind) << "the first store is behind now";
}

TEST_F(AppenderTest, AsksAPersonWhenTheMarkIsMissingBesideALog) {
  ASSERT_TRUE(store.ingest(LogBuilder("alice").append_many(4), up_to(4)));
  const auto opened = open(store);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error(), error_for(Errc::kAuthorMarkFormat, 4));
  EXPECT_FALSE(mark.published);
  auto appender = *open(store, {.adopt = true});
  EXPECT_EQ(append_to(appender, 5), 5U);
  EXPECT_EQ(append_to(store, 6), 6U);
}

TEST_F(AppenderTest, AsksAPersonWhenTheMarkIsDamaged) {
  ASSERT_EQ(append_to(store, 4), 4U);
  mark.is_damaged = true;
  EXPECT_EQ(refusal(store), Errc::kAuthorMarkFormat);
  auto appender = *open(store, {.adopt = true});
  EXPECT_EQ(append_to(appender, 5), 5U);
  EXPECT_EQ(append_to(store, 6), 6U);
}

TEST_F(AppenderTest, NeedsWhatLaterEntriesWillLinkTo) {
  const auto log_of_41 = LogBuilder("alice").append_many(41);
  MemoryStore part;
  ASSERT_TRUE(part.ingest(log_of_41.log(), log_of_41.unit({{36, 41}}), {.loose = true}));
  mark.published = Published{41, log_of_41.hash(41), part->id()};
  EXPECT_EQ(refusal(part), Errc::kEntryNotHeld);
  ASSERT_TRUE(part.ingest(log_of_41, closure({{41, 41}}, 41), false));
  EXPECT_EQ(append_to(part, 400), 400U) << "the path of the tail suffices, for ever";
}

TEST_F(AppenderTest, StopsWhenAForkOfTheOwnLogIsKnown) {
  auto appender = *open(store);
  ASSERT_EQ(append_to(appender, 6), 6U);
  ASSERT_TRUE(store.ingest(LogBuilder("alice").append_many(6).fork(5), {{5, 5}}));
  EXPECT_EQ(append_to(appender, 7).error(), error_for(Errc::kLogCapped, 5));
}

TEST_F(AppenderTest, NeverForksALogThatGrewByOtherHands) {
  // Another machine's entry arrives between signing and commit.
  const auto elsewhere = LogBuilder("alice").append_many(4).append("elsewhere");
  bool is_first = true;
  auto appender = *Appender::open(*store, key, LogId{0}, mark,
                                  [&](const SignedUnit& unit, const auto& move_mark) {
                                    if (std::exchange(is_first, false)) {
                                      EXPECT_TRUE(store.ingest(elsewhere, up_to(5)));
                                    }
                                    return commit_into(*store)(unit, move_mark);
                                  });
  const auto result = append_to(appender, 4);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), error_for(Errc::kAuthorMarkFork, 1));
  EXPECT_EQ(store.state(log).cap, 0U);
  const ByteView payload = as_bytes("ours");
  EXPECT_EQ(appender.append({&payload, 1}), 6U) << "goes on behind it";
  EXPECT_EQ(store.state(log).held, up_to(6));
}

TEST_F(AppenderTest, AFailedCommitIsSignedAnew) {
  auto appender = *Appender::open(*store, key, LogId{0}, mark, [](const SignedUnit&, const auto&) {
    return fail(Errc::kStoreFull);
  });
  EXPECT_EQ(append_to(appender, 3).error().code, Errc::kStoreFull);
  EXPECT_EQ(appender.head(), 0U);
  EXPECT_EQ(mark.published->seqnum, 0U);
  EXPECT_EQ(append_to(store, 2), 2U);
}

TEST_F(AppenderTest, AtEachFailedOperationNothingPublishedIsLost) {
  for (std::uint64_t n = 3; n <= 30; ++n) {
    SCOPED_TRACE("operation " + std::to_string(n));
    mark = {};
    MemoryStore failing({.fail_operation = n, .failed_commit_lands = n % 2 == 0});
    SeqNum published = 0;
    {
      auto appender = *open(failing);
      for (SeqNum last = 2; last <= 8; last += 2) {
        const auto appended = append_to(appender, last);
        if (!appended) break;
        published = *appended;
      }
    }
    MemoryStore again = failing.reopened();
    const auto appender = open(again);
    ASSERT_TRUE(appender);
    EXPECT_GE(appender->head(), published);
    EXPECT_EQ(append_to(again, 12), 12U);
    EXPECT_EQ(again.state(log).held, up_to(12));
  }
}

TEST(AppenderOnDisk, TwoProcessesAppendToTwoLogsOfOneStoreInTurns) {
  const TempDir directory;
  const std::string place = directory.path("store");
  const auto append_twice = [&](const char* name, const auto& between) {
    TestRandom random(1);
    const SecretKey key = key_from(name);
    const LogKey log{key.author(), LogId{0}};
    auto kv = store::LmdbKv::open(place, {.map_size_bytes = 1 << 24});
    if (!kv) return false;
    auto store = *Store::open(*std::move(kv), random);
    auto mark = *FileAuthorMark::open(directory.path(name), log);
    auto appender = *Appender::open(*store, key, LogId{0}, *mark, commit_into(*store));
    const ByteView payload = as_bytes("payload");
    if (appender.append({&payload, 1}) != SeqNum{1}) return false;
    between();
    if (appender.append({&payload, 1}) != SeqNum{2}) return false;
    return (*store->read()).get_log(log).value()->held == up_to(2);
  };
  ChildProcess other([&](const ParentLine& parent) {
    const auto pass_on = [&] {
      parent.tell();
      parent.await();
    };
    return append_twice("bob", pass_on) ? 0 : 1;
  });
  ASSERT_TRUE(other.await());
  EXPECT_TRUE(append_twice("alice", [&] {
    other.tell();
    EXPECT_EQ(other.join(), 0);
  }));
}

TEST(AppenderOnDisk, AppendsAHundredThousandAndReadsTheNewest) {
  const TempDir directory;
  TestRandom random(1);
  Ed25519Verifier verifier;
  const SecretKey key = key_from("alice");
  const LogKey log{key.author(), LogId{0}};
  constexpr SeqNum kHead = 100'000;
  const store::LmdbOptions options{.map_size_bytes = 1 << 20};  // grows on the way
  {
    auto store = *Store::open(*store::LmdbKv::open(directory.path("store"), options), random);
    auto mark = *FileAuthorMark::open(directory.path("alice.mark"), log);
    auto appender = *Appender::open(*store, key, LogId{0}, *mark, commit_into(*store));
    std::vector<ByteView> payloads(kHead, as_bytes("a line of some log file, eighty characters"));
    ASSERT_EQ(appender.append(payloads), kHead);
  }
  auto store = *Store::open(*store::LmdbKv::open(directory.path("store"), options), random);
  const auto transaction = *store->read();
  const LogState state = **transaction.get_log(log);
  EXPECT_EQ(state.held, up_to(kHead));
  EXPECT_EQ(state.verified, up_to(kHead));
  RangeSet seen;
  ASSERT_TRUE(transaction.visit_entries(
      state, {{kHead - 99, kHead}}, [&](const store::StoredEntry& stored) -> Result<bool> {
        const EntryView& entry = stored.entry;
        seen.insert(entry.seqnum());
        return verifier.verify(entry.author(), entry.signed_bytes(), entry.signature()).map([] {
          return true;
        });
      }));
  EXPECT_EQ(seen, (RangeSet{{kHead - 99, kHead}}));
}

}  // namespace
}  // namespace culm::test
