#pragma once

#include <optional>
#include <string>

#include "tests/simulation/parts.hpp"

/// What must hold in a simulation; each tells what does not, or nothing.
namespace culm::simulation {

/// Of what a peer holds of a log that a commit has changed: all is what the author made, nothing is
/// gone, all that is served reaches entry 1, and what its user deleted stays away. Takes down what
/// is held now.
[[nodiscard]] std::optional<std::string> why_wrong(Peer& peer, const Log& log);

/// Once nothing goes wrong any more: everybody holds what he wants of what those who push hold, and
/// knows the same fork.
[[nodiscard]] std::optional<std::string> why_not_converged(const Peers& peers, const Logs& logs);

/// Of all that is stored, row by row.
[[nodiscard]] std::optional<std::string> why_unsound(const Peers& peers, const Logs& logs,
                                                     SignatureVerifier& signatures);

}  // namespace culm::simulation
