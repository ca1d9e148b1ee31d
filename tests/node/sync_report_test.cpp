#include <gtest/gtest.h>

#include "culm/replication/node/sync.hpp"

namespace culm::node {
namespace {

LogKey log_number(std::uint64_t number) { return {Author{}, LogId{number}}; }

SyncReport report_of(SyncOutcome outcome, LogOutcome of_each = LogOutcome::kComplete) {
  SyncReport report;
  report.outcome = outcome;
  report.peers.push_back({.endpoint = {"127.0.0.1", 1}});
  report.peers.push_back({.endpoint = {"127.0.0.1", 2}});
  for (std::uint64_t number = 0; number < 2; ++number) {
    LogReport& log = report.logs.emplace_back();
    log.log = log_number(number);
    log.outcome = of_each;
  }
  return report;
}

TEST(SyncReport, NothingKeepsWhatIsDoneFromBeingASuccess) {
  EXPECT_FALSE(why_not_done(report_of(SyncOutcome::kDone)));
  SyncReport report = report_of(SyncOutcome::kDone, LogOutcome::kBudget);
  report.stats.entries_received = 1;
  EXPECT_FALSE(why_not_done(report));
}

TEST(SyncReport, ABudgetIntoWhichNothingFitsIsWrong) {
  const SyncReport report = report_of(SyncOutcome::kDone, LogOutcome::kBudget);
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kUsage);
  EXPECT_EQ(why_not_done(report)->log, &report.logs[0]);
}

TEST(SyncReport, APeerThatWasLostIsNamed) {
  for (const auto outcome : {SyncOutcome::kNoPeer, SyncOutcome::kIncomplete}) {
    SyncReport report = report_of(outcome);
    EXPECT_EQ(why_not_done(report)->error.code, Errc::kPeerStalled);
    EXPECT_EQ(why_not_done(report)->peer, nullptr);
    report.peers[1].error = Error{Errc::kPeerUnexpected};
    EXPECT_EQ(why_not_done(report)->error.code, Errc::kPeerUnexpected);
    EXPECT_EQ(why_not_done(report)->peer, &report.peers[1]);
  }
}

TEST(SyncReport, APeerThatWasPassedOverIsNamedWhereSomethingWasToBePushedToIt) {
  SyncReport report = report_of(SyncOutcome::kIncomplete);
  report.logs[1].unconfirmed = {{report.peers[1].endpoint, {{5, 9}}, {}}};
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kTimeout);
  EXPECT_EQ(why_not_done(report)->peer, &report.peers[1]);
  report.peers[1].peer.emplace();
  EXPECT_EQ(why_not_done(report)->peer, nullptr) << "it has answered";
}

TEST(SyncReport, AnEndBeforeTheLogsHadTheirsCountsMoreThanTheseDo) {
  SyncReport report = report_of(SyncOutcome::kIdle, LogOutcome::kDenied);
  report.peers[0].error = Error{Errc::kNetwork};
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kTimeout);
  report.outcome = SyncOutcome::kStopped;
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kPeerClosed);
  report.outcome = SyncOutcome::kFailed;
  report.error = Error{Errc::kStoreFull};
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kStoreFull);
  EXPECT_EQ(why_not_done(report)->log, nullptr);
}

TEST(SyncReport, ATimeThatIsOverWithEveryPeerLostIsOverForWhatLostThem) {
  SyncReport report = report_of(SyncOutcome::kDeadline, LogOutcome::kUnfinished);
  report.peers[0].error = report.peers[1].error = Error{Errc::kPeerFull};
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kPeerFull);
  EXPECT_EQ(why_not_done(report)->peer, report.peers.data());
}

TEST(SyncReport, ALogThatAPeerTookPartOfIsNotDeniedThoughThePeerHadNothingBefore) {
  SyncReport report = report_of(SyncOutcome::kDone, LogOutcome::kDenied);
  report.logs[0].unconfirmed = {{report.peers[0].endpoint, {}, {{5, 9}}}};
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kPayloadNotHeld);
  EXPECT_EQ(why_not_done(report)->log, &report.logs[0]);
}

TEST(SyncReport, ALogThatIsDeniedIsNamed) {
  SyncReport report = report_of(SyncOutcome::kDone, LogOutcome::kDenied);
  report.logs[0].outcome = LogOutcome::kComplete;
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kDenied);
  EXPECT_EQ(why_not_done(report)->log, &report.logs[1]);
  report.logs[1].error = Error{Errc::kBusy};
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kBusy);
  report.logs[0].offer_denied_by = {
      {report.peers[0].endpoint, replication::DenyReason::kNotWanted}};
  EXPECT_EQ(why_not_done(report)->log, &report.logs[0]);
}

TEST(SyncReport, WhatOnePeerDoesNotWantIsDeniedThoughTheStoreOfAnotherIsDamaged) {
  using enum replication::DenyReason;
  const auto code_of = [](replication::DenyReason first, replication::DenyReason last) {
    SyncReport report = report_of(SyncOutcome::kDone);
    report.logs[0].offer_denied_by = {{report.peers[0].endpoint, first},
                                      {report.peers[1].endpoint, last}};
    return why_not_done(report)->error.code;
  };
  EXPECT_EQ(code_of(kNotWanted, kDamaged), Errc::kDenied);
  EXPECT_EQ(code_of(kDamaged, kNotWanted), Errc::kDenied);
  EXPECT_EQ(code_of(kDamaged, kDamaged), Errc::kPeerStore);
}

TEST(SyncReport, WhatIsHereOrConfirmedInPartAloneIsNamed) {
  SyncReport report = report_of(SyncOutcome::kDone);
  report.logs[1].outcome = LogOutcome::kPartial;
  report.logs[1].payloads_missing = {{5, 5}};
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kPayloadNotHeld);
  EXPECT_EQ(why_not_done(report)->log, &report.logs[1]);
  report.logs[1].unconfirmed = {{{"127.0.0.1", 1}, {{7, 7}}, {}}};
  EXPECT_EQ(why_not_done(report)->error.code, Errc::kEntryNotHeld);
}

TEST(SyncRequest, ALogThatIsNamedAlreadyIsNotAddedAgain) {
  SyncRequest request;
  const std::vector<LogKey> logs{log_number(1), log_number(2), log_number(1)};
  replication::WantRequest like;
  like.payloads = false;
  add_logs(request, like, logs);
  add_logs(request, {}, logs);
  ASSERT_EQ(request.logs.size(), 2U);
  EXPECT_EQ(request.logs[1].log, log_number(2));
  EXPECT_FALSE(request.logs[0].payloads);
}

}  // namespace
}  // namespace culm::node
