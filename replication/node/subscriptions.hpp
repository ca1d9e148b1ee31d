#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "culm/core/types.hpp"

namespace culm::node {

/// Numbers the sessions of a node, from 1, in both directions.
using SessionId = std::uint64_t;

/// Which sessions care for a log: a commit costs what those cost, not what all sessions cost. A
/// session is entered when it names a log and leaves all at once when it ends; who cares no longer
/// is taken out when the log changes next, or when its entries become many.
class Subscriptions {
 public:
  void add(SessionId session, const LogKey& log);
  void remove(SessionId session, const LogKey& log);
  void remove_all(SessionId session);

  /// In order of their ids; a copy, because to tell them changes what they care for.
  [[nodiscard]] std::vector<SessionId> of(const LogKey& log) const;
  /// Logs that a session is entered for.
  [[nodiscard]] std::size_t count(SessionId session) const;
  /// The same, as a copy.
  [[nodiscard]] std::vector<LogKey> logs_of(SessionId session) const;

 private:
  std::map<LogKey, std::set<SessionId>> by_log_;
  std::map<SessionId, std::set<LogKey>> by_session_;
};

}  // namespace culm::node
