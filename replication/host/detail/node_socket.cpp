#include "culm/replication/host/detail/node_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "culm/replication/host/control_protocol.hpp"

namespace culm::host {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a node is waited for before it is asked whether it lives.
constexpr Duration kAskAfter = std::chrono::seconds(1);

tl::unexpected<Error> network_failure() { return fail(error_system(Errc::kNetwork, errno)); }

/// None where no node answers. No call on it waits for longer than `wait_max`.
Descriptor connect_to(const std::string& directory, Duration wait_max) {
  // A socket's name has room for 107 bytes; the way over the descriptor is always short.
  const Descriptor place(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string path =
      "/proc/self/fd/" + std::to_string(place.get()) + "/" + std::string(control::kSocketName);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (place.get() < 0 || path.size() >= sizeof address.sun_path) return Descriptor();
  std::memcpy(address.sun_path, path.data(), path.size());
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Nothing would be no limit.
  const auto limit = std::max(wait_max, Duration{1});
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timeval time{static_cast<time_t>(seconds.count()),
                     static_cast<suseconds_t>((limit - seconds).count())};
  if (socket.get() < 0 ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) != 0 ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0 ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Descriptor();
  }
  return socket;
}

/// Whether the node does anything at all: one that has much to write still says how it is.
bool is_alive(const std::string& directory, Duration wait_max) {
  constexpr std::string_view kQuestion = "{\"verb\":\"status\"}\n\n";
  const Descriptor socket = connect_to(directory, wait_max);
  if (socket.get() < 0) return false;
  if (::send(socket.get(), kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL) < 0) return false;
  char first = 0;
  return ::recv(socket.get(), &first, 1, 0) >= 0;
}

}  // namespace

std::unique_ptr<NodeSocket> NodeSocket::connect(const std::string& directory,
                                                Duration silence_max) {
  const Duration limit = std::max(silence_max, kSilenceMin);
  Descriptor socket = connect_to(directory, limit);
  if (socket.get() < 0) return nullptr;
  return std::unique_ptr<NodeSocket>(new NodeSocket(directory, std::move(socket), limit));
}

Result<void> NodeSocket::await(short events) {
  const auto count = [](Duration time) {
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(time).count());
  };
  const int slice = count(std::min(kAskAfter, silence_max_ / 2));
  auto alive = Clock::now();
  while (true) {
    pollfd one{socket_.get(), events, 0};
    const int ready = ::poll(&one, 1, slice);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return network_failure();
    if (ready < 0) continue;
    const auto left = std::chrono::duration_cast<Duration>(alive + silence_max_ - Clock::now());
    if (left <= Duration{} || !is_alive(directory_, left)) return fail(Errc::kNodeSilent);
    alive = Clock::now();
  }
}

Result<void> NodeSocket::send(std::string_view request) {
  while (!request.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      request.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      CULM_CHECK(await(POLLOUT));
    } else if (errno != EINTR) {
      return network_failure();
    }
  }
  return {};
}

Result<std::string> NodeSocket::exchange(std::string_view request) {
  CULM_CHECK(send(request));
  std::string line;
  while (!line.ends_with('\n')) {
    std::array<char, 4096> part{};
    CULM_CHECK(await(POLLIN));
    const ssize_t got = ::recv(socket_.get(), part.data(), part.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return network_failure();
    if (got == 0 || line.size() > control::kRequestBytesMax) return fail(Errc::kPeerClosed);
    line.append(part.data(), static_cast<std::size_t>(got));
  }
  return line;
}

}  // namespace culm::host
