#include "culm/replication/node/subscriptions.hpp"

namespace culm::node {
namespace {

template <class Key, class Member>
void erase(std::map<Key, std::set<Member>>& index, const Key& key, const Member& member) {
  const auto found = index.find(key);
  if (found == index.end()) return;
  found->second.erase(member);
  if (found->second.empty()) index.erase(found);
}

}  // namespace

void Subscriptions::add(SessionId session, const LogKey& log) {
  by_log_[log].insert(session);
  by_session_[session].insert(log);
}

void Subscriptions::remove(SessionId session, const LogKey& log) {
  erase(by_log_, log, session);
  erase(by_session_, session, log);
}

void Subscriptions::remove_all(SessionId session) {
  const auto found = by_session_.find(session);
  if (found == by_session_.end()) return;
  for (const LogKey& log : found->second) erase(by_log_, log, session);
  by_session_.erase(found);
}

std::vector<SessionId> Subscriptions::of(const LogKey& log) const {
  const auto found = by_log_.find(log);
  if (found == by_log_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::size_t Subscriptions::count(SessionId session) const {
  const auto found = by_session_.find(session);
  return found == by_session_.end() ? 0 : found->second.size();
}

std::vector<LogKey> Subscriptions::logs_of(SessionId session) const {
  const auto found = by_session_.find(session);
  if (found == by_session_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

}  // namespace culm::node
