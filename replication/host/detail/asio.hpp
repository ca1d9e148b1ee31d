#pragma once

// Boost 1.74 calls std::exchange and does not include this.
#include <utility>

#ifndef BOOST_ASIO_NO_DEPRECATED
#define BOOST_ASIO_NO_DEPRECATED
#endif

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

/// The only place where Boost comes into the host.
namespace culm::host {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

}  // namespace culm::host
