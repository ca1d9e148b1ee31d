#pragma once

#include <cstddef>
#include <optional>

/// Reads that a damaged page can lead astray: to an assertion of LMDB, or to where nothing is
/// mapped. LMDB reads without a lock and without memory of its own, so that it can be left
/// anywhere.
namespace culm::store::detail {

[[nodiscard]] std::optional<int> call_safely(int (*read)(void*), void* what);
/// Meets within a read what lies outside of the file, and not where the bytes are used.
void touch(const void* bytes, std::size_t size);

/// What `read` returns, `damaged` where `leave_read` was called meanwhile. What it calls has
/// nothing to destroy. `values` are LMDB's, which it fills in where it returns 0.
template <class Read, class... Values>
[[nodiscard]] int read_safely(int damaged, Read read, const Values&... values) {
  auto whole = [&] {
    const int code = read();
    if (code == 0) (touch(values.mv_data, values.mv_size), ...);
    return code;
  };
  const auto call = [](void* what) { return (*static_cast<decltype(whole)*>(what))(); };
  return call_safely(call, &whole).value_or(damaged);
}

/// See `store::leave_read`.
void leave_read();

}  // namespace culm::store::detail
