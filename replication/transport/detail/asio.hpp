#pragma once

// Boost 1.74 calls std::exchange and does not include this.
#include <utility>

#ifndef BOOST_ASIO_NO_DEPRECATED
#define BOOST_ASIO_NO_DEPRECATED
#endif

#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "culm/core/result.hpp"
#include "culm/core/time.hpp"

/// The only place where Boost comes in, and where its clock and errors become ours.
namespace culm::transport::detail {

namespace asio = boost::asio;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

[[nodiscard]] inline Instant now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

/// kAddress for a name that nobody knows, else kNetwork with `errno`.
[[nodiscard]] inline Error to_error(const ErrorCode& code) {
  if (code.category() != boost::system::system_category()) return Error{Errc::kAddress};
  return error_system(Errc::kNetwork, code.value());
}

}  // namespace culm::transport::detail
