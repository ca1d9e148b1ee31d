#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "culm/core/result.hpp"
#include "culm/core/time.hpp"
#include "culm/replication/host/descriptor.hpp"

namespace culm::host {

/// A connection to the node that runs on the store in a directory. Waits for an answer as long as
/// it takes, but only while the node shows that it is alive: it is asked so on another connection.
class NodeSocket {
 public:
  /// `silence_max`: the longest time without a sign of life, at least kSilenceMin. Nothing when no
  /// node takes connections.
  [[nodiscard]] static std::unique_ptr<NodeSocket> connect(const std::string& directory,
                                                           Duration silence_max);

  /// Sends a request, and returns its answer, one line. Fails with kNodeSilent, kNetwork, or
  /// kPeerClosed when the node ended; whether the request was done is not known then, and the
  /// socket is of no more use.
  [[nodiscard]] Result<std::string> exchange(std::string_view request);

  static constexpr Duration kSilenceMin = std::chrono::seconds(1);

 private:
  NodeSocket(std::string directory, Descriptor socket, Duration silence_max)
      : directory_(std::move(directory)), socket_(std::move(socket)), silence_max_(silence_max) {}

  Result<void> send(std::string_view request);
  Result<void> await(short events);

  std::string directory_;
  Descriptor socket_;
  Duration silence_max_;
};

}  // namespace culm::host
