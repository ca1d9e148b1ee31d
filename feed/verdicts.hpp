#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "culm/feed/entry.hpp"

namespace culm {

/// What is known of signatures: a look-up, not a verifier. A verdict is for exactly the bytes of
/// one entry, under their entry hash, which covers author and signature: who brings the same
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
  /// To aim hashes at one bucket gains little: a unit has limits::kUnitEntriesMax entries.
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

/// Signatures of one unit that are to be checked, in the order in which the accepting rule asks for
/// them; it gets no further than the first that is bad. Borrows the entries.
struct DueSignatures {
  struct Item {
    EntryView entry;
    Hash hash;
  };

  std::vector<Item> items;
  Verdicts* verdicts = nullptr;  ///< where the verdicts go
};

[[nodiscard]] DueSignatures due_of(std::span<const UncheckedEntry> entries, Verdicts& verdicts);

/// Checks what is due of many units, with as many signatures at a time as `verifier` can use. Of
/// each list no more are checked behind a bad one than were good before it: the portions double.
/// The same bytes in several lists are checked once. Adds at least one verdict to each list that is
/// not empty.
void check_signatures(std::span<const DueSignatures> due, SignatureVerifier& verifier);

/// The same of one list.
void check_signatures(std::span<const UncheckedEntry> entries, SignatureVerifier& verifier,
                      Verdicts& verdicts);

}  // namespace culm
