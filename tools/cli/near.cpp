#include "tools/cli/near.hpp"

#include <algorithm>
#include <numeric>

namespace culm::tools {
namespace {

/// Letters to add, leave out, replace or swap with their neighbour, to make one of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      const bool is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (is_swap) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return last.back();
}

}  // namespace

std::vector<std::string> near_to(std::string_view typed, const std::vector<std::string>& known) {
  constexpr std::size_t kTypedMax = 40;
  std::vector<std::string> near;
  const auto letters =
      static_cast<std::size_t>(std::ranges::count_if(typed, [](char c) { return c != '-'; }));
  if (typed.size() > kTypedMax || letters == 0) return near;
  // Of a short word two letters are half of it.
  std::size_t nearest = letters <= 5 ? 1 : 2;
  for (const std::string& name : known) {
    // One who typed the beginning knows the rest.
    const bool is_beginning = letters >= 2 && name.starts_with(typed);
    const std::size_t away = is_beginning ? 1 : distance(typed, name);
    if (away > nearest) continue;
    if (away < nearest) near.clear();
    nearest = away;
    near.push_back(name);
  }
  return near;
}

std::string either(const std::vector<std::string>& choices) {
  std::string text;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const bool is_last = i + 1 == choices.size();
    text += (i == 0 ? "" : is_last ? " or " : ", ") + choices[i];
  }
  return text;
}

}  // namespace culm::tools
