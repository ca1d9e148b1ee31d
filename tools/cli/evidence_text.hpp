#pragma once

#include <string>
#include <vector>

#include "culm/feed/defect.hpp"
#include "culm/replication/host/json.hpp"

namespace culm::tools {

/// What a piece of evidence proves against the author of `log`: kind, `at`, and the entries in hex.
[[nodiscard]] Json evidence_json(const LogKey& log, const Evidence& evidence,
                                 SignatureVerifier& verifier);

/// The same for people, in lines that are set in.
[[nodiscard]] std::string evidence_text(const LogKey& log, const Evidence& evidence,
                                        SignatureVerifier& verifier);

}  // namespace culm::tools
