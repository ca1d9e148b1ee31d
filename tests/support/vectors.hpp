#pragma once

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "culm/core/bytes.hpp"

namespace culm::test {

/// The vectors in `path`; nothing where there is no such file.
inline std::optional<nlohmann::json> load_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

/// Public vectors, which do not lie in this tree.
inline std::optional<nlohmann::json> shared_vectors(const std::string& name) {
  const char* place = std::getenv("CULM_SHARED_VECTORS");
  return load_json(std::string(place != nullptr ? place : CULM_SHARED_VECTORS) + "/" + name);
}

/// Vectors of the specification.
inline std::optional<nlohmann::json> spec_vectors(const std::string& name) {
  return load_json(CULM_SPEC_VECTORS "/" + name);
}

/// The bytes of a hex string in a vector. Throws when the vector is not hex.
inline Bytes hex(const nlohmann::json& text) {
  auto bytes = from_hex(text.get<std::string>());
  if (!bytes) throw std::runtime_error("not hex: " + text.dump());
  return *std::move(bytes);
}

/// The same in a type that holds `bytes` of fixed size.
template <class T>
T hex_as(const nlohmann::json& text) {
  const Bytes bytes = hex(text);
  T out{};
  if (bytes.size() != out.size()) throw std::runtime_error("wrong size: " + text.dump());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

}  // namespace culm::test

/// Declares `vectors`, or skips the test.
#define CULM_VECTORS_OR_SKIP(vectors, loaded)                       \
  const auto vectors##_loaded = (loaded);                           \
  if (!vectors##_loaded) GTEST_SKIP() << #loaded << " not present"; \
  const nlohmann::json& vectors = *vectors##_loaded
