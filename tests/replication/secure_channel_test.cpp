#include "culm/replication/secure_channel.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "culm/core/limits.hpp"
#include "culm/replication/detail/noise.hpp"

#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace culm::replication {
namespace {

using Options = SecureChannel::Options;
using Role = SecureChannel::Role;
using test::TestRandom;

sealing::KeyPair identity_of(std::uint8_t number) {
  return sealing::KeyPair::from_secret(sealing::Key{64, number});
}

Options initiator_options() { return {Role::kInitiator, identity_of(1)}; }
Options responder_options() { return {Role::kResponder, identity_of(2)}; }

Bytes take_output(SecureChannel& channel) {
  const ByteView output = channel.pending_output();
  Bytes taken(output.begin(), output.end());
  channel.output_sent(taken.size());
  return taken;
}

/// Two ends and the wire between them, fully determined by the seed.
struct Ends {
  explicit Ends(const Options& first = initiator_options(),
                const Options& second = responder_options(), std::uint64_t seed = 41)
      : random(seed), initiator(first, random), responder(second, random) {}

  /// Carries bytes until the wire is silent; stops at the first error.
  Result<void> pump() {
    while (!initiator.pending_output().empty() || !responder.pending_output().empty()) {
      const Bytes forth = take_output(initiator);
      append_bytes(wire_forth, forth);
      CULM_CHECK(responder.receive(forth, at_responder));
      const Bytes back = take_output(responder);
      append_bytes(wire_back, back);
      CULM_CHECK(initiator.receive(back, at_initiator));
    }
    return {};
  }

  TestRandom random;
  SecureChannel initiator;
  SecureChannel responder;
  Bytes at_initiator;
  Bytes at_responder;
  Bytes wire_forth;
  Bytes wire_back;
};

/// A whole session in both directions as it stood on the wire.
std::unique_ptr<Ends> recorded_session() {
  auto ends = std::make_unique<Ends>();
  EXPECT_TRUE(ends->pump());
  for (const char* text : {"hello", "a second, longer record", "x"}) {
    EXPECT_TRUE(ends->initiator.send(as_bytes(text)));
    EXPECT_TRUE(ends->responder.send(as_bytes(std::string("re: ") + text)));
  }
  EXPECT_TRUE(ends->pump());
  return ends;
}

struct Heard {
  Errc code{};  // 0: no error up to the end of the wire
  Bytes plaintext;

  friend bool operator==(const Heard&, const Heard&) = default;
};

/// What an end of `recorded_session` makes of `wire` in chunks of `chunk` bytes.
Heard hear(Role role, ByteView wire, std::size_t chunk) {
  Ends ends;
  SecureChannel& end = role == Role::kInitiator ? ends.initiator : ends.responder;
  Bytes plaintext;
  for (std::size_t at = 0; at < wire.size(); at += chunk) {
    const auto part = wire.subspan(at, std::min(chunk, wire.size() - at));
    const auto received = end.receive(part, plaintext);
    if (!received) return {received.error().code, plaintext};
  }
  const auto finished = end.finish();
  return {finished ? Errc{} : finished.error().code, plaintext};
}

std::string text_of(const Bytes& bytes) { return std::string(as_text(bytes)); }

TEST(SecureChannel, BothEndsKnowEachOtherAfterThreeMessages) {
  Ends ends;
  EXPECT_EQ(ends.initiator.pending_output().size(), 2U + 32U);
  EXPECT_TRUE(ends.responder.pending_output().empty());
  ASSERT_TRUE(ends.pump());
  EXPECT_TRUE(ends.initiator.established());
  EXPECT_TRUE(ends.responder.established());
  EXPECT_EQ(ends.initiator.peer(), identity_of(2).public_key());
  EXPECT_EQ(ends.responder.peer(), identity_of(1).public_key());
  EXPECT_EQ(ends.initiator.handshake_hash(), ends.responder.handshake_hash());
  EXPECT_NE(ends.initiator.handshake_hash(), Hash{});
  EXPECT_EQ(ends.wire_forth.size(), (2U + 32U) + (2U + 64U));
  EXPECT_EQ(ends.wire_back.size(), 2U + 96U);
}

TEST(SecureChannel, CarriesBytesInOrderBothWays) {
  const auto ends = recorded_session();
  EXPECT_EQ(text_of(ends->at_responder), "helloa second, longer recordx");
  EXPECT_EQ(text_of(ends->at_initiator), "re: hellore: a second, longer recordre: x");
}

TEST(SecureChannel, ShowsNeitherIdentitiesNorPlaintext) {
  const auto ends = recorded_session();
  for (const Bytes& wire : {ends->wire_forth, ends->wire_back}) {
    for (const std::uint8_t number : Bytes{1, 2}) {
      const auto key = identity_of(number).public_key().bytes;
      EXPECT_TRUE(std::search(wire.begin(), wire.end(), key.begin(), key.end()) == wire.end());
    }
    EXPECT_EQ(text_of(wire).find("hello"), std::string::npos);
  }
}

TEST(SecureChannel, EverySessionHasOtherKeys) {
  Ends one(initiator_options(), responder_options(), 1);
  Ends two(initiator_options(), responder_options(), 2);
  ASSERT_TRUE(one.pump());
  ASSERT_TRUE(two.pump());
  EXPECT_NE(one.initiator.handshake_hash(), two.initiator.handshake_hash());
  EXPECT_NE(one.wire_forth, two.wire_forth);
}

TEST(SecureChannel, EveryChunkingGivesTheSameBytes) {
  const auto ends = recorded_session();
  for (std::size_t chunk = 1; chunk <= ends->wire_forth.size(); ++chunk) {
    EXPECT_EQ(hear(Role::kResponder, ends->wire_forth, chunk), (Heard{Errc{}, ends->at_responder}))
        << chunk;
  }
  for (std::size_t chunk = 1; chunk <= ends->wire_back.size(); ++chunk) {
    EXPECT_EQ(hear(Role::kInitiator, ends->wire_back, chunk), (Heard{Errc{}, ends->at_initiator}))
        << chunk;
  }
}

/// The plaintext of the records that end at or before byte `end` of `wire`.
std::size_t plaintext_before(ByteView wire, std::size_t end, int handshake_messages) {
  std::size_t plaintext = 0;
  for (std::size_t at = 0; at < wire.size();) {
    const auto size = static_cast<std::size_t>(wire[at] << 8U | wire[at + 1]);
    at += 2 + size;
    if (at > end) break;
    if (--handshake_messages < 0) plaintext += size - sealing::kTagSizeBytes;
  }
  return plaintext;
}

void expect_every_flip_refused(Role role, Bytes wire, const Bytes& plaintext, int messages) {
  for (std::size_t at = 0; at < wire.size(); ++at) {
    SCOPED_TRACE("byte " + std::to_string(at));
    const std::size_t before = plaintext_before(wire, at, messages);
    for (const std::uint8_t mask : Bytes{0x01, 0x80}) {
      wire[at] ^= mask;
      const Heard heard = hear(role, wire, wire.size());
      EXPECT_NE(heard.code, Errc{});
      EXPECT_EQ(heard.plaintext,
                Bytes(plaintext.begin(), plaintext.begin() + static_cast<std::ptrdiff_t>(before)));
      EXPECT_EQ(hear(role, wire, 1), heard);
      wire[at] ^= mask;
    }
  }
}

TEST(SecureChannel, EveryFlippedByteIsAnErrorAndHandsNothingOn) {
  const auto ends = recorded_session();
  expect_every_flip_refused(Role::kResponder, ends->wire_forth, ends->at_responder, 2);
  expect_every_flip_refused(Role::kInitiator, ends->wire_back, ends->at_initiator, 1);
}

TEST(SecureChannel, TellsATruncatedEndAtEveryCut) {
  const auto ends = recorded_session();
  const ByteView wire = ends->wire_forth;
  std::vector<std::size_t> boundaries;
  for (std::size_t at = 0; at < wire.size();) {
    at += 2 + static_cast<std::size_t>(wire[at] << 8U | wire[at + 1]);
    boundaries.push_back(at);
  }
  ASSERT_EQ(boundaries.size(), 5U);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    Errc expected = Errc::kFrameTruncated;
    if (std::find(boundaries.begin() + 1, boundaries.end(), cut) != boundaries.end()) {
      expected = Errc{};
    } else if (cut < boundaries[1]) {
      expected = Errc::kHandshake;
    }
    EXPECT_EQ(hear(Role::kResponder, wire.first(cut), 7).code, expected) << cut;
  }
}

TEST(SecureChannel, AnotherNetworkFailsAtTheFirstTag) {
  Options other = responder_options();
  other.network_id[31] = 1;
  Ends ends(initiator_options(), other);
  EXPECT_EQ(ends.pump().error().code, Errc::kPeerNetwork);
  EXPECT_TRUE(ends.initiator.pending_output().empty());
  EXPECT_FALSE(ends.initiator.established());
  EXPECT_FALSE(ends.responder.established());
}

TEST(SecureChannel, AClosedNetworkNeedsTheSameSecretAtBothEnds) {
  Options first = initiator_options();
  Options second = responder_options();
  first.psk = sealing::Key{5};
  second.psk = sealing::Key{5};
  Ends ends(first, second);
  ASSERT_TRUE(ends.pump());
  ASSERT_TRUE(ends.initiator.send(as_bytes("in")));
  ASSERT_TRUE(ends.pump());
  EXPECT_EQ(text_of(ends.at_responder), "in");
}

TEST(SecureChannel, AWrongSecretFailsAtTheThirdMessage) {
  Options first = initiator_options();
  Options second = responder_options();
  first.psk = sealing::Key{5};
  second.psk = sealing::Key{6};
  Ends ends(first, second);
  EXPECT_EQ(ends.pump().error().code, Errc::kHandshake);
  EXPECT_FALSE(ends.responder.established());
  EXPECT_EQ(ends.responder.peer(), std::nullopt);
}

TEST(SecureChannel, ASecretAtOneEndOnlyFailsAtTheFirstMessage) {
  for (const bool at_initiator : {true, false}) {
    Options first = initiator_options();
    Options second = responder_options();
    (at_initiator ? first : second).psk = sealing::Key{5};
    Ends ends(first, second);
    Bytes plaintext;
    EXPECT_EQ(ends.responder.receive(ends.initiator.pending_output(), plaintext).error().code,
              Errc::kHandshake);
    EXPECT_TRUE(ends.responder.pending_output().empty());
  }
}

TEST(SecureChannel, APinnedInitiatorEndsBeforeItShowsItself) {
  Options pinned = initiator_options();
  pinned.expected_peer = identity_of(3).public_key();
  Ends ends(pinned);
  EXPECT_EQ(ends.pump().error().code, Errc::kPeerUnexpected);
  EXPECT_TRUE(ends.initiator.pending_output().empty());
  EXPECT_EQ(ends.wire_forth.size(), 2U + 32U);
  pinned.expected_peer = identity_of(2).public_key();
  EXPECT_TRUE(Ends(pinned).pump());
}

TEST(SecureChannel, APinnedResponderRefusesOthers) {
  Options pinned = responder_options();
  pinned.expected_peer = identity_of(3).public_key();
  Ends ends(initiator_options(), pinned);
  EXPECT_EQ(ends.pump().error().code, Errc::kPeerUnexpected);
  EXPECT_FALSE(ends.responder.established());
  EXPECT_EQ(ends.responder.peer(), std::nullopt);
}

TEST(SecureChannel, AnInitiatorRefusesItsOwnIdentity) {
  Options second = responder_options();
  second.identity = identity_of(1);
  Ends ends(initiator_options(), second);
  EXPECT_EQ(ends.pump().error().code, Errc::kPeerSelf);
  EXPECT_EQ(ends.wire_forth.size(), 2U + 32U);
}

/// A handshake by hand, to send what a `SecureChannel` would not.
noise::Handshake raw_initiator(const sealing::KeyPair& identity) {
  Bytes prologue(7 + 32);
  std::ranges::copy(as_bytes("culm/1"), prologue.begin());
  return {noise::Role::kInitiator, identity, sealing::Key{8}, std::nullopt, prologue};
}

Bytes framed(ByteView body) {
  Bytes out{static_cast<std::uint8_t>(body.size() >> 8U), static_cast<std::uint8_t>(body.size())};
  append_bytes(out, body);
  return out;
}

TEST(SecureChannel, AResponderRefusesItsOwnIdentityAndOnlyThat) {
  for (const std::uint8_t number : Bytes{2, 3}) {
    noise::Handshake initiator = raw_initiator(identity_of(number));
    Ends ends;
    Bytes message;
    Bytes payload;
    ASSERT_TRUE(initiator.write(message));
    ASSERT_TRUE(ends.responder.receive(framed(message), payload));
    ASSERT_TRUE(initiator.read(ByteView(take_output(ends.responder)).subspan(2), payload));
    message.clear();
    ASSERT_TRUE(initiator.write(message));
    const auto received = ends.responder.receive(framed(message), payload);
    EXPECT_EQ(received.has_value(), number == 3);
    if (!received) {
      EXPECT_EQ(received.error().code, Errc::kPeerSelf);
    }
  }
}

TEST(SecureChannel, RefusesAHandshakePayload) {
  noise::Handshake initiator = raw_initiator(identity_of(3));
  Bytes message;
  ASSERT_TRUE(initiator.write(message, Bytes{1}));
  Bytes plaintext;
  EXPECT_EQ(Ends().responder.receive(framed(message), plaintext).error().code, Errc::kHandshake);
}

TEST(SecureChannel, RefusesAReplayedSession) {
  const auto ends = recorded_session();
  Ends later(initiator_options(), responder_options(), 42);
  Bytes plaintext;
  EXPECT_EQ(later.responder.receive(ends->wire_forth, plaintext).error().code, Errc::kHandshake);
  EXPECT_EQ(later.initiator.receive(ends->wire_back, plaintext).error().code, Errc::kPeerNetwork);
  EXPECT_TRUE(plaintext.empty());
}

TEST(SecureChannel, RefusesRepeatedSwappedAndMissingRecords) {
  for (const std::string order : {"aa", "ba", "b"}) {
    Ends ends;
    ASSERT_TRUE(ends.pump());
    ASSERT_TRUE(ends.initiator.send(as_bytes("first")));
    const Bytes a = take_output(ends.initiator);
    ASSERT_TRUE(ends.initiator.send(as_bytes("second")));
    const Bytes b = take_output(ends.initiator);
    Bytes plaintext;
    Result<void> result;
    for (const char record : order) {
      if (result) result = ends.responder.receive(record == 'a' ? a : b, plaintext);
    }
    ASSERT_FALSE(result) << order;
    EXPECT_EQ(result.error().code, Errc::kDecrypt) << order;
    EXPECT_EQ(text_of(plaintext), order == "aa" ? "first" : "") << order;
  }
}

TEST(SecureChannel, RefusesItsOwnMessagesReflected) {
  Ends ends;
  Bytes plaintext;
  const Bytes first = take_output(ends.initiator);
  EXPECT_EQ(ends.initiator.receive(first, plaintext).error().code, Errc::kPeerForeign);

  Ends established;
  ASSERT_TRUE(established.pump());
  ASSERT_TRUE(established.initiator.send(as_bytes("mirror")));
  const Bytes record = take_output(established.initiator);
  EXPECT_EQ(established.initiator.receive(record, plaintext).error().code, Errc::kDecrypt);
  EXPECT_TRUE(plaintext.empty());
}

TEST(SecureChannel, RefusesAWrongHandshakeLengthAtTheLengthItself) {
  for (const std::size_t size : {0U, 31U, 33U, 48U, 512U, 513U, 65'535U}) {
    Ends ends;
    Bytes plaintext;
    const Bytes prefix{static_cast<std::uint8_t>(size >> 8U), static_cast<std::uint8_t>(size)};
    EXPECT_EQ(ends.responder.receive(prefix, plaintext).error().code, Errc::kHandshake) << size;
  }
}

TEST(SecureChannel, RefusesOtherProtocolsAtTheirFirstBytes) {
  for (const char* greeting : {"GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x16\x03\x01\x02"}) {
    Ends ends;
    Bytes plaintext;
    EXPECT_EQ(ends.responder.receive(as_bytes(greeting), plaintext).error().code, Errc::kHandshake);
    EXPECT_TRUE(ends.responder.pending_output().empty());
    Ends others;
    const ByteView first = as_bytes(greeting).first(1);
    EXPECT_EQ(others.responder.receive(first, plaintext).error().code, Errc::kHandshake);
    EXPECT_EQ(others.initiator.receive(first, plaintext).error().code, Errc::kPeerForeign);
  }
}

TEST(SecureChannel, RefusesEphemeralKeysOfLowOrder) {
  for (const std::uint8_t first : Bytes{0, 1}) {
    Ends ends;
    Bytes plaintext;
    Bytes point(32);
    point[0] = first;
    EXPECT_EQ(ends.responder.receive(framed(point), plaintext).error().code, Errc::kHandshake);
    EXPECT_TRUE(ends.responder.pending_output().empty());
    point.resize(96);
    EXPECT_EQ(ends.initiator.receive(framed(point), plaintext).error().code, Errc::kPeerNetwork);
    EXPECT_TRUE(ends.initiator.pending_output().empty());
  }
}

TEST(SecureChannel, AResponderWithoutRoomSaysSoWhereItIsUnderstood) {
  Ends ends;
  EXPECT_TRUE(ends.initiator.no_room().empty());
  const ByteView at_once = ends.responder.no_room();
  EXPECT_TRUE(equal(at_once, Bytes{0, 0}));
  const Bytes first = take_output(ends.initiator);
  ASSERT_TRUE(ends.responder.receive(first, ends.at_responder));
  EXPECT_TRUE(ends.responder.no_room().empty()) << "message 2 waits to be written";
  const Bytes second = take_output(ends.responder);
  const ByteView behind = ends.responder.no_room();
  EXPECT_TRUE(equal(behind, Bytes{0, 0}));
  ASSERT_TRUE(ends.initiator.receive(second, ends.at_initiator));
  EXPECT_EQ(ends.initiator.receive(behind, ends.at_initiator).error().code, Errc::kPeerFull);

  Ends full;
  EXPECT_EQ(full.initiator.receive(at_once, full.at_initiator).error().code, Errc::kPeerFull);
  Ends done;
  ASSERT_TRUE(done.pump());
  EXPECT_TRUE(done.responder.no_room().empty()) << "its peer may have heard a record";
}

TEST(SecureChannel, RefusesRecordsWithoutPlaintextAtTheirLength) {
  for (std::uint8_t size = 0; size <= sealing::kTagSizeBytes; ++size) {
    Ends ends;
    ASSERT_TRUE(ends.pump());
    Bytes plaintext;
    EXPECT_EQ(ends.responder.receive(Bytes{0, size}, plaintext).error().code, Errc::kDecrypt);
  }
}

TEST(SecureChannel, AnErrorEndsEverything) {
  Ends ends;
  ASSERT_TRUE(ends.pump());
  ASSERT_TRUE(ends.responder.send(as_bytes("never leaves")));
  ASSERT_TRUE(ends.initiator.send(as_bytes("good")));
  const Bytes good = take_output(ends.initiator);
  Bytes plaintext;
  ASSERT_EQ(ends.responder.receive(Bytes{0, 0}, plaintext).error().code, Errc::kDecrypt);
  EXPECT_FALSE(ends.responder.established());
  EXPECT_TRUE(ends.responder.pending_output().empty());
  EXPECT_EQ(ends.responder.receive(good, plaintext).error().code, Errc::kDecrypt);
  EXPECT_EQ(ends.responder.receive({}, plaintext).error().code, Errc::kDecrypt);
  EXPECT_EQ(ends.responder.send(as_bytes("x")).error().code, Errc::kDecrypt);
  EXPECT_EQ(ends.responder.finish().error().code, Errc::kDecrypt);
  EXPECT_TRUE(plaintext.empty());
}

TEST(SecureChannelDeathTest, SendingBeforeTheHandshakeIsABug) {
  Ends ends;
  EXPECT_DEATH(static_cast<void>(ends.responder.send(as_bytes("x"))), "bug: established\\(\\)");
}

TEST(SecureChannel, SendingNothingMakesNoRecord) {
  Ends ends;
  ASSERT_TRUE(ends.pump());
  ASSERT_TRUE(ends.initiator.send({}));
  EXPECT_TRUE(ends.initiator.pending_output().empty());
}

TEST(SecureChannel, CutsLongPlaintextIntoFullRecords) {
  Ends ends;
  ASSERT_TRUE(ends.pump());
  const Bytes plaintext = ends.random.bytes(3 * limits::kNoisePlaintextBytesMax + 1);
  ASSERT_TRUE(ends.initiator.send(plaintext));
  const ByteView output = ends.initiator.pending_output();
  EXPECT_EQ(output.size(), plaintext.size() + 4 * (2 + sealing::kTagSizeBytes));
  EXPECT_TRUE(equal(output.first(2), Bytes{0xff, 0xff}));
  ASSERT_TRUE(ends.pump());
  EXPECT_EQ(ends.at_responder, plaintext);
}

TEST(SecureChannel, OutputTakenInPiecesWhileMoreIsSentStaysWhole) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Ends ends(initiator_options(), responder_options(), seed);
    CULM_TRACE_SEED(ends.random);
    ASSERT_TRUE(ends.pump());
    Bytes sent;
    for (int step = 0; step < 200; ++step) {
      if (ends.random.below(2) == 0) {
        const Bytes plaintext = ends.random.bytes(ends.random.below(5000));
        append_bytes(sent, plaintext);
        ASSERT_TRUE(ends.initiator.send(plaintext));
      } else {
        const ByteView output = ends.initiator.pending_output();
        const auto size = static_cast<std::size_t>(ends.random.below(output.size() + 1));
        ASSERT_TRUE(ends.responder.receive(output.first(size), ends.at_responder));
        ends.initiator.output_sent(size);
      }
    }
    ASSERT_TRUE(ends.pump());
    EXPECT_EQ(ends.at_responder, sent);
  }
}

class FixedRandom final : public Random {
 public:
  explicit FixedRandom(Bytes bytes) : bytes_(std::move(bytes)) {}

  void fill(MutableByteView out) override {
    ASSERT_EQ(out.size(), bytes_.size());
    std::ranges::copy(bytes_, out.begin());
  }

 private:
  Bytes bytes_;
};

SecureChannel make_channel(Role role, const nlohmann::json& vector, const std::string& end) {
  Options options{
      role, sealing::KeyPair::from_secret(test::hex_as<sealing::Key>(vector.at(end + "_static")))};
  options.network_id = test::hex_as<sealing::Key>(vector.at("network_id"));
  if (vector.contains("psk")) options.psk = test::hex_as<sealing::Key>(vector.at("psk"));
  FixedRandom random(test::hex(vector.at(end + "_ephemeral")));
  return SecureChannel(options, random);
}

void expect_wire(const nlohmann::json& vector) {
  SecureChannel initiator = make_channel(Role::kInitiator, vector, "initiator");
  SecureChannel responder = make_channel(Role::kResponder, vector, "responder");
  for (const auto& step : vector.at("wire")) {
    const bool forth = step.at("from") == "initiator";
    SecureChannel& from = forth ? initiator : responder;
    SecureChannel& to = forth ? responder : initiator;
    const Bytes expected = test::hex(step.value("plaintext", nlohmann::json("")));
    if (!expected.empty()) {
      ASSERT_TRUE(from.send(expected));
    }
    const Bytes bytes = test::hex(step.at("bytes"));
    ASSERT_EQ(take_output(from), bytes);
    Bytes plaintext;
    ASSERT_TRUE(to.receive(bytes, plaintext));
    EXPECT_EQ(plaintext, expected);
  }
  EXPECT_EQ(to_hex(initiator.handshake_hash().bytes),
            vector.at("handshake_hash").get<std::string>());
}

TEST(SecureChannelVectors, EverySessionGivesItsBytes) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("channel.json"));
  for (const auto& vector : vectors.at("cases")) {
    SCOPED_TRACE(vector.at("id").get<std::string>());
    expect_wire(vector);
  }
}

TEST(SecureChannelVectors, AnInitiatorSaysWhatItKnowsOfARefusal) {
  CULM_VECTORS_OR_SKIP(vectors, test::spec_vectors("channel.json"));
  std::size_t checked = 0;
  for (const auto& refusal : vectors.at("refusals")) {
    SCOPED_TRACE(refusal.dump());
    const auto vector = std::ranges::find_if(
        vectors.at("cases"), [&](const auto& one) { return one.at("id") == refusal.at("case"); });
    ASSERT_NE(vector, vectors.at("cases").end());
    SecureChannel initiator = make_channel(Role::kInitiator, *vector, "initiator");
    Bytes plaintext;
    auto left = refusal.at("heard").get<std::size_t>();
    for (const auto& step : vector->at("wire")) {
      if (left == 0) break;
      if (step.at("from") != "responder") continue;
      ASSERT_TRUE(initiator.receive(test::hex(step.at("bytes")), plaintext));
      --left;
    }
    ASSERT_EQ(left, 0U);
    auto ended = initiator.receive(test::hex(refusal.at("bytes")), plaintext);
    if (ended) ended = initiator.finish();
    ASSERT_FALSE(ended);
    EXPECT_EQ(name(ended.error().code), refusal.at("error").get<std::string>());
    ++checked;
  }
  EXPECT_GT(checked, 10U);
}

}  // namespace
}  // namespace culm::replication
