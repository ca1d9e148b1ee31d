#include "culm/store/audit.hpp"

#include "culm/store/detail/rows.hpp"

#include "tests/store/store_fixture.hpp"

namespace culm::test {
namespace {

using store::AuditReport;

constexpr std::size_t kLarge = 2 * limits::kPayloadChunkBytes + 1;

AuditReport audit(MemoryStore& store, const LogKey& log) {
  const auto transaction = *store->read();
  const auto report = audit_log(transaction, **transaction.get_log(log), store.verifier);
  EXPECT_TRUE(report);
  return *report;
}

/// Puts `entry` in place of the one that is there, as a careless writer would.
void replace(MemoryStore& store, const EntryView& entry, ByteView payload) {
  const auto number = store.state(entry.log()).number;
  Bytes row;
  store::detail::encode_entry(row, entry.bytes(), payload);
  put_sealed(store.kv(), Table::kEntries, store::detail::entry_row_key(number, entry.seqnum()),
             row);
}

TEST(Audit, CountsWhatIsHeldOfASoundLog) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(30).append(long_text(kLarge)).append("").end();
  ASSERT_TRUE(store.ingest(log, up_to(33)));
  const AuditReport report = audit(store, log.log());
  EXPECT_TRUE(report.is_sound());
  EXPECT_EQ(report.entries, 33U);
  EXPECT_EQ(report.payloads, 33U);
  EXPECT_EQ(report.payload_bytes, store.state(log.log()).payload_bytes);
  std::uint64_t entry_bytes = 0;
  for (SeqNum n = 1; n <= 33; ++n) entry_bytes += log.bytes(n).size();
  EXPECT_EQ(report.entry_bytes, entry_bytes);
  EXPECT_TRUE(store.state(log.log()).certificate().empty());
  EXPECT_EQ(store.verifier.checks, 1U + 33U) << "one to accept, all to audit";
}

TEST(Audit, TellsCertificateAndLooseEntries) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(41);
  const RangeSet wanted{{20, 22}};
  ASSERT_TRUE(store.ingest(log, closure(wanted, 41)));
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) {
    return transaction.set_interest(log.log(), {{wanted, 0}, true});
  }));
  AuditReport report = audit(store, log.log());
  EXPECT_TRUE(report.is_sound());
  EXPECT_EQ(store.state(log.log()).certificate(), closure(wanted, 41) - wanted);
  EXPECT_TRUE(report.loose.empty());

  ASSERT_TRUE(store.ingest(log, {{41, 41}}));  // 40 is held, 41 is loose only when 121 is there
  ASSERT_TRUE(store.ingest(log, {{5, 5}}));
  report = audit(store, log.log());
  EXPECT_EQ(report.loose, loose(store.state(log.log()).held, 41));
  EXPECT_FALSE(report.loose.empty());
}

TEST(Audit, OnlyCountsWhatLiesAboveTheCap) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(12);
  const auto branch = log.fork(9);
  ASSERT_TRUE(store.ingest(log, up_to(12)));
  ASSERT_TRUE(store.ingest(branch, {{9, 9}}));
  const AuditReport report = audit(store, log.log());
  EXPECT_TRUE(report.is_sound()) << message(*report.first_fault);
  EXPECT_EQ(report.entries, 8U);
  EXPECT_EQ(report.entries_capped, 4U);
}

TEST(Audit, AllowsAPayloadThatIsArrivingOrGoing) {
  MemoryStore store;
  const std::string text = long_text(kLarge);
  const auto log = LogBuilder().append(text).append(text);
  ASSERT_TRUE(store.ingest(log, {{1, 1}}));
  ASSERT_TRUE(store.ingest(log, {{2, 2}}, false));
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(const auto stage, transaction.begin_stage(log.log(), 2));
    CULM_CHECK(transaction.put_stage_part(log.log(), *stage, 0,
                                          as_bytes(text).first(limits::kPayloadChunkBytes)));
    CULM_CHECK(transaction.delete_payloads(log.log(), up_to(1), 1));
    return {};
  }));
  EXPECT_TRUE(audit(store, log.log()).is_sound());
}

TEST(Audit, ReportsItsProgress) {
  MemoryStore store;
  const auto log = LogBuilder().append_many(2500);
  for (SeqNum n = 1; n <= 2500; n += 500) ASSERT_TRUE(store.ingest(log, {{n, n + 499}}));
  const auto transaction = *store->read();
  std::vector<std::uint64_t> seen;
  ASSERT_TRUE(audit_log(transaction, **transaction.get_log(log.log()), store.verifier,
                        [&](std::uint64_t entries) { seen.push_back(entries); }));
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{1000, 2000}));
}

class AuditFault : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store.ingest(log, up_to(20))); }

  void expect(Error fault, std::uint64_t faults = 1) {
    const AuditReport report = audit(store, log.log());
    EXPECT_EQ(report.first_fault, fault)
        << (report.first_fault ? message(*report.first_fault) : "");
    EXPECT_EQ(report.faults, faults);
  }

  LogBuilder log = LogBuilder().append_many(20);
  MemoryStore store;
};

TEST_F(AuditFault, ABadSignature) {
  replace(store, signed_badly(log.entry(20)).view(), log.payload(20));
  expect(error_for(Errc::kEntrySignature, 20));
}

TEST_F(AuditFault, ABacklinkToAnotherEntry) {
  auto fields = log.fields(15);
  fields.backlink = log.hash(13);
  replace(store, resigned(log, fields).view(), log.payload(15));
  expect(error_for(Errc::kLinkMismatch, 15), 2);  // 16 does not link to this 15
}

TEST_F(AuditFault, ALipmaalinkToAnotherEntry) {
  auto fields = log.fields(12);
  fields.lipmaalink = log.hash(7);
  replace(store, resigned(log, fields).view(), log.payload(12));
  expect(error_for(Errc::kLinkMismatch, 12), 2);
}

TEST_F(AuditFault, AnEntryOfAnotherLogOrSeqnum) {
  const auto other = LogBuilder("bob").append_many(20);
  const auto number = store.state(log.log()).number;
  for (const EntryView& entry : {other.entry(5), log.entry(6)}) {
    Bytes row;
    store::detail::encode_entry(row, entry.bytes(), {});
    put_sealed(store.kv(), Table::kEntries, store::detail::entry_row_key(number, 5), row);
    expect(error_for(Errc::kStoreDamaged, 5));
  }
}

TEST_F(AuditFault, APayloadThatIsNotTheOneSigned) {
  Bytes payload(log.payload(9).begin(), log.payload(9).end());
  payload[0] ^= 1U;
  replace(store, log.entry(9), payload);
  expect(error_for(Errc::kPayloadHash, 9));
}

TEST_F(AuditFault, APayloadThatIsMissing) {
  replace(store, log.entry(9), {});
  expect(error_for(Errc::kStoreDamaged, 9));
  const auto transaction = *store->read();
  const LogState state = **transaction.get_log(log.log());
  EXPECT_EQ(code_of(transaction.get_entry(state, 9)), Errc::kStoreDamaged);
  EXPECT_EQ(code_of(transaction.read_payload(state, 9, 0, 1)), Errc::kStoreDamaged);
}

TEST_F(AuditFault, APayloadThatOughtToBeGone) {
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.delete_payloads(log.log(), {{9, 9}}, 10));
    return {};
  }));
  replace(store, log.entry(9), log.payload(9));
  expect(error_for(Errc::kStoreDamaged, 9));
}

TEST_F(AuditFault, AStateThatNamesTooLittleOrTooMuch) {
  const LogState state = store.state(log.log());
  LogState wrong = state;
  wrong.held.erase({2, 3});
  wrong.payloads.erase({2, 3});
  put_state(store.kv(), wrong);
  expect(error_for(Errc::kStoreDamaged, 2), 2);
  wrong = state;
  wrong.held.insert({21, 25});
  put_state(store.kv(), wrong);
  expect(error_for(Errc::kStoreDamaged, 21), 5);
  wrong = state;
  wrong.payload_bytes += 1;
  put_state(store.kv(), wrong);
  expect({Errc::kStoreDamaged});
  wrong = state;
  wrong.verified.insert(30);
  put_state(store.kv(), wrong);
  expect({Errc::kStoreDamaged});
  wrong = state;
  wrong.cap = 30;
  put_state(store.kv(), wrong);
  expect(error_for(Errc::kStoreDamaged, 30));
}

TEST_F(AuditFault, AnEntryThatReachesNoOtherDown) {
  MemoryStore sparse;
  ASSERT_TRUE(sparse.ingest(log.log(), log.unit({{1, 1}, {4, 8}, {18, 19}}), {.loose = true}));
  const AuditReport report = audit(sparse, log.log());
  EXPECT_EQ(report.first_fault, error_for(Errc::kUnitUnanchored, 18));
  EXPECT_EQ(report.faults, 1U);
}

}  // namespace
}  // namespace culm::test
