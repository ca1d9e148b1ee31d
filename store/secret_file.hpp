#pragma once

#include <cstddef>
#include <string>

#include "culm/core/bytes.hpp"
#include "culm/core/result.hpp"

/// Small files that hold a secret, and that nobody else may read. Spec: key-file.md#reading
namespace culm::store {

/// All of a regular file of this user with mode 0600 or less, opened without waiting for anybody;
/// wipe it. Fails with kKeyFileMissing, kKeyFileLink, kKeyFileKind, kKeyFileFormat when it is
/// longer than `size_max` or not `well_formed`, then, as it holds a secret, with kKeyFileOwner or
/// kKeyFileShared; or with kFileIo.
[[nodiscard]] Result<Bytes> read_secret_file(const std::string& path, std::size_t size_max,
                                             bool (*well_formed)(ByteView));

/// Makes a file with mode 0600; it and its name are durable. Fails with kFileExists, kFileIo, and
/// then leaves no file.
[[nodiscard]] Result<void> write_secret_file(const std::string& path, ByteView secret);

}  // namespace culm::store
