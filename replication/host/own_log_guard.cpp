#include "culm/replication/host/own_log_guard.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "culm/replication/host/detail/asio.hpp"
#include "culm/replication/host/detail/peer_question.hpp"
#include "culm/store/author_mark_place.hpp"

namespace culm::host {
namespace {

constexpr std::chrono::seconds kLookEvery(2);

OwnLogGuard::Outcome outcome_of(const Result<AskedLogs>& asked) {
  if (!asked) return fail(asked.error());
  return asked->unasked;
}

transport::DialAnswer judge(const OwnLogGuard::Outcome& outcome, const Result<AskedLogs>& asked,
                            const node::Endpoint& endpoint) {
  if (!outcome) {
    const Errc code = outcome.error().code;
    return {outcome.error(), code == Errc::kAuthorMarkFormat || code == Errc::kFileIo ||
                                 code == Errc::kStoreDamaged};
  }
  if (!*outcome) {
    // To wait for it once more would only take time.
    const bool is_silent = std::ranges::find(asked->mute, endpoint) != asked->mute.end();
    return {is_silent ? std::optional(Error{Errc::kPeerSilent}) : std::nullopt};
  }
  const UnaskedLog& unasked = **outcome;
  const auto* const silent = std::get_if<SilentPeer>(&unasked.why);
  if (silent == nullptr) return {why_not_synced(unasked), true};
  if (silent->peer.endpoint == endpoint) return {why_not_synced(unasked)};
  const auto other = std::ranges::find(silent->others, endpoint, &node::PeerReport::endpoint);
  const bool is_known = other != silent->others.end() && other->error;
  return {is_known ? *other->error : Error{Errc::kPeerStalled}};
}

/// Whether all that keeps it from connecting is that nobody has said anything yet.
bool is_unheard(const Result<AskedLogs>& asked) {
  if (!asked || !asked->unasked) return false;
  const auto* const silent = std::get_if<SilentPeer>(&asked->unasked->why);
  if (silent == nullptr || !silent->is_nobody) return false;
  const auto& error = silent->peer.error;
  return !error || error->code == Errc::kTimeout;
}

/// Of the peers that are known, for one log.
Result<node::SyncRequest> request_of_known(const store::Store& store, const LogKey& log) {
  node::SyncRequest request;
  request.push = true;
  CULM_TRY(request.peers, list_known_peers(store));
  node::add_logs(request, {}, {&log, 1});
  return request;
}

/// Whether what a mark says keeps the log from nobody who connects.
bool is_exempt(const store::Store& store, const LogKey& log, const store::Published& published) {
  // Of a log that another store on this machine appends to, this one passes on what it was given.
  if (published.is_elsewhere) return true;
  const auto doubt = find_doubt(store, log, published);
  if (!doubt) return false;
  // One that began here, as most that are new, is not kept back for peers that have gone.
  if (*doubt == Doubt::kNone || *doubt == Doubt::kGrown || *doubt == Doubt::kBegun) return true;
  const auto known = list_known_peers(store);
  const auto transaction = store.read();
  const auto state = transaction ? transaction->find_outline(log) : fail(transaction.error());
  if (!state || !*state) return false;
  const SeqNum marked = published.seqnum;
  if (*doubt == Doubt::kMarked) {
    // A store that only takes what others bring lags behind a mark that came along.
    if (marked <= (*state)->held.max()) return false;
    return published.is_unasked() || (known && known->empty());
  }
  // What was appended then may be in another store of the user's.
  if (marked == 0) return false;
  const auto there = transaction->find_entry(**state, marked);
  return there && !*there;
}

}  // namespace

class OwnLogGuard::Timer : public asio::steady_timer {
 public:
  using asio::steady_timer::steady_timer;
};

OwnLogGuard::OwnLogGuard(boost::asio::io_context& io, store::Store& store,
                         replication::Policy& policy, std::optional<OwnLogs> own, Found found,
                         Shown shown)
    : io_(io),
      store_(store),
      policy_(policy),
      own_(std::move(own)),
      found_(std::move(found)),
      shown_(std::move(shown)),
      timer_(std::make_unique<Timer>(io)) {}

OwnLogGuard::~OwnLogGuard() { stop(); }

void OwnLogGuard::stop() {
  is_stopped_ = true;
  timer_->cancel();
  look_ = {};
  questions_.clear();
}

OwnLogGuard::Marked OwnLogGuard::find_marked(const std::vector<LogKey>& logs) const {
  Marked marked;
  for (const LogKey& log : logs) {
    const auto published = store::read_author_mark(own_->marks_directory, log);
    if (published && *published) marked.emplace(log, (*published)->seqnum);
  }
  return marked;
}

void OwnLogGuard::ask(transport::SyncDial dial, Answer answer) {
  if (const auto known = questions_.find(dial.sync); known != questions_.end()) {
    if (known->second.thread.joinable()) {
      known->second.waiting.emplace_back(dial.endpoint, std::move(answer));
      return;
    }
    // One that ends soon connects again for what one session has no room for.
    if (!dial.request.live) {
      std::erase_if(dial.request.logs, [&asked = known->second.asked](const auto& want) {
        return std::ranges::binary_search(asked, want.log);
      });
    }
  }
  // Reads the directory of the marks: once for all peers of a sync that are dialed together.
  auto logs = own_ ? list_unasked(*own_, dial.request) : std::vector<LogKey>();
  if (is_stopped_ || (logs && logs->empty())) return answer({});
  Question& question = questions_[dial.sync];
  question.waiting.emplace_back(dial.endpoint, std::move(answer));
  question.thread =
      std::jthread([this, weak = std::weak_ptr(self_), sync = dial.sync, logs = std::move(logs),
                    request = std::move(dial.request)](const std::stop_token& stop) {
        Marked marked;
        const auto ask = [&](bool is_again) {
          marked = logs ? find_marked(*logs) : Marked();
          return logs.and_then([&](const std::vector<LogKey>& unasked) {
            return ask_of_logs(*own_, unasked, request, stop, is_again);
          });
        };
        auto asked = ask(false);
        // Who says nothing has the time that the sync was given, as without a doubt.
        if (!request.live && is_unheard(asked)) asked = ask(true);
        asio::post(io_, [weak, sync, marked = std::move(marked), asked = std::move(asked)] {
          if (const auto self = weak.lock()) (*self)->answered(sync, marked, asked);
        });
      });
}

bool OwnLogGuard::must_ask(const LogKey& log) {
  if (!own_) return false;
  const auto is_due = host::must_ask(*own_, log);
  if (is_due) return *is_due;
  // Who may not look at any mark has appended nothing from there.
  const auto marked = store::list_author_marks(own_->marks_directory);
  return !marked || std::ranges::binary_search(*marked, log);
}

void OwnLogGuard::answered(node::SyncId sync, const Marked& marked,
                           const Result<AskedLogs>& asked) {
  const auto found = questions_.find(sync);
  if (found == questions_.end()) return;
  Question& question = found->second;
  question.thread.join();
  const Outcome outcome = outcome_of(asked);
  if (outcome && !*outcome) {
    allow(marked, asked->free);
    for (const auto& [log, seqnum] : marked) let_go(log);
    std::ranges::copy(asked->answered, std::back_inserter(question.asked));
    std::ranges::sort(question.asked);
  }
  if (found_ && !question.is_over) found_(outcome);
  const auto waiting = std::exchange(question.waiting, {});
  if (question.is_over) questions_.erase(found);
  for (const auto& [endpoint, answer] : waiting) answer(judge(outcome, asked, endpoint));
}

void OwnLogGuard::ended(node::SyncId sync, const node::SyncReport& report) {
  const auto known = questions_.find(sync);
  const bool is_asked = known != questions_.end() && known->second.thread.joinable();
  if (is_asked) {
    known->second.is_over = true;
    known->second.thread.request_stop();
  }
  if (!is_asked) questions_.erase(sync);
  if (own_) static_cast<void>(bind_confirmed(*own_, report));
}

bool OwnLogGuard::may_exchange(const LogKey& log) {
  if (!own_) return true;
  const auto published = store::read_author_mark(own_->marks_directory, log, own_->directory);
  const bool is_damaged = !published && published.error().code == Errc::kAuthorMarkFormat;
  if (is_damaged || (published && !*published)) return true;
  if (published && is_exempt(store_, log, **published)) return true;
  {
    const std::lock_guard lock(mutex_);
    const auto known = logs_.find(log);
    if (published && known != logs_.end() && known->second.allowed == (*published)->seqnum) {
      return true;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    logs_[log].is_due = true;
  }
  asio::post(io_, [weak = std::weak_ptr(self_)] {
    if (const auto self = weak.lock()) (*self)->look();
  });
  return false;
}

void OwnLogGuard::hold_back(const LogKey& log, SeqNum from) {
  const std::lock_guard lock(mutex_);
  Log& known = logs_[log];
  // What came before is shown with these, or still withheld.
  if (known.held_from == 0) known.held_from = from;
  known.is_published = false;
  store_.hold_back(log, known.held_from);
}

void OwnLogGuard::publish(const LogKey& log) {
  {
    const std::lock_guard lock(mutex_);
    const auto known = logs_.find(log);
    if (known == logs_.end() || known->second.held_from == 0) return;
    known->second.is_published = true;
  }
  if (!may_exchange(log)) return;
  const std::lock_guard lock(mutex_);
  show(log, logs_[log]);  // unless who asked meanwhile has
}

void OwnLogGuard::show(const LogKey& log, Log& known) {
  if (known.held_from == 0 || !known.is_published) return;
  store_.release(log);
  known.held_from = 0;
}

void OwnLogGuard::look() {
  if (is_stopped_ || look_.joinable()) return;
  if (std::chrono::steady_clock::now() < look_at_) return look_later();
  const std::vector<LogKey> due = find_due();
  if (due.empty()) return;
  look_ = std::jthread([this, weak = std::weak_ptr(self_), due](const std::stop_token& stop) {
    std::vector<std::pair<LogKey, Outcome>> found;
    found.reserve(due.size());
    for (const LogKey& log : due) {
      auto outcome = request_of_known(store_, log).and_then([&](const node::SyncRequest& request) {
        const Marked marked = find_marked({log});
        const auto asked = ask_of_logs(*own_, {log}, request, stop);
        if (asked && !asked->unasked) allow(marked, asked->free);
        return outcome_of(asked);
      });
      found.emplace_back(log, std::move(outcome));
    }
    asio::post(io_, [weak, found = std::move(found)] {
      if (const auto self = weak.lock()) (*self)->looked(found);
    });
  });
}

void OwnLogGuard::looked(const std::vector<std::pair<LogKey, Outcome>>& found) {
  if (is_stopped_) return;
  look_.join();
  for (const auto& [log, outcome] : found) {
    if (found_) found_(outcome);
    if (outcome && !*outcome) let_go(log);
  }
  look_at_ = std::chrono::steady_clock::now() + kLookEvery;
  look_later();
}

void OwnLogGuard::let_go(const LogKey& log) {
  if (!may_exchange(log)) return;
  {
    const std::lock_guard lock(mutex_);
    Log& known = logs_[log];
    known.is_due = false;
    show(log, known);
  }
  shown_(log);
}

void OwnLogGuard::look_later() {
  if (find_due().empty()) return;
  timer_->expires_at(look_at_);
  timer_->async_wait([weak = std::weak_ptr(self_)](const ErrorCode& code) {
    const auto self = code ? nullptr : weak.lock();
    if (self) (*self)->look();
  });
}

void OwnLogGuard::allow(const Marked& marked, const std::vector<LogKey>& free) {
  const std::lock_guard lock(mutex_);
  for (const LogKey& log : free) {
    const auto was = marked.find(log);
    if (was != marked.end()) logs_[log].allowed = was->second;
  }
}

std::vector<LogKey> OwnLogGuard::find_due() {
  const std::lock_guard lock(mutex_);
  std::vector<LogKey> due;
  for (const auto& [log, known] : logs_) {
    if (known.is_due) due.push_back(log);
  }
  return due;
}

}  // namespace culm::host
