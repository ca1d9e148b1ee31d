#include "culm/store/detail/rows.hpp"

#include <algorithm>
#include <iterator>

#include "culm/core/varu64.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

constexpr std::uint8_t kPayloadsWanted = 1;

void start(Bytes& out) { out.assign(1, kFormatVersion); }

/// Takes a body apart from its front.
class Reader {
 public:
  explicit Reader(ByteView body) : rest_(body) {}

  [[nodiscard]] std::size_t size() const { return rest_.size(); }

  Result<std::uint64_t> number() {
    const auto decoded = varu64::decode(rest_);
    if (!decoded) return fail(Errc::kStoreFormat);
    rest_ = rest_.subspan(decoded->size_bytes);
    return decoded->value;
  }

  Result<ByteView> bytes(std::uint64_t size) {
    if (size > rest_.size()) return fail(Errc::kStoreFormat);
    const ByteView out = rest_.first(static_cast<std::size_t>(size));
    rest_ = rest_.subspan(out.size());
    return out;
  }

  Result<void> end() const {
    if (!rest_.empty()) return fail(Errc::kStoreFormat);
    return {};
  }

 private:
  ByteView rest_;
};

/// Each range as its distance from the range before, or from 0, and its length less one.
Result<void> append_ranges(Bytes& out, const RangeSet& set) {
  if (set.ranges().size() > limits::kRangesPerLogMax) return fail(Errc::kLogFragmented);
  varu64::append(out, set.ranges().size());
  SeqNum previous = 0;
  for (const SeqRange range : set.ranges()) {
    varu64::append(out, range.first - previous);
    varu64::append(out, range.last - range.first);
    previous = range.last;
  }
  return {};
}

Result<void> read_ranges(RangeSet& out, Reader& reader) {
  CULM_TRY(const std::uint64_t count, reader.number());
  // Two bytes a range at least: nothing is allocated for a lie.
  if (count > limits::kRangesPerLogMax || count > reader.size() / 2) {
    return fail(Errc::kStoreFormat);
  }
  std::vector<SeqRange> ranges;
  ranges.reserve(static_cast<std::size_t>(count));
  SeqNum previous = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    CULM_TRY(const std::uint64_t distance, reader.number());
    CULM_TRY(const std::uint64_t length, reader.number());
    if (distance > kSeqnumMax - previous) return fail(Errc::kStoreFormat);
    const SeqNum first = previous + distance;
    if (length > kSeqnumMax - first) return fail(Errc::kStoreFormat);
    previous = first + length;
    ranges.push_back({first, previous});
  }
  auto set = RangeSet::from_canonical(std::move(ranges));
  if (!set) return fail(Errc::kStoreFormat);
  out = *std::move(set);
  return {};
}

}  // namespace

void encode_meta(Bytes& out, const StoreMeta& meta) {
  start(out);
  append_bytes(out, meta.id);
  varu64::append(out, meta.log_count);
  varu64::append(out, meta.last_change);
  varu64::append(out, meta.last_stage);
  if (meta.forgotten != 0) varu64::append(out, meta.forgotten);
}

Result<StoreMeta> decode_meta(ByteView body) {
  Reader reader(body);
  StoreMeta meta;
  CULM_TRY(const ByteView id, reader.bytes(meta.id.size()));
  std::ranges::copy(id, meta.id.begin());
  CULM_TRY(meta.log_count, reader.number());
  CULM_TRY(meta.last_change, reader.number());
  CULM_TRY(meta.last_stage, reader.number());
  if (reader.size() != 0) {
    CULM_TRY(meta.forgotten, reader.number());
    if (meta.forgotten == 0 || meta.forgotten > meta.log_count) return fail(Errc::kStoreFormat);
  }
  CULM_CHECK(reader.end());
  return meta;
}

void encode_forgotten(Bytes& out) { start(out); }

void encode_peers(Bytes& out, const std::vector<std::string>& addresses) {
  start(out);
  varu64::append(out, addresses.size());
  for (const std::string& address : addresses) {
    varu64::append(out, address.size());
    append_bytes(out, as_bytes(address));
  }
}

Result<std::vector<std::string>> decode_peers(ByteView body) {
  Reader reader(body);
  CULM_TRY(const std::uint64_t count, reader.number());
  if (count > kKnownPeersMax) return fail(Errc::kStoreFormat);
  std::vector<std::string> addresses;
  addresses.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    CULM_TRY(const std::uint64_t size, reader.number());
    if (size > kKnownPeerBytesMax) return fail(Errc::kStoreFormat);
    CULM_TRY(const ByteView text, reader.bytes(size));
    addresses.emplace_back(as_text(text));
  }
  CULM_CHECK(reader.end());
  return addresses;
}

Result<void> encode_log(Bytes& out, const LogState& log) {
  start(out);
  for (const std::uint64_t value : {log.number, log.change, log.cap, log.end_of_log,
                                    log.payload_bytes, log.interest.entries.newest}) {
    varu64::append(out, value);
  }
  out.push_back(log.interest.payloads ? kPayloadsWanted : 0);
  for (const RangeSet* set :
       {&log.held, &log.payloads, &log.verified, &log.deleted, &log.interest.entries.ranges}) {
    CULM_CHECK(append_ranges(out, *set));
  }
  return {};
}

Result<LogState> decode_log(const LogKey& log, ByteView body) {
  Reader reader(body);
  LogState state;
  state.log = log;
  for (std::uint64_t* value : {&state.number, &state.change, &state.cap, &state.end_of_log,
                               &state.payload_bytes, &state.interest.entries.newest}) {
    CULM_TRY(*value, reader.number());
  }
  CULM_TRY(const ByteView flags, reader.bytes(1));
  if (flags[0] > kPayloadsWanted) return fail(Errc::kStoreFormat);
  state.interest.payloads = flags[0] == kPayloadsWanted;
  for (RangeSet* set : {&state.held, &state.payloads, &state.verified, &state.deleted,
                        &state.interest.entries.ranges}) {
    CULM_CHECK(read_ranges(*set, reader));
  }
  CULM_CHECK(reader.end());
  return state;
}

bool has_empty_payload(const EntryView& entry) {
  static const Hash empty_hash = hash({});
  return entry.payload_size() == 0 && entry.payload_hash() == empty_hash;
}

void encode_entry(Bytes& out, ByteView entry, ByteView payload) {
  start(out);
  out.push_back(static_cast<std::uint8_t>(entry.size() >> 8U));
  out.push_back(static_cast<std::uint8_t>(entry.size()));
  append_bytes(out, entry);
  append_bytes(out, payload);
}

Result<EntryRow> decode_entry(ByteView body) {
  Reader reader(body);
  CULM_TRY(const ByteView size, reader.bytes(2));
  CULM_TRY(const ByteView bytes, reader.bytes(static_cast<std::uint64_t>(size[0] << 8U | size[1])));
  const auto entry = EntryView::parse(bytes);
  if (!entry) return fail(Errc::kStoreFormat);
  CULM_TRY(const ByteView payload, reader.bytes(reader.size()));
  if (!payload.empty() && payload.size() != entry->payload_size()) return fail(Errc::kStoreFormat);
  return EntryRow{*entry, payload};
}

void encode_chunk(Bytes& out, ByteView chunk) {
  start(out);
  append_bytes(out, chunk);
}

void encode_stage(Bytes& out, const StageRow& row) {
  start(out);
  out.push_back(static_cast<std::uint8_t>(row.state));
  varu64::append(out, row.size_bytes);
  if (row.state != StageState::kArriving || !row.bearer.peer) return;
  append_bytes(out, row.bearer.peer->bytes);
  out.push_back(row.bearer.is_alone ? 1 : 0);
}

Result<StageRow> open_stage(const KvRow& row) {
  CULM_TRY(const auto place, parse_row_place(row.key));
  CULM_TRY(const ByteView body, unseal(Table::kStages, row.key, row.value));
  Reader reader(body);
  CULM_TRY(const ByteView state, reader.bytes(1));
  CULM_TRY(const std::uint64_t size_bytes, reader.number());
  if (state[0] > static_cast<std::uint8_t>(StageState::kGoing)) return fail(Errc::kStoreFormat);
  StageRow out{{place.number, place.seqnum, place.stage}, StageState{state[0]}, size_bytes};
  if (out.state == StageState::kArriving && reader.size() != 0) {
    CULM_TRY(const ByteView peer, reader.bytes(sizeof(sealing::PeerKey::bytes)));
    std::ranges::copy(peer, out.bearer.peer.emplace().bytes.begin());
    CULM_TRY(const ByteView is_alone, reader.bytes(1));
    if (is_alone[0] > 1) return fail(Errc::kStoreFormat);
    out.bearer.is_alone = is_alone[0] == 1;
  }
  CULM_CHECK(reader.end());
  return out;
}

void encode_change(Bytes& out, const LogKey& log) {
  start(out);
  append_bytes(out, log_row_key(log));
}

Result<LogKey> decode_change(ByteView body) {
  auto log = parse_log_row_key(body);
  if (!log) return fail(Errc::kStoreFormat);
  return log;
}

void encode_evidence(Bytes& out, const Evidence& evidence) {
  start(out);
  varu64::append(out, evidence.entries.size());
  for (const Bytes& entry : evidence.entries) {
    varu64::append(out, entry.size());
    append_bytes(out, entry);
  }
}

Result<Evidence> decode_evidence(ByteView body) {
  Reader reader(body);
  CULM_TRY(const std::uint64_t count, reader.number());
  if (count > limits::kEvidenceEntriesMax) return fail(Errc::kStoreFormat);
  Evidence evidence;
  for (std::uint64_t i = 0; i < count; ++i) {
    CULM_TRY(const std::uint64_t size, reader.number());
    CULM_TRY(const ByteView bytes, reader.bytes(size));
    evidence.entries.emplace_back(bytes.begin(), bytes.end());
  }
  CULM_CHECK(reader.end());
  return evidence;
}

}  // namespace culm::store::detail
