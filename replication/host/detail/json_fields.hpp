#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "culm/feed/range_set.hpp"
#include "culm/replication/host/json.hpp"

namespace culm::control {

/// Members of a struct that are of one type, and what they are called in JSON.
template <class Struct, class Value, std::size_t kCount>
using Fields = std::array<std::pair<const char*, Value Struct::*>, kCount>;

[[nodiscard]] inline Result<std::string> get_text(const Json& json, std::string_view key) {
  const std::string* const text = json.find_text(key);
  if (text == nullptr) return fail(Errc::kFileFormat);
  return *text;
}

/// "" is the empty set here, which people cannot write.
[[nodiscard]] inline Result<RangeSet> get_ranges(const Json& json, std::string_view key) {
  CULM_TRY(const std::string text, get_text(json, key));
  if (text.empty()) return RangeSet();
  return parse_ranges(text);
}

// All fields of a table: into JSON, and out of it, where they must be there.

template <class Table, class Struct>
void put(Json& json, const Table& table, const Struct& from) {
  for (const auto& [name, member] : table) json[name] = from.*member;
}

template <class Struct, std::size_t kCount>
[[nodiscard]] bool take(const Json& json, const Fields<Struct, std::uint64_t, kCount>& table,
                        Struct& into) {
  for (const auto& [name, member] : table) {
    const auto number = json.find_number(name);
    if (!number) return false;
    into.*member = *number;
  }
  return true;
}

template <class Struct, std::size_t kCount>
[[nodiscard]] bool take(const Json& json, const Fields<Struct, bool, kCount>& table, Struct& into) {
  for (const auto& [name, member] : table) {
    const auto value = json.find_bool(name);
    if (!value) return false;
    into.*member = *value;
  }
  return true;
}

}  // namespace culm::control
