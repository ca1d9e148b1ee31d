#pragma once

#include <cstdint>
#include <string>

/// Numbers by which a file is known for the one that it was, and not for a copy of it.
/// Spec: store.md#author-mark
namespace culm::store::detail {

/// Tells a file from its copies, and from others that get its inode when it is gone; 0 where it
/// cannot be found, with `errno`.
[[nodiscard]] std::uint64_t file_number(const std::string& path) noexcept;
[[nodiscard]] std::uint64_t file_number(int descriptor) noexcept;

/// That of the data file in `directory`, or the one that a compaction has carried over to it; 0
/// where there is none.
[[nodiscard]] std::uint64_t store_number(const std::string& directory);
/// Carries it over to the file `next`, which is about to take the place of the data file. Where
/// that fails the store is taken for a copy of itself.
void carry_number_over(const std::string& directory, const std::string& next);

}  // namespace culm::store::detail
