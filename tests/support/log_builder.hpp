#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culm/core/assert.hpp"
#include "culm/feed/entry_encoder.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/feed/range_set.hpp"
#include "culm/feed/verify.hpp"

namespace culm::test {

/// The key that follows from `seed`, the same on every machine.
inline SecretKey key_from(std::string_view seed) {
  CULM_ASSERT(initialize_crypto());
  auto key =
      SecretKey::from_seed(ByteView(hash(as_bytes(seed)).bytes).first(SecretKey::kSeedSizeBytes));
  CULM_ASSERT(key);
  return *std::move(key);
}

/// All fields of an entry but its signature, as `encode_entry` takes them.
inline EntryFields fields_of(const EntryView& entry) {
  return {.tag = entry.tag(),
          .log = entry.log(),
          .seqnum = entry.seqnum(),
          .lipmaalink = entry.lipmaalink(),
          .backlink = entry.backlink(),
          .payload_size = entry.payload_size(),
          .payload_hash = entry.payload_hash()};
}

/// An entry of these fields with any signature, good or not.
inline EntryBuffer entry_of(const EntryFields& fields, const Signature& signature) {
  std::array<std::uint8_t, limits::kEntrySizeBytesMax> bytes{};
  const auto entry = EntryView::parse(encode_entry(bytes, fields, signature));
  CULM_ASSERT(entry);
  return EntryBuffer(*entry);
}

/// A log in memory, whole, with its payloads; bytes follow from the seed and what is appended.
///
///   LogBuilder log("alice");
///   log.append("hello").append_many(20).end();
///   LogBuilder other = log.fork(7);  // the same up to 6, another entry 7
///
/// Seqnums that are asked for must exist. Views live as long as the builder.
class LogBuilder {
 public:
  explicit LogBuilder(std::string_view seed = "alice", LogId log_id = LogId{0})
      : key_(std::make_shared<const SecretKey>(key_from(seed))), log_{key_->author(), log_id} {}

  LogBuilder& append(std::string_view payload, Tag tag = Tag::kEntry) {
    add(sign_entry(next_fields(payload, tag), *key_), payload);
    return *this;
  }

  /// Payloads "entry 5", "entry 6", ...
  LogBuilder& append_many(std::size_t count) {
    for (; count > 0; --count) append("entry " + std::to_string(head() + 1));
    return *this;
  }

  LogBuilder& end(std::string_view payload = "") { return append(payload, Tag::kEndOfLog); }

  /// Appends an entry of the author's that may break every rule but the form: its fields are signed
  /// as they are.
  LogBuilder& append_fields(const EntryFields& fields, std::string_view payload) {
    add(sign_entry(fields, *key_), payload);
    return *this;
  }

  /// Appends an entry whose links are right and whose signature is bad.
  LogBuilder& append_badly_signed(std::string_view payload = "bad") {
    add(entry_of(next_fields(payload), Signature{}), payload);
    return *this;
  }

  [[nodiscard]] SeqNum head() const { return items_.size(); }
  [[nodiscard]] const LogKey& log() const { return log_; }
  [[nodiscard]] const SecretKey& key() const { return *key_; }
  [[nodiscard]] EntryView entry(SeqNum n) const { return item(n).buffer.view(); }
  [[nodiscard]] ByteView bytes(SeqNum n) const { return item(n).buffer.bytes(); }
  [[nodiscard]] const Hash& hash(SeqNum n) const { return item(n).hash; }
  [[nodiscard]] ByteView payload(SeqNum n) const { return item(n).payload; }
  [[nodiscard]] EntryFields fields(SeqNum n) const { return fields_of(entry(n)); }

  /// What the next entry would be, for tests that change a field and sign.
  [[nodiscard]] EntryFields next_fields(std::string_view payload, Tag tag = Tag::kEntry) const {
    EntryFields fields{.tag = tag,
                       .log = log_,
                       .seqnum = head() + 1,
                       .lipmaalink = {},
                       .backlink = {},
                       .payload_size = payload.size(),
                       .payload_hash = culm::hash(as_bytes(payload))};
    if (has_lipmaalink(fields.seqnum)) fields.lipmaalink = hash(lipmaa(fields.seqnum));
    if (fields.seqnum > 1) fields.backlink = hash(fields.seqnum - 1);
    return fields;
  }

  /// The same author's other branch: equal below `n`, at `n` an entry over `payload`, its head.
  [[nodiscard]] LogBuilder fork(SeqNum n, std::string_view payload = "fork") const {
    LogBuilder other = *this;
    other.items_.resize(n - 1, item(n));
    other.append(payload);
    return other;
  }

  /// Entry `n` over other bytes than were signed: well-formed, its signature bad.
  [[nodiscard]] EntryBuffer forged(SeqNum n, std::string_view payload = "forged") const {
    EntryFields fields = this->fields(n);
    fields.payload_size = payload.size();
    fields.payload_hash = culm::hash(as_bytes(payload));
    return entry_of(fields, entry(n).signature());
  }

  /// Those members that exist, as `accept_unit` takes them.
  [[nodiscard]] std::vector<UnitEntry> unit(const RangeSet& members,
                                            bool with_payloads = false) const {
    std::vector<UnitEntry> out;
    for (const SeqRange range : members.ranges()) {
      for (SeqNum n = range.first; n <= std::min(range.last, head()); ++n) {
        out.push_back({entry(n), hash(n), {}});
        if (with_payloads) out.back().payload = payload(n);
      }
    }
    return out;
  }

 private:
  struct Item {
    EntryBuffer buffer;
    Bytes payload;
    Hash hash;
  };

  [[nodiscard]] const Item& item(SeqNum n) const {
    CULM_ASSERT(n >= 1 && n <= head());
    return items_[n - 1];
  }

  void add(const EntryBuffer& entry, std::string_view payload) {
    const ByteView bytes = as_bytes(payload);
    items_.push_back({entry, Bytes(bytes.begin(), bytes.end()), culm::hash(entry.bytes())});
  }

  std::shared_ptr<const SecretKey> key_;
  LogKey log_;
  std::deque<Item> items_;  // never moves an item
};

}  // namespace culm::test
