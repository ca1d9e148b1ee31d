#pragma once

#include "culm/store/store.hpp"

/// What `WriteTransaction::drop_damaged` leaves of a log, known before anything is dropped.
namespace culm::store {

/// What is left once `damage` is dropped; not what its payloads take then.
[[nodiscard]] LogState without(LogState log, const Damage& damage);

/// What `find_lost` says then. `log` is as it is, or as `restored_log` makes it, with the `untold`
/// of that.
[[nodiscard]] Result<Lost> foresee_lost(const ReadTransaction& transaction, const LogState& log,
                                        const Damage& damage, const Lost& untold);

}  // namespace culm::store
