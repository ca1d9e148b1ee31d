#include "culm/replication/committer.hpp"

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"
#include "culm/store/detail/schema.hpp"

#include "tests/store/store_fixture.hpp"
#include "tests/support/session_network.hpp"

namespace culm::replication {
namespace {

using test::LogBuilder;
using test::TestPeer;

/// Entries whose payloads come in three parts each, from several sessions.
class CommitterPayloads : public testing::Test {
 protected:
  struct Sender {
    std::uint64_t session;
    std::shared_ptr<SessionToken> token = std::make_shared<SessionToken>();
  };

  CommitterPayloads() {
    for (SeqNum n = 1; n <= 3; ++n) log.append(text);
    const auto bare = log.unit({{1, log.head()}});
    EXPECT_TRUE(store::ingest(peer.store(), log.log(), bare, peer.verifier));
  }

  Work part(const Sender& sender, std::size_t index, std::string_view from, SeqNum seqnum = 1) {
    constexpr std::size_t kPart = limits::kPayloadChunkBytes;
    const std::string_view bytes = from.substr(index * kPart, kPart);
    PayloadWork payload{seqnum, index * kPart, index == 2, {}};
    append_bytes(payload.bytes, as_bytes(bytes));
    return {{sender.session, ++works}, log.log(), std::move(payload), bytes.size(), sender.token};
  }

  WorkReport bring(const Sender& sender, std::size_t index, std::string_view from,
                   SeqNum seqnum = 1) {
    return peer.committer().commit({part(sender, index, from, seqnum)}).front();
  }

  WorkReport resume(const Sender& sender, std::size_t index, std::string_view from,
                    const store::Stage& stage) {
    Work work = part(sender, index, from);
    std::get<PayloadWork>(work.content).resumes = stage;
    return peer.committer().commit({work}).front();
  }

  std::vector<store::UnfinishedStage> left() {
    const auto transaction = peer.store().read();
    return *transaction->arriving_stages(peer.state(log.log()), {{1, 3}});
  }

  bool has_payload(SeqNum seqnum = 1) { return peer.state(log.log()).payloads.contains(seqnum); }

  std::size_t stages() { return peer.store().read()->unfinished_stages(99)->size(); }

  void tidy() {
    while (peer.committer().tidy()) continue;
  }

  const std::string text = std::string(2 * limits::kPayloadChunkBytes + 5, 'x');
  const std::string garbage = std::string(text.size(), 'y');
  LogBuilder log{"alice"};
  TestPeer peer{1};
  Sender honest{1};
  Sender hostile{2};
  std::uint64_t works = 0;
};

TEST_F(CommitterPayloads, PartsOfAnotherSessionDoNotSpoilOne) {
  for (const std::size_t index : {0U, 1U, 2U}) {
    EXPECT_TRUE(bring(honest, index, text).outcome);
    EXPECT_TRUE(index == 2 || bring(hostile, index, garbage).outcome);
  }
  EXPECT_TRUE(has_payload());
  const auto late = bring(hostile, 2, garbage);
  EXPECT_TRUE(late.outcome && late.outcome->payloads_added.empty()) << "nobody wants it any more";
  tidy();
  EXPECT_EQ(stages(), 0U);
}

TEST_F(CommitterPayloads, NobodyWithholdsOneByBeginningIt) {
  EXPECT_TRUE(bring(hostile, 0, garbage).outcome);
  for (const std::size_t index : {0U, 1U, 2U}) EXPECT_TRUE(bring(honest, index, text).outcome);
  EXPECT_TRUE(has_payload());
}

TEST_F(CommitterPayloads, OnlyWhoBroughtAWrongPartIsAtFault) {
  for (const std::size_t index : {0U, 1U}) {
    EXPECT_TRUE(bring(hostile, index, garbage).outcome);
    EXPECT_TRUE(bring(honest, index, text).outcome);
  }
  const auto wrong = bring(hostile, 2, garbage);
  ASSERT_FALSE(wrong.outcome);
  EXPECT_EQ(wrong.outcome.error().code, Errc::kPayloadHash);
  EXPECT_EQ(wrong.credit, 5U);
  EXPECT_TRUE(bring(honest, 2, text).outcome);
  EXPECT_TRUE(has_payload());
}

TEST_F(CommitterPayloads, AllPartsMayComeInOneCommitFromTwoSessions) {
  std::vector<Work> batch;
  for (const std::size_t index : {0U, 1U, 2U}) {
    batch.push_back(part(hostile, index, garbage));
    batch.push_back(part(honest, index, text));
  }
  const auto reports = peer.committer().commit(std::move(batch));
  EXPECT_EQ(reports[4].outcome.error().code, Errc::kPayloadHash);
  EXPECT_EQ(reports[5].outcome->payloads_added, (RangeSet{{1, 1}}));
}

TEST_F(CommitterPayloads, WhatBeginsAgainIsTakenFromItsStart) {
  EXPECT_TRUE(bring(honest, 0, garbage).outcome);
  for (const std::size_t index : {0U, 1U, 2U}) EXPECT_TRUE(bring(honest, index, text).outcome);
  EXPECT_TRUE(has_payload());
}

TEST_F(CommitterPayloads, PartsOfTwoPayloadsOfAWantMayBeMixed) {
  EXPECT_TRUE(bring(honest, 0, text, 1).outcome);
  for (const std::size_t index : {0U, 1U, 2U}) EXPECT_TRUE(bring(honest, index, text, 2).outcome);
  for (const std::size_t index : {1U, 2U}) EXPECT_TRUE(bring(honest, index, text, 1).outcome);
  EXPECT_TRUE(has_payload(1));
  EXPECT_TRUE(has_payload(2));
}

TEST_F(CommitterPayloads, APartThatDoesNotGoOnIsPassedOver) {
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  const auto skipped = bring(honest, 2, text);
  EXPECT_TRUE(skipped.outcome && skipped.outcome->payloads_added.empty());
  for (const std::size_t index : {1U, 2U}) EXPECT_TRUE(bring(honest, index, text).outcome);
  EXPECT_TRUE(has_payload());
}

TEST_F(CommitterPayloads, WhatASessionLeavesIsGoneOnWithByAnother) {
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  const auto stage = left().front();
  EXPECT_EQ(stage.size_bytes, limits::kPayloadChunkBytes);
  honest.token.reset();
  tidy();
  EXPECT_EQ(stages(), 1U);
  EXPECT_TRUE(resume(hostile, 1, text, stage.stage).outcome);
  const auto last = resume(hostile, 2, text, stage.stage);
  EXPECT_TRUE(last.outcome && last.outcome->payloads_added == (RangeSet{{1, 1}}));
  EXPECT_TRUE(has_payload());
  EXPECT_TRUE(peer.agrees_with(log));
  tidy();
  EXPECT_EQ(stages(), 0U);
}

TEST_F(CommitterPayloads, WhatAnEarlierProcessLeftIsGoneOnWith) {
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  EXPECT_TRUE(bring(honest, 1, text).outcome);
  const store::Stage stage = left().front().stage;
  Committer later(peer.store(), peer.verifier, {});
  while (later.tidy()) continue;
  EXPECT_EQ(stages(), 1U);
  Work again = part(hostile, 1, text);  // it is there already
  Work last = part(hostile, 2, text);
  for (Work* const work : {&again, &last}) {
    std::get<PayloadWork>(work->content).resumes = stage;
    EXPECT_TRUE(later.commit({*work}).front().outcome);
  }
  EXPECT_TRUE(has_payload());
}

TEST_F(CommitterPayloads, WhereAllPartsAreThereTheLastOneDecides) {
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  const store::Stage stage = left().front().stage;
  ASSERT_TRUE(peer.store().update([&](store::WriteTransaction& transaction) -> Result<void> {
    for (const std::size_t index : {1U, 2U}) {
      const Work work = part(honest, index, text);
      const auto& payload = std::get<PayloadWork>(work.content);
      CULM_CHECK(transaction.put_stage_part(log.log(), stage, payload.offset, payload.bytes));
    }
    return {};
  }));
  Committer later(peer.store(), peer.verifier, {});
  Work last = part(hostile, 2, text);
  std::get<PayloadWork>(last.content).resumes = stage;
  const auto report = later.commit({last}).front();
  EXPECT_TRUE(report.outcome && !report.outcome->payloads_added.empty());
  EXPECT_TRUE(has_payload());
}

/// What an earlier process left is hashed, a part in each step.
class CommitterSteps : public CommitterPayloads {
 protected:
  CommitterSteps() {
    EXPECT_TRUE(bring(honest, 0, text).outcome);
    EXPECT_TRUE(bring(honest, 1, text).outcome);
    stage = left().front().stage;
  }

  Work last(std::string_view from) {
    Work work = part(hostile, 2, from);
    std::get<PayloadWork>(work.content).resumes = stage;
    return work;
  }

  store::Stage stage;
  Committer later{peer.store(), peer.verifier, {}, 9, limits::kPayloadChunkBytes};
};

TEST_F(CommitterSteps, OtherWorksAreCommittedBetween) {
  EXPECT_TRUE(later.commit({last(text)}).empty());
  const Sender third{3};
  const auto between = later.commit({part(third, 0, text, 2)});
  ASSERT_EQ(between.size(), 1U) << "two of three parts are hashed";
  EXPECT_TRUE(between.front().outcome);
  EXPECT_FALSE(has_payload());
  EXPECT_TRUE(later.is_hashing());
  const auto reports = later.hash_on();
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports.front().id.session, hostile.session);
  EXPECT_EQ(reports.front().outcome->payloads_added, (RangeSet{{1, 1}}));
  EXPECT_EQ(reports.front().credit, 5U);
  EXPECT_FALSE(later.is_hashing());
  EXPECT_TRUE(has_payload());
  while (later.tidy()) continue;
  EXPECT_EQ(stages(), 1U) << "what is still coming";
}

TEST_F(CommitterSteps, WhatDoesNotFitIsSaidAtTheEnd) {
  EXPECT_TRUE(later.commit({last(garbage)}).empty());
  EXPECT_TRUE(later.hash_on().empty());
  EXPECT_EQ(later.hash_on().front().outcome.error().code, Errc::kPayloadHash);
  while (later.tidy()) continue;
  EXPECT_EQ(stages(), 0U);
}

TEST_F(CommitterSteps, RowsOfAnotherSizeThanWasPutDoNotFit) {
  test::MemoryStore store;
  ASSERT_TRUE(store.ingest(log, {{1, 1}}, false));
  ASSERT_TRUE(store->update([&](store::WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const auto begun, transaction.begin_stage(log.log(), 1));
    stage = *begun;
    return {};
  }));
  for (const std::size_t index : {0U, 1U}) {
    const Work work = part(honest, index, text);
    const auto& payload = std::get<PayloadWork>(work.content);
    ASSERT_TRUE(store->update([&](store::WriteTransaction& transaction) -> Result<void> {
      CULM_CHECK(transaction.put_stage_part(log.log(), stage, payload.offset, payload.bytes));
      return {};
    }));
  }
  auto [key, value] = test::rows_of(store.kv(), store::Table::kPayloads).at(1);
  value.resize(value.size() - store::detail::kChecksumSizeBytes);
  value.push_back(0);
  store::detail::seal(value, store::Table::kPayloads, key);
  test::put_row(store.kv(), store::Table::kPayloads, key, value);
  Committer committer(*store, store.verifier, {}, 9, limits::kPayloadChunkBytes);
  std::vector<WorkReport> reports = committer.commit({last(text)});
  for (int step = 0; reports.empty() && step < 10; ++step) reports = committer.hash_on();
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports.front().outcome.error().code, Errc::kPayloadHash);
}

TEST_F(CommitterSteps, WhatIsDeletedMeanwhileIsNobodysFault) {
  EXPECT_TRUE(later.commit({last(text)}).empty());
  ASSERT_TRUE(peer.store().delete_payloads(log.log(), {{1, 1}}));
  const auto reports = later.hash_on();
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_TRUE(reports.front().outcome && reports.front().outcome->payloads_added.empty());
  EXPECT_FALSE(has_payload());
}

TEST_F(CommitterSteps, WhatAnotherBringsMeanwhileNeedNotBeHashedToItsEnd) {
  EXPECT_TRUE(later.commit({last(text)}).empty());
  const Sender third{3};
  const auto reports =
      later.commit({part(third, 0, text), part(third, 1, text), part(third, 2, text)});
  ASSERT_EQ(reports.size(), 4U);
  EXPECT_EQ(reports.back().outcome->payloads_added, (RangeSet{{1, 1}}));
  EXPECT_EQ(reports.front().id.session, hostile.session);
  EXPECT_TRUE(reports.front().outcome && reports.front().outcome->payloads_added.empty());
  EXPECT_FALSE(later.is_hashing());
  while (later.tidy()) continue;
  EXPECT_EQ(stages(), 0U);
}

TEST_F(CommitterSteps, WhoResumesWhatIsBeingHashedTakesNothingFromIt) {
  EXPECT_TRUE(later.commit({last(text)}).empty());
  Work again = last(text);
  again.session = honest.token;
  const auto reports = later.commit({again});
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_TRUE(reports.front().outcome && reports.front().outcome->payloads_added.empty());
  EXPECT_EQ(later.hash_on().front().outcome->payloads_added, (RangeSet{{1, 1}}));
}

TEST_F(CommitterPayloads, WhatWasGoneOnWithAndDoesNotFitGoesAtOnce) {
  EXPECT_TRUE(bring(hostile, 0, garbage).outcome);
  const store::Stage stage = left().front().stage;
  hostile.token.reset();
  tidy();
  EXPECT_TRUE(resume(honest, 1, text, stage).outcome);
  const auto last = resume(honest, 2, text, stage);
  ASSERT_FALSE(last.outcome);
  EXPECT_EQ(last.outcome.error().code, Errc::kPayloadHash);
  EXPECT_TRUE(left().empty()) << "nobody is to go on with it";
  tidy();
  EXPECT_EQ(stages(), 0U);
}

TEST_F(CommitterPayloads, OneCommitMayGoOnWithWhatAnotherWantIsStillBringing) {
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  const store::Stage stage = left().front().stage;
  Work last = part(hostile, 2, text);
  std::get<PayloadWork>(last.content).resumes = stage;
  Work late = part(honest, 2, text);
  const auto reports = peer.committer().commit({part(honest, 1, text), last, late});
  EXPECT_EQ(reports[1].outcome->payloads_added, (RangeSet{{1, 1}}));
  EXPECT_TRUE(reports[2].outcome && reports[2].outcome->payloads_added.empty());
}

TEST_F(CommitterPayloads, OfAnEntryTheLargerStageOfAPeerStays) {
  const sealing::PeerKey key{{7}};
  for (const std::size_t parts : {1U, 2U, 1U}) {
    Sender sender{9};
    for (std::size_t index = 0; index < parts; ++index) {
      Work work = part(sender, index, text);
      work.peer = key;
      EXPECT_TRUE(peer.committer().commit({work}).front().outcome);
    }
    sender.token.reset();
    tidy();
  }
  ASSERT_EQ(stages(), 1U);
  EXPECT_EQ(left().front().size_bytes, 2 * limits::kPayloadChunkBytes);
  EXPECT_EQ(left().front().bearer, (store::Bearer{key, false}));
}

TEST_F(CommitterPayloads, WhoBeginsManyPayloadsByOneWantLeavesNoMoreThanThatMayBring) {
  LogBuilder many("carol");
  for (int i = 0; i < 20; ++i) many.append(text);
  ASSERT_TRUE(store::ingest(peer.store(), many.log(), many.unit({{1, 20}}), peer.verifier));
  for (SeqNum n = 1; n <= 20; ++n) {
    Work work = part(hostile, 0, garbage, n);
    work.log = many.log();
    EXPECT_TRUE(peer.committer().commit({work}).front().outcome);
  }
  hostile.token.reset();
  tidy();
  EXPECT_EQ(stages(), Committer::kPayloadsPerWantMax);
}

TEST_F(CommitterPayloads, MoreStagesThanMayStayAreErased) {
  LogBuilder many("carol");
  constexpr SeqNum kEntries = Committer::kStagesLeftMax + 3;
  for (SeqNum n = 1; n <= kEntries; ++n) many.append(text);
  const RangeSet all{{1, kEntries}};
  ASSERT_TRUE(store::ingest(peer.store(), many.log(), many.unit(all), peer.verifier));
  ASSERT_TRUE(peer.store().update([&](store::WriteTransaction& transaction) -> Result<void> {
    for (SeqNum n = 1; n <= kEntries; ++n) {
      CULM_TRY(const auto stage, transaction.begin_stage(many.log(), n));
      CULM_CHECK(transaction.put_stage_part(many.log(), *stage, 0,
                                            as_bytes(text).first(limits::kPayloadChunkBytes)));
      if (n != 1) continue;
      CULM_CHECK(transaction.put_stage_part(
          many.log(), *stage, limits::kPayloadChunkBytes,
          as_bytes(text).subspan(limits::kPayloadChunkBytes, limits::kPayloadChunkBytes)));
    }
    return {};
  }));
  Committer later(peer.store(), peer.verifier, {});
  while (later.tidy()) continue;
  const auto transaction = peer.store().read();
  EXPECT_EQ(transaction->unfinished_stages(SIZE_MAX)->size(), Committer::kStagesLeftMax);
  const auto stages = *transaction->unfinished_stages(2);
  EXPECT_EQ(stages[0].stage.seqnum, 1U) << "the largest, though the first";
  EXPECT_EQ(stages[1].stage.seqnum, 5U);
}

TEST_F(CommitterPayloads, WhatLiesAboveTheCapDoesNotStay) {
  EXPECT_TRUE(bring(honest, 0, text, 3).outcome);
  honest.token.reset();
  tidy();
  EXPECT_EQ(stages(), 1U);
  LogBuilder other = LogBuilder("alice").append(text).append("another");
  Evidence evidence{{Bytes(log.bytes(2).begin(), log.bytes(2).end()),
                     Bytes(other.bytes(2).begin(), other.bytes(2).end())}};
  std::ranges::sort(evidence.entries);
  const Work proof{{3, ++works}, log.log(), EvidenceWork{evidence}, 0, hostile.token};
  EXPECT_TRUE(peer.committer().commit({proof}).front().outcome);
  tidy();
  EXPECT_EQ(stages(), 0U);
}

TEST_F(CommitterPayloads, OfADeletedOneNothingStays) {
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  ASSERT_TRUE(peer.store().update([&](store::WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.delete_payloads(log.log(), {{1, 1}}, 1));
    return transaction.undelete_payloads(log.log(), {{1, 1}});
  }));
  for (const std::size_t index : {1U, 2U}) EXPECT_TRUE(bring(honest, index, text).outcome);
  EXPECT_FALSE(has_payload()) << "its first part was erased";
  tidy();
  EXPECT_EQ(stages(), 0U);
  for (const std::size_t index : {0U, 1U, 2U}) EXPECT_TRUE(bring(honest, index, text).outcome);
  EXPECT_TRUE(has_payload());
}

/// Payload 1 was deleted, and is wanted again.
class CommitterUndeletes : public CommitterPayloads {
 protected:
  CommitterUndeletes() { erase(log.log()); }

  void erase(const LogKey& of) { EXPECT_TRUE(peer.store().delete_payloads(of, {{1, 1}})); }
  Result<store::IngestReport> again(Committer& to, std::size_t index, std::string_view from,
                                    std::optional<store::Stage> stage = std::nullopt) {
    Work work = part(honest, index, from);
    std::get<PayloadWork>(work.content).resumes = stage;
    work.undeletes = {{1, 1}};
    return to.commit({work}).front().outcome;
  }
  bool is_deleted() { return peer.state(log.log()).deleted.contains(1); }
};

TEST_F(CommitterUndeletes, OnlyTheLastPartLiftsADeletion) {
  for (const std::size_t index : {0U, 1U}) {
    EXPECT_TRUE(again(peer.committer(), index, text));
    EXPECT_TRUE(is_deleted());
  }
  ASSERT_EQ(left().size(), 1U) << "the parts are kept";
  EXPECT_EQ(left().front().size_bytes, 2 * limits::kPayloadChunkBytes);
  EXPECT_TRUE(again(peer.committer(), 2, text));
  EXPECT_TRUE(has_payload());
  EXPECT_FALSE(is_deleted());
}

TEST_F(CommitterUndeletes, APayloadThatDoesNotFitStaysDeleted) {
  for (const std::size_t index : {0U, 1U}) EXPECT_TRUE(again(peer.committer(), index, garbage));
  EXPECT_FALSE(again(peer.committer(), 2, garbage));
  EXPECT_TRUE(is_deleted());
}

TEST_F(CommitterUndeletes, WhatIsGoneOnWithLiftsItToo) {
  EXPECT_TRUE(again(peer.committer(), 0, text));
  const store::Stage stage = left().front().stage;
  Committer later(peer.store(), peer.verifier, {});
  EXPECT_TRUE(again(later, 1, text, stage));
  EXPECT_TRUE(is_deleted());
  EXPECT_TRUE(again(later, 2, text, stage));
  EXPECT_TRUE(has_payload());
  EXPECT_FALSE(is_deleted());
}

TEST_F(CommitterUndeletes, WhoDoesNotAskForItGetsNoneOfIt) {
  EXPECT_TRUE(again(peer.committer(), 0, text));
  for (const std::size_t index : {0U, 1U, 2U}) EXPECT_TRUE(bring(hostile, index, text).outcome);
  EXPECT_FALSE(has_payload());
  EXPECT_TRUE(is_deleted());
}

TEST_F(CommitterUndeletes, AUnitLiftsWhatItAddsAlone) {
  LogBuilder small("carol");
  for (SeqNum n = 1; n <= 2; ++n) small.append("small");
  const RangeSet all{{1, 2}};
  ASSERT_TRUE(store::ingest(peer.store(), small.log(), small.unit(all), peer.verifier));
  EXPECT_TRUE(peer.store().delete_payloads(small.log(), all));
  const auto bring_unit = [&](const RangeSet& members, bool is_spoilt) {
    UnitWork unit;
    const RangeSet none;
    UnitEncoder encoder(unit.elided, none);
    for (const UnitEntry& item : small.unit(members, true)) encoder.add(item.entry, item.payload);
    if (is_spoilt) unit.elided.back() ^= 1U;
    Work work{{1, ++works}, small.log(), std::move(unit), 0, honest.token};
    work.undeletes = members;
    return peer.committer().commit({work}).front().outcome.has_value();
  };
  EXPECT_FALSE(bring_unit(all, true));
  EXPECT_EQ(peer.state(small.log()).deleted, all);
  EXPECT_TRUE(bring_unit({{1, 1}}, false));
  EXPECT_EQ(peer.state(small.log()).deleted, (RangeSet{{2, 2}}));
  EXPECT_EQ(peer.state(small.log()).payloads, (RangeSet{{1, 1}}));
}

TEST_F(CommitterPayloads, OfTooManyAtOnceTheOneThatMovedLongestAgoGoes) {
  Committer committer(peer.store(), peer.verifier, {}, 2);
  const Sender third{3};
  const auto bring_to = [&](const Sender& sender, std::size_t index, SeqNum n) {
    EXPECT_TRUE(committer.commit({part(sender, index, text, n)}).front().outcome);
  };
  bring_to(hostile, 0, 1);
  bring_to(honest, 0, 2);
  bring_to(hostile, 1, 1);
  bring_to(third, 0, 3);
  for (const std::size_t index : {1U, 2U}) {
    bring_to(third, index, 3);
    bring_to(honest, index, 2);
  }
  bring_to(hostile, 2, 1);
  EXPECT_TRUE(has_payload(1));
  EXPECT_FALSE(has_payload(2));
  EXPECT_TRUE(has_payload(3));
}

TEST_F(CommitterPayloads, ManyThatComeWholeAreAllTaken) {
  Committer committer(peer.store(), peer.verifier, {}, 2);
  LogBuilder small = LogBuilder("bob").append_many(20);
  ASSERT_TRUE(store::ingest(peer.store(), small.log(), small.unit({{1, 20}}), peer.verifier));
  std::vector<Work> batch;
  for (SeqNum n = 1; n <= 20; ++n) {
    const ByteView payload = small.payload(n);
    batch.push_back({{1, ++works},
                     small.log(),
                     PayloadWork{n, 0, true, Bytes(payload.begin(), payload.end())},
                     256,
                     honest.token});
  }
  batch.push_back(part(hostile, 0, garbage));
  for (const WorkReport& report : committer.commit(std::move(batch))) {
    EXPECT_TRUE(report.outcome);
  }
  EXPECT_EQ(peer.state(small.log()).payloads, (RangeSet{{1, 20}}));
}

TEST_F(CommitterPayloads, WhatIsNotWantedDrivesOutNobody) {
  Committer committer(peer.store(), peer.verifier, {}, 1);
  EXPECT_TRUE(committer.commit({part(honest, 0, text)}).front().outcome);
  const Sender third{3};
  EXPECT_FALSE(committer.commit({part(third, 0, text, 999)}).front().outcome);
  for (const std::size_t index : {1U, 2U}) {
    EXPECT_TRUE(committer.commit({part(honest, index, text)}).front().outcome);
  }
  EXPECT_TRUE(has_payload());
}

TEST_F(CommitterPayloads, WhatComesBehindTheLastPartIsPassedOver) {
  Work last = part(hostile, 1, garbage);
  std::get<PayloadWork>(last.content).last = true;
  const auto reports =
      peer.committer().commit({part(hostile, 0, garbage), last, part(hostile, 2, garbage)});
  EXPECT_EQ(reports[1].outcome.error().code, Errc::kPayloadSize);
  EXPECT_TRUE(reports[2].outcome);
  tidy();
  EXPECT_EQ(stages(), 0U);
}

TEST_F(CommitterPayloads, OfTwoWantsOfASessionSpoilNotEachOtherInOneBatch) {
  Sender again = honest;
  again.token = std::make_shared<SessionToken>();
  EXPECT_TRUE(bring(honest, 0, text).outcome);
  const auto reports = peer.committer().commit(
      {part(honest, 1, text), part(again, 0, text), part(again, 1, text), part(again, 2, text)});
  for (const WorkReport& report : reports) EXPECT_TRUE(report.outcome);
  EXPECT_TRUE(has_payload());
}

TEST_F(CommitterPayloads, WhatADistrustedSessionLeftIsNotLookedAt) {
  hostile.token->is_distrusted = true;
  const auto report = bring(hostile, 0, text);
  ASSERT_FALSE(report.outcome);
  EXPECT_EQ(report.outcome.error().code, Errc::kPeerClosed);
}

}  // namespace
}  // namespace culm::replication
