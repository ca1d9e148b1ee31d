#pragma once

#include <memory>
#include <string>

#include "culm/core/signing.hpp"
#include "culm/replication/transport/node.hpp"
#include "culm/store/store.hpp"

namespace boost::asio {
class io_context;
}

namespace culm::host {

class OwnLogGuard;

/// Takes requests of other processes of the same user at a Unix-domain socket in the directory of
/// the store, and answers each once what it asked for is committed. Spec: control_protocol.hpp
class ControlServer {
 public:
  /// The store must be locked by this process: then a socket that is there already is a dead
  /// node's, and is replaced. All but `directory` must outlive the server. A node that does not
  /// serve every log pushes none for others. Fails with kFileIo.
  [[nodiscard]] static Result<std::unique_ptr<ControlServer>> open(
      boost::asio::io_context& io, const std::string& directory, store::Store& store,
      transport::Node& node, OwnLogGuard& guard, SignatureVerifier& verifier,
      bool serves_every_log);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();

  /// Takes no more requests; those under way are still done.
  void close();

 private:
  class Impl;
  explicit ControlServer(std::shared_ptr<Impl> impl);

  std::shared_ptr<Impl> impl_;
};

}  // namespace culm::host
