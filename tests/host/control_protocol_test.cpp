#include "culm/replication/host/control_protocol.hpp"

#include <gtest/gtest.h>

#include "culm/feed/closure.hpp"
#include "culm/feed/entry_encoder.hpp"

namespace culm::control {
namespace {

LogKey some_log() {
  LogKey log;
  log.author.bytes.fill(7);
  log.log_id = LogId{5};
  return log;
}

template <class T>
T round_trip(const std::string& text) {
  std::size_t scanned = 0;
  EXPECT_EQ(request_size(text.substr(0, text.size() - 1), scanned), 0U);
  EXPECT_EQ(request_size(text + "more", scanned), text.size());
  const auto request = decode_request(text);
  EXPECT_TRUE(request);
  return std::get<T>(*request);
}

TEST(ControlProtocol, ChangesComeBack) {
  using host::LogChange;
  std::vector<LogChange> changes;
  for (const RangeSet& seqnums : {RangeSet{}, RangeSet{{1, 5}, {9, kSeqnumMax}}}) {
    changes.push_back({some_log(), LogChange::DeletePayloads{seqnums}});
  }
  for (const Interest& entries : {everything(), Interest{}, Interest{{{3, 4}}, 100}}) {
    changes.push_back({some_log(), store::LogInterest{entries, false}});
  }
  changes.push_back({some_log(), LogChange::Forget{}});
  EXPECT_EQ(round_trip<ChangeRequest>(encode_changes(changes)).changes, changes);
  EXPECT_TRUE(round_trip<ChangeRequest>(encode_changes({})).changes.empty());
}

TEST(ControlProtocol, OfChangesARequestTakesThoseThatItHasRoomFor) {
  RangeSet seqnums;
  for (SeqNum n = 1; n < 40'000; n += 2) seqnums.insert(n);
  const host::LogChange change{some_log(), host::LogChange::DeletePayloads{seqnums}};
  const std::vector<host::LogChange> changes(400, change);
  const std::string text = encode_changes(changes);
  EXPECT_LT(text.size(), kRequestBytesMax);
  const auto back = round_trip<ChangeRequest>(text).changes;
  EXPECT_GT(back.size(), 1U);
  EXPECT_LT(back.size(), changes.size());
}

TEST(ControlProtocol, DropDamagedComesBack) {
  const DropDamagedRequest request{some_log(), {{1, 5}, {9, 9}}};
  const auto back = round_trip<DropDamagedRequest>(encode(request));
  EXPECT_EQ(back.log, request.log);
  EXPECT_EQ(back.seqnums, request.seqnums);
}

TEST(ControlProtocol, PublishComesBack) {
  EXPECT_EQ(round_trip<PublishRequest>(encode(PublishRequest{some_log()})).log, some_log());
}

TEST(ControlProtocol, CompactAndForgetPeerComeBack) {
  const ForgetPeerRequest peer{"[::1]:7474"};
  EXPECT_EQ(round_trip<ForgetPeerRequest>(encode(peer)).address, peer.address);
  round_trip<CompactRequest>(encode(CompactRequest{}));
}

TEST(ControlProtocol, IngestComesBackWithAndWithoutPayload) {
  ASSERT_TRUE(initialize_crypto());
  SystemRandom random;
  const SecretKey key = SecretKey::generate(random);
  EntryFields fields;
  fields.log = {key.author(), LogId{2}};
  fields.seqnum = 1;
  fields.payload_hash = hash(as_bytes("x"));
  fields.payload_size = 1;
  const EntryBuffer entry = sign_entry(fields, key);
  const std::array unit = {UnitEntry{entry.view(), entry.view().hash(), as_bytes("x")},
                           UnitEntry{entry.view(), entry.view().hash()}};
  const auto back = round_trip<IngestRequest>(encode_ingest(fields.log, unit));
  EXPECT_EQ(back.log, fields.log);
  ASSERT_EQ(back.entries.size(), 2U);
  EXPECT_TRUE(equal(back.entries[0].encoded, entry.bytes()));
  EXPECT_EQ(back.entries[0].payload, Bytes{'x'});
  EXPECT_EQ(back.entries[1].payload, std::nullopt);
  const auto restored = to_unit(back.entries);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->at(1).hash, unit[1].hash);
  EXPECT_EQ(back.keeps, std::nullopt);
  const store::LogInterest keeps{{{{1, 2}}, 3}, false};
  EXPECT_EQ(round_trip<IngestRequest>(encode_ingest(fields.log, unit, &keeps)).keeps, keeps);
  const RangeSet undeletes{{1, 1}, {4, 5}};
  const std::string text = encode_ingest(fields.log, unit, &keeps, undeletes);
  EXPECT_EQ(round_trip<IngestRequest>(text).undeletes, undeletes);
}

TEST(ControlProtocol, StepsOfStagingComeBack) {
  const store::Stage stage{0, 77, 5};
  EXPECT_EQ(round_trip<BeginStageRequest>(encode(BeginStageRequest{77})).claim, 77U);
  EXPECT_EQ(to_stage(to_fields(stage)), stage);
  const std::string bytes("a\n\nb\0\n", 7);
  const auto put = round_trip<PutPartsRequest>(encode_put_parts(stage, 9, as_bytes(bytes)));
  EXPECT_EQ(put.stage, stage);
  EXPECT_EQ(put.offset, 9U);
  EXPECT_EQ(as_text(put.bytes), bytes);
  for (const bool undelete : {false, true}) {
    const BindStageRequest bind{some_log(), 3, {stage, hash(as_bytes("x")), 100}, undelete};
    const auto bound = round_trip<BindStageRequest>(encode(bind));
    EXPECT_EQ(bound.log, bind.log);
    EXPECT_EQ(bound.seqnum, 3U);
    EXPECT_EQ(bound.staged, bind.staged);
    EXPECT_EQ(bound.undelete, undelete);
  }
  round_trip<ReclaimRequest>(encode(ReclaimRequest{}));
}

TEST(ControlProtocol, BytesBehindARequestAreNotTakenForTheNextOne) {
  const std::string put = encode_put_parts({0, 1, 2}, 0, as_bytes("x\n\ny"));
  const std::string both = put + encode(ReclaimRequest{});
  std::size_t scanned = 0;
  for (std::size_t size = 0; size < put.size(); ++size) {
    EXPECT_EQ(request_size(both.substr(0, size), scanned), 0U) << size;
  }
  EXPECT_EQ(request_size(both, scanned), put.size());
  EXPECT_FALSE(decode_request(put.substr(0, put.size() - 1)));
  EXPECT_FALSE(decode_request(put + "z"));
  scanned = 0;
  const std::string_view more = R"({"verb":"put_parts","claim":1,"stage":2,"bytes":1e99})"
                                "\n\n";
  EXPECT_EQ(request_size(more, scanned), more.size()) << "is no number, and refused";
}

TEST(ControlProtocol, RefusesWhatIsNoRequest) {
  for (const char* text :
       {"", "\n\n", "x\n\n", "[]\n\n", "{}\n\n", R"({"verb":"other"})", R"({"verb":"ingest"})",
        R"({"verb":"drop_damaged","log":"00","seqnums":"1"})",
        R"({"verb":"drop_damaged","log":1,"seqnums":"1"})", "{\"verb\":\"change\"}\n{}\n\n",
        "{\"verb\":\"change\"}\n{\"log\":\"00\",\"forget\":true}\n\n"}) {
    EXPECT_FALSE(decode_request(text)) << text;
  }
}

TEST(ControlProtocol, RefusesMoreEntriesThanAUnitMayHave) {
  std::string text = R"({"verb":"ingest","log":")" + to_string(some_log()) + "\"}\n";
  for (std::size_t i = 0; i <= limits::kUnitEntriesMax; ++i) text += "{\"encoded\":\"00\"}\n";
  EXPECT_EQ(decode_request(text + "\n").error().code, Errc::kLimit);
}

TEST(ControlProtocol, EveryErrorComesBack) {
  for (const Error& error : {Error{Errc::kLogEnded}, error_for(Errc::kFork, 77),
                             error_at(Errc::kRange, 3), error_system(Errc::kStoreFull, 28)}) {
    const auto back = decode_response(encode(Response{error, Json::object()}));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->error, error);
  }
  EXPECT_FALSE(decode_response("{}"));
  EXPECT_FALSE(decode_response(R"({"ok":false,"error":"no such error"})"));
}

TEST(ControlProtocol, AReportComesBack) {
  store::IngestReport report;
  report.added = {{5, 9}};
  report.signatures_checked = 3;
  report.defect = Defect{DefectKind::kForkByLink, 7};
  const auto back = decode_response(encode(Response{std::nullopt, to_fields(report)}));
  ASSERT_TRUE(back);
  const auto restored = to_report(back->fields);
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->added, report.added);
  EXPECT_TRUE(restored->payloads_added.empty());
  EXPECT_EQ(restored->signatures_checked, 3U);
  EXPECT_EQ(restored->defect, report.defect);
}

}  // namespace
}  // namespace culm::control
