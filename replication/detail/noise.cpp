#include "culm/replication/detail/noise.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "culm/core/assert.hpp"

namespace culm::replication::noise {

using sealing::Key;
using sealing::kTagSizeBytes;
using sealing::PeerKey;

enum class Handshake::Token : std::uint8_t { kE, kS, kEe, kEs, kSe, kPsk };

namespace {

constexpr std::size_t kKeySizeBytes = sizeof(Key);

Key cipher_key(const Hash& hash) {
  Key key{};
  std::copy_n(hash.bytes.begin(), key.size(), key.begin());
  return key;
}

void wipe_all(std::span<Hash> hashes) {
  for (Hash& hash : hashes) sealing::wipe(hash.bytes);
}

void emplace_cipher(std::optional<sealing::Cipher>& cipher, const Hash& hash) {
  Key key = cipher_key(hash);
  cipher.emplace(key);
  sealing::wipe(key);
}

}  // namespace

Handshake::Handshake(Role role, const sealing::KeyPair& identity, const Key& ephemeral_secret,
                     const std::optional<Key>& psk, ByteView prologue)
    : role_(role), identity_(identity), ephemeral_secret_(ephemeral_secret), psk_(psk) {
  // A name of up to 64 bytes is padded with zeros, a longer one would be hashed.
  const std::string_view name =
      psk_ ? "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b" : "Noise_XX_25519_ChaChaPoly_BLAKE2b";
  std::ranges::copy(as_bytes(name), hash_.bytes.begin());
  chaining_key_ = hash_;
  mix_hash(prologue);
}

Handshake::~Handshake() {
  sealing::wipe(ephemeral_secret_);
  if (psk_) sealing::wipe(*psk_);
  sealing::wipe(chaining_key_.bytes);
}

bool Handshake::is_my_turn() const noexcept {
  return !is_finished() && (messages_ % 2 == 0) == (role_ == Role::kInitiator);
}

std::size_t Handshake::message_size() const {
  CULM_ASSERT(!is_finished());
  constexpr std::size_t kSealedKeySizeBytes = kKeySizeBytes + kTagSizeBytes;
  if (messages_ == 0) return psk_ ? kKeySizeBytes + kTagSizeBytes : kKeySizeBytes;
  if (messages_ == 1) return kKeySizeBytes + kSealedKeySizeBytes + kTagSizeBytes;
  return kSealedKeySizeBytes + kTagSizeBytes;
}

std::span<const Handshake::Token> Handshake::tokens() const {
  static constexpr std::array<Token, 1> kFirst{Token::kE};
  static constexpr std::array<Token, 4> kSecond{Token::kE, Token::kEe, Token::kS, Token::kEs};
  static constexpr std::array<Token, 3> kThird{Token::kS, Token::kSe, Token::kPsk};
  if (messages_ == 0) return kFirst;
  if (messages_ == 1) return kSecond;
  return std::span(kThird).first(psk_ ? 3 : 2);
}

Result<void> Handshake::write(Bytes& out, ByteView payload) {
  CULM_ASSERT(is_my_turn());
  for (const Token token : tokens()) {
    if (token == Token::kE) {
      ephemeral_ = sealing::KeyPair::from_secret(ephemeral_secret_);
      append_bytes(out, ephemeral_->public_key().bytes);
      mix_ephemeral(ephemeral_->public_key());
    } else if (token == Token::kS) {
      seal_and_hash(out, identity_.public_key().bytes);
    } else if (token == Token::kPsk) {
      mix_psk();
    } else {
      CULM_CHECK(mix_agreement(token));
    }
  }
  seal_and_hash(out, payload);
  ++messages_;
  return {};
}

Result<void> Handshake::read(ByteView message, Bytes& payload) {
  CULM_ASSERT(!is_finished() && !is_my_turn());
  if (message.size() < message_size()) return fail(Errc::kHandshake);
  const std::size_t payload_size = message.size() - message_size();
  const auto take = [&message](std::size_t size) {
    const ByteView taken = message.first(size);
    message = message.subspan(size);
    return taken;
  };
  for (const Token token : tokens()) {
    if (token == Token::kE) {
      std::ranges::copy(take(kKeySizeBytes), peer_ephemeral_.emplace().bytes.begin());
      mix_ephemeral(*peer_ephemeral_);
    } else if (token == Token::kS) {
      CULM_CHECK(open_and_hash(peer_.emplace().bytes, take(kKeySizeBytes + kTagSizeBytes)));
    } else if (token == Token::kPsk) {
      mix_psk();
    } else {
      CULM_CHECK(mix_agreement(token));
    }
  }
  const std::size_t start = payload.size();
  payload.resize(start + payload_size);
  CULM_CHECK(open_and_hash(MutableByteView(payload).subspan(start), message));
  ++messages_;
  return {};
}

const Hash& Handshake::hash() const {
  CULM_ASSERT(is_finished());
  return hash_;
}

void Handshake::split(std::optional<sealing::Cipher>& sending,
                      std::optional<sealing::Cipher>& receiving) const {
  CULM_ASSERT(is_finished());
  std::array<Hash, 2> keys;
  sealing::hkdf(keys, chaining_key_, {});
  const bool is_initiator = role_ == Role::kInitiator;
  emplace_cipher(is_initiator ? sending : receiving, keys[0]);
  emplace_cipher(is_initiator ? receiving : sending, keys[1]);
  wipe_all(keys);
}

Result<void> Handshake::mix_agreement(Token token) {
  const bool is_initiator = role_ == Role::kInitiator;
  const bool mine_is_static = token == (is_initiator ? Token::kSe : Token::kEs);
  const bool theirs_is_static = token == (is_initiator ? Token::kEs : Token::kSe);
  auto shared = (mine_is_static ? identity_ : *ephemeral_)
                    .agree(theirs_is_static ? *peer_ : *peer_ephemeral_);
  if (!shared) return fail(shared.error());
  mix_key(*shared);
  sealing::wipe(*shared);
  return {};
}

void Handshake::mix_ephemeral(const PeerKey& key) {
  mix_hash(key.bytes);
  if (psk_) mix_key(key.bytes);
}

void Handshake::mix_hash(ByteView bytes) {
  Hasher hasher;
  hasher.update(hash_.bytes);
  hasher.update(bytes);
  hash_ = hasher.finish();
}

void Handshake::mix_key(ByteView input) {
  std::array<Hash, 2> outputs;
  sealing::hkdf(outputs, chaining_key_, input);
  chaining_key_ = outputs[0];
  emplace_cipher(cipher_, outputs[1]);
  wipe_all(outputs);
}

void Handshake::mix_psk() {
  std::array<Hash, 3> outputs;
  sealing::hkdf(outputs, chaining_key_, *psk_);
  chaining_key_ = outputs[0];
  mix_hash(outputs[1].bytes);
  emplace_cipher(cipher_, outputs[2]);
  wipe_all(outputs);
}

void Handshake::seal_and_hash(Bytes& out, ByteView plaintext) {
  const std::size_t start = out.size();
  if (cipher_) {
    out.resize(start + plaintext.size() + kTagSizeBytes);
    const auto sealed = cipher_->seal(MutableByteView(out).subspan(start), hash_.bytes, plaintext);
    CULM_ASSERT(sealed);
  } else {
    append_bytes(out, plaintext);
  }
  mix_hash(ByteView(out).subspan(start));
}

Result<void> Handshake::open_and_hash(MutableByteView out, ByteView sealed) {
  if (!cipher_) {
    std::ranges::copy(sealed, out.begin());
  } else if (!cipher_->open(out, hash_.bytes, sealed)) {
    return fail(Errc::kHandshake);
  }
  mix_hash(sealed);
  return {};
}

}  // namespace culm::replication::noise
