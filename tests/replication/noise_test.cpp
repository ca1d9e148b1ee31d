#include "culm/replication/detail/noise.hpp"

#include <gtest/gtest.h>

#include "tests/support/vectors.hpp"

namespace culm::replication::noise {
namespace {

sealing::Key key(const nlohmann::json& text) { return test::hex_as<sealing::Key>(text); }

/// One end as a vector describes it; `end` is "init" or "resp".
struct End {
  End(Role role, const nlohmann::json& vector, const std::string& end)
      : handshake(role, sealing::KeyPair::from_secret(key(vector.at(end + "_static"))),
                  key(vector.at(end + "_ephemeral")), psk(vector, end),
                  test::hex(vector.at(end + "_prologue"))) {}

  static std::optional<sealing::Key> psk(const nlohmann::json& vector, const std::string& end) {
    const auto psks = vector.value(end + "_psks", nlohmann::json::array());
    if (psks.empty()) return std::nullopt;
    return key(psks.at(0));
  }

  Handshake handshake;
  std::optional<sealing::Cipher> sending;
  std::optional<sealing::Cipher> receiving;
};

void expect_handshake_message(End& from, End& to, const Bytes& payload, const Bytes& ciphertext) {
  EXPECT_TRUE(from.handshake.is_my_turn());
  EXPECT_EQ(from.handshake.message_size() + payload.size(), ciphertext.size());
  Bytes written;
  ASSERT_TRUE(from.handshake.write(written, payload));
  EXPECT_EQ(written, ciphertext);
  Bytes read;
  ASSERT_TRUE(to.handshake.read(written, read));
  EXPECT_EQ(read, payload);
}

void expect_transport_message(End& from, End& to, const Bytes& payload, const Bytes& ciphertext) {
  Bytes sealed(payload.size() + sealing::kTagSizeBytes);
  ASSERT_TRUE(from.sending->seal(sealed, {}, payload));
  EXPECT_EQ(sealed, ciphertext);
  Bytes opened(payload.size());
  ASSERT_TRUE(to.receiving->open(opened, {}, sealed));
  EXPECT_EQ(opened, payload);
}

void expect_vector(const nlohmann::json& vector) {
  End initiator(Role::kInitiator, vector, "init");
  End responder(Role::kResponder, vector, "resp");
  const auto& messages = vector.at("messages");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    SCOPED_TRACE("message " + std::to_string(i));
    const Bytes payload = test::hex(messages.at(i).at("payload"));
    const Bytes ciphertext = test::hex(messages.at(i).at("ciphertext"));
    End& from = i % 2 == 0 ? initiator : responder;
    End& to = i % 2 == 0 ? responder : initiator;
    if (i < 3) {
      ASSERT_NO_FATAL_FAILURE(expect_handshake_message(from, to, payload, ciphertext));
      continue;
    }
    if (i == 3) {
      initiator.handshake.split(initiator.sending, initiator.receiving);
      responder.handshake.split(responder.sending, responder.receiving);
    }
    ASSERT_NO_FATAL_FAILURE(expect_transport_message(from, to, payload, ciphertext));
  }
  ASSERT_TRUE(initiator.handshake.is_finished());
  EXPECT_EQ(initiator.handshake.hash(), responder.handshake.hash());
  EXPECT_EQ(initiator.handshake.peer(), responder.handshake.own());
  EXPECT_EQ(responder.handshake.peer(), initiator.handshake.own());
  if (vector.contains("handshake_hash")) {
    EXPECT_EQ(to_hex(initiator.handshake.hash().bytes),
              vector.at("handshake_hash").get<std::string>());
  }
}

TEST(NoiseVectors, EveryXxAndXxpsk3VectorGivesItsBytes) {
  CULM_VECTORS_OR_SKIP(vectors, test::shared_vectors("noise.json"));
  int checked = 0;
  for (const auto& vector : vectors.at("vectors")) {
    const std::string protocol = vector.at("protocol_name");
    if (protocol.find("_XX") == std::string::npos) continue;
    SCOPED_TRACE(protocol + " of " + vector.at("source").get<std::string>());
    expect_vector(vector);
    ++checked;
  }
  EXPECT_EQ(checked, 3);
}

TEST(NoiseHandshake, RefusesAMessageThatIsTooShort) {
  const auto identity = sealing::KeyPair::from_secret(sealing::Key{1});
  for (std::size_t size = 0; size < 32; ++size) {
    Handshake responder(Role::kResponder, identity, sealing::Key{2}, std::nullopt, {});
    Bytes payload;
    EXPECT_EQ(responder.read(Bytes(size, 9), payload).error().code, Errc::kHandshake) << size;
  }
}

}  // namespace
}  // namespace culm::replication::noise
