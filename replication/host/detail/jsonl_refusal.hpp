#pragma once

#include <utility>

#include "culm/replication/host/jsonl_file.hpp"

namespace culm::host {

[[nodiscard]] inline tl::unexpected<JsonlFault> refuse(
    const Error& error, std::uint64_t line, std::optional<SeqNum> seqnum = std::nullopt) {
  return tl::unexpected(JsonlFault(error, line, seqnum));
}

[[nodiscard]] inline tl::unexpected<JsonlFault> refuse(const Error& error, const LogKey& log) {
  JsonlFault fault(error);
  fault.log = log;
  return tl::unexpected(std::move(fault));
}

}  // namespace culm::host
