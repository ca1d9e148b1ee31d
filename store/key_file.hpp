#pragma once

#include <string>

#include "culm/core/bytes.hpp"
#include "culm/core/result.hpp"
#include "culm/core/signing.hpp"

/// The file that holds an author's secret key. Spec: key-file.md
namespace culm::store {

/// Writes a new file with mode 0600; durable when it returns. Fails with kFileExists, kFileIo, and
/// then leaves no file.
[[nodiscard]] Result<void> write_key_file(const std::string& path, const SecretKey& key);

/// Fails as `read_secret_file`, with kKeyFileVersion, kKeyFileFormat, or with kKeyFileMismatch when
/// the author is not the secret's.
[[nodiscard]] Result<SecretKey> read_key_file(const std::string& path);

/// Whether the text is a key file, whatever its version and what is added to it, or the line of one
/// that holds the secret.
[[nodiscard]] bool holds_secret_key(ByteView text);

}  // namespace culm::store
