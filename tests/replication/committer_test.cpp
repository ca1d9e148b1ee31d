#include "culm/replication/committer.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"

#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::LogBuilder;
using test::TestPeer;

/// An entry whose payload comes in three parts, from several sessions.
class CommitterTest : public testing::Test {
 protected:
  CommitterTest() {
    log.append(text);
    const auto bare = log.unit({{1, 1}});
    EXPECT_TRUE(store::ingest(peer.store(), log.log(), bare, peer.verifier));
  }

  WorkReport bring(const std::shared_ptr<SessionToken>& session, std::size_t part,
                   std::string_view from) {
    constexpr std::size_t kPart = limits::kPayloadChunkBytes;
    const std::string_view bytes = from.substr(part * kPart, kPart);
    PayloadWork payload{1, part * kPart, part == 2, {}};
    append_bytes(payload.bytes, as_bytes(bytes));
    const Work work{{1, ++works}, log.log(), std::move(payload), bytes.size(), session};
    return peer.committer().commit({work}).front();
  }

  const std::string text = std::string(2 * limits::kPayloadChunkBytes + 5, 'x');
  const std::string garbage = std::string(text.size(), 'y');
  LogBuilder log{"alice"};
  TestPeer peer{1};
  std::shared_ptr<SessionToken> honest = std::make_shared<SessionToken>();
  std::shared_ptr<SessionToken> hostile = std::make_shared<SessionToken>();
  std::uint64_t works = 0;
};

TEST_F(CommitterTest, PartsOfAnotherSessionDoNotSpoilAPayload) {
  for (const std::size_t part : {0U, 1U, 2U}) {
    EXPECT_TRUE(bring(honest, part, text).outcome);
    EXPECT_TRUE(part == 2 || bring(hostile, 0, garbage).outcome);
  }
  EXPECT_TRUE(peer.state(log.log()).payloads.contains(1));
}

TEST_F(CommitterTest, WhoeverBroughtAWrongPartIsKnownAndTheNextMayBegin) {
  for (const std::size_t part : {0U, 1U}) EXPECT_TRUE(bring(hostile, part, garbage).outcome);
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  const auto wrong = bring(hostile, 2, garbage);
  ASSERT_FALSE(wrong.outcome);
  EXPECT_EQ(wrong.outcome.error().code, Errc::kPayloadHash);
  EXPECT_EQ(wrong.credit, 5U);
  for (const std::size_t part : {0U, 1U, 2U}) EXPECT_TRUE(bring(honest, part, text).outcome);
  EXPECT_TRUE(peer.state(log.log()).payloads.contains(1));
}

TEST_F(CommitterTest, ASessionThatIsGoneLeavesItsPayloadToOthers) {
  EXPECT_TRUE(bring(hostile, 0, garbage).outcome);
  hostile.reset();
  for (const std::size_t part : {0U, 1U, 2U}) EXPECT_TRUE(bring(honest, part, text).outcome);
  EXPECT_TRUE(peer.state(log.log()).payloads.contains(1));
}

TEST_F(CommitterTest, WhatADistrustedSessionLeftIsNotLookedAt) {
  hostile->is_distrusted = true;
  const auto report = bring(hostile, 0, text);
  ASSERT_FALSE(report.outcome);
  EXPECT_EQ(report.outcome.error().code, Errc::kPeerClosed);
}

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

}  // namespace
}  // namespace culm::replication
