#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "culm/core/result.hpp"
#include "culm/core/sealing.hpp"

/// The secrets of a node, in files. Spec: key-file.md#node-keys
namespace culm::host {

/// 64 hex digits, and perhaps a line end. Fails as `store::read_secret_file`, with kKeyFileFormat.
[[nodiscard]] Result<sealing::Key> read_node_key(const std::string& path);

/// The key pair that a node is known by; made where there is no file. Fails as `read_node_key`, or
/// with kFileIo.
[[nodiscard]] Result<sealing::KeyPair> open_peer_key(const std::string& path);

/// Writes it into a new file. Fails with kFileExists, kFileIo.
[[nodiscard]] Result<void> write_peer_key(const std::string& path, const sealing::KeyPair& pair);

/// What `NodeOptions::network_id` is for a network with this name; zeros for none.
[[nodiscard]] std::array<std::uint8_t, 32> network_id_of(std::string_view name);

}  // namespace culm::host
