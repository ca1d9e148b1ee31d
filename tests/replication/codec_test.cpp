#include "culm/replication/codec.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <new>
#include <set>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"

#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace {

// What `operator new` gave since it was last set to 0: how much hostile input makes us allocate.
thread_local std::size_t allocated_bytes = 0;

void* allocate(std::size_t size) {
  allocated_bytes += size;
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

namespace culm::replication {
namespace {

using nlohmann::json;

/// The parser's stack is all that may be allocated before a message is found to be well-formed.
constexpr std::size_t kParserBytesMax = 512;

Bytes encoded(const Message& message) {
  Bytes out;
  encode(out, message);
  return out;
}

/// The error of bytes that must be refused, at little cost.
std::string refusal(ByteView bytes) {
  allocated_bytes = 0;
  const auto message = decode(bytes);
  EXPECT_LE(allocated_bytes, kParserBytesMax + 8 * bytes.size());
  return message ? "accepted" : std::string(name(message.error().code));
}

std::string refusal(std::string_view hex) { return refusal(from_hex(hex).value()); }

/// The error of a ping whose nonce is these bytes.
std::string refusal_of_nonce(std::string_view hex) { return refusal("920e" + std::string(hex)); }

std::string refusal_of_agent(std::string_view agent) {
  Bytes bytes{0x93, 0x00, 0x01, static_cast<std::uint8_t>(0xa0 + agent.size())};
  append_bytes(bytes, as_bytes(agent));
  return refusal(bytes);
}

Bytes repeated(std::string_view hex, std::size_t count) {
  Bytes out;
  for (std::size_t i = 0; i < count; ++i) append_bytes(out, from_hex(hex).value());
  return out;
}

// Hostile forms.

TEST(CodecBombs, C4ToC8LengthsAreRefusedWithoutAllocation) {
  for (const std::string bomb :
       {"ddff000000", "dfffffffff", "c6ffffffff", "dbffffffff", "c9ffffffff"}) {
    for (const std::string& hex :
         {bomb, "920e" + bomb, "940cc40000" + bomb, "940cc4000091" + bomb}) {
      const Bytes bytes = from_hex(hex).value();
      allocated_bytes = 0;
      EXPECT_EQ(decode(bytes).error().code, Errc::kMsgpackLength) << hex;
      EXPECT_LE(allocated_bytes, kParserBytesMax) << hex;
    }
  }
}

TEST(CodecBombs, AnArrayThatCannotFitIsRefusedAtItsLength) {
  Bytes bytes{0xdd, 0x00, 0x00, 0x10, 0x00};
  bytes.resize(300);
  EXPECT_EQ(refusal(bytes), "msgpack_length");
  bytes[0] = 0xdf;
  EXPECT_EQ(refusal(bytes), "msgpack_length");
}

TEST(CodecBombs, AnArrayOfAllBytesThereAreIsRefusedWithoutAllocation) {
  Bytes bytes{0xdd, 0x00, 0x03, 0xff, 0xfb};  // 262,139 zeros: as many bytes as follow
  bytes.resize(limits::kMessageBytesMax);
  allocated_bytes = 0;
  EXPECT_EQ(decode(bytes).error().code, Errc::kLimit);
  EXPECT_LE(allocated_bytes, kParserBytesMax);
}

TEST(CodecBombs, C9AndC10NestingIsRefused) {
  for (const std::string_view hex : {"91", "81", "8100", "dc0001", "de0001", "dd00000001"}) {
    const Bytes bytes = repeated(hex, 10'000);
    allocated_bytes = 0;
    EXPECT_EQ(refusal(bytes), "msgpack_depth") << hex;
    EXPECT_LE(allocated_bytes, kParserBytesMax);
  }
  EXPECT_EQ(refusal("9191919100"), "msgpack_type") << "four levels are read, and not due";
  EXPECT_EQ(refusal("919191919100"), "msgpack_depth");
}

TEST(CodecTypes, C11TheReservedByteIsRefused) {
  EXPECT_EQ(refusal("c1"), "msgpack_type");
  EXPECT_EQ(refusal_of_nonce("c1"), "msgpack_type");
}

TEST(CodecTypes, C12OnlyTheShortestFormIsRead) {
  for (const std::string_view hex :
       {"cc7f", "cd0001", "cd00ff", "ce0000ffff", "cf00000000ffffffff", "d001", "d07f", "d100ff",
        "d200010000", "d30000000000000000", "d37fffffffffffffff"}) {
    EXPECT_EQ(refusal_of_nonce(hex), "msgpack_noncanonical") << hex;
  }
  for (const std::string_view hex :
       {"930001d90161", "930001da000161", "930001db0000000161", "930501c5000100",
        "930501c60000000100", "dc00020e00", "dd000000020e00", "92cc0e00"}) {
    EXPECT_EQ(refusal(hex), "msgpack_noncanonical") << hex;
  }
}

TEST(CodecTypes, C13OnlyUnsignedNumbersAreNumbers) {
  for (const std::string_view hex : {"ff",
                                     "e0",
                                     "d0df",
                                     "d180ff",
                                     "d2ffffffff",
                                     "d3ffffffffffffffff",
                                     "ca3f800000",
                                     "ca7fc00000",
                                     "cb3ff0000000000000",
                                     "cb7ff8000000000000",
                                     "c0",
                                     "c2",
                                     "c3",
                                     "d6ff00000000",
                                     "d7ff0000000000000000",
                                     "c70cff000000000000000000000000",
                                     "a0",
                                     "c400",
                                     "90",
                                     "80"}) {
    EXPECT_EQ(refusal_of_nonce(hex), "msgpack_type") << hex;
  }
}

TEST(CodecTypes, C14MapsAreNeverDue) {
  EXPECT_EQ(refusal("82000e000e"), "msgpack_type");
  EXPECT_EQ(refusal("80"), "msgpack_type");
}

TEST(CodecText, C17OnlyUtf8IsText) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {"\x80"sv, "\xc2"sv, "\xe2\x82"sv, "\xf0\x9f\x98"sv, "\xc0\xaf"sv, "\xc1\xbf"sv,
        "\xe0\x9f\xbf"sv, "\xf0\x8f\xbf\xbf"sv, "\xed\xa0\x80"sv, "\xed\xbf\xbf"sv,
        "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xff"sv, "\xc3("sv, "\xe2\x82("sv,
        "\xf0\x9f\x98("sv, "a\0b"sv, "\0"sv}) {
    EXPECT_EQ(refusal_of_agent(text), "message_utf8") << to_hex(as_bytes(text));
  }
  for (const std::string_view text :
       {""sv, "\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv, "\xed\x9f\xbf"sv,
        "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv}) {
    EXPECT_EQ(refusal_of_agent(text), "accepted") << to_hex(as_bytes(text));
  }
}

TEST(CodecForm, C18NothingFollowsTheMessage) {
  EXPECT_EQ(refusal("920e0000"), "msgpack_trailing");
  const auto message = decode(from_hex("920e0000").value());
  EXPECT_EQ(message.error(), error_at(Errc::kMsgpackTrailing, 3));
}

TEST(CodecForm, C19UnknownTypesAreRefused) {
  for (const std::string_view hex :
       {"9111", "921100", "927f00", "92cc8000", "92cfffffffffffffffff00"}) {
    EXPECT_EQ(refusal(hex), "message_type") << hex;
  }
}

TEST(CodecForm, AMessageIsNeverLargerThanItsLimit) {
  Entries entries;
  entries.want = 1;
  const Bytes unit(limits::kMessageBytesMax - 8);
  entries.unit = unit;
  Bytes bytes = encoded(entries);
  ASSERT_EQ(bytes.size(), limits::kMessageBytesMax);
  EXPECT_TRUE(decode(bytes));
  const Bytes larger(limits::kMessageBytesMax - 7);
  entries.unit = larger;
  EXPECT_EQ(refusal(encoded(entries)), "limit");
}

TEST(CodecForm, BulkIsBorrowedAndNotCopied) {
  const Bytes unit(100'000, 7);
  const Bytes bytes = encoded(Entries{1, unit});
  allocated_bytes = 0;
  const auto message = decode(bytes);
  EXPECT_LE(allocated_bytes, kParserBytesMax);
  ASSERT_TRUE(message);
  const ByteView borrowed = std::get<Entries>(*message).unit;
  EXPECT_EQ(borrowed.size(), unit.size());
  EXPECT_EQ(borrowed.data() + borrowed.size(), bytes.data() + bytes.size());
}

// The vectors.

json ranges_json(const RangeSet& set) {
  json out = json::array();
  for (const SeqRange& range : set.ranges()) out.push_back({range.first, range.last});
  return out;
}

json with_log(const LogKey& log, json out) {
  out["author"] = to_hex(log.author.bytes);
  out["log_id"] = to_integer(log.log_id);
  return out;
}

json flags_json(const std::vector<std::pair<const char*, bool>>& flags) {
  json out = json::array();
  for (const auto& [text, is_set] : flags) {
    if (is_set) out.push_back(text);
  }
  return out;
}

/// A message as the vectors write it.
struct ToJson {
  json operator()(const Hello& m) const {
    return {{"type", "hello"}, {"version", m.version}, {"agent", m.agent}};
  }
  json operator()(const Offer& m) const {
    return with_log(m.log, {{"type", "offer"}, {"head", m.head}});
  }
  json operator()(const Have& m) const {
    return with_log(m.log, {{"type", "have"},
                            {"head", m.head},
                            {"head_hash", to_hex(m.head_hash.bytes)},
                            {"held", ranges_json(m.held)},
                            {"payloads", ranges_json(m.payloads)}});
  }
  json operator()(const Want& m) const {
    return with_log(m.log, {{"type", "want"},
                            {"id", m.id},
                            {"ranges", ranges_json(m.interest.ranges)},
                            {"newest", m.interest.newest},
                            {"flags", flags_json({{"entries", m.entries},
                                                  {"payloads", m.payloads},
                                                  {"live", m.live},
                                                  {"full", m.full},
                                                  {"quote_only", m.quote_only}})},
                            {"order", static_cast<int>(m.order)},
                            {"payload_size_min", m.payload_size_min},
                            {"payload_size_max", m.payload_size_max},
                            {"budget_bytes", m.budget_bytes},
                            {"held", ranges_json(m.held)},
                            {"payloads_held", ranges_json(m.payloads_held)},
                            {"payloads_excepted", ranges_json(m.payloads_excepted)},
                            {"resume_seqnum", m.resume_seqnum},
                            {"resume_offset", m.resume_offset}});
  }
  json operator()(const Quote& m) const {
    return {{"type", "quote"},
            {"want", m.want},
            {"entries", m.entries},
            {"certificate_entries", m.certificate_entries},
            {"payload_bytes", m.payload_bytes},
            {"wire_bytes", m.wire_bytes},
            {"flags", flags_json({{"exact", m.exact}})}};
  }
  json operator()(const Entries& m) const {
    return {{"type", "entries"}, {"want", m.want}, {"unit", to_hex(m.unit)}};
  }
  json operator()(const Payload& m) const {
    return {{"type", "payload"},
            {"want", m.want},
            {"seqnum", m.seqnum},
            {"offset", m.offset},
            {"flags", flags_json({{"last", m.last}})},
            {"bytes", to_hex(m.bytes)}};
  }
  json operator()(const Ready& m) const { return {{"type", "ready"}, {"want", m.want}}; }
  json operator()(const Done& m) const {
    return {{"type", "done"}, {"want", m.want}, {"reason", static_cast<int>(m.reason)}};
  }
  json operator()(const Cancel& m) const { return {{"type", "cancel"}, {"want", m.want}}; }
  json operator()(const Credit& m) const { return {{"type", "credit"}, {"bytes", m.bytes}}; }
  json operator()(const Compare& m) const {
    return with_log(m.log, {{"type", "compare"},
                            {"seqnum", m.seqnum},
                            {"flags", flags_json({{"answer", m.answer}})},
                            {"hash", m.hash ? json(to_hex(m.hash->bytes)) : json()},
                            {"entry", to_hex(m.entry)}});
  }
  json operator()(const DefectFound& m) const {
    json entries = json::array();
    for (const Bytes& entry : m.evidence.entries) entries.push_back(to_hex(entry));
    return with_log(m.log, {{"type", "defect"}, {"evidence", entries}});
  }
  json operator()(const Deny& m) const {
    return with_log(m.log,
                    {{"type", "deny"}, {"want", m.want}, {"reason", static_cast<int>(m.reason)}});
  }
  json operator()(const Ping& m) const { return {{"type", "ping"}, {"nonce", m.nonce}}; }
  json operator()(const Pong& m) const { return {{"type", "pong"}, {"nonce", m.nonce}}; }
  json operator()(const Bye& m) const {
    return {{"type", "bye"}, {"code", m.code}, {"text", m.text}};
  }
};

TEST(CodecVectors, DecodeToTheirMessageAndBackOrAreRefused) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("messages.json"));
  std::set<std::size_t> types;
  for (const json& one : vectors.at("cases")) {
    SCOPED_TRACE(one.at("id").get<std::string>());
    const Bytes bytes = test::hex(one.at("bytes"));
    if (one.contains("error")) {
      EXPECT_EQ(refusal(bytes), one.at("error").get<std::string>());
      continue;
    }
    const auto message = decode(bytes);
    ASSERT_TRUE(message) << name(message.error().code);
    EXPECT_EQ(std::visit(ToJson(), *message), one.at("message"));
    EXPECT_EQ(encoded(*message), bytes);
    types.insert(message->index());
  }
  EXPECT_EQ(types.size(), std::variant_size_v<Message>);
}

TEST(CodecVectors, ReachEveryErrorOfTheCodec) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("messages.json"));
  std::set<std::string> reached;
  for (const json& one : vectors.at("cases")) {
    if (one.contains("error")) reached.insert(refusal(test::hex(one.at("bytes"))));
  }
  std::set<std::string> listed;
  for (const Errc code :
       {Errc::kMsgpackLength, Errc::kMsgpackDepth, Errc::kMsgpackType, Errc::kMsgpackNoncanonical,
        Errc::kMsgpackTrailing, Errc::kMessageType, Errc::kMessageSchema, Errc::kMessageUtf8,
        Errc::kVarU64Truncated, Errc::kVarU64Noncanonical, Errc::kRange, Errc::kRangesTooMany,
        Errc::kLimit}) {
    listed.insert(std::string(name(code)));
  }
  EXPECT_EQ(reached, listed);
}

// Random messages.

std::uint64_t number(test::TestRandom& random) { return random.next() >> random.below(64); }

WantId id(test::TestRandom& random) { return static_cast<WantId>(number(random) >> 32U) | 1U; }

LogKey log(test::TestRandom& random) {
  LogKey out;
  random.fill(out.author.bytes);
  out.log_id = LogId{number(random)};
  return out;
}

Hash digest(test::TestRandom& random) {
  Hash out;
  random.fill(out.bytes);
  return out;
}

RangeSet ranges(test::TestRandom& random) {
  RangeSet out;
  for (std::uint64_t n = random.below(5); n > 0; --n) {
    const SeqNum first = std::max<SeqNum>(1, number(random));
    out.insert(SeqRange{first, first + std::min(number(random), kSeqnumMax - first)});
  }
  return out;
}

Want random_want(test::TestRandom& random) {
  const auto flag = [&] { return random.below(2) != 0; };
  Want want;
  want.id = id(random);
  want.log = log(random);
  want.interest = {ranges(random), number(random)};
  want.entries = flag();
  want.payloads = flag();
  want.live = flag();
  want.full = flag();
  want.quote_only = flag();
  want.order = flag() ? Order::kAscending : Order::kNewestFirst;
  want.payload_size_min = number(random);
  want.payload_size_max = number(random) % (limits::kPayloadSizeBytesMax + 1);
  want.budget_bytes = number(random);
  want.held = ranges(random);
  want.payloads_held = ranges(random);
  want.payloads_excepted = ranges(random);
  if (flag()) {
    want.resume_seqnum = number(random) | 1U;
    want.resume_offset = random.between(1, 80'000) * limits::kPayloadChunkBytes;
  }
  return want;
}

/// A message of the type, which borrows from `bulk`.
Message random_message(std::size_t type, test::TestRandom& random, ByteView bulk) {
  const auto flag = [&] { return random.below(2) != 0; };
  switch (type) {
    case Hello::kType:
      return Hello{static_cast<std::uint32_t>(number(random)), std::string(random.below(257), 'a')};
    case Offer::kType:
      return Offer{log(random), number(random)};
    case Have::kType:
      return Have{log(random), number(random) | 1U, digest(random), ranges(random), ranges(random)};
    case Want::kType:
      return random_want(random);
    case Quote::kType:
      return Quote{id(random),     number(random), number(random),
                   number(random), number(random), flag()};
    case Entries::kType:
      return Entries{id(random), bulk};
    case Payload::kType: {
      Payload payload{id(random), number(random) | 1U, 0, true, bulk};
      payload.offset = random.below(80'000) * limits::kPayloadChunkBytes;
      if (bulk.empty()) payload.offset = 0;
      return payload;
    }
    case Ready::kType:
      return Ready{id(random)};
    case Done::kType:
      return Done{id(random), static_cast<DoneReason>(random.below(4))};
    case Cancel::kType:
      return Cancel{id(random)};
    case Credit::kType:
      return Credit{number(random)};
    case Compare::kType: {
      Compare compare{log(random), number(random) | 1U, flag(), std::nullopt, {}};
      if (flag() || !compare.answer) compare.hash = digest(random);
      if (compare.answer && compare.hash && flag()) compare.entry = random.bytes(random.below(323));
      return compare;
    }
    case DefectFound::kType: {
      DefectFound defect{log(random), {}};
      for (std::uint64_t n = random.between(1, 4); n > 0; --n) {
        defect.evidence.entries.push_back(random.bytes(random.below(40)));
      }
      return defect;
    }
    case Deny::kType:
      return Deny{log(random), id(random) & 1U, static_cast<DenyReason>(random.below(256))};
    case Ping::kType:
      return Ping{number(random)};
    case Pong::kType:
      return Pong{number(random)};
    default:
      return Bye{static_cast<std::uint16_t>(number(random)), std::string(random.below(40), 'b')};
  }
}

/// Accepted bytes are those that the message encodes to.
void expect_only_form(ByteView bytes) {
  allocated_bytes = 0;
  const auto message = decode(bytes);
  EXPECT_LE(allocated_bytes, kParserBytesMax + 16 * bytes.size());
  if (message) {
    EXPECT_TRUE(equal(encoded(*message), bytes)) << to_hex(bytes);
  }
}

TEST(CodecProperty, MessagesRoundTripAndNothingElseIsTakenForThem) {
  test::TestRandom random(20'231'123);
  CULM_TRACE_SEED(random);
  for (std::size_t round = 0; round < 6 * std::variant_size_v<Message>; ++round) {
    const std::size_t type = round % std::variant_size_v<Message>;
    SCOPED_TRACE("type " + std::to_string(type));
    const Bytes bulk = random.bytes(random.below(100));
    const Message original = random_message(type, random, bulk);
    ASSERT_EQ(original.index(), type);
    Bytes bytes = encoded(original);

    const auto message = decode(bytes);
    ASSERT_TRUE(message) << name(message.error().code) << " " << to_hex(bytes);
    EXPECT_EQ(std::visit(ToJson(), *message), std::visit(ToJson(), original));
    EXPECT_EQ(encoded(*message), bytes);

    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(refusal(ByteView(bytes).first(size)), "msgpack_length") << size;
    }
    for (std::uint8_t& byte : bytes) {
      const std::uint8_t kept = byte;
      for (unsigned bit = 0; bit < 8; ++bit) {
        byte = static_cast<std::uint8_t>(kept ^ (1U << bit));
        expect_only_form(bytes);
      }
      byte = static_cast<std::uint8_t>(random.next());
      expect_only_form(bytes);
      byte = kept;
    }
  }
}

TEST(CodecProperty, RandomBytesBehindAGoodBeginningAreHarmless) {
  test::TestRandom random(20'231'124);
  CULM_TRACE_SEED(random);
  for (int round = 0; round < 20'000; ++round) {
    Bytes bytes = random.bytes(random.between(2, 60));
    bytes[0] = static_cast<std::uint8_t>(0x90 + random.below(16));
    bytes[1] = static_cast<std::uint8_t>(random.below(18));
    expect_only_form(bytes);
  }
}

TEST(CodecDeath, EncodingBeyondALimitIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Hello hello;
  hello.agent.assign(limits::kTextBytesMax + 1, 'a');
  Bytes out;
  EXPECT_DEATH(encode(out, hello), "kTextBytesMax");
  EXPECT_DEATH(encode(out, Ready{}), "condition");
}

}  // namespace
}  // namespace culm::replication
