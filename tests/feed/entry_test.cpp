#include "culm/feed/entry.hpp"

#include <gtest/gtest.h>

#include "culm/core/varu64.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/vectors.hpp"

namespace culm {
namespace {

using test::LogBuilder;

/// Bytes that are not an entry, and what is said of them.
struct Refused {
  std::string id;
  Bytes bytes;
  Error error;
};

Bytes to_bytes(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

/// `bytes` with `removed` bytes at `at` replaced by `inserted`.
Bytes splice(ByteView bytes, std::size_t at, std::size_t removed, const Bytes& inserted) {
  Bytes out = to_bytes(bytes.first(at));
  append_bytes(out, inserted);
  append_bytes(out, bytes.subspan(at + removed));
  return out;
}

Bytes yamf_hash(std::uint8_t fill) {
  Bytes out(kYamfHashSizeBytes, fill);
  out[0] = 0;
  out[1] = 64;
  return out;
}

void add_bad_numbers(std::vector<Refused>& rows, const std::string& field, const EntryView& entry,
                     std::size_t at, std::uint64_t value) {
  const std::size_t size = varu64::encoded_size(value);
  for (const Bytes& form : {Bytes{0xf8, 0x05}, Bytes{0xf8, 0xf7}, Bytes{0xf9, 0x00, 0xfa},
                            Bytes{0xff, 0, 0, 0, 0, 0, 0, 0, 0}}) {
    rows.push_back({"A5 " + field + " " + to_hex(form), splice(entry.bytes(), at, size, form),
                    error_at(Errc::kVarU64Noncanonical, at)});
  }
  for (const Bytes& cut : {Bytes{0xf8}, Bytes{0xfb, 1, 2, 3}, Bytes{0xff, 1, 2, 3, 4, 5, 6, 7}}) {
    Bytes bytes = to_bytes(entry.bytes().first(at));
    append_bytes(bytes, cut);
    const Error error = error_at(Errc::kEntryTruncated, bytes.size());
    rows.push_back({"A6 " + field + " " + to_hex(cut), std::move(bytes), error});
  }
}

void add_bad_hashes(std::vector<Refused>& rows, const std::string& field, const EntryView& entry,
                    std::size_t at) {
  const Error error = error_at(Errc::kHashFormat, at);
  for (const Bytes& prefix : {Bytes{1, 64}, Bytes{0xff, 64}, Bytes{0, 63}, Bytes{0, 65},
                              Bytes{0xf8, 0}, Bytes{0, 0xf8}, Bytes{0, 0}}) {
    rows.push_back(
        {"A9 " + field + " " + to_hex(prefix), splice(entry.bytes(), at, 2, prefix), error});
  }
}

/// Links where the format has none, and none where it has some: the fields behind them shift.
void add_shifted_links(std::vector<Refused>& rows, const EntryView& entry) {
  const auto offsets = entry.offsets();
  if (offsets.lipmaalink == 0) {
    rows.push_back({"A10/A11 a link too many",
                    splice(entry.bytes(), offsets.payload_size, 0, yamf_hash(7)),
                    error_at(Errc::kHashFormat, offsets.payload_size + 1U)});
  }
  if (offsets.backlink != 0) {
    const std::size_t at = offsets.backlink;
    rows.push_back({"A10/A11 a link missing", splice(entry.bytes(), at, kYamfHashSizeBytes, {}),
                    error_at(Errc::kHashFormat, at)});
  }
}

std::vector<Refused> refused_variants(const EntryView& entry) {
  const ByteView bytes = entry.bytes();
  const auto offsets = entry.offsets();
  std::vector<Refused> rows;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    rows.push_back({(size == 0 ? "A1" : "A2 cut ") + std::to_string(size),
                    to_bytes(bytes.first(size)), error_at(Errc::kEntryTruncated, size)});
  }
  if (bytes.size() < limits::kEntrySizeBytesMax) {
    rows.push_back(
        {"A3", splice(bytes, bytes.size(), 0, {0}), error_at(Errc::kEntryTrailing, bytes.size())});
  }
  for (int tag = 2; tag <= 0xff; ++tag) {
    rows.push_back({"A4 tag " + std::to_string(tag),
                    splice(bytes, 0, 1, {static_cast<std::uint8_t>(tag)}),
                    error_at(Errc::kEntryTag, 0)});
  }
  if (bytes.size() + 9 <= limits::kEntrySizeBytesMax) {
    add_bad_numbers(rows, "log_id", entry, offsets.log_id, to_integer(entry.log_id()));
    add_bad_numbers(rows, "seqnum", entry, offsets.seqnum, entry.seqnum());
    add_bad_numbers(rows, "payload_size", entry, offsets.payload_size, entry.payload_size());
  }
  rows.push_back({"A7", splice(bytes, offsets.seqnum, varu64::encoded_size(entry.seqnum()), {0}),
                  error_at(Errc::kSeqnumZero, offsets.seqnum)});
  if (offsets.lipmaalink != 0) add_bad_hashes(rows, "lipmaalink", entry, offsets.lipmaalink);
  if (offsets.backlink != 0) add_bad_hashes(rows, "backlink", entry, offsets.backlink);
  add_bad_hashes(rows, "payload_hash", entry, offsets.payload_hash);
  if (entry.payload_size() < 0xf8) add_shifted_links(rows, entry);
  rows.push_back(
      {"A25", splice(bytes, bytes.size(), 0, Bytes(limits::kEntrySizeBytesMax + 1 - bytes.size())),
       error_at(Errc::kEntryTooLong, limits::kEntrySizeBytesMax)});
  return rows;
}

void expect_refused(const EntryView& entry) {
  for (const Refused& row : refused_variants(entry)) {
    const auto parsed = EntryView::parse(row.bytes);
    ASSERT_FALSE(parsed) << row.id << " of entry " << entry.seqnum();
    EXPECT_EQ(parsed.error(), row.error)
        << row.id << " of entry " << entry.seqnum() << ": " << message(parsed.error());
  }
}

/// The largest entry there is: every number in nine bytes, both links.
EntryBuffer largest_entry(const SecretKey& key) {
  SeqNum n = kSeqnumMax;
  while (!has_lipmaalink(n)) --n;
  return sign_entry({.tag = Tag::kEndOfLog,
                     .log = {key.author(), LogId{~std::uint64_t{0}}},
                     .seqnum = n,
                     .lipmaalink = hash(as_bytes("l")),
                     .backlink = hash(as_bytes("b")),
                     .payload_size = ~std::uint64_t{0},
                     .payload_hash = hash(as_bytes("p"))},
                    key);
}

TEST(EntryParse, RefusesEveryBadVariantByNameAndPlace) {
  LogBuilder log("alice");
  log.append("").append_many(12).end("over");
  for (SeqNum n = 1; n <= log.head(); ++n) expect_refused(log.entry(n));
}

TEST(EntryParse, RefusesBadVariantsOfEntriesWithLongNumbers) {
  const SecretKey key = test::key_from("alice");
  expect_refused(largest_entry(key).view());

  LogBuilder log("alice", LogId{70'000});
  expect_refused(log.append(std::string(300, 'x')).entry(1));
}

TEST(EntryParse, ReadsEveryField) {
  LogBuilder log("alice", LogId{248});
  log.append_many(7).end("the last");
  const EntryView entry = log.entry(8);
  EXPECT_EQ(entry.tag(), Tag::kEndOfLog);
  EXPECT_TRUE(entry.is_end_of_log());
  EXPECT_FALSE(log.entry(7).is_end_of_log());
  EXPECT_EQ(entry.log(), log.log());
  EXPECT_EQ(entry.author(), log.key().author());
  EXPECT_EQ(entry.log_id(), LogId{248});
  EXPECT_EQ(entry.seqnum(), 8U);
  EXPECT_EQ(entry.lipmaalink(), log.hash(4));
  EXPECT_EQ(entry.backlink(), log.hash(7));
  EXPECT_EQ(entry.payload_size(), 8U);
  EXPECT_EQ(entry.payload_hash(), hash(as_bytes("the last")));
  EXPECT_EQ(entry.hash(), hash(log.bytes(8)));
}

TEST(EntryParse, TellsWhereEachFieldStarts) {
  LogBuilder log("alice", LogId{248});
  log.append_many(8);
  const auto all = log.entry(8).offsets();
  EXPECT_EQ(all.log_id, 33);
  EXPECT_EQ(all.seqnum, 35);
  EXPECT_EQ(all.lipmaalink, 36);
  EXPECT_EQ(all.backlink, 102);
  EXPECT_EQ(all.payload_size, 168);
  EXPECT_EQ(all.payload_hash, 169);
  EXPECT_EQ(all.signature, 235);
  const auto few = log.entry(1).offsets();
  EXPECT_EQ(few.lipmaalink, 0);
  EXPECT_EQ(few.backlink, 0);
  EXPECT_EQ(few.payload_size, 36);
}

TEST(EntryParse, SignatureCoversAllThatStandsBeforeIt) {
  LogBuilder log;
  log.append_many(4);
  Ed25519Verifier verifier;
  for (SeqNum n = 1; n <= 4; ++n) {
    const EntryView entry = log.entry(n);
    EXPECT_EQ(entry.signed_bytes().size() + kSignatureSizeBytes, entry.bytes().size());
    EXPECT_TRUE(verifier.verify(entry.author(), entry.signed_bytes(), entry.signature()));
    const EntryBuffer forged = log.forged(n);
    const auto checked = verifier.verify(forged.view().author(), forged.view().signed_bytes(),
                                         forged.view().signature());
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Errc::kEntrySignature);
  }
}

TEST(EntryParse, LinkToFindsEitherLinkAndNothingElse) {
  LogBuilder log;
  log.append_many(13);
  for (SeqNum n = 1; n <= log.head(); ++n) {
    for (SeqNum target = 0; target <= log.head() + 1; ++target) {
      const bool linked = n > 1 && (target == n - 1 || target == lipmaa(n));
      EXPECT_EQ(log.entry(n).link_to(target),
                linked ? std::optional(log.hash(target)) : std::nullopt)
          << n << " to " << target;
    }
  }
}

TEST(EntryParse, SmallestAndLargestEntryHaveTheSizesOfTheLimits) {
  LogBuilder log;
  EXPECT_EQ(log.append("").bytes(1).size(), limits::kEntrySizeBytesMin);
  const EntryBuffer largest = largest_entry(log.key());
  EXPECT_EQ(largest.bytes().size(), limits::kEntrySizeBytesMax);
  EXPECT_EQ(largest.view().payload_size(), ~std::uint64_t{0});
  EXPECT_EQ(to_integer(largest.view().log_id()), ~std::uint64_t{0});
}

TEST(EntryParse, TakesTheLastSeqnum) {
  const SecretKey key = test::key_from("alice");
  EntryFields fields{.tag = Tag::kEntry,
                     .log = {key.author(), LogId{}},
                     .seqnum = kSeqnumMax,
                     .lipmaalink = {},
                     .backlink = hash(as_bytes("b")),
                     .payload_size = 0,
                     .payload_hash = hash({})};
  if (has_lipmaalink(kSeqnumMax)) fields.lipmaalink = hash(as_bytes("l"));
  const EntryBuffer entry = sign_entry(fields, key);
  EXPECT_EQ(entry.view().seqnum(), kSeqnumMax);
  EXPECT_EQ(entry.view().link_to(kSeqnumMax - 1), fields.backlink);
}

TEST(EntryBuffer, KeepsItsBytesWhenTheSourceIsGone) {
  LogBuilder log;
  log.append_many(4);
  Bytes source = to_bytes(log.bytes(4));
  const EntryBuffer buffer(*EntryView::parse(source));
  std::ranges::fill(source, std::uint8_t{0xff});
  const EntryBuffer copy = buffer;
  EXPECT_TRUE(equal(copy.bytes(), log.bytes(4)));
  EXPECT_EQ(copy.view().seqnum(), 4U);
}

void expect_fields(const EntryView& entry, const nlohmann::json& fields) {
  const auto link = [](const nlohmann::json& text) {
    return text.is_null() ? std::nullopt
                          : std::optional(Hash{test::hex_as<decltype(Hash::bytes)>(text)});
  };
  EXPECT_EQ(static_cast<int>(entry.tag()), fields.at("tag").get<int>());
  EXPECT_EQ(to_hex(entry.author().bytes), fields.at("author").get<std::string>());
  EXPECT_EQ(to_integer(entry.log_id()), fields.at("log_id").get<std::uint64_t>());
  EXPECT_EQ(entry.seqnum(), fields.at("seqnum").get<std::uint64_t>());
  EXPECT_EQ(entry.lipmaalink(), link(fields.at("lipmaalink")));
  EXPECT_EQ(entry.backlink(), link(fields.at("backlink")));
  EXPECT_EQ(entry.payload_size(), fields.at("payload_size").get<std::uint64_t>());
  EXPECT_EQ(to_hex(entry.payload_hash().bytes), fields.at("payload_hash").get<std::string>());
  EXPECT_EQ(to_hex(entry.signature().bytes), fields.at("signature").get<std::string>());
}

TEST(EntryVectors, AreReadOrRefusedAsTheySay) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("entry.json"));
  ASSERT_TRUE(initialize_crypto());
  Ed25519Verifier verifier;
  for (const auto& test : vectors.at("cases")) {
    SCOPED_TRACE(test.at("id").get<std::string>());
    const Bytes bytes = test::hex(test.at("bytes"));
    const auto entry = EntryView::parse(bytes);
    const auto checked =
        entry ? verifier.verify(entry->author(), entry->signed_bytes(), entry->signature())
              : fail(entry.error());
    if (test.contains("error")) {
      ASSERT_FALSE(checked);
      EXPECT_EQ(name(checked.error().code), test.at("error").get<std::string>());
      continue;
    }
    ASSERT_TRUE(checked) << message(checked.error());
    EXPECT_EQ(to_hex(entry->hash().bytes), test.at("hash").get<std::string>());
    expect_fields(*entry, test.at("fields"));
  }
}

}  // namespace
}  // namespace culm
