#pragma once

#include <map>
#include <optional>
#include <utility>

#include <gtest/gtest.h>

#include "culm/feed/elided.hpp"

#include "tests/support/log_builder.hpp"

namespace culm::test {

/// Whether this thread has a write transaction open, of a `WatchedKv`.
inline thread_local bool is_writing = false;

/// Decides as the real verifier does, and counts. Not to be called within a write transaction: the
/// store keeps everybody waiting there.
class CountingVerifier final : public SignatureVerifier {
 public:
  Result<void> verify(const Author& author, ByteView message, const Signature& signature) override {
    EXPECT_FALSE(is_writing) << "a signature is checked inside of Store::update";
    ++checks;
    return verifier_.verify(author, message, signature);
  }

  std::uint64_t checks = 0;

 private:
  static Ed25519Verifier ready() {
    CULM_ASSERT(initialize_crypto());
    return {};
  }

  Ed25519Verifier verifier_ = ready();
};

/// What is held of one log, in memory; a store in small.
class MemoryLog final : public HeldLog, public LinkTargets {
 public:
  MemoryLog() = default;
  /// Holds `members` of `log`, verified.
  MemoryLog(const LogBuilder& log, const RangeSet& members) {
    for (const UnitEntry& item : log.unit(members)) hold(item.entry, Level::kVerified);
  }

  void hold(const EntryView& entry, Level level) {
    entries_.insert_or_assign(entry.seqnum(), EntryBuffer(entry));
    held_.insert(entry.seqnum());
    if (level == Level::kVerified) verified_.insert(entry.seqnum());
    if (entry.is_end_of_log()) end_of_log_ = entry.seqnum();
  }

  void set_cap(SeqNum cap) { cap_ = cap; }

  /// What a store does with a verdict: the entries, and the cap that the defect sets.
  void commit(const UnitVerdict& verdict) {
    verified_ |= verdict.newly_verified;
    if (verdict.proven) {
      const SeqNum at = verdict.proven->defect().at;
      cap_ = cap_ == 0 ? at : std::min(cap_, at);
      entries_.erase(entries_.lower_bound(cap_), entries_.end());
      held_.erase({cap_, kSeqnumMax});
      verified_.erase({cap_, kSeqnumMax});
      if (end_of_log_ >= cap_) end_of_log_ = 0;
    }
    for (const AcceptedEntry& accepted : verdict.accepted) hold(accepted.entry(), accepted.level());
  }

  [[nodiscard]] const RangeSet& held() const override { return held_; }
  [[nodiscard]] const RangeSet& verified() const override { return verified_; }
  [[nodiscard]] SeqNum cap() const override { return cap_; }
  [[nodiscard]] SeqNum end_of_log() const override { return end_of_log_; }
  [[nodiscard]] Result<EntryView> entry(SeqNum seqnum) override {
    ++lookups;
    return entries_.at(seqnum).view();
  }
  [[nodiscard]] Result<std::optional<Hash>> find(SeqNum seqnum) override {
    const auto found = entries_.find(seqnum);
    if (found == entries_.end()) return std::nullopt;
    return found->second.view().hash();
  }

  std::uint64_t lookups = 0;

 private:
  std::map<SeqNum, EntryBuffer> entries_;
  RangeSet held_;
  RangeSet verified_;
  SeqNum cap_ = 0;
  SeqNum end_of_log_ = 0;
};

/// Entries of `log`, checked as they are for a store that holds nothing.
inline CheckedUnit checked(const LogBuilder& log, const RangeSet& members,
                           bool with_payloads = false) {
  auto unit = check_unit(log.log(), log.unit(members, with_payloads));
  CULM_ASSERT(unit);
  CountingVerifier verifier;
  unit->check_signatures({}, verifier, {});
  return *std::move(unit);
}

/// An entry that did not come from a `LogBuilder`, as part of a unit. Borrows.
inline UnitEntry unit_entry(const EntryBuffer& buffer) {
  return {buffer.view(), hash(buffer.bytes())};
}

/// Entry `n` with other bytes and the author's own signature over them.
inline EntryBuffer resigned(const LogBuilder& log, EntryFields fields) {
  return sign_entry(fields, log.key());
}

/// The entry with one bit of its signature flipped.
inline EntryBuffer signed_badly(const EntryView& entry) {
  Signature signature = entry.signature();
  signature.bytes[40] ^= 1U;
  return entry_of(fields_of(entry), signature);
}

/// The seqnums in `entries`.
template <class Entries>
RangeSet seqnums_of(const Entries& entries) {
  RangeSet set;
  for (const auto& item : entries) {
    if constexpr (requires { item.entry(); }) {
      set.insert(item.entry().seqnum());
    } else {
      set.insert(item.entry.seqnum());
    }
  }
  return set;
}

}  // namespace culm::test
