#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "culm/core/bytes.hpp"
#include "culm/core/limits.hpp"
#include "culm/core/result.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/defect.hpp"
#include "culm/feed/range_set.hpp"

/// The types that fields of messages have, without msgpack. Spec: replication.md#types
namespace culm::replication {

/// A msgpack value; the elements of an array follow it as values of their own.
struct Value {
  enum class Kind : std::uint8_t { kNumber, kText, kBytes, kArray, kOther };

  Kind kind = Kind::kOther;
  std::uint64_t number = 0;  ///< of an array: its size
  ByteView bytes;
};

/// Whether `text` is UTF-8 (RFC 3629) without NUL.
[[nodiscard]] bool is_text(ByteView text) noexcept;

/// Fails with kVarU64Truncated, kVarU64Noncanonical, kRange, kRangesTooMany.
[[nodiscard]] Result<RangeSet> decode_ranges(ByteView bytes);

/// Calls `visit` with the numbers that `decode_ranges` reads: seqnums passed over since the lowest
/// that may come, then the size of the range less one. Every set has one form, and every form is a
/// set unless it leaves the 64 bits.
template <class Visit>
void visit_range_numbers(const RangeSet& set, Visit visit) {
  SeqNum lowest = 1;
  for (const SeqRange& range : set.ranges()) {
    visit(range.first - lowest);
    visit(range.last - range.first);
    lowest = range.last + 2;
  }
}

/// Reads fields out of values. The first error stands; fields read after it are left as they are.
class Reader {
 public:
  explicit Reader(std::span<const Value> values) : values_(values) {}

  [[nodiscard]] Result<void> finish() {
    require(values_.empty());
    if (has_failed()) return fail(error_);
    return {};
  }

  void require(bool condition) { check(condition, Errc::kMessageSchema); }
  void limit(bool condition) { check(condition, Errc::kLimit); }

  template <std::unsigned_integral T>
  void number(T& out) {
    const std::uint64_t value = take(Value::Kind::kNumber).number;
    require(std::in_range<T>(value));
    out = static_cast<T>(value);
  }
  template <class Enum>
  void choice(Enum& out, Enum last) {
    std::uint64_t value = 0;
    number(value);
    require(value <= static_cast<std::uint64_t>(last));
    if (!has_failed()) out = static_cast<Enum>(value);
  }
  template <std::same_as<bool>... Bool>
  void flags(Bool&... out) {
    std::uint64_t value = 0;
    number(value);
    require(value >> sizeof...(out) == 0);
    std::size_t bit = 0;
    ((out = (value >> bit++ & 1U) != 0), ...);
  }
  void text(std::string& out) {
    const ByteView bytes = take(Value::Kind::kText).bytes;
    limit(bytes.size() <= limits::kTextBytesMax);
    if (!has_failed()) check(is_text(bytes), Errc::kMessageUtf8);
    if (!has_failed()) out = as_text(bytes);
  }
  void view(ByteView& out) { out = take(Value::Kind::kBytes).bytes; }
  void entry(Bytes& out) {
    const ByteView bytes = take(Value::Kind::kBytes).bytes;
    limit(bytes.size() <= limits::kEntrySizeBytesMax);
    if (!has_failed()) out.assign(bytes.begin(), bytes.end());
  }
  void log(LogKey& out) {
    fixed(out.author.bytes, take(Value::Kind::kBytes).bytes);
    std::uint64_t log_id = 0;
    number(log_id);
    out.log_id = LogId{log_id};
  }
  void hash(Hash& out) { fixed(out.bytes, take(Value::Kind::kBytes).bytes); }
  void optional_hash(std::optional<Hash>& out) {
    const ByteView bytes = take(Value::Kind::kBytes).bytes;
    if (!bytes.empty()) fixed(out.emplace().bytes, bytes);
  }
  void ranges(RangeSet& out) {
    const ByteView bytes = take(Value::Kind::kBytes).bytes;
    if (has_failed()) return;
    auto set = decode_ranges(bytes);
    if (set) {
      out = *std::move(set);
    } else {
      error_ = set.error().code;
    }
  }
  void evidence(Evidence& out) {
    const std::uint64_t size = take(Value::Kind::kArray).number;
    require(size > 0);
    limit(size <= limits::kEvidenceEntriesMax);
    if (!has_failed()) out.entries.resize(size);
    for (Bytes& one : out.entries) entry(one);
  }

 private:
  [[nodiscard]] bool has_failed() const { return error_ != Errc{}; }
  void check(bool condition, Errc error) {
    if (!condition && !has_failed()) error_ = error;
  }
  const Value& take(Value::Kind kind) {
    static constexpr Value kNone{};
    require(!values_.empty());
    if (!has_failed()) check(values_.front().kind == kind, Errc::kMsgpackType);
    if (has_failed()) return kNone;
    const Value& value = values_.front();
    values_ = values_.subspan(1);
    return value;
  }
  template <std::size_t kSize>
  void fixed(std::array<std::uint8_t, kSize>& out, ByteView bytes) {
    require(bytes.size() == kSize);
    if (!has_failed()) std::copy(bytes.begin(), bytes.end(), out.begin());
  }

  std::span<const Value> values_;
  Errc error_{};  ///< no enumerator while nothing has failed
};

}  // namespace culm::replication
