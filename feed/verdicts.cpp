#include "culm/feed/verdicts.hpp"

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

void check_signatures(std::span<const UncheckedEntry> entries, SignatureVerifier& verifier,
                      Verdicts& verdicts) {
  for (const UncheckedEntry& item : entries) {
    const EntryView entry = item.entry.view();
    const auto verdict = verifier.verify(entry.author(), entry.signed_bytes(), entry.signature());
    verdicts.add(item.hash, verdict);
    if (!verdict) return;
  }
}

}  // namespace culm
