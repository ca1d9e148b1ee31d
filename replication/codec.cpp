#include "culm/replication/codec.hpp"

#include <array>
#include <concepts>
#include <string_view>
#include <utility>

#include <msgpack.hpp>

#include "culm/core/assert.hpp"
#include "culm/core/limits.hpp"
#include "culm/core/varu64.hpp"
#include "culm/replication/detail/field_reader.hpp"
#include "culm/replication/detail/message_fields.hpp"

namespace culm::replication {
namespace {

constexpr std::size_t kFieldsMax = 15;
/// The message, its type, its fields, and the elements of the one field that is an array.
constexpr std::size_t kValuesMax = 2 + kFieldsMax + limits::kEvidenceEntriesMax;

/// Collects the values of one message in fixed room. Nothing is allocated for any announced
/// length, here or in the parser, whose own stack is as deep as this lets it be.
class StrictVisitor : public msgpack::null_visitor {
 public:
  explicit StrictVisitor(std::size_t message_size) : message_size_(message_size) {}

  [[nodiscard]] std::span<const Value> values() const { return {values_.data(), count_}; }
  [[nodiscard]] Errc error() const { return error_; }

  bool visit_nil() { return add({}); }
  bool visit_boolean(bool /*value*/) { return add({}); }
  bool visit_float32(float /*value*/) { return add({}); }
  bool visit_float64(double /*value*/) { return add({}); }
  bool visit_ext(const char* /*data*/, std::uint32_t /*size*/) { return add({}); }
  bool visit_positive_integer(std::uint64_t value) {
    return add({Value::Kind::kNumber, value, {}});
  }
  /// The parser comes here for every signed form, also of a number that is not negative.
  bool visit_negative_integer(std::int64_t value) {
    return value < 0 ? add({}) : stop(Errc::kMsgpackNoncanonical);
  }
  bool visit_str(const char* data, std::uint32_t size) {
    return add({Value::Kind::kText, 0, as_bytes({data, size})});
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    return add({Value::Kind::kBytes, 0, as_bytes({data, size})});
  }
  bool start_array(std::uint32_t size) {
    return enter(size) && add({Value::Kind::kArray, size, {}});
  }
  bool end_array() { return leave(); }
  bool start_map(std::uint32_t size) { return enter(size) && add({}); }
  bool end_map() { return leave(); }

  void parse_error(std::size_t /*parsed*/, std::size_t /*offset*/) { error_ = Errc::kMsgpackType; }
  void insufficient_bytes(std::size_t /*parsed*/, std::size_t /*offset*/) {
    error_ = Errc::kMsgpackLength;
  }

 private:
  bool stop(Errc error) {
    error_ = error;
    return false;
  }
  bool add(const Value& value) {
    if (count_ == values_.size()) return stop(Errc::kLimit);
    values_[count_++] = value;
    return true;
  }
  bool enter(std::uint32_t size) {
    if (size >= message_size_) return stop(Errc::kMsgpackLength);
    return ++depth_ <= limits::kMsgpackDepthMax || stop(Errc::kMsgpackDepth);
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::size_t message_size_;
  std::size_t depth_ = 0;
  std::size_t count_ = 0;
  Errc error_ = Errc::kMsgpackType;
  std::array<Value, kValuesMax> values_;
};

Result<void> parse(ByteView bytes, StrictVisitor& visitor) {
  std::size_t end = 0;
  try {
    if (!msgpack::parse(as_text(bytes).data(), bytes.size(), end, visitor)) {
      return fail(visitor.error());
    }
  } catch (const msgpack::unpack_error&) {
    return fail(Errc::kMsgpackLength);
  }
  if (end != bytes.size()) return fail(error_at(Errc::kMsgpackTrailing, end));
  return {};
}

/// Writes fields. What `Reader` would refuse is a bug of the caller.
template <class Stream>
class Writer {
 public:
  explicit Writer(Stream& stream) : packer_(stream) {}

  void array(std::size_t size) { packer_.pack_array(static_cast<std::uint32_t>(size)); }

  void require(bool condition) { CULM_ASSERT(condition); }
  void limit(bool condition) { CULM_ASSERT(condition); }

  void number(std::uint64_t value) { packer_.pack_uint64(value); }
  template <class Enum>
  void choice(Enum value, Enum last) {
    CULM_ASSERT(value <= last);
    number(static_cast<std::uint64_t>(value));
  }
  void flags(std::same_as<bool> auto... values) {
    std::uint64_t bits = 0;
    std::size_t bit = 0;
    ((bits |= std::uint64_t{values} << bit++), ...);
    number(bits);
  }
  void text(const std::string& text) {
    CULM_ASSERT(text.size() <= limits::kTextBytesMax && is_text(as_bytes(text)));
    packer_.pack_str(static_cast<std::uint32_t>(text.size()));
    packer_.pack_str_body(text.data(), static_cast<std::uint32_t>(text.size()));
  }
  void view(ByteView bytes) {
    packer_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    body(bytes);
  }
  void entry(const Bytes& bytes) {
    CULM_ASSERT(bytes.size() <= limits::kEntrySizeBytesMax);
    view(bytes);
  }
  void log(const LogKey& log) {
    view(log.author.bytes);
    number(to_integer(log.log_id));
  }
  void hash(const Hash& hash) { view(hash.bytes); }
  void optional_hash(const std::optional<Hash>& hash) {
    view(hash ? ByteView(hash->bytes) : ByteView());
  }
  void ranges(const RangeSet& set) {
    CULM_ASSERT(set.ranges().size() <= limits::kRangesPerMessageMax);
    std::size_t size = 0;
    visit_range_numbers(set, [&size](std::uint64_t n) { size += varu64::encoded_size(n); });
    packer_.pack_bin(static_cast<std::uint32_t>(size));
    visit_range_numbers(set, [this](std::uint64_t n) {
      std::array<std::uint8_t, varu64::kSizeBytesMax> bytes;
      body(ByteView(bytes).first(varu64::encode(bytes, n)));
    });
  }
  void evidence(const Evidence& evidence) {
    CULM_ASSERT(!evidence.entries.empty() &&
                evidence.entries.size() <= limits::kEvidenceEntriesMax);
    array(evidence.entries.size());
    for (const Bytes& one : evidence.entries) entry(one);
  }

 private:
  void body(ByteView bytes) {
    packer_.pack_bin_body(as_text(bytes).data(), static_cast<std::uint32_t>(bytes.size()));
  }

  msgpack::packer<Stream> packer_;
};

/// Counts the elements that the fields of a message are.
struct Counter {
  std::size_t count = 0;

  void require(bool /*condition*/) {}
  void limit(bool /*condition*/) {}
  void number(std::uint64_t /*value*/) { ++count; }
  template <class Enum>
  void choice(Enum /*value*/, Enum /*last*/) {
    ++count;
  }
  void flags(std::same_as<bool> auto... /*values*/) { ++count; }
  void text(const std::string& /*text*/) { ++count; }
  void view(ByteView /*bytes*/) { ++count; }
  void entry(const Bytes& /*bytes*/) { ++count; }
  void log(const LogKey& /*log*/) { count += 2; }
  void hash(const Hash& /*hash*/) { ++count; }
  void optional_hash(const std::optional<Hash>& /*hash*/) { ++count; }
  void ranges(const RangeSet& /*set*/) { ++count; }
  void evidence(const Evidence& /*evidence*/) { ++count; }
};

template <class Stream>
void write(Stream& stream, const Message& message) {
  std::visit(
      [&stream](const auto& m) {
        Counter counter;
        fields(counter, m);
        CULM_ASSERT(counter.count <= kFieldsMax);
        Writer<Stream> writer(stream);
        writer.array(1 + counter.count);
        writer.number(m.kType);
        fields(writer, m);
      },
      message);
}

struct Appender {
  Bytes& out;

  void write(const char* data, std::size_t size) { append_bytes(out, as_bytes({data, size})); }
};

/// Takes what is written and keeps whether it is what was received.
struct Comparer {
  std::string_view received;
  bool is_same = true;

  void write(const char* data, std::size_t size) {
    // Bulk borrows from what was received, so it may be there itself.
    is_same = is_same && size <= received.size() &&
              (data == received.data() || received.substr(0, size) == std::string_view(data, size));
    if (is_same) received.remove_prefix(size);
  }
};

template <std::size_t kIndex>
Result<Message> read(std::span<const Value> values) {
  using M = std::variant_alternative_t<kIndex, Message>;
  static_assert(M::kType == kIndex);
  Reader reader(values);
  M m;
  fields(reader, m);
  CULM_CHECK(reader.finish());
  return m;
}

template <std::size_t... kIndexes>
Result<Message> read_any(std::uint64_t type, std::span<const Value> values,
                         std::index_sequence<kIndexes...> /*types*/) {
  using Read = Result<Message> (*)(std::span<const Value>);
  static constexpr std::array<Read, sizeof...(kIndexes)> kReads{read<kIndexes>...};
  if (type >= kReads.size()) return fail(Errc::kMessageType);
  return kReads[type](values);
}

}  // namespace

void encode(Bytes& out, const Message& message) {
  Appender appender{out};
  write(appender, message);
}

Result<Message> decode(ByteView bytes) {
  if (bytes.size() > limits::kMessageBytesMax) return fail(Errc::kLimit);
  StrictVisitor visitor(bytes.size());
  CULM_CHECK(parse(bytes, visitor));
  const auto values = visitor.values();
  if (values[0].kind != Value::Kind::kArray) return fail(Errc::kMsgpackType);
  if (values.size() < 2) return fail(Errc::kMessageSchema);
  if (values[1].kind != Value::Kind::kNumber) return fail(Errc::kMsgpackType);
  CULM_TRY(auto message, read_any(values[1].number, values.subspan(2),
                                  std::make_index_sequence<std::variant_size_v<Message>>()));
  // The parser does not tell in which of its forms a value came.
  Comparer comparer{as_text(bytes)};
  write(comparer, message);
  if (!comparer.is_same || !comparer.received.empty()) return fail(Errc::kMsgpackNoncanonical);
  return message;
}

}  // namespace culm::replication
