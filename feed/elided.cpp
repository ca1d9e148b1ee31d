#include "culm/feed/elided.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "culm/core/assert.hpp"
#include "culm/core/varu64.hpp"
#include "culm/feed/detail/find_entry.hpp"
#include "culm/feed/entry_encoder.hpp"
#include "culm/feed/lipmaa.hpp"

namespace culm {
namespace {

constexpr std::uint8_t kEndOfLogBit = 1U << 0U;
constexpr unsigned kLipmaalinkShift = 1;
constexpr unsigned kBacklinkShift = 3;
constexpr std::uint8_t kPayloadBit = 1U << 5U;
constexpr std::uint8_t kGapBit = 1U << 6U;
constexpr std::uint8_t kReservedBit = 1U << 7U;

// What stands for a link: two bits of the mask.
constexpr std::uint8_t kLinkWhole = 0;
constexpr std::uint8_t kLinkLeftOut = 1;
constexpr std::uint8_t kLinkPrefix = 2;
constexpr std::uint8_t kLinkBits = 3;

constexpr std::size_t kPrefixBytes = 8;
constexpr std::array<std::size_t, 3> kLinkSizesBytes{sizeof(Hash::bytes), 0, kPrefixBytes};
constexpr std::size_t kElidedEntryBytesMin = 1 + 1 + kSignatureSizeBytes;

struct ElidedLink {
  std::uint8_t form = kLinkWhole;
  ByteView bytes;
};

/// One entry of the elided form; borrows from it.
struct ElidedEntry {
  std::size_t offset = 0;
  SeqNum seqnum = 0;
  Tag tag{};
  std::optional<ElidedLink> lipmaalink;
  std::optional<ElidedLink> backlink;
  std::uint64_t payload_size = 0;
  std::optional<ByteView> payload;
  ByteView payload_hash;  ///< where the payload is not here
  ByteView signature;
};

/// Takes an elided unit apart, entry by entry; neither hashes nor allocates.
class ElidedReader {
 public:
  explicit ElidedReader(ByteView elided) : elided_(elided) {}

  bool is_at_end() const { return place_ == elided_.size(); }
  Result<ElidedEntry> next();

 private:
  tl::unexpected<Error> broken() const { return fail(error_at(Errc::kElidedFormat, place_)); }
  Result<ByteView> take(std::uint64_t size);
  Result<std::uint64_t> take_varu64();
  Result<SeqNum> take_seqnum(bool has_gap);
  Result<std::optional<ElidedLink>> take_link(bool is_in_format, unsigned form);

  ByteView elided_;
  std::size_t place_ = 0;
  SeqNum last_ = 0;
  std::size_t entry_count_ = 0;
};

Result<ElidedEntry> ElidedReader::next() {
  if (++entry_count_ > limits::kUnitEntriesMax) return fail(Errc::kLimit);
  ElidedEntry entry;
  entry.offset = place_;
  const unsigned mask = elided_[place_];
  if ((mask & kReservedBit) != 0) return broken();
  ++place_;
  CULM_TRY(entry.seqnum, take_seqnum((mask & kGapBit) != 0));
  last_ = entry.seqnum;
  entry.tag = (mask & kEndOfLogBit) != 0 ? Tag::kEndOfLog : Tag::kEntry;
  CULM_TRY(entry.lipmaalink, take_link(has_lipmaalink(last_), mask >> kLipmaalinkShift));
  CULM_TRY(entry.backlink, take_link(last_ > 1, mask >> kBacklinkShift));
  CULM_TRY(entry.payload_size, take_varu64());
  if ((mask & kPayloadBit) != 0) {
    if (entry.payload_size > limits::kPayloadInlineBytesMax) return fail(Errc::kLimit);
    CULM_TRY(entry.payload, take(entry.payload_size));
  } else {
    CULM_TRY(entry.payload_hash, take(sizeof(Hash::bytes)));
  }
  CULM_TRY(entry.signature, take(kSignatureSizeBytes));
  return entry;
}

Result<ByteView> ElidedReader::take(std::uint64_t size) {
  if (size > elided_.size() - place_) return broken();
  const ByteView taken = elided_.subspan(place_, static_cast<std::size_t>(size));
  place_ += taken.size();
  return taken;
}

Result<std::uint64_t> ElidedReader::take_varu64() {
  const auto decoded = varu64::decode(elided_.subspan(place_));
  if (!decoded) return broken();
  place_ += decoded->size_bytes;
  return decoded->value;
}

Result<SeqNum> ElidedReader::take_seqnum(bool has_gap) {
  SeqNum gap = 0;
  if (has_gap) {
    CULM_TRY(gap, take_varu64());
    if (gap == 0) return broken();
  }
  if (gap >= kSeqnumMax - last_) return broken();
  return last_ + gap + 1;
}

Result<std::optional<ElidedLink>> ElidedReader::take_link(bool is_in_format, unsigned form) {
  ElidedLink link{static_cast<std::uint8_t>(form & kLinkBits), {}};
  if (!is_in_format && link.form == kLinkWhole) return std::nullopt;
  if (!is_in_format || link.form >= kLinkSizesBytes.size()) return broken();
  CULM_TRY(link.bytes, take(kLinkSizesBytes[link.form]));
  return link;
}

template <class Array>
Array to_array(ByteView bytes) {
  Array out;
  std::ranges::copy(bytes, out.begin());
  return out;
}

}  // namespace

UnitEncoder::UnitEncoder(Bytes& out, const RangeSet& known, LinkForm link_form)
    : out_(out), known_(known), link_form_(link_form) {}

std::size_t UnitEncoder::add(const EntryView& entry, std::optional<ByteView> payload) {
  const SeqNum seqnum = entry.seqnum();
  CULM_ASSERT(seqnum > last_);
  CULM_ASSERT(entry_count_ < limits::kUnitEntriesMax);
  const std::size_t start = out_.size();
  unsigned mask = entry.is_end_of_log() ? kEndOfLogBit : 0U;
  out_.push_back(0);
  if (const SeqNum gap = seqnum - last_ - 1; gap != 0) {
    mask |= kGapBit;
    varu64::append(out_, gap);
  }
  if (const auto link = entry.lipmaalink()) {
    mask |= static_cast<unsigned>(add_link(lipmaa(seqnum), *link)) << kLipmaalinkShift;
  }
  if (const auto link = entry.backlink()) {
    mask |= static_cast<unsigned>(add_link(seqnum - 1, *link)) << kBacklinkShift;
  }
  varu64::append(out_, entry.payload_size());
  if (payload) {
    CULM_ASSERT(payload->size() == entry.payload_size());
    CULM_ASSERT(payload->size() <= limits::kPayloadInlineBytesMax);
    mask |= kPayloadBit;
    append_bytes(out_, *payload);
  } else {
    append_bytes(out_, entry.payload_hash().bytes);
  }
  append_bytes(out_, entry.signature().bytes);
  out_[start] = static_cast<std::uint8_t>(mask);
  members_.insert(seqnum);
  last_ = seqnum;
  ++entry_count_;
  return out_.size() - start;
}

std::uint8_t UnitEncoder::add_link(SeqNum target, const Hash& link) {
  const ByteView bytes(link.bytes);
  if (link_form_ == LinkForm::kElided) {
    if (target == last_ || members_.contains(target)) return kLinkLeftOut;
    if (known_.contains(target)) {
      append_bytes(out_, bytes.first(kPrefixBytes));
      return kLinkPrefix;
    }
  }
  append_bytes(out_, bytes);
  return kLinkWhole;
}

/// Puts the left-out fields back.
class UnitRestorer {
 public:
  UnitRestorer(const LogKey& log, Bytes elided, LinkTargets& targets);

  Result<CheckedUnit> run();

 private:
  static CheckedUnit take(const LogKey& log, Bytes elided) {
    CheckedUnit unit(log);
    unit.elided_ = std::move(elided);
    return unit;
  }
  Result<void> restore(const ElidedEntry& elided);
  Result<std::optional<Hash>> restore_link(const std::optional<ElidedLink>& link, SeqNum target,
                                           std::size_t offset);

  CheckedUnit unit_;
  ElidedReader reader_;
  LinkTargets& targets_;
  EntryFields fields_;
  std::size_t arena_size_ = 0;
  std::size_t arena_used_ = 0;
};

UnitRestorer::UnitRestorer(const LogKey& log, Bytes elided, LinkTargets& targets)
    : unit_(take(log, std::move(elided))), reader_(unit_.elided_), targets_(targets) {
  // Counted from the bytes at hand, never from a number that somebody sent.
  const std::size_t entries_max =
      std::min(unit_.elided_.size() / kElidedEntryBytesMin, limits::kUnitEntriesMax);
  arena_size_ = entries_max * limits::kEntrySizeBytesMax;
  unit_.arena_ = std::make_unique_for_overwrite<std::uint8_t[]>(arena_size_);
  unit_.entries_.reserve(entries_max);
  fields_.log = log;
}

Result<CheckedUnit> UnitRestorer::run() {
  if (reader_.is_at_end()) return fail(Errc::kUnitEmpty);
  while (!reader_.is_at_end()) {
    CULM_TRY(const ElidedEntry elided, reader_.next());
    CULM_CHECK(restore(elided));
  }
  return std::move(unit_);
}

Result<void> UnitRestorer::restore(const ElidedEntry& elided) {
  fields_.tag = elided.tag;
  fields_.seqnum = elided.seqnum;
  const SeqNum lipmaa_target = elided.lipmaalink ? lipmaa(elided.seqnum) : 0;
  CULM_TRY(fields_.lipmaalink, restore_link(elided.lipmaalink, lipmaa_target, elided.offset));
  CULM_TRY(fields_.backlink, restore_link(elided.backlink, elided.seqnum - 1, elided.offset));
  fields_.payload_size = elided.payload_size;
  fields_.payload_hash = elided.payload
                             ? hash(*elided.payload)
                             : Hash{to_array<decltype(Hash::bytes)>(elided.payload_hash)};

  const MutableByteView room(unit_.arena_.get() + arena_used_, arena_size_ - arena_used_);
  const ByteView bytes = encode_entry(
      room, fields_, Signature{to_array<decltype(Signature::bytes)>(elided.signature)});
  arena_used_ += bytes.size();
  const auto entry = EntryView::parse(bytes);
  CULM_ASSERT(entry);
  unit_.entries_.push_back(
      UnitEntry{*entry, entry->hash(), elided.payload, elided.payload.has_value()});
  return {};
}

Result<std::optional<Hash>> UnitRestorer::restore_link(const std::optional<ElidedLink>& link,
                                                       SeqNum target, std::size_t offset) {
  if (!link) return std::nullopt;
  if (link->form == kLinkWhole) return Hash{to_array<decltype(Hash::bytes)>(link->bytes)};
  if (link->form == kLinkLeftOut) {
    const UnitEntry* found = detail::find_entry(unit_.entries_, target);
    if (found == nullptr) return fail(error_at(Errc::kElidedFormat, offset));
    return found->hash;
  }
  CULM_TRY(const std::optional<Hash> found, targets_.find(target));
  if (!found || !equal(ByteView(found->bytes).first(kPrefixBytes), link->bytes)) {
    return fail(error_for(Errc::kElidedTarget, target));
  }
  return found;
}

Result<CheckedUnit> restore_unit(const LogKey& log, Bytes elided, LinkTargets& targets) {
  return UnitRestorer(log, std::move(elided), targets).run();
}

Result<ElidedContents> read_elided(ByteView elided) {
  ElidedReader reader(elided);
  if (reader.is_at_end()) return fail(Errc::kUnitEmpty);
  ElidedContents contents;
  while (!reader.is_at_end()) {
    CULM_TRY(const ElidedEntry entry, reader.next());
    contents.seqnums.insert(entry.seqnum);
    if (!entry.payload) continue;
    const std::uint64_t size = entry.payload->size();
    const bool is_first = contents.payloads.empty();
    contents.payload_bytes_min = is_first ? size : std::min(contents.payload_bytes_min, size);
    contents.payload_bytes += size;
    contents.payload_bytes_max = std::max(contents.payload_bytes_max, size);
    contents.payloads.insert(entry.seqnum);
  }
  return contents;
}

}  // namespace culm
