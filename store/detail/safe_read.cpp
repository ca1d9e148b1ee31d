#include "culm/store/detail/safe_read.hpp"

#include <csetjmp>
#include <cstdint>

namespace culm::store::detail {
namespace {

/// Of the read that this thread is in.
thread_local sigjmp_buf* way_out = nullptr;

}  // namespace

std::optional<int> call_safely(int (*read)(void*), void* what) {
  sigjmp_buf here;
  if (sigsetjmp(here, 0) != 0) {
    way_out = nullptr;
    return std::nullopt;
  }
  way_out = &here;
  const int code = read(what);
  way_out = nullptr;
  return code;
}

void touch(const void* bytes, std::size_t size) {
  if (size == 0) return;
  constexpr std::size_t kPageBytesMin = 4096;
  const auto* const first = static_cast<const volatile std::uint8_t*>(bytes);
  for (std::size_t i = 0; i < size; i += kPageBytesMin) static_cast<void>(first[i]);
  static_cast<void>(first[size - 1]);
}

void leave_read() {
  if (way_out != nullptr) siglongjmp(*way_out, 1);
}

}  // namespace culm::store::detail
