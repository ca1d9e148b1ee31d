#include "culm/replication/host/damage_search.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

using host::DamageSearch;
using store::Table;

constexpr auto kDeadline = std::chrono::seconds(30);

TEST(DamageSearchTest, FindsDamagedRowsAndPagesOfALogHoweverLongAndPassesOverOthers) {
  const LogBuilder alice = std::move(LogBuilder("alice").append_many(5 * DamageSearch::kPortion));
  const LogBuilder bob = std::move(LogBuilder("bob").append_many(10));
  MemoryStore before;
  for (SeqNum n = 1; n < alice.head(); n += limits::kUnitEntriesMax) {
    ASSERT_TRUE(before.ingest(alice, {{n, n + limits::kUnitEntriesMax - 1}}));
  }
  ASSERT_TRUE(before.ingest(bob, {{1, bob.head()}}));
  store::MemoryKv kv({}, before.kv().image());
  const auto number = before.state(alice.log()).number;
  store::MemoryPage page{Table::kEntries, {}, {}};
  for (const auto& [key, value] : rows_of(kv, Table::kEntries)) {
    const auto place = *store::detail::parse_row_place(key);
    if (place.number != number) continue;
    if (place.seqnum == 5) {
      Bytes damaged = value;
      damaged[damaged.size() / 2] ^= 1U;
      put_row(kv, Table::kEntries, key, damaged);
    }
    if (place.seqnum == 201) page.first = key;
    if (place.seqnum == 203) page.last = key;
  }
  MemoryStore store({.damaged = page}, kv.image());

  std::mutex mutex;
  std::condition_variable changed;
  RangeSet rows;
  RangeSet unreadable;
  std::set<LogKey> logs;
  std::map<LogKey, RangeSet> read;
  const DamageSearch search(
      *store,
      [&](const LogKey& log, const SeqRange& part, const store::RowDamage& damage) {
        const std::scoped_lock lock(mutex);
        if (!damage.empty()) logs.insert(log);
        EXPECT_TRUE((read[log] & RangeSet{part}).empty());
        read[log].insert(part);
        const RangeSet held{{1, log == alice.log() ? alice.head() : bob.head()}};
        EXPECT_LE((RangeSet{part} & held).count(), DamageSearch::kPortion);
        rows |= damage.rows;
        unreadable |= damage.unreadable;
        changed.notify_all();
      },
      std::chrono::milliseconds(0));
  std::unique_lock lock(mutex);
  const RangeSet all{{1, kSeqnumMax}};
  EXPECT_TRUE(changed.wait_for(lock, kDeadline, [&] {
    return read[alice.log()] == all && read[bob.log()] == all;
  })) << "what is sound is reported as well";
  EXPECT_EQ(rows, (RangeSet{{5, 5}}));
  EXPECT_EQ(unreadable, (RangeSet{{201, 203}}));
  EXPECT_EQ(logs, std::set{alice.log()});
}

TEST(DamageSearchTest, FindsDamageInLaterPartsOfPayloads) {
  LogBuilder log("alice");
  for (int n = 0; n < 3; ++n) log.append(std::string(400'000, static_cast<char>('a' + n)));
  MemoryStore before;
  ASSERT_TRUE(before.ingest(log, {{1, log.head()}}));
  store::MemoryKv kv({}, before.kv().image());
  const auto parts = rows_of(kv, Table::kPayloads);
  ASSERT_GT(parts.size(), 3U * 2);
  const auto& [key, value] = *std::next(parts.begin(), std::ptrdiff_t(parts.size() / 2));
  Bytes damaged = value;
  damaged[damaged.size() / 2] ^= 1U;
  put_row(kv, Table::kPayloads, key, damaged);
  MemoryStore store({}, kv.image());

  std::mutex mutex;
  std::condition_variable changed;
  std::optional<store::RowDamage> found;
  const DamageSearch search(
      *store,
      [&](const LogKey&, const SeqRange&, const store::RowDamage& damage) {
        const std::scoped_lock lock(mutex);
        found = damage;
        changed.notify_all();
      },
      std::chrono::milliseconds(0));
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, kDeadline, [&] { return found.has_value(); }));
  EXPECT_EQ(found->rows, (RangeSet{{2, 2}}));
  EXPECT_EQ(found->chunked, (RangeSet{{1, 3}}));
}

TEST(DamageSearchTest, PausesNoLessThanAPortionTook) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kTakes = std::chrono::milliseconds(20);
  constexpr std::size_t kPortions = 4;
  MemoryStore store;
  const LogBuilder log =
      std::move(LogBuilder("alice").append_many(kPortions * DamageSearch::kPortion));
  ASSERT_TRUE(store.ingest(log, {{1, log.head()}}));
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t count = 0;
  Clock::time_point last;
  Clock::duration shortest = Clock::duration::max();
  const DamageSearch search(
      *store,
      [&](const LogKey&, const SeqRange&, const store::RowDamage&) {
        const auto begin = Clock::now();
        while (Clock::now() - begin < kTakes) continue;
        const std::scoped_lock lock(mutex);
        if (count++ != 0) shortest = std::min(shortest, begin - last);
        last = Clock::now();
        changed.notify_all();
      },
      std::chrono::milliseconds(0));
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, kDeadline, [&] { return count >= kPortions; }));
  EXPECT_GE(shortest, kTakes);
}

TEST(DamageSearchTest, PausesOnceForManySmallLogs) {
  constexpr auto kPause = std::chrono::milliseconds(100);
  constexpr std::size_t kLogs = 60;  // with one row each: two portions
  MemoryStore store;
  for (std::size_t n = 0; n < kLogs; ++n) {
    const LogBuilder log = std::move(LogBuilder(std::to_string(n)).append_many(1));
    ASSERT_TRUE(store.ingest(log, {{1, 1}}));
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t count = 0;
  const auto begin = std::chrono::steady_clock::now();
  const DamageSearch search(
      *store,
      [&](const LogKey&, const SeqRange&, const store::RowDamage&) {
        const std::scoped_lock lock(mutex);
        ++count;
        changed.notify_all();
      },
      kPause);
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, kDeadline, [&] { return count == kLogs; }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kLogs / 2 * kPause);
}

}  // namespace
}  // namespace culm::test
