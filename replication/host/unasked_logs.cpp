// Own logs before and after a sync.
#include <algorithm>
#include <iterator>
#include <utility>

#include "culm/replication/host/append_gate.hpp"
#include "culm/replication/host/detail/peer_question.hpp"
#include "culm/store/author_mark_place.hpp"

namespace culm::host {
namespace {

/// 0 where nothing of it could fork: one that has a cap is forked already.
Result<SeqNum> find_tail(const store::Store& store, const LogKey& log) {
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  return !state || state->cap != 0 || state->held.empty() ? 0 : state->held.max();
}

/// Those that the store has synced with.
Result<std::vector<node::SyncPeer>> list_met(const store::Store& store) {
  std::vector<node::SyncPeer> met;
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto addresses, transaction.known_peers());
  met.reserve(addresses.size());
  for (const std::string& address : addresses) {
    if (auto endpoint = node::parse_endpoint(address)) met.push_back({*endpoint});
  }
  return met;
}

bool holds(const std::vector<node::SyncPeer>& peers, const node::Endpoint& endpoint) {
  return std::ranges::find(peers, endpoint, &node::SyncPeer::endpoint) != peers.end();
}

/// Who of `peers` said nothing that counts.
std::vector<node::PeerReport> list_mute(const KnownHead& known,
                                        const std::vector<node::SyncPeer>& peers) {
  std::vector<node::PeerReport> mute;
  std::ranges::copy_if(known.silent, std::back_inserter(mute), [&](const node::PeerReport& silent) {
    return holds(peers, silent.endpoint);
  });
  for (const KnownHead::Claim& claim : known.unproven) {
    if (!holds(peers, claim.endpoint)) continue;
    mute.push_back({.endpoint = claim.endpoint, .error = Error{Errc::kPeerStalled}});
  }
  return mute;
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

/// A log in doubt, and who is asked of it.
struct Asked {
  const OwnLogs& own;
  const LogKey& log;
  Doubt doubt;
  SeqNum marked;
  SeqNum tail;
  const node::SyncRequest& request;
  const std::stop_token& stop;

  [[nodiscard]] Result<KnownHead> ask(std::vector<node::SyncPeer> peers) const {
    CULM_TRY(KnownHead known, ask_peers({own.store, nullptr, own.directory, own.options, log, tail,
                                         std::move(peers), stop}));
    // Who holds a part, and shows no other entry, may well have gone on behind what was published.
    const bool was_asked = doubt == Doubt::kMarked || doubt == Doubt::kGrown;
    if (was_asked && known.other && known.other->at > tail) known.other.reset();
    return known;
  }
  /// Who never held the log cannot know what else was published of it.
  [[nodiscard]] bool needs_met() const {
    return doubt == Doubt::kUnasked || (doubt == Doubt::kMarked && request.push);
  }
  [[nodiscard]] bool is_shown(const KnownHead& known) const {
    return known.other || known.fork || (known.is_of_use(tail) && known.head >= tail);
  }
  [[nodiscard]] UnaskedLog because(decltype(UnaskedLog::why) why) const {
    return {log, tail, std::move(why)};
  }
};

/// Of peers that this store has met, and that could know more, those that do not say. Asks those
/// that are not of the sync as well; `known` is theirs where they show the tail.
Result<std::vector<node::PeerReport>> ask_met(const Asked& about, KnownHead& known,
                                              const std::vector<node::SyncPeer>& met) {
  std::vector<node::PeerReport> mute = list_mute(known, met);
  std::vector<node::SyncPeer> others = met;
  std::erase_if(others, [&](const node::SyncPeer& peer) {
    return holds(about.request.peers, peer.endpoint);
  });
  const bool has_met = others.size() + mute.size() < met.size();
  if (has_met && known.is_of_use(about.tail)) return std::vector<node::PeerReport>();
  if (others.empty()) return mute;
  CULM_TRY(KnownHead more, about.ask(std::move(others)));
  if (more.is_of_use(about.tail)) mute.clear();
  if (!more.is_of_use(about.tail))
    std::ranges::move(list_mute(more, met), std::back_inserter(mute));
  if (about.is_shown(more)) known = std::move(more);
  return mute;
}

/// Where nobody shows the tail: whether the sync connects all the same.
std::optional<UnaskedLog> judge_unshown(const Asked& about, const KnownHead& known,
                                        std::vector<node::PeerReport> mute, bool is_met) {
  if (about.doubt == Doubt::kGrown) return std::nullopt;
  auto asked = list_mute(known, about.request.peers);
  const bool is_all = asked.size() == known.asked;
  const bool is_marked = about.doubt == Doubt::kMarked;
  if (is_marked && about.request.push && !is_all) return about.because(Unshown{about.marked});
  if (mute.empty() && is_all) mute = std::move(asked);
  if (!mute.empty()) {
    const bool is_first = !is_met && about.doubt == Doubt::kBegun;
    return about.because(SilentPeer{std::move(mute.front()), is_first, is_marked});
  }
  // Who holds nothing of it, or less, is enough to begin; the mark stays as it is.
  const bool is_none = known.asked == 0 && about.doubt == Doubt::kUnasked;
  return is_none ? std::optional(about.because(Unshown{})) : std::nullopt;
}

Result<std::optional<UnaskedLog>> judge(const Asked& about, store::AuthorMark& mark) {
  CULM_TRY(KnownHead known, about.ask(about.request.peers));
  CULM_TRY(const auto met, list_met(about.own.store));
  std::vector<node::PeerReport> mute;
  if (!about.is_shown(known) && about.needs_met()) {
    CULM_TRY(mute, ask_met(about, known, met));
  }
  if (known.other) {
    OtherBranch& other = *known.other;
    const auto moved = store::with_lock(mark, [&] { return move_back(mark, other); });
    if (!moved && moved.error().code != Errc::kAuthorMarkLocked) return fail(moved.error());
    return about.because(std::move(other));
  }
  if (known.fork) {
    // What lies below stays what it is.
    if (about.tail < known.fork->at) return std::nullopt;
    return about.because(*known.fork);
  }
  if (!about.is_shown(known)) return judge_unshown(about, known, std::move(mute), !met.empty());
  const auto bound = bind(about.own, about.log, mark, about.tail);
  // Who appends meanwhile asks for himself.
  if (!bound && bound.error().code != Errc::kAuthorMarkLocked) return fail(bound.error());
  return std::nullopt;
}

/// None where the mark is damaged: that is told to who appends.
Result<Doubt> read_doubt(const OwnLogs& own, const LogKey& log) {
  const auto published = store::read_author_mark(own.marks_directory, log, own.directory);
  const bool is_damaged = !published && published.error().code == Errc::kAuthorMarkFormat;
  if (!published && !is_damaged) return fail(published.error());
  return is_damaged || !*published ? Doubt::kNone : find_doubt(own.store, log, **published);
}

Result<std::optional<UnaskedLog>> look_at(const OwnLogs& own, const LogKey& log,
                                          const node::SyncRequest& request,
                                          const std::stop_token& stop) {
  CULM_TRY(const Doubt before, read_doubt(own, log));
  if (before == Doubt::kNone) return std::nullopt;  // to look needs no permission to write
  CULM_TRY(const auto mark,
           store::open_author_mark(
               {.directory = own.marks_directory, .store_directory = own.directory}, log));
  CULM_TRY(const auto published, mark->read());
  if (!published) return std::nullopt;
  CULM_TRY(const Doubt doubt, find_doubt(own.store, log, *published));
  if (doubt == Doubt::kNone) return std::nullopt;
  CULM_TRY(const SeqNum tail, find_tail(own.store, log));
  if (tail == 0) return std::nullopt;
  return judge({own, log, doubt, published->seqnum, tail, request, stop}, *mark);
}

}  // namespace

Error why_not_synced(const UnaskedLog& log) {
  if (const auto* const other = std::get_if<OtherBranch>(&log.why)) {
    return error_for(Errc::kAuthorMarkFork, other->at);
  }
  if (const auto* const fork = std::get_if<ShownFork>(&log.why)) {
    return error_for(Errc::kLogCapped, fork->at);
  }
  if (const auto* const unshown = std::get_if<Unshown>(&log.why)) {
    if (unshown->marked == 0) return {Errc::kAuthorHeadUnknown};
    return error_for(Errc::kAuthorMarkBehind, unshown->marked);
  }
  return std::get<SilentPeer>(log.why).peer.error.value_or(Error{Errc::kPeerClosed});
}

Result<Doubt> find_doubt(const store::Store& store, const LogKey& log,
                         const store::Published& published) {
  CULM_TRY(const SeqNum tail, find_tail(store, log));
  if (tail == 0) return Doubt::kNone;
  if (published.is_unasked()) return published.is_begun() ? Doubt::kBegun : Doubt::kUnasked;
  // What another store on this machine appends to is no business of this one.
  if (published.is_elsewhere || published.seqnum == 0) return Doubt::kNone;
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.get_log(log));
  CULM_TRY(const auto there, transaction.find_entry(*state, published.seqnum));
  const bool is_other = there && there->entry.hash() != published.hash;
  if (is_other || published.seqnum > tail) return Doubt::kMarked;
  return published.seqnum < tail ? Doubt::kGrown : Doubt::kNone;
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
    CULM_TRY(const SeqNum tail, find_tail(own.store, said.log));
    if (tail != 0) CULM_CHECK(bind(own, said.log, *mark, tail));
  }
  return {};
}

Result<std::vector<LogKey>> list_unasked(const OwnLogs& own, const node::SyncRequest& request) {
  CULM_TRY(const auto marked, store::list_author_marks(own.marks_directory));
  std::vector<LogKey> logs;
  for (const replication::WantRequest& want : request.logs) {
    if (!std::ranges::binary_search(marked, want.log)) continue;
    CULM_TRY(const Doubt doubt, read_doubt(own, want.log));
    CULM_TRY(const bool is_unasked, store::is_unasked(own.marks_directory, want.log));
    // Also where nothing of it is here yet: what comes is told to who waits for it.
    if (doubt != Doubt::kNone || is_unasked) logs.push_back(want.log);
  }
  return logs;
}

Result<std::optional<UnaskedLog>> find_unasked(const OwnLogs& own, const std::vector<LogKey>& logs,
                                               const node::SyncRequest& request,
                                               const std::stop_token& stop) {
  std::vector<LogKey> unheld;
  if (logs.size() > 1) {
    CULM_TRY(unheld, find_unheld(own, logs, request.peers, stop));
  }
  for (const LogKey& log : logs) {
    CULM_TRY(const Doubt doubt, read_doubt(own, log));
    // Who holds nothing of it is enough to begin.
    if (doubt == Doubt::kBegun && std::ranges::binary_search(unheld, log)) continue;
    CULM_TRY(auto unasked, look_at(own, log, request, stop));
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
