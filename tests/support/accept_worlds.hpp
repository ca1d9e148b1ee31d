#pragma once

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "culm/feed/closure.hpp"

#include "tests/support/held_log.hpp"
#include "tests/support/prng.hpp"

/// Random logs, parts of them, and what goes wrong with both.
namespace culm::test {

/// Of `alice()`.
inline constexpr SeqNum kHead = 300;

inline const LogBuilder& alice() {
  static const LogBuilder log = std::move(LogBuilder("alice").append_many(kHead));
  return log;
}

inline RangeSet random_ranges(TestRandom& random, SeqNum head, std::size_t count_max = 3) {
  RangeSet set;
  for (std::size_t count = random.between(1, count_max); count > 0; --count) {
    const SeqNum first = random.between(1, head);
    set.insert({first, std::min(head, first + random.below(random.below(2) == 0 ? 2 : 30))});
  }
  return set;
}

inline std::vector<SeqNum> members(const RangeSet& set) {
  std::vector<SeqNum> out;
  for (const SeqRange range : set.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) out.push_back(n);
  }
  return out;
}

inline RangeSet to_set(std::span<const SeqNum> seqnums) {
  RangeSet set;
  for (const SeqNum n : seqnums) set.insert(n);
  return set;
}

/// Ascending pieces of random sizes.
inline std::vector<RangeSet> cut(const RangeSet& set, TestRandom& random) {
  const std::vector<SeqNum> all = members(set);
  std::vector<RangeSet> pieces;
  for (std::size_t start = 0; start < all.size();) {
    const std::size_t size = std::min(all.size() - start, std::size_t{1} + random.below(20));
    pieces.push_back(to_set(std::span(all).subspan(start, size)));
    start += size;
  }
  return pieces;
}

/// A receiver that holds a closed part of the log as of some earlier head, and what it lacks of a
/// larger one.
struct Want {
  explicit Want(TestRandom& random) {
    const SeqNum head = random.between(1, kHead);
    const SeqNum old_head = random.between(1, head);
    const RangeSet old_interest = random_ranges(random, old_head);
    if (random.below(4) != 0) held = closure(old_interest, old_head);
    missing = closure(old_interest | random_ranges(random, head), head) - held;
  }

  RangeSet held;
  RangeSet missing;
};

/// Well-formed bytes at the place of an honest entry, by somebody without the author's key.
inline EntryBuffer forge(const LogBuilder& log, SeqNum n, TestRandom& random) {
  EntryFields fields = log.fields(n);
  Signature signature = log.entry(n).signature();
  switch (random.below(5)) {
    case 0:
      return signed_badly(log.entry(n));
    case 1:
      return log.forged(n);
    case 2:
      if (fields.backlink) fields.backlink = hash(random.bytes(4));
      fields.payload_size += 1;
      break;
    case 3:
      signature = LogBuilder("mallory").key().sign(log.entry(n).signed_bytes());
      break;
    default:
      signature = log.entry(random.between(1, log.head())).signature();
      fields.tag = Tag::kEndOfLog;
  }
  return entry_of(fields, signature);
}

/// Replaces one entry of the unit, or a chain of them up from it, each linking to the forged ones.
inline std::vector<EntryBuffer> forge_unit(const LogBuilder& log, const RangeSet& piece,
                                           TestRandom& random) {
  const std::vector<SeqNum> seqnums = members(piece);
  const std::size_t start = random.below(seqnums.size());
  const std::size_t end = start + 1 + random.below(2) * random.below(seqnums.size() - start);
  std::vector<EntryBuffer> out;
  for (std::size_t i = 0; i < seqnums.size(); ++i) {
    const SeqNum n = seqnums[i];
    if (i < start || i >= end) {
      out.emplace_back(log.entry(n));
    } else if (i == start) {
      out.push_back(forge(log, n, random));
    } else {
      EntryFields fields = log.fields(n);
      for (std::size_t below = start; below < i; ++below) {
        const Hash target = hash(out[below].bytes());
        if (seqnums[below] + 1 == n) fields.backlink = target;
        if (fields.lipmaalink && lipmaa(n) == seqnums[below]) fields.lipmaalink = target;
      }
      out.push_back(entry_of(fields, log.entry(n).signature()));
    }
  }
  return out;
}

/// A log whose author signed some entries badly, each vouched for by what is above.
inline std::vector<EntryBuffer> badly_signed_log(TestRandom& random, SeqNum head, RangeSet& bad) {
  const SecretKey key = key_from("alice");
  std::vector<EntryBuffer> entries;
  std::vector<Hash> hashes;
  for (SeqNum n = 1; n <= head; ++n) {
    EntryFields fields{.tag = Tag::kEntry,
                       .log = {key.author(), LogId{0}},
                       .seqnum = n,
                       .lipmaalink = {},
                       .backlink = {},
                       .payload_size = 0,
                       .payload_hash = hash({})};
    if (has_lipmaalink(n)) fields.lipmaalink = hashes[lipmaa(n) - 1];
    if (n > 1) fields.backlink = hashes[n - 2];
    const EntryBuffer entry = sign_entry(fields, key);
    if (random.below(3) == 0) {
      entries.push_back(signed_badly(entry.view()));
      bad.insert(n);
    } else {
      entries.push_back(entry);
    }
    hashes.push_back(hash(entries.back().bytes()));
  }
  return entries;
}

}  // namespace culm::test
