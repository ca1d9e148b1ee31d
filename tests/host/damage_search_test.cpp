#include "culm/replication/host/damage_search.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

using host::DamageSearch;
using store::Table;

constexpr auto kDeadline = std::chrono::seconds(30);

TEST(DamageSearchTest, FindsDamagedRowsAndPagesOfALogHoweverLongAndPassesOverOthers) {
  const LogBuilder alice = std::move(LogBuilder("alice").append_many(3 * DamageSearch::kPortion));
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
    if (place.seqnum == 2001) page.first = key;
    if (place.seqnum == 2003) page.last = key;
  }
  MemoryStore store({.damaged = page}, kv.image());

  std::mutex mutex;
  std::condition_variable changed;
  RangeSet rows;
  RangeSet unreadable;
  std::set<LogKey> logs;
  const DamageSearch search(
      *store,
      [&](const LogKey& log, const store::RowDamage& damage) {
        const std::scoped_lock lock(mutex);
        logs.insert(log);
        rows |= damage.rows;
        unreadable |= damage.unreadable;
        changed.notify_all();
      },
      std::chrono::milliseconds(0));
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, kDeadline, [&] { return !unreadable.empty(); }));
  EXPECT_EQ(rows, (RangeSet{{5, 5}}));
  EXPECT_EQ(unreadable, (RangeSet{{2001, 2003}}));
  EXPECT_EQ(logs, std::set{alice.log()});
}

}  // namespace
}  // namespace culm::test
