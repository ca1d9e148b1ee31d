// Own logs before and after a sync.
#include <algorithm>
#include <iterator>
#include <utility>

#include "culm/replication/host/append_gate.hpp"
#include "culm/replication/host/detail/peer_question.hpp"
#include "culm/store/author_mark_place.hpp"
#include "culm/store/check_published.hpp"

namespace culm::host {
namespace {

/// 0 where nothing of it could fork: one that has a cap is forked already.
SeqNum tail_of(const store::LogOutline& log) {
  return log.cap != 0 || log.held.empty() ? 0 : log.held.max();
}

Result<SeqNum> find_tail(const store::Store& store, const LogKey& log) {
  CULM_TRY(const auto transaction, store.read());
  return transaction.find_outline(log).map([](const auto& of) { return of ? tail_of(*of) : 0; });
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

/// From now on the mark, which is locked, is of this store, unless it was moved meanwhile.
Result<void> bind(const OwnLogs& own, const LogKey& log, store::AuthorMark& mark, SeqNum tail) {
  CULM_TRY(auto published, mark.read());
  CULM_TRY(const auto transaction, own.store.read());
  CULM_TRY(const auto state, transaction.find_log(log));
  // One of another store, such as a reader's beside the author's, stays that one's. One that is
  // copied stays so: peers that were not asked now may hold more, and the next append asks.
  const bool is_of_this =
      published && !published->is_elsewhere && !published->is_overtaken && published->is_unasked();
  const bool is_as_asked = is_of_this && state && !state->held.empty() &&
                           state->held.max() == tail && published->seqnum == tail;
  if (!is_as_asked) return {};
  // What was forgotten here is not what peers hold in its place.
  CULM_TRY(const auto last, transaction.get_entry(*state, tail));
  if (last.entry.hash() != published->hash) return {};
  published->store = own.store.id();
  return mark.write(*published);
}

/// A log in doubt, and who is asked of it.
struct Asked {
  const OwnLogs& own;
  const LogKey& log;
  Doubt doubt;
  SeqNum marked;
  SeqNum tail;
  const node::SyncRequest& request;
  Inquiry& inquiry;
  const std::stop_token& stop;
  bool is_elsewhere;

  [[nodiscard]] Result<KnownHead> ask(std::vector<node::SyncPeer> peers) const {
    auto mute = inquiry.take_mute(peers);
    const auto wait_max = peers.empty() ? std::nullopt : inquiry.next_wait();
    if (!wait_max) {
      for (const node::SyncPeer& peer : std::exchange(peers, {})) {
        mute.push_back({.endpoint = peer.endpoint, .error = Error{Errc::kTimeout}});
      }
    }
    CULM_TRY(KnownHead known,
             ask_peers({own.store, nullptr, own.directory, own.options, log, tail, std::move(peers),
                        stop, wait_max.value_or(Duration(0)), inquiry.end()}));
    inquiry.note(known.silent);
    known.asked += mute.size();
    std::ranges::move(mute, std::back_inserter(known.silent));
    // Who cannot be reached is named first.
    std::ranges::stable_sort(known.silent, {},
                             [](const auto& peer) { return peer.peer.has_value(); });
    // Who holds a part, and shows no other entry, may well have gone on behind what was published.
    const bool may_lack = doubt == Doubt::kGrown || (doubt == Doubt::kMarked && marked > tail);
    if (may_lack && known.other && known.other->at > tail) known.other.reset();
    return known;
  }
  /// Who never held the log cannot know what else was published of it.
  [[nodiscard]] bool needs_met() const {
    return doubt == Doubt::kUnasked || (doubt == Doubt::kMarked && request.push);
  }
  [[nodiscard]] bool is_shown(const KnownHead& known) const {
    return known.other || known.fork || known.head >= tail;
  }
  [[nodiscard]] UnaskedLog because(decltype(UnaskedLog::why) why) const {
    return {log, tail, std::move(why), is_elsewhere};
  }
};

struct Verdict {
  std::optional<UnaskedLog> unasked{};
  bool is_answered = false;  ///< by any peer
  bool is_free = false;      ///< see `AskedLogs::free`
};

/// Of peers that this store has met, and that could know more, those that do not say. Asks those
/// that are not of the sync as well; `known` is theirs where they show the tail.
Result<std::vector<node::PeerReport>> ask_met(const Asked& about, KnownHead& known,
                                              const std::vector<node::SyncPeer>& met) {
  if (known.met_head != 0) return std::vector<node::PeerReport>();
  std::vector<node::PeerReport> mute = list_mute(known, met);
  std::vector<node::SyncPeer> others = met;
  std::erase_if(others, [&](const node::SyncPeer& peer) {
    return holds(about.request.peers, peer.endpoint);
  });
  if (others.empty()) return mute;
  CULM_TRY(KnownHead more, about.ask(std::move(others)));
  known.met_head = more.met_head;
  if (more.met_head != 0) mute.clear();
  if (more.met_head == 0) std::ranges::move(list_mute(more, met), std::back_inserter(mute));
  std::ranges::copy(more.replaced, std::back_inserter(known.replaced));
  if (about.is_shown(more)) known = std::move(more);
  return mute;
}

/// Where nobody shows the tail: whether the sync connects all the same.
Verdict judge_unshown(const Asked& about, const KnownHead& known,
                      std::vector<node::PeerReport> mute, bool is_met) {
  auto asked = list_mute(known, about.request.peers);
  const bool is_all = asked.size() == known.asked;
  const bool pushes = about.request.push;
  if (about.doubt == Doubt::kGrown) return {std::nullopt, !is_all};
  const bool is_marked = about.doubt == Doubt::kMarked;
  if (is_marked && pushes && (!is_all || known.asked == 0)) {
    return {about.because(Unshown{about.marked})};
  }
  const bool is_replaced = !known.replaced.empty() && known.met_head == 0;
  if (mute.empty() && is_replaced && about.doubt == Doubt::kUnasked) {
    return {about.because(Unshown{0, known.replaced.front()})};
  }
  if (is_all) {
    std::erase_if(mute, [&](const node::PeerReport& peer) {
      return holds(about.request.peers, peer.endpoint);
    });
    mute.insert(mute.begin(), std::move_iterator(asked.begin()), std::move_iterator(asked.end()));
  }
  if (!mute.empty()) {
    // A log that began here, most likely, needs no peer that says so: none can be reached.
    const bool is_first =
        !is_met && about.doubt == Doubt::kBegun && known.unproven.empty() &&
        !about.inquiry.is_over() &&
        std::ranges::none_of(known.silent, [](const auto& peer) { return peer.peer.has_value(); });
    if (is_first) return {};
    SilentPeer silent{std::move(mute.front()), about.doubt, is_all};
    std::move(mute.begin() + 1, mute.end(), std::back_inserter(silent.others));
    return {about.because(std::move(silent))};
  }
  // Who holds nothing of it, or less, is enough to begin; the mark stays as it is.
  const bool is_none = known.asked == 0 && about.doubt == Doubt::kUnasked;
  if (is_none) return {about.because(Unshown{})};
  return {std::nullopt, true, pushes || about.doubt == Doubt::kUnasked};
}

Result<Verdict> judge(const Asked& about, store::AuthorMark& mark) {
  CULM_TRY(KnownHead known, about.ask(about.request.peers));
  CULM_TRY(const auto met, list_known_peers(about.own.store));
  std::vector<node::PeerReport> mute;
  if (!about.is_shown(known) && about.needs_met()) {
    CULM_TRY(mute, ask_met(about, known, met));
  }
  if (known.other) {
    OtherBranch& other = *known.other;
    const auto moved = with_lock(mark, about.stop, [&] { return move_back(mark, other); });
    if (!moved && moved.error().code != Errc::kAuthorMarkLocked) return fail(moved.error());
    return Verdict{about.because(std::move(other))};
  }
  if (known.fork && about.tail >= known.fork->at) return Verdict{about.because(*known.fork)};
  CULM_TRY(auto remembered, find_remembered(about.own.store, about.log, mark));
  if (remembered) return Verdict{std::move(remembered)};
  // What lies below stays what it is.
  if (known.fork) return Verdict{std::nullopt, true, about.request.push};
  if (!about.is_shown(known)) return judge_unshown(about, known, std::move(mute), !met.empty());
  const auto bound =
      with_lock(mark, about.stop, [&] { return bind(about.own, about.log, mark, about.tail); });
  // Who appends meanwhile asks for himself.
  if (!bound && bound.error().code != Errc::kAuthorMarkLocked) return fail(bound.error());
  return Verdict{std::nullopt, true, true};
}

/// None where the mark is damaged: that is told to who appends.
Result<std::optional<store::Published>> read_mark(const OwnLogs& own, const LogKey& log) {
  auto published = store::read_author_mark(own.marks_directory, log, own.directory);
  if (!published && published.error().code == Errc::kAuthorMarkFormat) return std::nullopt;
  return published;
}

Result<Doubt> read_doubt(const OwnLogs& own, const LogKey& log) {
  CULM_TRY(const auto published, read_mark(own, log));
  return published ? find_doubt(own.store, log, *published) : Doubt::kNone;
}

Result<Verdict> look_at(const OwnLogs& own, const LogKey& log, const node::SyncRequest& request,
                        Inquiry& inquiry, const std::stop_token& stop) {
  const Verdict sound{std::nullopt, true, true};
  CULM_TRY(const Doubt before, read_doubt(own, log));
  if (before == Doubt::kNone) return sound;  // to look needs no permission to write
  const store::MarkUse use{own.marks_directory, {}, own.directory, kLockOnceMax};
  CULM_TRY(const auto mark, store::open_author_mark(use, log));
  CULM_TRY(const auto published, mark->read());
  if (!published) return sound;
  CULM_TRY(const Doubt doubt, find_doubt(own.store, log, *published));
  if (doubt == Doubt::kNone) return sound;
  CULM_TRY(const SeqNum tail, find_tail(own.store, log));
  if (tail == 0) return sound;
  return judge(
      {own, log, doubt, published->seqnum, tail, request, inquiry, stop, published->is_elsewhere},
      *mark);
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
  return std::get<SilentPeer>(log.why).peer.error.value_or(Error{Errc::kPeerSilent});
}

Result<std::optional<UnaskedLog>> find_remembered(const store::Store& store, const LogKey& log,
                                                  store::AuthorMark& mark) {
  CULM_TRY(const auto published, mark.read());
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.find_outline(log));
  const SeqNum tail = state ? tail_of(*state) : 0;
  if (!published || tail == 0) return std::nullopt;
  CULM_TRY(const bool is_branch, store::holds_branch(transaction, *state, *published));
  if (!is_branch) return std::nullopt;
  return UnaskedLog{log, tail, OtherBranch{std::nullopt, published->branch_at(), *published, true},
                    published->is_elsewhere};
}

Result<Doubt> find_doubt(const store::Store& store, const LogKey& log,
                         const store::Published& published) {
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.find_outline(log));
  return state ? find_doubt(transaction, *state, published) : Doubt::kNone;
}

Result<Doubt> find_doubt(const store::ReadTransaction& transaction, const store::LogOutline& log,
                         const store::Published& published) {
  const SeqNum tail = tail_of(log);
  if (tail == 0) return Doubt::kNone;
  // What another store on this machine appends to is no business of this one.
  if (!published.is_elsewhere && published.seqnum != 0) {
    CULM_TRY(const auto there, transaction.find_entry(log, published.seqnum));
    const bool is_other = there && there->hash() != published.hash;
    if (is_other || published.seqnum > tail) return Doubt::kMarked;
  }
  if (published.is_unasked()) return published.is_begun() ? Doubt::kBegun : Doubt::kUnasked;
  if (published.is_elsewhere || published.seqnum == 0) return Doubt::kNone;
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
    if (tail == 0) continue;
    CULM_CHECK(store::with_lock(*mark, [&] { return bind(own, said.log, *mark, tail); }));
  }
  return {};
}

Result<bool> must_ask(const OwnLogs& own, const LogKey& log) {
  CULM_TRY(const auto published, read_mark(own, log));
  if (!published) return false;
  // Also where nothing of it is here yet: what comes is told to who waits for it.
  if (published->is_unasked()) return true;
  return find_doubt(own.store, log, *published).map([](Doubt of) { return of != Doubt::kNone; });
}

Result<std::vector<LogKey>> list_unasked(const OwnLogs& own, const node::SyncRequest& request) {
  CULM_TRY(const auto marked, store::list_author_marks(own.marks_directory));
  std::vector<LogKey> logs;
  for (const replication::WantRequest& want : request.logs) {
    if (!std::ranges::binary_search(marked, want.log)) continue;
    CULM_TRY(const bool is_due, must_ask(own, want.log));
    if (is_due) logs.push_back(want.log);
  }
  return logs;
}

Result<AskedLogs> ask_of_logs(const OwnLogs& own, const std::vector<LogKey>& logs,
                              const node::SyncRequest& request, const std::stop_token& stop,
                              bool is_again) {
  AskedLogs asked;
  Inquiry inquiry(request, is_again);
  std::vector<LogKey> begun;
  for (const LogKey& log : logs) {
    CULM_TRY(const Doubt doubt, read_doubt(own, log));
    if (doubt == Doubt::kBegun) begun.push_back(log);
  }
  // Who holds nothing of one is enough to begin.
  std::vector<LogKey> unheld;
  if (begun.size() > 1) {
    CULM_TRY(unheld, find_unheld(own, std::move(begun), request.peers, inquiry, stop));
  }
  for (const LogKey& log : logs) {
    CULM_TRY(const Doubt doubt, read_doubt(own, log));
    const bool is_unheld = doubt == Doubt::kBegun && std::ranges::binary_search(unheld, log);
    Verdict verdict{std::nullopt, true};
    if (!is_unheld) {
      CULM_TRY(verdict, look_at(own, log, request, inquiry, stop));
    }
    if (verdict.unasked) return AskedLogs{std::move(verdict.unasked)};
    if (verdict.is_answered) asked.answered.push_back(log);
    if (verdict.is_free) asked.free.push_back(log);
  }
  asked.mute = inquiry.list_silent(request.peers);
  return asked;
}

Result<std::optional<UnaskedLog>> find_unasked(const OwnLogs& own,
                                               const node::SyncRequest& request) {
  CULM_TRY(const auto logs, list_unasked(own, request));
  CULM_TRY(auto asked, ask_of_logs(own, logs, request));
  return std::move(asked.unasked);
}

}  // namespace culm::host
