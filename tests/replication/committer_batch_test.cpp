#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"
#include "culm/replication/committer.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::LogBuilder;
using test::TestPeer;

/// Units of several sessions in one batch. The peer's verifier fails the test when it is called
/// inside of an update.
class CommitterBatch : public testing::Test {
 protected:
  /// Entries `members` of `from`, for a receiver that has `known` by then.
  Work unit(std::uint64_t session, const LogBuilder& from, const RangeSet& members,
            const RangeSet& known = {}) {
    UnitWork work;
    UnitEncoder encoder(work.elided, known);
    for (const UnitEntry& item : from.unit(members, true)) encoder.add(item.entry, item.payload);
    return {{session, ++works}, from.log(), std::move(work), 0, nullptr};
  }

  /// The errors of a batch, `Errc{}` for success.
  std::vector<Errc> commit(std::vector<Work> batch) {
    std::vector<std::uint64_t> ids;
    for (const Work& work : batch) ids.push_back(work.id.work);
    reports = peer.committer().commit(std::move(batch));
    std::vector<Errc> codes;
    for (std::size_t i = 0; i < reports.size(); ++i) {
      EXPECT_EQ(reports[i].id.work, ids[i]);
      codes.push_back(reports[i].outcome ? Errc{} : reports[i].outcome.error().code);
    }
    return codes;
  }

  LogBuilder log{std::move(LogBuilder("alice").append_many(20))};
  LogBuilder other{std::move(LogBuilder("bob").append_many(9))};
  TestPeer peer{1};
  std::uint64_t works = 0;
  std::vector<WorkReport> reports;
};

TEST_F(CommitterBatch, LinksComeFromUnitsOfTheSessionThatAreNotCommittedYet) {
  EXPECT_EQ(commit({unit(1, log, {{1, 5}}), unit(1, log, {{6, 9}}, {{1, 5}}),
                    unit(1, log, {{10, 20}}, {{1, 9}})}),
            (std::vector<Errc>{{}, {}, {}}));
  EXPECT_EQ(peer.state(log.log()).held, (RangeSet{{1, 20}}));
  EXPECT_EQ(peer.verifier.checks, 3U);
}

TEST_F(CommitterBatch, NewestFirstLinksLeadIntoAnyUnitBefore) {
  const LogBuilder tall = std::move(LogBuilder("carol").append_many(2000));
  std::vector<Work> batch;
  RangeSet sent;
  for (SeqNum top = tall.head(); top > 0;) {
    const SeqNum low = top > 32 ? top - 31 : 1;
    RangeSet members{{low, top}};
    for (SeqNum n = low; n > 1; n = lipmaa(n)) members.insert(lipmaa(n));
    members -= sent;
    batch.push_back(unit(1, tall, members, sent));
    sent |= members;
    top = low - 1;
  }
  const std::size_t count = batch.size();
  ASSERT_GT(count, 50U);
  EXPECT_EQ(commit(std::move(batch)), std::vector<Errc>(count));
  EXPECT_EQ(peer.state(tall.log()).held, (RangeSet{{1, 2000}}));
}

TEST_F(CommitterBatch, LinksDoNotComeFromUnitsOfAnotherSession) {
  EXPECT_EQ(commit({unit(1, log, {{1, 5}}), unit(2, log, {{6, 9}}, {{1, 5}})}),
            (std::vector<Errc>{{}, Errc::kElidedTarget}));
  EXPECT_EQ(commit({unit(2, log, {{6, 9}}, {{1, 5}})}), (std::vector<Errc>{{}}));
}

TEST_F(CommitterBatch, WhatOnlyARefusedUnitWouldHaveAnchoredMayBeAskedForInFull) {
  const LogBuilder forged = std::move(LogBuilder("alice").append_many(4).append_badly_signed());
  EXPECT_EQ(commit({unit(1, forged, {{1, 5}}), unit(1, log, {{6, 9}}, {{1, 4}})}),
            (std::vector<Errc>{Errc::kEntrySignature, Errc::kElidedTarget}));
  EXPECT_FALSE(*peer.store().read()->find_log(log.log()));
}

TEST_F(CommitterBatch, ManyUnitsWithoutVerdictsAreDecidedByOneCommit) {
  peer.hold(log, {{1, 20}});
  std::vector<Work> batch;
  for (SeqNum n = 20; n > 1; --n) batch.push_back(unit(2, log.fork(n), {{n, n}}));
  const std::size_t count = batch.size();
  const auto before = peer.store().read()->last_change();
  EXPECT_EQ(commit(std::move(batch)), std::vector<Errc>(count));
  EXPECT_EQ(peer.state(log.log()).cap, 2U);
  EXPECT_EQ(*peer.store().read()->last_change(), *before + 1);
}

TEST_F(CommitterBatch, AUnitWhoseVerdictsWereMissingIsDecidedAtTheSecondTry) {
  peer.hold(log, {{1, 8}});  // of which 8 alone is verified
  const LogBuilder branch = log.fork(5).append_many(3);
  const auto before = peer.store().read()->last_change();
  const auto codes =
      commit({unit(1, other, {{1, 4}}), unit(2, branch, {{5, 8}}),
              unit(1, log, {{9, 12}}, {{1, 8}}), unit(1, other, {{5, 9}}, {{1, 4}})});
  EXPECT_EQ(codes, (std::vector<Errc>{{}, {}, Errc::kLogCapped, {}}));
  EXPECT_EQ(reports[1].outcome->defect, (Defect{DefectKind::kFork, 5}));
  EXPECT_EQ(peer.state(other.log()).held, (RangeSet{{1, 9}}));
  EXPECT_EQ(peer.state(log.log()).cap, 5U);
  EXPECT_EQ(*peer.store().read()->last_change(), *before + 2) << "others did not wait";
}

TEST_F(CommitterBatch, ChecksEvidenceBeforeItIsRecorded) {
  peer.hold(log, {{1, 8}});
  peer.verifier.checks = 0;
  const auto evidence = make_evidence(std::vector{log.entry(7), log.fork(7).entry(7)});
  const Evidence nothing = make_evidence(std::vector{log.entry(7), log.entry(8)});
  EXPECT_EQ(commit({{{1, 1}, log.log(), EvidenceWork{nothing}, 0, nullptr},
                    {{1, 2}, log.log(), EvidenceWork{evidence}, 0, nullptr}}),
            (std::vector<Errc>{Errc::kEvidence, {}}));
  EXPECT_EQ(peer.verifier.checks, 2U);
  EXPECT_EQ(peer.state(log.log()).cap, 7U);
}

/// The row of entry 20 is damaged, of the store that the committer writes to.
TEST_F(CommitterBatch, SaysOnceInABatchWhatItFoundDamaged) {
  test::MemoryStore store;
  ASSERT_TRUE(store.ingest(log, {{1, 20}}));
  auto [key, value] = test::rows_of(store.kv(), store::Table::kEntries).at(19);
  value[value.size() / 2] ^= 1U;
  test::put_row(store.kv(), store::Table::kEntries, key, value);
  log.append_many(2);
  Committer committer(*store, store.verifier, {});
  const auto first = committer.commit({unit(1, log, {{21, 21}}, {{1, 20}})});
  ASSERT_FALSE(first[0].outcome) << "its links cannot be restored";
  EXPECT_EQ(first[0].outcome.error().code, Errc::kElidedTarget) << "so it is asked for in full";

  const auto later = committer.commit(
      {unit(1, log, {{21, 21}}), unit(1, log, {{22, 22}}), unit(2, other, {{1, 9}})});
  ASSERT_EQ(later.size(), 3U);
  for (const WorkReport& report : later) {
    EXPECT_TRUE(report.outcome) << message(report.outcome.error());
  }
  EXPECT_EQ(later[0].damaged, (RangeSet{{20, 20}}));
  EXPECT_TRUE(later[1].damaged.empty());
  EXPECT_TRUE(later[2].damaged.empty());
  EXPECT_EQ(store.state(log.log()).held, (RangeSet{{1, 19}, {21, 22}}));
}

}  // namespace
}  // namespace culm::replication
