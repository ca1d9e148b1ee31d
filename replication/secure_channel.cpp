#include "culm/replication/secure_channel.hpp"

#include <algorithm>
#include <string_view>

#include "culm/core/assert.hpp"
#include "culm/core/limits.hpp"
#include "culm/replication/detail/buffer.hpp"
#include "culm/replication/detail/noise.hpp"

namespace culm::replication {
namespace {

constexpr std::size_t kPrefixSizeBytes = 2;
/// A length that no unit has.
constexpr std::array<std::uint8_t, kPrefixSizeBytes> kNoRoom{};
/// Smaller memory is not worth a copy.
constexpr std::size_t kOutputBytesKept = 64 * 1024;

std::array<std::uint8_t, kPrefixSizeBytes> encode_prefix(std::size_t size) {
  return {static_cast<std::uint8_t>(size >> 8U), static_cast<std::uint8_t>(size)};
}

Bytes prologue(const std::array<std::uint8_t, 32>& network_id) {
  constexpr std::string_view kProtocol("culm/1\0", 7);
  Bytes out;
  append_bytes(out, as_bytes(kProtocol));
  append_bytes(out, network_id);
  return out;
}

std::unique_ptr<noise::Handshake> make_handshake(const SecureChannel::Options& options,
                                                 Random& random) {
  sealing::Key ephemeral{};
  random.fill(ephemeral);
  auto handshake = std::make_unique<noise::Handshake>(
      options.role == SecureChannel::Role::kInitiator ? noise::Role::kInitiator
                                                      : noise::Role::kResponder,
      options.identity, ephemeral, options.psk, prologue(options.network_id));
  sealing::wipe(ephemeral);
  return handshake;
}

}  // namespace

SecureChannel::SecureChannel(const Options& options, Random& random)
    : handshake_(make_handshake(options, random)),
      is_initiator_(options.role == Role::kInitiator),
      expected_peer_(options.expected_peer) {
  if (handshake_->is_my_turn()) {
    const auto written = write_handshake();
    CULM_ASSERT(written);
  }
}

SecureChannel::~SecureChannel() = default;

Result<void> SecureChannel::receive(ByteView wire, Bytes& plaintext) {
  if (error_) return fail(*error_);
  if (auto received = receive_all(wire, plaintext); !received) return end(received.error());
  return {};
}

Result<void> SecureChannel::receive_all(ByteView wire, Bytes& plaintext) {
  while (!wire.empty()) {
    CULM_TRY(const auto body, next_body(wire));
    if (!body) return {};
    CULM_CHECK(handshake_ ? advance_handshake(*body) : open_record(*body, plaintext));
    recycle(partial_);
  }
  return {};
}

Result<std::optional<ByteView>> SecureChannel::next_body(ByteView& wire) {
  if (partial_.empty() && wire.size() >= kPrefixSizeBytes) {
    CULM_TRY(const std::size_t size, body_size(wire));
    if (wire.size() - kPrefixSizeBytes >= size) {
      const ByteView body = wire.subspan(kPrefixSizeBytes, size);
      wire = wire.subspan(kPrefixSizeBytes + size);
      return body;
    }
  }
  const auto fill = [&](std::size_t size) {
    const std::size_t count = std::min(size - partial_.size(), wire.size());
    append_bytes(partial_, wire.first(count));
    wire = wire.subspan(count);
    return partial_.size() == size;
  };
  if (partial_.size() < kPrefixSizeBytes && !fill(kPrefixSizeBytes)) {
    // All messages of a handshake are shorter than 256 bytes.
    if (handshake_ && partial_.front() != 0) {
      return fail(is_initiator_ ? Errc::kPeerForeign : Errc::kHandshake);
    }
    return std::nullopt;
  }
  CULM_TRY(const std::size_t size, body_size(partial_));
  if (!fill(kPrefixSizeBytes + size)) return std::nullopt;
  return ByteView(partial_).subspan(kPrefixSizeBytes);
}

Result<std::size_t> SecureChannel::body_size(ByteView prefix) const {
  const auto size = static_cast<std::size_t>(prefix[0] << 8U | prefix[1]);
  if (is_initiator_ && !has_heard_ && size == 0) return fail(Errc::kPeerFull);
  if (handshake_) {
    if (size != handshake_->message_size()) {
      return fail(is_initiator_ ? Errc::kPeerForeign : Errc::kHandshake);
    }
  } else if (size <= sealing::kTagSizeBytes) {
    return fail(Errc::kDecrypt);
  }
  return size;
}

Result<void> SecureChannel::advance_handshake(ByteView message) {
  Bytes payload;  // stays empty: `body_size` has let no longer message pass
  if (!handshake_->read(message, payload)) {
    return fail(is_initiator_ ? Errc::kPeerNetwork : Errc::kHandshake);
  }
  CULM_CHECK(check_peer());
  if (handshake_->is_my_turn()) CULM_CHECK(write_handshake());
  if (!handshake_->is_finished()) return {};
  peer_ = handshake_->peer();
  handshake_hash_ = handshake_->hash();
  handshake_->split(sending_, receiving_);
  handshake_.reset();
  return {};
}

Result<void> SecureChannel::check_peer() const {
  const auto& peer = handshake_->peer();
  if (!peer) return {};
  if (*peer == handshake_->own()) return fail(Errc::kPeerSelf);
  if (expected_peer_ && *peer != *expected_peer_) return fail(Errc::kPeerUnexpected);
  return {};
}

Result<void> SecureChannel::write_handshake() {
  append_bytes(output_, encode_prefix(handshake_->message_size()));
  return handshake_->write(output_);
}

Result<void> SecureChannel::open_record(ByteView sealed, Bytes& plaintext) {
  const std::size_t start = plaintext.size();
  plaintext.resize(start + sealed.size() - sealing::kTagSizeBytes);
  if (!receiving_->open(MutableByteView(plaintext).subspan(start), {}, sealed)) {
    plaintext.resize(start);
    return fail(Errc::kDecrypt);
  }
  has_heard_ = true;
  return {};
}

Result<void> SecureChannel::finish() {
  if (error_) return fail(*error_);
  if (handshake_) return end({is_initiator_ ? Errc::kPeerHungUp : Errc::kHandshake});
  if (!partial_.empty()) return end({Errc::kFrameTruncated});
  if (is_initiator_ && !has_heard_) return end({Errc::kPeerRefused});
  return {};
}

Result<void> SecureChannel::send(ByteView plaintext) {
  if (error_) return fail(*error_);
  CULM_ASSERT(established());
  if (output_start_ > output_.size() / 2) {
    output_.erase(output_.begin(), output_.begin() + static_cast<std::ptrdiff_t>(output_start_));
    output_start_ = 0;
  }
  const std::size_t records = plaintext.size() / limits::kNoisePlaintextBytesMax + 1;
  const std::size_t size_after =
      output_.size() + plaintext.size() + records * (kPrefixSizeBytes + sealing::kTagSizeBytes);
  if (size_after > output_.capacity()) {
    output_.reserve(std::max(size_after, 2 * output_.capacity()));
  }
  while (!plaintext.empty()) {
    const ByteView part =
        plaintext.first(std::min(plaintext.size(), limits::kNoisePlaintextBytesMax));
    plaintext = plaintext.subspan(part.size());
    const std::size_t size = part.size() + sealing::kTagSizeBytes;
    append_bytes(output_, encode_prefix(size));
    const std::size_t start = output_.size();
    output_.resize(start + size);
    if (auto sealed = sending_->seal(MutableByteView(output_).subspan(start), {}, part); !sealed) {
      return end(sealed.error());
    }
  }
  return {};
}

ByteView SecureChannel::pending_output() const noexcept {
  return ByteView(output_).subspan(output_start_);
}

ByteView SecureChannel::no_room() const noexcept {
  const bool is_understood = !is_initiator_ && handshake_ && pending_output().empty();
  return is_understood ? ByteView(kNoRoom) : ByteView();
}

void SecureChannel::trim_input() {
  if (has_spare(partial_.capacity(), partial_.size())) partial_.shrink_to_fit();
}

void SecureChannel::drop_input() { release(partial_); }

void SecureChannel::output_sent(std::size_t bytes) {
  CULM_ASSERT(bytes <= output_.size() - output_start_);
  output_start_ += bytes;
  if (output_start_ < output_.size()) return give_back_memory();
  release(output_);
  output_start_ = 0;
}

/// Of a large output of which little is left.
void SecureChannel::give_back_memory() {
  if (output_.capacity() <= kOutputBytesKept) return;
  if (pending_output().size() > output_.capacity() / 4) return;
  output_ = Bytes(pending_output().begin(), pending_output().end());
  output_start_ = 0;
}

tl::unexpected<Error> SecureChannel::end(Error error) {
  error_ = error;
  handshake_.reset();
  sending_.reset();
  receiving_.reset();
  release(partial_);
  release(output_);
  output_start_ = 0;
  return fail(error);
}

}  // namespace culm::replication
