#include "culm/replication/host/jsonl_file.hpp"

#include <algorithm>
#include <ctime>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>

#include "culm/replication/host/jsonl.hpp"
#include "culm/replication/host/jsonl_import.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::host {
namespace {

using test::LogBuilder;

class JsonlFileTest : public testing::Test {
 protected:
  void put(const LogBuilder& log, const RangeSet& seqnums, bool with_payload = true) {
    for (const SeqRange range : seqnums.ranges()) {
      for (SeqNum n = range.first; n <= range.last; ++n) {
        std::optional<ByteView> payload;
        if (with_payload) payload = log.payload(n);
        append_jsonl(text_, log.entry(n).bytes(), payload);
      }
    }
  }

  JsonlResult<JsonlFile> read() {
    std::ofstream(directory_.path("file")) << text_;
    return JsonlFile::read(Descriptor(::open(directory_.path("file").c_str(), O_RDONLY)),
                           verifier_);
  }

  test::TempDir directory_;
  Ed25519Verifier verifier_;
  std::string text_;
};

TEST_F(JsonlFileTest, EachEntryCountsOnceAndWithItsPayloadIfAnyLineHasIt) {
  LogBuilder log;
  log.append_many(3);
  put(log, {{2, 3}}, false);
  put(log, {{1, 2}});
  const auto file = read();
  ASSERT_TRUE(file);
  EXPECT_EQ(file->entry_count(), 3U);
  ASSERT_EQ(file->logs().size(), 1U);
  EXPECT_EQ(file->logs()[0].seqnums(), (RangeSet{{1, 3}}));
  EXPECT_TRUE(file->logs()[0].rows[1]->has_payload);
  EXPECT_EQ(file->logs()[0].rows[1]->line, 1U);
  EXPECT_TRUE(equal(*file->read_payload(*file->logs()[0].rows[1]), log.payload(2)));
  EXPECT_TRUE(file->check(verifier_));
}

TEST_F(JsonlFileTest, NamesTheLineAndTheEntryThatAreWrong) {
  LogBuilder log;
  log.append_many(1);
  put(log, {{1, 1}});
  append_jsonl(text_, log.entry(1).bytes(), as_bytes("another"));
  const auto file = read();
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().line, 2U);
  EXPECT_EQ(file.error().seqnum, 1U);
  EXPECT_TRUE(file.error().error.code == Errc::kPayloadHash ||
              file.error().error.code == Errc::kPayloadSize);
}

TEST_F(JsonlFileTest, SaysWhatWouldProveAnEntry) {
  LogBuilder log;
  log.append_many(13);
  put(log, {{1, 1}, {13, 13}});
  const auto file = read();
  ASSERT_TRUE(file);
  const auto good = file->check(verifier_);
  ASSERT_FALSE(good);
  EXPECT_EQ(good.error().error.code, Errc::kUnitUnanchored);
  EXPECT_EQ(good.error().missing, (RangeSet{{4, 4}}));
  EXPECT_TRUE(file->check(verifier_, nullptr, true)) << "loose";
}

TEST_F(JsonlFileTest, TwoLinesMayProveADefect) {
  LogBuilder log;
  log.append_many(3);
  const LogBuilder other = log.fork(3);
  put(log, {{1, 3}});
  put(other, {{3, 3}});
  const auto file = read();
  ASSERT_TRUE(file);
  const auto good = file->check(verifier_);
  ASSERT_FALSE(good);
  EXPECT_EQ(good.error().error.code, Errc::kFork);
  EXPECT_EQ(good.error().line, 4U);
  EXPECT_TRUE(good.error().kind);
}

TEST_F(JsonlFileTest, AnImportTakesAllOnceAndKeepsIt) {
  LogBuilder log;
  log.append_many(5);
  put(log, {{1, 5}});
  const auto file = read();
  ASSERT_TRUE(file);
  auto store = open_to_write(directory_.path("store"), true, verifier_, {.full = true});
  ASSERT_TRUE(store);
  const auto first = import_jsonl(*file, *store);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->added, 5U);
  EXPECT_EQ(first->payloads_added, 5U);
  const auto again = import_jsonl(*file, *store);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->added, 0U);
  EXPECT_EQ(again->known, 5U);
  const auto transaction = store->store->read();
  ASSERT_TRUE(transaction);
  EXPECT_EQ((*transaction->get_log(log.log()))->interest.entries.ranges, (RangeSet{{1, 5}}));
  EXPECT_TRUE(file->check(verifier_, &*transaction));
}

/// Takes every signature for good.
class TrustingVerifier final : public SignatureVerifier {
 public:
  Result<void> verify(const Author& /*author*/, ByteView /*message*/,
                      const Signature& /*signature*/) override {
    return {};
  }
};

double processor_seconds() {
  return static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC);
}

TEST_F(JsonlFileTest, UnanchoredEntriesInDescendingOrderCostWhatTheFileIsLong) {
  LogBuilder log;
  log.append_many(20'000);
  for (SeqNum n = 20'000; n > 1; --n) append_jsonl(text_, log.entry(n).bytes(), {});
  std::ofstream(directory_.path("file")) << text_;
  TrustingVerifier trusting;
  const auto file =
      JsonlFile::read(Descriptor(::open(directory_.path("file").c_str(), O_RDONLY)), trusting);
  ASSERT_TRUE(file);
  const double start = processor_seconds();
  const auto good = file->check(trusting);
  EXPECT_LT(processor_seconds() - start, 2);
  ASSERT_FALSE(good);
  EXPECT_EQ(good.error().line, 1U);
  EXPECT_EQ(good.error().missing, (RangeSet{{1, 1}}));
  EXPECT_TRUE(file->check(trusting, nullptr, true)) << "loose";
  EXPECT_LT(processor_seconds() - start, 4);
}

TEST_F(JsonlFileTest, TheFirstLineThatIsWrongIsToldWhateverIsWrongBehindIt) {
  LogBuilder log;
  log.append_many(600);
  put(log, {{1, 400}});
  const auto bad = test::entry_of(test::fields_of(log.entry(401)), Signature{});
  append_jsonl(text_, bad.bytes(), log.payload(401));
  text_ += "not json\n";
  const auto file = read();
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().line, 401U);
  EXPECT_EQ(file.error().error.code, Errc::kEntrySignature);
}

/// How many transactions LMDB has counted, by the two pages with which its file begins.
std::uint64_t count_commits(const std::string& store) {
  std::ifstream file(store + "/data.mdb", std::ios::binary);
  std::uint64_t count = 0;
  for (const std::streamoff page : {0, 4096}) {
    std::uint64_t number = 0;
    file.seekg(page + 144);
    file.read(reinterpret_cast<char*>(&number), sizeof number);
    count = std::max(count, number);
  }
  return count;
}

TEST_F(JsonlFileTest, AnImportOfManyLogsSharesItsCommits) {
  for (int i = 0; i < 200; ++i) {
    LogBuilder log(std::to_string(i));
    log.append_many(10);
    put(log, {{1, 10}});
  }
  const auto file = read();
  ASSERT_TRUE(file);
  auto store = open_to_write(directory_.path("store"), true, verifier_, {.full = true});
  ASSERT_TRUE(store);
  const std::uint64_t before = count_commits(directory_.path("store"));
  EXPECT_EQ(import_jsonl(*file, *store)->added, 2000U);
  EXPECT_EQ(count_commits(directory_.path("store")), before + 1);
  EXPECT_EQ(import_jsonl(*file, *store)->known, 2000U);
}

TEST_F(JsonlFileTest, AnImportThatProvesAForkTakesTheOtherLogs) {
  LogBuilder forked;
  forked.append_many(3);
  auto store = open_to_write(directory_.path("store"), true, verifier_, {.full = true});
  ASSERT_TRUE(store);
  put(forked, {{1, 3}});
  ASSERT_TRUE(import_jsonl(*read(), *store));
  LogBuilder branch = forked.fork(3);
  branch.append_many(3000);
  LogBuilder other("other");
  other.append_many(3000);
  text_.clear();
  put(branch, {{1, 3000}});
  put(other, {{1, 3000}});
  const auto import = import_jsonl(*read(), *store);
  ASSERT_TRUE(import);
  ASSERT_TRUE(import->fork);
  EXPECT_EQ(import->fork->log, forked.log());
  EXPECT_EQ(import->fork->at, 3U);
  const auto transaction = store->store->read();
  ASSERT_TRUE(transaction);
  EXPECT_EQ((*transaction->get_log(other.log()))->held, (RangeSet{{1, 3000}}));
  EXPECT_EQ((*transaction->get_log(forked.log()))->cap, 3U);
}

}  // namespace
}  // namespace culm::host
