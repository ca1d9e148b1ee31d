#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "culm/core/bytes.hpp"
#include "culm/core/hash.hpp"
#include "culm/core/result.hpp"
#include "culm/core/sealing.hpp"

namespace culm::replication::noise {

enum class Role : std::uint8_t { kInitiator, kResponder };

/// One end of a Noise handshake: XX, or XXpsk3 when a pre-shared key is given, of the suite
/// 25519_ChaChaPoly_BLAKE2b (Noise revision 34). Knows nothing of framing, pinning or networks.
/// After an error the object must not be used. Secrets are wiped at the end.
/// Spec: channel.md#handshake
class Handshake {
 public:
  Handshake(Role role, const sealing::KeyPair& identity, const sealing::Key& ephemeral_secret,
            const std::optional<sealing::Key>& psk, ByteView prologue);
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;
  ~Handshake();

  [[nodiscard]] bool is_finished() const noexcept { return messages_ == 3; }
  /// Whether this end writes the next message.
  [[nodiscard]] bool is_my_turn() const noexcept;

  /// Bytes of the next message when its payload is empty. Precondition: not finished.
  [[nodiscard]] std::size_t message_size() const;

  /// Appends the next message to `out`. Fails with kHandshake when the peer's ephemeral key is of
  /// low order. Precondition: `is_my_turn()`.
  [[nodiscard]] Result<void> write(Bytes& out, ByteView payload = {});

  /// Reads the next message and appends its payload to `payload`. Fails with kHandshake.
  /// Precondition: neither finished nor my turn.
  [[nodiscard]] Result<void> read(ByteView message, Bytes& payload);

  /// The other end's identity, proven from the moment that `read` has returned with it.
  [[nodiscard]] const std::optional<sealing::PeerKey>& peer() const noexcept { return peer_; }
  [[nodiscard]] const sealing::PeerKey& own() const noexcept { return identity_.public_key(); }
  /// The handshake hash. Precondition: `is_finished()`.
  [[nodiscard]] const Hash& hash() const;

  /// Makes the two transport ciphers. Precondition: `is_finished()`.
  void split(std::optional<sealing::Cipher>& sending,
             std::optional<sealing::Cipher>& receiving) const;

 private:
  enum class Token : std::uint8_t;

  [[nodiscard]] std::span<const Token> tokens() const;
  [[nodiscard]] Result<void> mix_agreement(Token token);
  void mix_ephemeral(const sealing::PeerKey& key);
  void mix_hash(ByteView bytes);
  void mix_key(ByteView input);
  void mix_psk();
  void seal_and_hash(Bytes& out, ByteView plaintext);
  [[nodiscard]] Result<void> open_and_hash(MutableByteView out, ByteView sealed);

  Role role_;
  int messages_ = 0;
  sealing::KeyPair identity_;
  sealing::Key ephemeral_secret_;
  std::optional<sealing::Key> psk_;
  std::optional<sealing::KeyPair> ephemeral_;
  std::optional<sealing::PeerKey> peer_ephemeral_;
  std::optional<sealing::PeerKey> peer_;
  std::optional<sealing::Cipher> cipher_;
  Hash chaining_key_;
  Hash hash_;
};

}  // namespace culm::replication::noise
