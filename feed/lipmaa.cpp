#include "culm/feed/lipmaa.hpp"

#include <algorithm>

#include "culm/core/assert.hpp"

namespace culm {
namespace {

/// s(0) = 0 to s(41), all that fit 64 bits. Each number above s(41) lies below s(42), so the table
/// is enough for all of them and nothing wider than 64 bits is ever needed.
constexpr std::array<SeqNum, 42> kSpine = [] {
  std::array<SeqNum, 42> spine{};
  for (std::size_t k = 1; k < spine.size(); ++k) spine[k] = 3 * spine[k - 1] + 1;
  return spine;
}();
static_assert(kSpine.back() == 18'236'498'188'585'393'201U);
static_assert((kSeqnumMax - 1) / 3 < kSpine.back());

/// The least k with s(k) >= n: 42 above the table.
std::size_t level(SeqNum n) {
  return static_cast<std::size_t>(std::ranges::lower_bound(kSpine, n) - kSpine.begin());
}

bool is_spine_of_level(SeqNum n, std::size_t k) { return k < kSpine.size() && kSpine[k] == n; }

/// Of each number below s(kSmall): the level of the block that ends there.
constexpr std::size_t kSmall = 7;
constexpr std::array<std::uint8_t, kSpine[kSmall]> kEndingLevels = [] {
  std::array<std::uint8_t, kSpine[kSmall]> levels{};
  for (SeqNum n = 1; n < levels.size(); ++n) {
    std::size_t k = kSmall;
    for (SeqNum rest = n; rest != 0;) rest %= kSpine[--k];
    levels[n] = static_cast<std::uint8_t>(k);
  }
  return levels;
}();

/// The level of the largest block that begins right after `n`; 0 when `n + 1` ends a block.
std::size_t block_level_after(SeqNum n) {
  std::size_t k = level(n);
  if (is_spine_of_level(n, k)) return k;
  for (SeqNum rest = n; rest != 0;) {
    --k;
    if (rest / kSpine[k] == 3) return 0;
    rest %= kSpine[k];
  }
  return k;
}

}  // namespace

SeqNum lipmaa(SeqNum n) {
  CULM_ASSERT(n >= 1);
  std::size_t k = level(n);
  if (is_spine_of_level(n, k)) return kSpine[k - 1];
  // Asked of each entry several times: a table stands for the last divisions.
  SeqNum rest = n;
  while (k > kSmall) {
    const SeqNum spine = kSpine[--k];
    rest %= spine;
    if (rest == 0) return n - spine;
  }
  return n - kSpine[kEndingLevels[rest]];
}

bool has_lipmaalink(SeqNum n) { return n > 1 && lipmaa(n) != n - 1; }

// Only the numbers that are there are written: an arriving entry mostly has one or two.
InLinks::InLinks(SeqNum target) {  // NOLINT(cppcoreguidelines-pro-type-member-init)
  CULM_ASSERT(target >= 1);
  const SeqNum room = kSeqnumMax - target;
  if (room == 0) return;
  seqnums_[size_++] = target + 1;
  const std::size_t largest = block_level_after(target);
  for (std::size_t k = 2; k <= largest && kSpine[k] <= room; ++k) {
    seqnums_[size_++] = target + kSpine[k];
  }
  const std::size_t k = largest + 1;
  if (k < kSpine.size() && kSpine[largest] == target) seqnums_[size_++] = kSpine[k];
}

std::vector<SeqNum> path_to_first(SeqNum n) {
  CULM_ASSERT(n >= 1);
  // How often each level's block is stepped over, found from the largest down, walked back up.
  std::array<std::uint8_t, kSpine.size()> steps{};
  std::size_t spine_level = level(n);
  std::size_t k = spine_level;
  if (!is_spine_of_level(n, k)) {
    for (SeqNum rest = n; rest != 0;) {
      --k;
      steps[k] = static_cast<std::uint8_t>(rest / kSpine[k]);
      rest %= kSpine[k];
    }
    --spine_level;
    --steps[spine_level];
  }

  std::vector<SeqNum> out;
  out.reserve(3 * (spine_level + 1));
  for (SeqNum at = n; k <= spine_level; ++k) {
    for (std::uint8_t i = 0; i < steps[k]; ++i, at -= kSpine[k]) out.push_back(at);
  }
  for (k = spine_level; k >= 1; --k) out.push_back(kSpine[k]);
  return out;
}

std::vector<SeqNum> path(SeqNum from, SeqNum to) {
  CULM_ASSERT(from >= to && to >= 1);
  std::vector<SeqNum> out{from};
  for (SeqNum at = from; at != to;) {
    const SeqNum target = lipmaa(at);
    at = target >= to ? target : at - 1;
    out.push_back(at);
  }
  return out;
}

std::optional<SeqNum> up(SeqNum n) {
  CULM_ASSERT(n >= 1);
  if (is_on_spine(n)) return std::nullopt;
  const SeqNum step = kSpine[std::max<std::size_t>(1, block_level_after(n))];
  if (step > kSeqnumMax - n) return std::nullopt;
  return n + step;
}

std::vector<SeqNum> tail_path(SeqNum n, SeqNum head) {
  CULM_ASSERT(n >= 1);
  std::vector<SeqNum> out;
  if (n > head) return out;
  std::size_t k = level(n);
  out.reserve(3 * k);
  if (is_spine_of_level(n, k)) return {n};
  if (k < kSpine.size() && kSpine[k] <= head) out.push_back(kSpine[k]);

  // `rest` counts from the start of the block of level k that n is in, `n - rest`.
  for (SeqNum rest = n;;) {
    --k;
    const SeqNum block = (rest - 1) / kSpine[k];
    const SeqNum start = n - rest;
    for (SeqNum i = std::min<SeqNum>(3, (head - start) / kSpine[k]); i > block; --i) {
      out.push_back(start + i * kSpine[k]);
    }
    rest -= block * kSpine[k];
    if (rest == kSpine[k]) return out;
  }
}

bool is_on_spine(SeqNum n) { return n >= 1 && is_spine_of_level(n, level(n)); }

}  // namespace culm
