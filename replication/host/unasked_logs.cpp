// Own logs before and after a sync.
#include <algorithm>
#include <utility>

#include "culm/replication/host/append_gate.hpp"
#include "culm/replication/host/detail/peer_question.hpp"
#include "culm/store/author_mark_place.hpp"

namespace culm::host {
namespace {

/// The tail of a log whose mark says that nobody was asked; 0 where nothing is to be asked.
Result<SeqNum> find_unasked_tail(const OwnLogs& own, const LogKey& log, store::AuthorMark& mark) {
  if (!store::is_unasked(mark)) return 0;
  CULM_TRY(const auto transaction, own.store.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  // One that has a cap is forked already.
  if (!state || state->cap != 0 || state->held.empty()) return 0;
  return state->held.max();
}

/// From now on the mark is of this store, unless it was moved meanwhile.
Result<void> bind(const OwnLogs& own, const LogKey& log, store::AuthorMark& mark, SeqNum tail) {
  return store::with_lock(mark, [&]() -> Result<void> {
    CULM_TRY(auto published, mark.read());
    CULM_TRY(const auto transaction, own.store.read());
    CULM_TRY(const auto state, transaction.find_log(log));
    // One of another store, such as a reader's beside the author's, stays that one's.
    const bool is_of_this = published && !published->is_copied && published->is_unasked();
    const bool is_as_asked = is_of_this && state && !state->held.empty() &&
                             state->held.max() == tail && published->seqnum == tail;
    if (!is_as_asked) return {};
    // What was forgotten here is not what peers hold in its place.
    CULM_TRY(const auto last, transaction.get_entry(*state, tail));
    if (last.entry.hash() != published->hash) return {};
    published->store = own.store.id();
    return mark.write(*published);
  });
}

Result<std::optional<UnaskedLog>> look_at(const OwnLogs& own, const LogKey& log,
                                          const std::vector<node::SyncPeer>& peers,
                                          const std::stop_token& stop) {
  CULM_TRY(const bool is_unasked, store::is_unasked(own.marks_directory, log));
  if (!is_unasked) return std::nullopt;  // to look at others needs no permission to write
  CULM_TRY(const auto mark,
           store::open_author_mark(
               {.directory = own.marks_directory, .store_directory = own.directory}, log));
  CULM_TRY(const SeqNum tail, find_unasked_tail(own, log, *mark));
  if (tail == 0) return std::nullopt;
  CULM_TRY(KnownHead known,
           ask_peers({own.store, nullptr, own.directory, own.options, log, tail, peers, stop}));
  if (known.other) {
    const auto moved = store::with_lock(*mark, [&] { return move_back(*mark, *known.other); });
    if (!moved && moved.error().code != Errc::kAuthorMarkLocked) return fail(moved.error());
    return UnaskedLog{log, tail, *std::move(known.other)};
  }
  if (known.fork) {
    // What lies below stays what it is.
    if (tail < known.fork->at) return std::nullopt;
    return UnaskedLog{log, tail, *known.fork};
  }
  if (known.is_of_use(tail)) {
    // Who holds less does not know of what is above.
    if (known.head < tail) return std::nullopt;
    const auto bound = bind(own, log, *mark, tail);
    // Who appends meanwhile asks for himself.
    if (!bound && bound.error().code != Errc::kAuthorMarkLocked) return fail(bound.error());
    return std::nullopt;
  }
  // One that holds nothing of it is enough to begin; the mark stays as it is.
  if (known.silent.size() + known.unproven.size() < known.asked) return std::nullopt;
  if (known.silent.empty()) {
    known.silent.push_back(
        {.endpoint = known.unproven.front().endpoint, .error = Error{Errc::kPeerStalled}});
  }
  CULM_TRY(const auto transaction, own.store.read());
  CULM_TRY(const auto met, transaction.known_peers());
  return UnaskedLog{log, tail, SilentPeer{std::move(known.silent.front()), met.empty()}};
}

}  // namespace

Error why_not_synced(const UnaskedLog& log) {
  if (const auto* const other = std::get_if<OtherBranch>(&log.why)) {
    return error_for(Errc::kAuthorMarkFork, other->at);
  }
  if (const auto* const fork = std::get_if<ShownFork>(&log.why)) {
    return error_for(Errc::kLogCapped, fork->at);
  }
  return std::get<SilentPeer>(log.why).peer.error.value_or(Error{Errc::kPeerClosed});
}

Result<void> bind_confirmed(const OwnLogs& own, const node::SyncReport& report) {
  for (const node::LogReport& said : report.logs) {
    if (!said.is_pushed) continue;
    CULM_TRY(const bool is_unasked, store::is_unasked(own.marks_directory, said.log));
    if (!is_unasked) continue;
    CULM_TRY(const auto mark, store::open_author_mark({.directory = own.marks_directory,
                                                       .store_directory = own.directory,
                                                       .wait_max = Duration(0)},
                                                      said.log));
    CULM_TRY(const SeqNum tail, find_unasked_tail(own, said.log, *mark));
    if (tail != 0) CULM_CHECK(bind(own, said.log, *mark, tail));
  }
  return {};
}

Result<std::vector<LogKey>> list_unasked(const OwnLogs& own, const node::SyncRequest& request) {
  CULM_TRY(const auto marked, store::list_author_marks(own.marks_directory));
  std::vector<LogKey> logs;
  for (const replication::WantRequest& want : request.logs) {
    if (!std::ranges::binary_search(marked, want.log)) continue;
    CULM_TRY(const bool is_unasked, store::is_unasked(own.marks_directory, want.log));
    if (is_unasked) logs.push_back(want.log);
  }
  return logs;
}

Result<std::optional<UnaskedLog>> find_unasked(const OwnLogs& own, const std::vector<LogKey>& logs,
                                               const node::SyncRequest& request,
                                               const std::stop_token& stop) {
  for (const LogKey& log : logs) {
    CULM_TRY(auto unasked, look_at(own, log, request.peers, stop));
    if (unasked) return unasked;
  }
  return std::nullopt;
}

Result<std::optional<UnaskedLog>> find_unasked(const OwnLogs& own,
                                               const node::SyncRequest& request) {
  CULM_TRY(const auto logs, list_unasked(own, request));
  return find_unasked(own, logs, request);
}

}  // namespace culm::host
