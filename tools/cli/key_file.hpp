#pragma once

#include <string>

#include "culm/core/signing.hpp"

#include "tools/cli/failure.hpp"

/// The file that holds an author's secret key. Spec: key-file.md
namespace culm::tools {

/// Writes a new file with mode 0600. Fails with kFileExists, kFileIo, and then leaves no file.
[[nodiscard]] Outcome<void> write_key_file(const std::string& path, const SecretKey& key);

/// Fails with exit 4 and the reason unless `path` is a regular file of this user that nobody else
/// may read, in the format, with an author that fits the secret.
[[nodiscard]] Outcome<SecretKey> read_key_file(const std::string& path);

/// The author mark of the log `log_id` of the key in `key_path`: "KEY_PATH.LOG_ID.mark".
[[nodiscard]] std::string author_mark_path(const std::string& key_path, LogId log_id);

}  // namespace culm::tools
