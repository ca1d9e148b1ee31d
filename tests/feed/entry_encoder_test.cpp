#include "culm/feed/entry_encoder.hpp"

#include <gtest/gtest.h>

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace culm {
namespace {

using test::LogBuilder;
using test::TestRandom;

Bytes encode(const EntryFields& fields, const Signature& signature) {
  Bytes out(limits::kEntrySizeBytesMax);
  out.resize(encode_entry(out, fields, signature).size());
  return out;
}

Bytes reencode(const EntryView& entry) { return encode(test::fields_of(entry), entry.signature()); }

std::uint64_t random_number(TestRandom& random) { return random.next() >> random.below(64); }

EntryFields random_fields(TestRandom& random, const Author& author) {
  EntryFields fields;
  fields.tag = random.below(2) == 0 ? Tag::kEntry : Tag::kEndOfLog;
  fields.log = {author, LogId{random_number(random)}};
  fields.seqnum = std::max<SeqNum>(1, random_number(random));
  const auto random_hash = [&] { return hash(random.bytes(8)); };
  if (has_lipmaalink(fields.seqnum)) fields.lipmaalink = random_hash();
  if (fields.seqnum > 1) fields.backlink = random_hash();
  fields.payload_size = random_number(random);
  fields.payload_hash = random_hash();
  return fields;
}

TEST(EntryEncoder, WhatIsEncodedIsReadBack) {
  TestRandom random(11);
  CULM_TRACE_SEED(random);
  const SecretKey key = test::key_from("alice");
  for (int i = 0; i < 2000; ++i) {
    const EntryFields fields = random_fields(random, key.author());
    Signature signature;
    random.fill(signature.bytes);
    const Bytes bytes = encode(fields, signature);
    const auto entry = EntryView::parse(bytes);
    ASSERT_TRUE(entry) << message(entry.error());
    EXPECT_EQ(entry->tag(), fields.tag);
    EXPECT_EQ(entry->log(), fields.log);
    EXPECT_EQ(entry->seqnum(), fields.seqnum);
    EXPECT_EQ(entry->lipmaalink(), fields.lipmaalink);
    EXPECT_EQ(entry->backlink(), fields.backlink);
    EXPECT_EQ(entry->payload_size(), fields.payload_size);
    EXPECT_EQ(entry->payload_hash(), fields.payload_hash);
    EXPECT_EQ(entry->signature(), signature);
  }
}

TEST(EntryEncoder, WhateverParsesHasNoOtherEncoding) {
  TestRandom random(12);
  CULM_TRACE_SEED(random);
  const SecretKey key = test::key_from("alice");
  int parsed = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = encode(random_fields(random, key.author()), {});
    for (auto flips = random.below(3); flips > 0; --flips) {
      bytes[random.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << random.below(8));
    }
    const auto entry = EntryView::parse(bytes);
    if (!entry) continue;
    ++parsed;
    EXPECT_EQ(reencode(*entry), bytes);
  }
  EXPECT_GT(parsed, 10'000);
}

TEST(EntryEncoder, SigningIsDeterministicAndVerifies) {
  TestRandom random(13);
  CULM_TRACE_SEED(random);
  const SecretKey key = test::key_from("alice");
  Ed25519Verifier verifier;
  for (int i = 0; i < 50; ++i) {
    const EntryFields fields = random_fields(random, key.author());
    const EntryBuffer entry = sign_entry(fields, key);
    EXPECT_TRUE(equal(entry.bytes(), sign_entry(fields, key).bytes()));
    EXPECT_TRUE(
        verifier.verify(key.author(), entry.view().signed_bytes(), entry.view().signature()));
  }
}

TEST(EntryEncoderDeathTest, LinksThatTheFormatHasNotAreABug) {
  LogBuilder log;
  log.append_many(4);
  const auto encode_changed = [&](SeqNum n, auto change) {
    EntryFields fields = log.fields(n);
    change(fields);
    static_cast<void>(encode(fields, {}));
  };
  EXPECT_DEATH(encode_changed(1, [](EntryFields& f) { f.backlink = Hash{}; }), "bug: .*backlink");
  EXPECT_DEATH(encode_changed(2, [](EntryFields& f) { f.backlink.reset(); }), "bug: .*backlink");
  EXPECT_DEATH(encode_changed(3, [](EntryFields& f) { f.lipmaalink = Hash{}; }), "bug: .*lipmaa");
  EXPECT_DEATH(encode_changed(4, [](EntryFields& f) { f.lipmaalink.reset(); }), "bug: .*lipmaa");
  EXPECT_DEATH(encode_changed(4, [](EntryFields& f) { f.seqnum = 0; }), "bug: .*seqnum");
}

TEST(EntryEncoderDeathTest, SigningForAnotherAuthorIsABug) {
  LogBuilder log("alice");
  log.append("x");
  EXPECT_DEATH(static_cast<void>(sign_entry(log.fields(1), test::key_from("bob"))), "bug: ");
}

TEST(EntryEncoder, ResigningTheVectorsGivesTheSameEntries) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("entry.json"));
  int signed_again = 0;
  for (const auto& test : vectors.at("cases")) {
    if (test.contains("error") || !test.contains("seed")) continue;
    SCOPED_TRACE(test.at("id").get<std::string>());
    const auto key = SecretKey::from_seed(test::hex(test.at("seed")));
    ASSERT_TRUE(key);
    const Bytes bytes = test::hex(test.at("bytes"));
    const auto entry = EntryView::parse(bytes);
    ASSERT_TRUE(entry);
    EXPECT_EQ(reencode(*entry), bytes);
    EXPECT_TRUE(equal(sign_entry(test::fields_of(*entry), *key).bytes(), bytes));
    ++signed_again;
  }
  EXPECT_GT(signed_again, 10);
}

/// One entry made by bamboo-rs.
void expect_interoperable(const nlohmann::json& test, const SecretKey& key) {
  const Bytes bytes = test::hex(test.at("encoded"));
  const auto entry = EntryView::parse(bytes);
  ASSERT_TRUE(entry) << message(entry.error());
  const auto& decoded = test.at("decoded");
  EXPECT_EQ(to_hex(entry->author().bytes), decoded.at("author").get<std::string>());
  EXPECT_EQ(to_integer(entry->log_id()), decoded.at("logId").get<std::uint64_t>());
  EXPECT_EQ(entry->seqnum(), decoded.at("seqNum").get<std::uint64_t>());
  EXPECT_EQ(entry->is_end_of_log(), decoded.at("isEndOfFeed").get<bool>());
  EXPECT_EQ(entry->payload_size(), decoded.at("payloadSize").get<std::uint64_t>());
  EXPECT_EQ(entry->backlink().has_value(), !decoded.at("backlink").is_null());
  EXPECT_EQ(entry->lipmaalink().has_value(), !decoded.at("lipmaaLink").is_null());
  if (test.contains("payload")) {
    EXPECT_EQ(entry->payload_hash(), hash(test::hex(test.at("payload"))));
  }

  Ed25519Verifier verifier;
  EXPECT_TRUE(verifier.verify(entry->author(), entry->signed_bytes(), entry->signature()));
  EXPECT_EQ(reencode(*entry), bytes);
  EXPECT_TRUE(equal(sign_entry(test::fields_of(*entry), key).bytes(), bytes));
}

TEST(EntryEncoder, BambooRsEntriesAreOurs) {
  CULM_VECTORS_OR_SKIP(vectors, test::shared_vectors("bamboo-rs/test_vectors.json"));
  ASSERT_TRUE(initialize_crypto());
  int entries = 0;
  for (const auto& [id, group] : vectors.items()) {
    SCOPED_TRACE(id);
    const auto key = SecretKey::from_seed(test::hex(group.at("author").at("secret")));
    ASSERT_TRUE(key);
    const auto list =
        group.contains("entries") ? group.at("entries") : nlohmann::json::array({group});
    for (const auto& test : list) {
      SCOPED_TRACE(test.at("decoded").at("seqNum").dump());
      expect_interoperable(test, *key);
      ++entries;
    }
  }
  EXPECT_EQ(entries, 15);
}

}  // namespace
}  // namespace culm
