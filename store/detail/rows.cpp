#include "culm/store/detail/rows.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "culm/core/varu64.hpp"
#include "culm/store/detail/schema.hpp"

namespace culm::store::detail {
namespace {

constexpr std::uint8_t kPayloadsWanted = 1;
/// The largest VarU64 of one byte, which almost all are that range sets are written with.
constexpr std::uint8_t kOneByteMax = 247;
/// Two of them lead from here to no seqnum that is none.
constexpr SeqNum kShortBelow = kSeqnumMax - SeqNum{2} * kOneByteMax;

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

  /// Two numbers if each is one byte, else nothing.
  std::optional<std::pair<std::uint8_t, std::uint8_t>> short_pair() {
    if (rest_.size() < 2 || rest_[0] > kOneByteMax || rest_[1] > kOneByteMax) return std::nullopt;
    const std::pair pair(rest_[0], rest_[1]);
    rest_ = rest_.subspan(2);
    return pair;
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

/// Each range as its distance from the range before, or from `previous`, and its length less one.
void append_ranges(Bytes& out, SeqNum previous, std::span<const SeqRange> ranges) {
  for (const SeqRange range : ranges) {
    varu64::append(out, range.first - previous);
    varu64::append(out, range.last - range.first);
    previous = range.last;
  }
}

Result<SeqRange> read_range(Reader& reader, SeqNum previous) {
  CULM_TRY(const std::uint64_t distance, reader.number());
  CULM_TRY(const std::uint64_t length, reader.number());
  if (distance > kSeqnumMax - previous) return fail(Errc::kStoreFormat);
  const SeqNum first = previous + distance;
  if (length > kSeqnumMax - first) return fail(Errc::kStoreFormat);
  return SeqRange{first, first + length};
}

void append_set(Bytes& out, const RangeSet& set, const SetBlocks& blocks) {
  if (blocks.count == 0) {
    varu64::append(out, set.ranges().size());
    append_ranges(out, 0, set.ranges());
  } else {
    varu64::append(out, blocks.ranges);
    varu64::append(out, blocks.count);
    append_bytes(out, to_big_endian(blocks.sum));
  }
}

Result<void> read_set(RangeSet& out, SetBlocks& blocks, Reader& reader) {
  CULM_TRY(const std::uint64_t count, reader.number());
  if (count > limits::kRangesPerRowMax) {
    blocks.ranges = count;
    CULM_TRY(blocks.count, reader.number());
    CULM_TRY(const ByteView sum, reader.bytes(sizeof(blocks.sum)));
    blocks.sum = from_big_endian(sum);
    const bool may_be = count <= limits::kRangesPerLogMax && blocks.count != 0 &&
                        blocks.count <= count && count <= limits::kRangesPerBlockMax * blocks.count;
    return may_be ? Result<void>() : fail(Errc::kStoreFormat);
  }
  std::vector<SeqRange> ranges;
  ranges.reserve(static_cast<std::size_t>(count));
  SeqNum previous = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    CULM_TRY(const SeqRange range, read_range(reader, previous));
    ranges.push_back(range);
    previous = range.last;
  }
  auto set = RangeSet::from_canonical(std::move(ranges));
  if (!set) return fail(Errc::kStoreFormat);
  out = *std::move(set);
  return {};
}

void append_address(Bytes& out, const std::string& address) {
  varu64::append(out, address.size());
  append_bytes(out, as_bytes(address));
}

Result<std::string> read_address(Reader& reader) {
  CULM_TRY(const std::uint64_t size, reader.number());
  if (size > kKnownPeerBytesMax) return fail(Errc::kStoreFormat);
  CULM_TRY(const ByteView text, reader.bytes(size));
  return std::string(as_text(text));
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

void encode_peers(Bytes& out, const std::vector<KnownPeer>& peers) {
  start(out);
  varu64::append(out, peers.size());
  for (const KnownPeer& peer : peers) append_address(out, peer.address);
}

void encode_peer_keys(Bytes& out, const std::vector<KnownPeer>& peers) {
  start(out);
  std::size_t count = 0;
  for (const KnownPeer& peer : peers) count += peer.keys.size();
  varu64::append(out, count);
  for (const KnownPeer& peer : peers) {
    for (const sealing::PeerKey& key : peer.keys) {
      append_address(out, peer.address);
      append_bytes(out, key.bytes);
    }
  }
}

Result<std::vector<KnownPeer>> decode_peers(ByteView body) {
  Reader reader(body);
  CULM_TRY(const std::uint64_t count, reader.number());
  if (count > kKnownPeersMax) return fail(Errc::kStoreFormat);
  std::vector<KnownPeer> peers;
  peers.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    CULM_TRY(std::string address, read_address(reader));
    peers.push_back({std::move(address)});
  }
  CULM_CHECK(reader.end());
  return peers;
}

Result<void> decode_peer_keys(ByteView body, std::vector<KnownPeer>& peers) {
  Reader reader(body);
  CULM_TRY(const std::uint64_t count, reader.number());
  if (count > kKnownPeersMax * kPeerKeysMax) return fail(Errc::kStoreFormat);
  for (std::uint64_t i = 0; i < count; ++i) {
    CULM_TRY(const std::string address, read_address(reader));
    sealing::PeerKey key;
    CULM_TRY(const ByteView bytes, reader.bytes(key.bytes.size()));
    std::ranges::copy(bytes, key.bytes.begin());
    const auto peer = std::ranges::find(peers, address, &KnownPeer::address);
    if (peer != peers.end()) peer->keys.push_back(key);
  }
  return reader.end();
}

bool LogRow::has_blocks() const noexcept {
  return std::ranges::any_of(blocks, [](const SetBlocks& set) { return set.count != 0; });
}

bool LogRow::may_be_read_in_part() const noexcept {
  return has_blocks() && blocks[kHeldSet].count == 0;
}

void encode_log(Bytes& out, const LogState& log, const LogBlocks& blocks) {
  start(out);
  for (const std::uint64_t value : {log.number, log.change, log.cap, log.end_of_log,
                                    log.payload_bytes, log.interest.entries.newest}) {
    varu64::append(out, value);
  }
  out.push_back(log.interest.payloads ? kPayloadsWanted : 0);
  const auto sets = sets_of(log);
  for (std::size_t i = 0; i < kSetCount; ++i) append_set(out, *sets[i], blocks[i]);
}

Result<LogRow> decode_log(const LogKey& log, ByteView body) {
  Reader reader(body);
  LogRow row{};
  LogState& state = row.state;
  state.log = log;
  for (std::uint64_t* value : {&state.number, &state.change, &state.cap, &state.end_of_log,
                               &state.payload_bytes, &state.interest.entries.newest}) {
    CULM_TRY(*value, reader.number());
  }
  CULM_TRY(const ByteView flags, reader.bytes(1));
  if (flags[0] > kPayloadsWanted) return fail(Errc::kStoreFormat);
  state.interest.payloads = flags[0] == kPayloadsWanted;
  const auto sets = sets_of(state);
  for (std::size_t i = 0; i < kSetCount; ++i) {
    CULM_CHECK(read_set(*sets[i], row.blocks[i], reader));
  }
  CULM_CHECK(reader.end());
  return row;
}

void encode_block(Bytes& out, SeqNum first, std::span<const SeqRange> ranges) {
  start(out);
  append_ranges(out, first, ranges);
}

Result<void> decode_block(std::vector<SeqRange>& out, SeqNum first, ByteView body) {
  Reader reader(body);
  SeqNum previous = first;
  const std::size_t begin = out.size();
  while (reader.size() != 0) {
    const auto step = previous < kShortBelow ? reader.short_pair() : std::nullopt;
    if (step) {
      out.push_back({previous + step->first, previous + step->first + step->second});
    } else {
      CULM_TRY(const SeqRange range, read_range(reader, previous));
      out.push_back(range);
    }
    previous = out.back().last;
  }
  const std::size_t count = out.size() - begin;
  if (count == 0 || count > limits::kRangesPerBlockMax) return fail(Errc::kStoreFormat);
  if (out[begin].first != first) return fail(Errc::kStoreFormat);
  return {};
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

void encode_lost(Bytes& out, const Lost& lost) {
  start(out);
  const auto append = [&out](RangeSet set) {
    if (set.ranges().size() > limits::kRangesPerRowMax) {
      set.insert({set.ranges()[limits::kRangesPerRowMax - 1].first, set.max()});
    }
    append_set(out, set, {});
  };
  append(lost.entries);
  append(lost.payloads);
  if (!lost.untold.empty()) append(lost.untold);
}

Result<Lost> decode_lost(ByteView body) {
  Lost lost;
  Reader reader(body);
  for (RangeSet* set : {&lost.entries, &lost.payloads, &lost.untold}) {
    const bool is_last = set == &lost.untold;
    if (is_last && reader.size() == 0) break;
    SetBlocks blocks;
    CULM_CHECK(read_set(*set, blocks, reader));
    if (is_last && set->empty()) return fail(Errc::kStoreFormat);
    if (blocks.count != 0) return fail(Errc::kStoreFormat);
  }
  CULM_CHECK(reader.end());
  return lost;
}

Lost open_lost(std::uint64_t number, const std::optional<ByteView>& value) {
  if (!value) return {};
  const auto body = unseal(Table::kMeta, lost_row_key(number), *value);
  return (body ? decode_lost(*body) : fail(body.error())).value_or(Lost{});
}

Result<EntryRow> open_entry_row(const KvRow& row) {
  CULM_TRY(const ByteView body, unseal(Table::kEntries, row.key, row.value));
  return decode_entry(body);
}

Result<EntryRow> decode_damaged_entry(ByteView value) {
  if (value.size() < 1 + kChecksumSizeBytes) return fail(Errc::kStoreFormat);
  return decode_entry(value.first(value.size() - kChecksumSizeBytes).subspan(1));
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
