#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "culm/core/bytes.hpp"
#include "culm/core/result.hpp"

namespace culm {

/// An author's Ed25519 public key. Holding one says nothing of its validity: the signature check
/// does. Spec: verification.md#criterion
struct Author {
  std::array<std::uint8_t, 32> bytes{};

  friend auto operator<=>(const Author&, const Author&) = default;
};

/// Tells an author's logs apart. A type of its own, so that it is never taken for a seqnum.
enum class LogId : std::uint64_t {};

/// The position of an entry in its log: 1 to 2^64 - 1, both inclusive. A plain integer because
/// lipmaa and range arithmetic are its daily life; `LogId` and `LogKey` keep it from being
/// confused.
using SeqNum = std::uint64_t;

inline constexpr SeqNum kSeqnumMax = ~SeqNum{0};

/// Names a log.
struct LogKey {
  Author author;
  LogId log_id{};

  friend auto operator<=>(const LogKey&, const LogKey&) = default;
};

/// Names an entry. Two entries with one key are a fork.
struct EntryKey {
  LogKey log;
  SeqNum seqnum = 0;

  friend auto operator<=>(const EntryKey&, const EntryKey&) = default;
};

[[nodiscard]] constexpr std::uint64_t to_integer(LogId log_id) noexcept {
  return static_cast<std::uint64_t>(log_id);
}

/// 64 hex digits, then ".<log_id>" when the log id is not 0.
[[nodiscard]] std::string to_string(const LogKey& log);

/// Reads what `to_string` writes; upper-case digits and ".0" are good too. Fails with kHexFormat.
[[nodiscard]] Result<LogKey> parse_log_key(std::string_view text);

struct LogKeyHash {
  [[nodiscard]] std::size_t operator()(const LogKey& log) const noexcept;
};

}  // namespace culm
