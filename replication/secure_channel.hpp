#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "culm/core/bytes.hpp"
#include "culm/core/hash.hpp"
#include "culm/core/random.hpp"
#include "culm/core/result.hpp"
#include "culm/core/sealing.hpp"

namespace culm::replication {

namespace noise {
class Handshake;
}

/// One end of an encrypted, mutually authenticated stream: wire bytes in, plaintext out, and back.
/// Noise XX, or XXpsk3 in a closed network. No socket, clock or thread in it; not thread-safe.
/// The first error ends the channel: every later call returns the same error, and output that was
/// not yet taken is dropped, so that nothing more leaves. Spec: channel.md#channel
class SecureChannel {
 public:
  enum class Role : std::uint8_t { kInitiator, kResponder };

  struct Options {
    Role role{};
    sealing::KeyPair identity;
    /// Ends of different networks never complete a handshake.
    std::array<std::uint8_t, 32> network_id{};
    /// The secret of a closed network, known to both ends. An initiator is `established` before
    /// the responder has proven that it knows it; the first received record is the proof.
    std::optional<sealing::Key> psk{};
    /// Fails with kPeerUnexpected when another peer answers. An initiator then ends before it has
    /// shown its own identity.
    std::optional<sealing::PeerKey> expected_peer{};
  };

  /// Draws the ephemeral secret from `random`, which is not kept. An initiator has output at once;
  /// a responder does no curve operation until the first message has come.
  SecureChannel(const Options& options, Random& random);
  SecureChannel(const SecureChannel&) = delete;
  SecureChannel& operator=(const SecureChannel&) = delete;
  ~SecureChannel();

  /// Takes all of `wire`, which may begin and end anywhere, and appends the plaintext of each
  /// complete record to `plaintext`. Fails until established, a responder with kHandshake, an
  /// initiator with what it knows: kPeerFull, kPeerForeign, kPeerNetwork; either with kPeerSelf or
  /// kPeerUnexpected. Afterwards with kDecrypt; `plaintext` then holds what the records before the
  /// bad one carried, and nothing of that one.
  [[nodiscard]] Result<void> receive(ByteView wire, Bytes& plaintext);

  /// Says that the wire has ended. Fails with kHandshake, at an initiator with kPeerHungUp, when it
  /// did so before the channel was established; at an initiator with kPeerRefused before the first
  /// record; with kFrameTruncated inside a record. A success is not yet a clean end of the session:
  /// whether records were cut off only a farewell within the plaintext tells.
  [[nodiscard]] Result<void> finish();

  /// Encrypts `plaintext` into the output: at least one record for each call (unless empty), so
  /// many small messages belong into one call. Fails with kLimit when the key is used up, after
  /// 2^48 records. Precondition: `established()`, or an error was returned.
  [[nodiscard]] Result<void> send(ByteView plaintext);

  /// Bytes for the wire. Valid until the next non-const call.
  [[nodiscard]] ByteView pending_output() const noexcept;

  /// What a responder that has no room sends instead of its next message before it hangs up;
  /// nothing where it would not be understood. Valid for ever. Spec: channel.md#no-room
  [[nodiscard]] ByteView no_room() const noexcept;

  /// Bytes of a record that has begun to come.
  [[nodiscard]] std::size_t input_held() const noexcept { return partial_.size(); }
  /// What these are in, and whatever was before them.
  [[nodiscard]] std::size_t input_memory() const noexcept { return partial_.capacity(); }
  /// Gives back memory of input that holds nothing.
  void trim_input();
  /// Forgets the record that has begun, whose end is not for anybody any more.
  void drop_input();

  /// What the output is in.
  [[nodiscard]] std::size_t output_memory() const noexcept { return output_.capacity(); }

  /// Drops the first `bytes` of the output. Precondition: `bytes <= pending_output().size()`.
  void output_sent(std::size_t bytes);

  /// Whether the handshake is complete and no error has ended the channel.
  [[nodiscard]] bool established() const noexcept { return sending_.has_value() && !error_; }

  /// The other end's identity, once `established`.
  [[nodiscard]] const std::optional<sealing::PeerKey>& peer() const noexcept { return peer_; }

  /// Names this connection, equal at both ends; for binding other proofs to it.
  /// Zero until `established`.
  [[nodiscard]] const Hash& handshake_hash() const noexcept { return handshake_hash_; }

 private:
  [[nodiscard]] Result<void> receive_all(ByteView wire, Bytes& plaintext);
  [[nodiscard]] Result<std::optional<ByteView>> next_body(ByteView& wire);
  [[nodiscard]] Result<std::size_t> body_size(ByteView prefix) const;
  [[nodiscard]] Result<void> advance_handshake(ByteView message);
  [[nodiscard]] Result<void> check_peer() const;
  [[nodiscard]] Result<void> write_handshake();
  [[nodiscard]] Result<void> open_record(ByteView sealed, Bytes& plaintext);
  void give_back_memory();
  tl::unexpected<Error> end(Error error);

  std::unique_ptr<noise::Handshake> handshake_;  // none once established
  bool is_initiator_;
  bool has_heard_ = false;  ///< a record
  std::optional<sealing::PeerKey> expected_peer_;
  std::optional<sealing::PeerKey> peer_;
  Hash handshake_hash_;
  std::optional<sealing::Cipher> sending_;
  std::optional<sealing::Cipher> receiving_;
  std::optional<Error> error_;
  Bytes partial_;  // the begun record, with its prefix
  Bytes output_;
  std::size_t output_start_ = 0;
};

}  // namespace culm::replication
