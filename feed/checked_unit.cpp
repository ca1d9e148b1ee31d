#include "culm/feed/checked_unit.hpp"

#include <algorithm>
#include <utility>

#include "culm/core/assert.hpp"
#include "culm/feed/detail/find_entry.hpp"
#include "culm/feed/lipmaa.hpp"

namespace culm {

const UnitEntry* CheckedUnit::find(SeqNum seqnum) const {
  return detail::find_entry(entries_, seqnum);
}

void CheckedUnit::leave_out_payloads(const RangeSet& seqnums) {
  if (seqnums.empty()) return;
  for (UnitEntry& item : entries_) {
    if (seqnums.contains(item.entry.seqnum())) item.payload.reset();
  }
}

/// By index: whether an entry above, of this unit, has a link that carries the entry's hash.
std::vector<bool> CheckedUnit::find_vouched() const {
  std::vector<bool> vouched(entries_.size());
  for (std::size_t i = 1; i < entries_.size(); ++i) {
    const EntryView& entry = entries_[i].entry;
    const auto below = entries().first(i);
    const auto vouch = [&](SeqNum target, const std::optional<Hash>& link) {
      const UnitEntry* found = link ? detail::find_entry(below, target) : nullptr;
      if (found == nullptr || found->hash != *link) return;
      vouched[static_cast<std::size_t>(found - entries_.data())] = true;
    };
    vouch(entry.seqnum() - 1, entry.backlink());
    vouch(lipmaa(entry.seqnum()), entry.lipmaalink());
  }
  return vouched;
}

DueSignatures CheckedUnit::due_signatures(const RangeSet& held, const AcceptOptions& options) {
  const std::vector<bool> vouched =
      options.full ? std::vector<bool>(entries_.size()) : find_vouched();
  DueSignatures due{{}, &verdicts_};
  for (std::size_t i = entries_.size(); i > 0; --i) {
    const UnitEntry& item = entries_[i - 1];
    if (vouched[i - 1] || held.contains(item.entry.seqnum()) || verdicts_.find(item.hash)) continue;
    due.items.push_back({item.entry, item.hash});
  }
  return due;
}

DueSignatures CheckedUnit::due_missing(std::span<const UncheckedEntry> missing) {
  return due_of(missing, verdicts_);
}

void CheckedUnit::check_signatures(const RangeSet& held, SignatureVerifier& verifier,
                                   const AcceptOptions& options) {
  const DueSignatures due = due_signatures(held, options);
  culm::check_signatures({&due, 1}, verifier);
}

void CheckedUnit::check_missing(std::span<const UncheckedEntry> missing,
                                SignatureVerifier& verifier) {
  culm::check_signatures(missing, verifier, verdicts_);
}

Result<CheckedUnit> check_unit(const LogKey& log, std::span<const UnitEntry> unit, Verdicts known) {
  CULM_CHECK(check_shape(log, unit));
  std::size_t size_bytes = 0;
  for (const UnitEntry& item : unit) {
    size_bytes += item.entry.bytes().size() + item.payload.value_or(ByteView{}).size();
  }
  CheckedUnit checked(log);
  checked.arena_ = std::make_unique_for_overwrite<std::uint8_t[]>(size_bytes);
  checked.entries_.reserve(unit.size());
  checked.verdicts_ = std::move(known);
  std::uint8_t* place = checked.arena_.get();
  const auto copy = [&](ByteView bytes) {
    const ByteView copied(place, bytes.size());
    place = std::ranges::copy(bytes, place).out;
    return copied;
  };
  for (const UnitEntry& item : unit) {
    const auto entry = EntryView::parse(copy(item.entry.bytes()));
    CULM_ASSERT(entry);
    checked.entries_.push_back({*entry, entry->hash()});  // verdicts are looked up by it
    if (!item.payload) continue;
    checked.entries_.back().payload = copy(*item.payload);
    checked.entries_.back().payload_checked = true;
  }
  return checked;
}

}  // namespace culm
