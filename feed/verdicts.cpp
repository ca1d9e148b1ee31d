#include "culm/feed/verdicts.hpp"

#include <algorithm>
#include <cstring>

namespace culm {

std::optional<Result<void>> Verdicts::find(const Hash& entry) const {
  const auto found = verdicts_.find(entry);
  if (found == verdicts_.end()) return std::nullopt;
  return found->second;
}

bool Verdicts::is_good(const Hash& entry) const {
  const auto found = verdicts_.find(entry);
  return found != verdicts_.end() && found->second.has_value();
}

void Verdicts::add(const Hash& entry, const Result<void>& verdict) {
  verdicts_.insert_or_assign(entry, verdict);
}

std::size_t Verdicts::FirstBytes::operator()(const Hash& hash) const noexcept {
  std::size_t first = 0;
  std::memcpy(&first, hash.bytes.data(), sizeof first);
  return first;
}

namespace {

/// A portion is large enough for every thread, and what is in vain behind a bad signature small.
constexpr std::size_t kPortionMax = 256;

/// A list, and how far it has come.
class DueList {
 public:
  explicit DueList(const DueSignatures& due) : due_(due), rest_(due.items) {}

  [[nodiscard]] std::span<const DueSignatures::Item> portion() const {
    return rest_.first(std::min(rest_.size(), size_));
  }

  /// Takes the verdicts on the portion, and goes on behind it while they are good.
  void take(const Verdicts& known) {
    bool is_good = true;
    for (const auto& item : portion()) {
      const auto verdict = known.find(item.hash);
      due_.verdicts->add(item.hash, *verdict);
      is_good = is_good && verdict->has_value();
    }
    rest_ = is_good ? rest_.subspan(portion().size()) : rest_.first(0);
    size_ = std::min(2 * size_, kPortionMax);
  }

 private:
  const DueSignatures& due_;
  std::span<const DueSignatures::Item> rest_;
  std::size_t size_ = 1;
};

/// Checks what `items` names and `known` lacks.
void check_portions(std::span<const DueSignatures::Item* const> items, SignatureVerifier& verifier,
                    Verdicts& known) {
  std::vector<SignatureCheck> checks;
  std::vector<const Hash*> hashes;  // of the same entries
  for (const DueSignatures::Item* item : items) {
    if (known.find(item->hash)) continue;
    known.add(item->hash, {});  // until it is known: once is enough
    checks.push_back(signature_check(item->entry));
    hashes.push_back(&item->hash);
  }
  std::vector<Result<void>> outcomes(checks.size());
  verifier.verify_all(checks, outcomes);
  for (std::size_t i = 0; i < checks.size(); ++i) known.add(*hashes[i], outcomes[i]);
}

}  // namespace

void check_signatures(std::span<const DueSignatures> due, SignatureVerifier& verifier) {
  std::vector<DueList> lists(due.begin(), due.end());
  Verdicts known;
  std::vector<const DueSignatures::Item*> items;
  do {
    items.clear();
    for (const DueList& list : lists) {
      for (const auto& item : list.portion()) items.push_back(&item);
    }
    check_portions(items, verifier, known);
    for (DueList& list : lists) list.take(known);
  } while (!items.empty());
}

DueSignatures due_of(std::span<const UncheckedEntry> entries, Verdicts& verdicts) {
  DueSignatures due{{}, &verdicts};
  due.items.reserve(entries.size());
  for (const UncheckedEntry& item : entries) due.items.push_back({item.entry.view(), item.hash});
  return due;
}

void check_signatures(std::span<const UncheckedEntry> entries, SignatureVerifier& verifier,
                      Verdicts& verdicts) {
  const DueSignatures due = due_of(entries, verdicts);
  check_signatures({&due, 1}, verifier);
}

}  // namespace culm
