// Which peers stay connected, and who makes room for others.
#include <algorithm>

#include "culm/replication/node/node.hpp"

namespace culm::node {

using replication::Session;

bool Node::admit(Link& link) {
  const auto verdict = admission_.established(link.ref.id, now_);
  if (!verdict.is_admitted) {
    ++stats_.refused;
    link.is_refused = true;
    link.connection.fail(Error{Errc::kBusy});
  }
  if (verdict.evicted) {
    ++stats_.evicted;
    evict(*verdict.evicted);
  }
  if (verdict.dropped) drop(*verdict.dropped);
  return verdict.is_admitted;
}

void Node::evict(SessionId session) {
  Link* const link = find(session);
  if (link == nullptr) return;
  link->connection.fail(Error{Errc::kBusy});
  settle(*link, now_);
}

void Node::drop(SessionId session) {
  Link* const link = find(session);
  if (link == nullptr) return;
  link->connection.drop(Error{Errc::kBusy});
  settle(*link, now_);
}

void Node::displace(SessionId session) {
  if (Link* const link = find(session)) link->last_words = link->connection.session().no_room();
  drop(session);
}

void Node::note_use(Link& link) {
  const Session& session = link.connection.session();
  const replication::SessionStats& stats = session.stats();
  const std::uint64_t moved = stats.entries_received + stats.entries_sent +
                              stats.payload_bytes_received + stats.payload_bytes_sent;
  // A want by itself is no use: it costs nothing to ask and to take it back.
  const bool has_wants = session.has_wants();
  if (has_wants != link.has_wants) admission_.wants(link.ref.id, has_wants);
  if (moved != link.moved) admission_.used(link.ref.id, now_);
  link.moved = moved;
  link.has_wants = has_wants;
}

std::optional<Instant> Node::next_look() const {
  if (!credit_.is_short_of_input()) return std::nullopt;
  const auto between = std::chrono::milliseconds(credit_.has_no_input_left() ? 20 : 100);
  return last_look_ ? *last_look_ + between : now_;
}

void Node::bound_input(Instant now) {
  constexpr auto kSlow = std::chrono::milliseconds(limits::kSlowMessageMs);
  const auto due = next_look();
  if (!due || now < *due) return;
  last_look_ = now;
  std::vector<std::pair<Instant, SessionId>> behind;
  for (auto& [id, link] : links_) {
    link.connection.session().trim_input();
    if (const auto since = link.connection.session().behind_since())
      behind.emplace_back(*since, id);
  }
  std::ranges::sort(behind);
  for (const auto& [since, id] : behind) {
    const Instant before = credit_.has_no_input_left() ? now : now - kSlow;
    if (!credit_.is_short_of_input() || since > before) break;
    Link* const link = find(id);
    if (link == nullptr) continue;
    link->connection.drop(Error{Errc::kPeerSlow});
    settle(*link, now);
  }
}

std::size_t Node::read_bytes_max() const {
  return credit_.is_short_of_input() ? limits::kIdleBufferBytesMax : limits::kReadBufferBytes;
}

}  // namespace culm::node
