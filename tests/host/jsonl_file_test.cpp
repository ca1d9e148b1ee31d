#include "culm/replication/host/jsonl_file.hpp"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <map>

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

  JsonlResult<JsonlFile> read(JsonlFile::Signatures signatures = JsonlFile::Signatures::kEach) {
    return read(verifier_, signatures);
  }
  JsonlResult<JsonlFile> read(SignatureVerifier& verifier, JsonlFile::Signatures signatures) {
    std::ofstream(directory_.path("file")) << text_;
    return JsonlFile::read(Descriptor(::open(directory_.path("file").c_str(), O_RDONLY)), verifier,
                           signatures);
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
  auto file = read();
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
  auto file = read();
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
  auto file = read();
  ASSERT_TRUE(file);
  const auto good = file->check(verifier_);
  ASSERT_FALSE(good);
  EXPECT_EQ(good.error().error.code, Errc::kUnitUnanchored);
  EXPECT_EQ(good.error().missing, (RangeSet{{4, 4}}));
  EXPECT_TRUE(file->check(verifier_, nullptr, true)) << "loose";
}

TEST_F(JsonlFileTest, NamesEachLogThatTheFileProvesForked) {
  const LogBuilder logs[] = {LogBuilder("alice").append_many(9), LogBuilder("bob").append_many(9)};
  for (const auto& log : logs) {
    put(log, {{1, 9}});
    const SeqNum at = &log == logs ? 7 : 4;
    put(log.fork(at), {{at, at}});
  }
  auto file = read();
  ASSERT_TRUE(file);
  const auto good = file->check(verifier_);
  ASSERT_FALSE(good);
  ASSERT_EQ(good.error().forks.size(), 2U);
  for (const auto& fork : good.error().forks)
    EXPECT_EQ(fork.at, fork.log == logs[0].log() ? 7U : 4U);
}

TEST_F(JsonlFileTest, TwoLinesMayProveADefect) {
  LogBuilder log;
  log.append_many(3);
  const LogBuilder other = log.fork(3);
  put(log, {{1, 3}});
  put(other, {{3, 3}});
  auto file = read();
  ASSERT_TRUE(file);
  const auto good = file->check(verifier_);
  ASSERT_FALSE(good);
  EXPECT_EQ(good.error().error.code, Errc::kFork);
  EXPECT_EQ(good.error().line, 4U);
  EXPECT_TRUE(good.error().kind);
}

/// A line, with its members in this order.
static std::string line_of(std::initializer_list<std::pair<std::string_view, ByteView>> members) {
  std::string line = "  { ";
  for (const auto& [key, value] : members) {
    if (line.back() == '"') line += " ,   ";
    line += "\"" + std::string(key) + "\" : \"" + to_hex(value) + "\"";
  }
  return line + " }  \n";
}

static std::string long_payload(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + " ";
  text.resize(size);
  return text;
}

class LongLines : public JsonlFileTest {
 protected:
  LongLines() { log_.append(medium_).append(large_).append("small"); }

  void put_line(std::initializer_list<std::pair<std::string_view, ByteView>> members) {
    text_ += line_of(members);
  }
  Errc refusal(const std::string& text) {
    text_ = text;
    const auto file = read();
    if (file) return Errc{};
    EXPECT_EQ(file.error().line, 1U);
    return file.error().error.code;
  }

  const std::string medium_ = long_payload(700'000);
  const std::string large_ = long_payload(5'000'001);
  LogBuilder log_;
};

TEST_F(LongLines, AreReadInWhicheverOrderTheirMembersCome) {
  const ByteView other = as_bytes(large_);
  put_line({{"payload", as_bytes(medium_)}, {"encoded", log_.entry(1).bytes()}});
  put_line({{"other", other}, {"encoded", log_.entry(2).bytes()}, {"payload", as_bytes(large_)}});
  put_line({{"payload", as_bytes(large_)},
            {"encoded", log_.entry(3).bytes()},
            {"other", other},
            {"payload", as_bytes("small")}});
  auto file = read();
  ASSERT_TRUE(file) << message(file.error().error);
  EXPECT_EQ(file->entry_count(), 3U);
  const auto& rows = file->logs()[0].rows;
  for (SeqNum n = 1; n <= 3; ++n) {
    EXPECT_TRUE(rows[n - 1]->has_payload);
    EXPECT_TRUE(equal(*file->read_payload(*rows[n - 1]), log_.payload(n))) << n;
  }
  EXPECT_TRUE(file->check(verifier_));
}

TEST_F(LongLines, ThatAreWrongAreRefusedAsShortOnesAre) {
  const auto entry = log_.entry(2).bytes();
  std::string wrong = large_;
  wrong.back() = 'x';
  EXPECT_EQ(refusal(line_of({{"encoded", entry}, {"payload", as_bytes(large_)}})), Errc{});
  EXPECT_EQ(refusal(line_of({{"encoded", entry}, {"payload", as_bytes(wrong)}})),
            Errc::kPayloadHash);
  const std::string good = line_of({{"encoded", entry}, {"payload", as_bytes(large_)}});
  const auto end = good.rfind('"');
  EXPECT_EQ(refusal(good.substr(0, end - 1) + good.substr(end)), Errc::kHexFormat) << "odd";
  EXPECT_EQ(refusal(good.substr(0, end) + "zz" + good.substr(end)), Errc::kHexFormat);
  EXPECT_EQ(refusal(good.substr(0, end)), Errc::kFileFormat) << "cut";
  EXPECT_EQ(refusal(good.substr(0, end + 1) + "}}"), Errc::kFileFormat);
  EXPECT_EQ(refusal(line_of({{"payload", as_bytes(large_)}})), Errc::kFileFormat);
  EXPECT_EQ(refusal(line_of({{"encoded", as_bytes(large_)}})), Errc::kHexFormat);
  EXPECT_EQ(refusal("{\"x\":\"" + std::string(9'000'000, 'z') + "\"}"), Errc::kFileFormat)
      << "takes memory";
  const std::string digits(100'000, 'a');
  for (const std::string escape : {"\\u0061", "\\\""}) {
    const std::string text = '"' + digits + escape + std::string(2'000'000, 'a') + '"';
    const std::string encoded = R"("encoded":")" + to_hex(entry) + '"';
    EXPECT_EQ(refusal("{" + encoded + R"(,"payload":)" + text + "}"), Errc::kHexFormat);
    EXPECT_EQ(refusal("{" + encoded + R"(,"x":)" + text + "}"), Errc::kFileFormat);
  }
  EXPECT_EQ(refusal(R"({"x":")" + digits + R"(\",)" + line_of({{"encoded", entry}}).substr(4, 900) +
                    R"(,"b":")" + std::string(2'000'000, 'a') + "\"}"),
            Errc::kFileFormat);
}

TEST_F(LongLines, ThatTheFileEndsWithinAreToldFromWrongOnes) {
  const std::string line =
      line_of({{"encoded", log_.entry(2).bytes()}, {"payload", as_bytes(large_)}});
  const auto is_cut = [&](std::string text) {
    text_ = std::move(text);
    const auto file = read();
    return !file && file.error().is_cut;
  };
  for (const std::size_t size : {1'048'576U, 1'310'720U, 2'000'001U}) {
    EXPECT_TRUE(is_cut(line.substr(0, size))) << size;
    EXPECT_TRUE(is_cut(line_of({{"encoded", log_.entry(1).bytes()}}) + line.substr(0, size)));
    EXPECT_FALSE(is_cut(line.substr(0, size) + "\n" + line)) << size;
  }
  EXPECT_FALSE(is_cut(line.substr(0, line.size() - 5) + "}}"));
  EXPECT_FALSE(is_cut(line));
}

TEST_F(LongLines, AreImportedOnceBySelfAndBesideWhatIsHeld) {
  put(log_, {{1, 3}}, false);
  auto entries = read();
  ASSERT_TRUE(entries && entries->check(verifier_));
  auto store = open_to_write(directory_.path("store"), true, verifier_, {.full = true});
  ASSERT_TRUE(store && import_jsonl(*entries, *store));
  text_.clear();
  put(log_, {{1, 3}});
  auto file = read();
  ASSERT_TRUE(file && file->check(verifier_));
  EXPECT_NE(file->logs()[0].rows[0]->payload_offset, 0U);
  const auto imported = import_jsonl(*file, *store);
  ASSERT_TRUE(imported) << message(imported.error().error);
  EXPECT_EQ(imported->payloads_added, 3U);
  const auto transaction = *store->store->read();
  const auto state = *transaction.get_log(log_.log());
  EXPECT_EQ(state->payloads, (RangeSet{{1, 3}}));
  EXPECT_EQ(state->payload_bytes, medium_.size() + large_.size() + 5);
  EXPECT_TRUE(transaction.unbound_stages()->empty());
  EXPECT_EQ(import_jsonl(*file, *store)->payloads_added, 0U);
}

TEST_F(LongLines, ThatChangeWhileTheyAreReadAreRefusedAndLeaveNothing) {
  put(log_, {{1, 3}});
  auto file = read();
  ASSERT_TRUE(file && file->check(verifier_));
  auto store = open_to_write(directory_.path("store"), true, verifier_, {.full = true});
  text_[text_.size() - 2'000] = text_[text_.size() - 2'000] == '0' ? '1' : '0';
  std::ofstream(directory_.path("file")) << text_;
  const auto imported = import_jsonl(*file, *store);
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().error.code, Errc::kFileFormat);
  const auto transaction = *store->store->read();
  EXPECT_EQ((*transaction.get_log(log_.log()))->payloads, (RangeSet{{1, 1}, {3, 3}}));
  EXPECT_TRUE(transaction.unbound_stages()->empty());
}

TEST_F(JsonlFileTest, AnImportTakesAllOnceAndKeepsIt) {
  LogBuilder log;
  log.append_many(5);
  put(log, {{1, 5}});
  auto file = read();
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
  EXPECT_EQ((*transaction->get_log(log.log()))->interest.entries, everything());
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
  TrustingVerifier trusting;
  auto file = read(trusting, JsonlFile::Signatures::kEach);
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
  auto file = read();
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().line, 401U);
  EXPECT_EQ(file.error().error.code, Errc::kEntrySignature);
}

/// Counts what it checks.
class CountingVerifier final : public SignatureVerifier {
 public:
  Result<void> verify(const Author& author, ByteView message, const Signature& signature) override {
    ++count;
    return verifier_.verify(author, message, signature);
  }

  std::size_t count = 0;

 private:
  Ed25519Verifier verifier_;
};

TEST_F(JsonlFileTest, WhereOnlyDueSignaturesAreCheckedAnImportNeedsOneOfEachLog) {
  for (int i = 0; i < 20; ++i) {
    LogBuilder log(std::to_string(i));
    log.append_many(100);
    put(log, {{1, 100}});
  }
  CountingVerifier verifier;
  auto file = read(verifier, JsonlFile::Signatures::kOnlyDue);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->check(verifier));
  auto store = open_to_write(directory_.path("store"), true, verifier);
  ASSERT_TRUE(store);
  EXPECT_EQ(import_jsonl(*file, *store)->added, 2000U);
  EXPECT_EQ(verifier.count, 20U);
}

TEST_F(JsonlFileTest, ABadlySignedEntryThatItsAuthorVouchesForIsTakenAsFromAPeer) {
  LogBuilder log;
  log.append_many(2);
  log.append_badly_signed();
  log.append_many(2);
  put(log, {{1, 5}});
  const auto each = read();
  ASSERT_FALSE(each);
  EXPECT_EQ(each.error().line, 3U);
  auto due = read(JsonlFile::Signatures::kOnlyDue);
  ASSERT_TRUE(due && due->check(verifier_));
  auto store = open_to_write(directory_.path("store"), true, verifier_);
  ASSERT_TRUE(store);
  EXPECT_EQ(import_jsonl(*due, *store)->added, 5U);
  EXPECT_EQ((*store->store->read()->get_log(log.log()))->verified, (RangeSet{{5, 5}}));
}

TEST_F(JsonlFileTest, WhatIsWrongIsToldAlikeWhicheverSignaturesAreChecked) {
  LogBuilder log;
  log.append_many(5);
  const auto bad = test::entry_of(test::fields_of(log.entry(3)), Signature{});
  const auto broken = [&](auto put_lines) {
    text_.clear();
    put_lines();
    std::vector<std::pair<Errc, std::uint64_t>> told;
    for (const auto signatures : {JsonlFile::Signatures::kEach, JsonlFile::Signatures::kOnlyDue}) {
      auto file = read(signatures);
      const auto good = file ? file->check(verifier_) : tl::unexpected(file.error());
      EXPECT_FALSE(good);
      if (!good) told.emplace_back(good.error().error.code, good.error().line);
    }
    EXPECT_EQ(told.size(), 2U);
    EXPECT_EQ(told.front(), told.back());
    return told.front();
  };
  const std::pair wrong{Errc::kEntrySignature, std::uint64_t{3}};
  EXPECT_EQ(wrong, broken([&] {
              put(log, {{1, 2}});
              append_jsonl(text_, bad.bytes(), log.payload(3));
            }))
      << "at the head";
  EXPECT_EQ(wrong, broken([&] {
              put(log, {{1, 2}});
              append_jsonl(text_, bad.bytes(), log.payload(3));
              put(log, {{3, 5}});
            }))
      << "beside the true one";
  EXPECT_EQ(wrong, broken([&] {
              put(log, {{1, 2}});
              append_jsonl(text_, bad.bytes(), log.payload(3));
              text_ += "not json\n";
            }))
      << "before what is no line";
  EXPECT_EQ(std::pair(Errc::kUnitUnanchored, std::uint64_t{1}), broken([&] {
              put(log, {{5, 5}});
            }));
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
  auto file = read();
  ASSERT_TRUE(file);
  auto store = open_to_write(directory_.path("store"), true, verifier_, {.full = true});
  ASSERT_TRUE(store);
  const std::uint64_t before = count_commits(directory_.path("store"));
  EXPECT_EQ(import_jsonl(*file, *store)->added, 2000U);
  EXPECT_EQ(count_commits(directory_.path("store")), before + 1);
  EXPECT_EQ(import_jsonl(*file, *store)->known, 2000U);
}

TEST_F(JsonlFileTest, AnImportThatProvesForksTakesTheOtherLogs) {
  LogBuilder forked;
  LogBuilder also("also");
  forked.append_many(3);
  also.append_many(3);
  auto store = open_to_write(directory_.path("store"), true, verifier_, {.full = true});
  ASSERT_TRUE(store);
  put(forked, {{1, 3}});
  put(also, {{1, 3}});
  ASSERT_TRUE(import_jsonl(*read(), *store));
  LogBuilder branch = forked.fork(3);
  branch.append_many(3000);
  LogBuilder also_branch = also.fork(1);
  also_branch.append_many(10);
  LogBuilder other("other");
  other.append_many(3000);
  text_.clear();
  put(branch, {{1, 3000}});
  put(other, {{1, 3000}});
  put(also_branch, {{1, 10}});
  const auto import = import_jsonl(*read(), *store);
  ASSERT_TRUE(import);
  std::map<LogKey, SeqNum> forks;
  for (const auto& fork : import->forks) forks.emplace(fork.log, fork.at);
  EXPECT_EQ(forks, (std::map<LogKey, SeqNum>{{forked.log(), 3U}, {also.log(), 1U}}));
  EXPECT_EQ(import->added, 3000U);
  EXPECT_EQ(import->known, 2U) << "what the branch has below the fork is held";
  EXPECT_EQ(import->capped, 3000U - 2 + 10);
  const auto transaction = store->store->read();
  ASSERT_TRUE(transaction);
  EXPECT_EQ((*transaction->get_log(other.log()))->held, (RangeSet{{1, 3000}}));
  EXPECT_EQ((*transaction->get_log(forked.log()))->cap, 3U);
}

}  // namespace
}  // namespace culm::host
