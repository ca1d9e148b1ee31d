#pragma once

#include <cstdint>
#include <optional>

#include "culm/replication/arriving_payloads.hpp"
#include "culm/replication/event.hpp"

namespace culm::replication {

/// A payload that a want goes on with.
struct ResumedPayload {
  store::Stage stage;
  std::uint64_t offset = 0;  ///< of the part that is due
};

/// Of the payloads that `asked` may bring and of which parts are here, the one that has most of
/// them. A peer goes on with what it brought itself, else with what others did; not where these did
/// not fit once, nor with what another want is bringing. Spec: replication.md#units
[[nodiscard]] std::optional<ResumedPayload> find_resumed(const store::ReadTransaction& transaction,
                                                         const store::LogState& log,
                                                         const WantRequest& asked,
                                                         const Claimer& by,
                                                         const ArrivingPayloads& payloads);

}  // namespace culm::replication
