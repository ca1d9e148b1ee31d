#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "culm/feed/entry.hpp"

namespace culm {

/// What is known of signatures: a look-up, not a verifier. A verdict is for exactly the bytes of
/// one entry, under their entry hash, which covers author and signature: whoever brings the same
/// bytes again, and whatever is held by then, it stays true. Whether a bad signature matters is for
/// the accepting rule to say.
class Verdicts {
 public:
  /// The verdict on the entry with this hash: good, or kEntrySignature or kAuthorKey. Nothing while
  /// it is unknown.
  [[nodiscard]] std::optional<Result<void>> find(const Hash& entry) const;
  [[nodiscard]] bool is_good(const Hash& entry) const;

  void add(const Hash& entry, const Result<void>& verdict);

  /// Of entries with a verdict, good or bad.
  [[nodiscard]] std::size_t count() const noexcept { return verdicts_.size(); }

 private:
  /// Whoever aims hashes at one bucket gains little: a unit has limits::kUnitEntriesMax entries.
  struct FirstBytes {
    [[nodiscard]] std::size_t operator()(const Hash& hash) const noexcept;
  };

  std::unordered_map<Hash, Result<void>, FirstBytes> verdicts_;
};

/// An entry whose signature is to be checked. Owns its bytes, so it outlives a transaction; `hash`
/// is that of these bytes.
struct UncheckedEntry {
  EntryBuffer entry;
  Hash hash;
};

/// Checks the signatures of `entries` in order, up to the first that is bad: the accepting rule,
/// which asked in this order, gets no further than that one. Adds at least one verdict, unless
/// `entries` is empty.
void check_signatures(std::span<const UncheckedEntry> entries, SignatureVerifier& verifier,
                      Verdicts& verdicts);

}  // namespace culm
