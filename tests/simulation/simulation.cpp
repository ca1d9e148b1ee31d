#include "tests/simulation/simulation.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "culm/core/limits.hpp"

#include "tests/simulation/authors.hpp"
#include "tests/simulation/invariants.hpp"
#include "tests/simulation/parts.hpp"
#include "tests/simulation/rot.hpp"
#include "tests/simulation/stranger.hpp"
#include "tests/support/simulated_network.hpp"

namespace culm::simulation {
namespace {

using std::chrono::minutes;
using test::milliseconds;
using test::seconds;
using test::SimulatedNetwork;
using test::SimulatedNode;
using test::TestRandom;

/// Once all is healed: back-off of redials, a live log that is asked after when it was quiet, and
/// twice the time that a lost connection takes to be noticed, for each hop.
constexpr Duration kConvergenceMax = minutes(10);
constexpr std::size_t kLastEvents = 40;
constexpr Duration kQuietLasts = minutes(1);
/// For each node: some pings to each other one.
constexpr std::uint64_t kQuietBytesMax = 10'000;
constexpr std::uint64_t kRecordBytesMax = 65'535;
/// A signature takes 64 bytes. What is here when a process begins is checked for nothing.
constexpr std::uint64_t kBytesPerCheck = 64;
constexpr std::uint64_t kChecksMin = 10'000;

}  // namespace

class Simulation {
 public:
  Simulation(std::uint64_t seed, const Bounds& bounds)
      : bounds_(bounds), random_(seed), network_(random_.next()) {
    outcome_.seed = seed;
    network_.wiretap = [this](const std::shared_ptr<const void>& connection, ByteView bytes) {
      constexpr std::size_t kOverheardMax = 20'000;
      if (overheard_on_ == nullptr) overheard_on_ = connection;
      if (connection != overheard_on_ || !overhears_) return;
      overhears_ = overheard_.size() + bytes.size() <= kOverheardMax;
      if (overhears_) append_bytes(overheard_, bytes);
    };
  }

  Outcome run() {
    build();
    const Instant end_of_faults = network_.now() + bounds_.faulty;
    schedule_work();
    schedule_faults(end_of_faults);
    static_cast<void>(
        network_.run_until([&] { return outcome_.violated.has_value(); }, bounds_.faulty));
    is_healed_ = true;
    if (!outcome_.violated) heal();
    const auto is_done = [&] {
      return outcome_.violated.has_value() || !why_not_converged(peers_, authors_.logs());
    };
    const Instant healed = network_.now();
    while (!is_done() && network_.now() - healed < kConvergenceMax) network_.run(seconds(5));
    if (const auto why = why_not_converged(peers_, authors_.logs()); why && !outcome_.violated) {
      violate("convergence: " + *why);
    }
    if (!outcome_.violated) stay_quiet();
    if (authors_.signatures().checks() > kChecksMin + network_.bytes_sent() / kBytesPerCheck) {
      violate(std::to_string(authors_.signatures().checks()) + " signatures were checked for " +
              std::to_string(network_.bytes_sent()) + " bytes");
    }
    if (!outcome_.violated) {
      if (const auto why = why_unsound(peers_, authors_.logs(), authors_.signatures()))
        violate(*why);
    }
    outcome_.simulated = network_.now() - Instant{};
    outcome_.nodes = peers_.size();
    return std::move(outcome_);
  }

 private:
  // What there is.

  void build() {
    const std::size_t relays = random_.between(1, std::max<std::size_t>(bounds_.relays_max, 1));
    const std::size_t authors = random_.between(1, std::max<std::size_t>(bounds_.authors_max, 1));
    const std::size_t readers = random_.between(1, std::max<std::size_t>(bounds_.readers_max, 1));
    for (std::size_t i = 0; i < authors; ++i) {
      authors_.add();
    }
    for (std::size_t i = 0; i < relays; ++i) add_peer("relay" + std::to_string(i)).is_relay = true;
    for (std::size_t i = 0; i < authors; ++i) {
      add_peer("author" + std::to_string(i)).own = authors_.logs()[i].get();
    }
    for (std::size_t i = 0; i < readers; ++i) {
      add_peer("reader" + std::to_string(i)).pushes = random_.below(3) == 0;
    }
    for (Peer& peer : peers_) choose_wants(peer);
    for (Peer& peer : peers_) resume(peer);
  }

  Peer& add_peer(const std::string& name) {
    Peer& peer = peers_.emplace_back();
    peer.node = &network_.add(name);
    peer.node->checks = &authors_.signatures();
    peer.node->address[14] = static_cast<std::uint8_t>(peers_.size());
    CULM_ASSERT(peer.node->start({}));
    peer.node->on_event = [this, &peer](const node::SessionEvent& told) { told_by(peer, told); };
    peer.node->on_sync = [this, &peer](const node::SyncEvent& told) { told_by_sync(peer, told); };
    peer.node->on_commit = [this, &peer](const std::vector<LogKey>& changed) {
      committed(peer, changed);
    };
    honest_.insert(peer.node->options.identity.public_key().bytes);
    return peer;
  }

  void choose_wants(Peer& peer) {
    if (peer.is_relay) peer.node->accepts = store::LogInterest{everything(), true};
    for (const auto& log : authors_.logs()) {
      store::LogInterest interest{everything(), true};
      if (!peer.is_relay && peer.own != log.get()) {
        if (random_.below(4) == 0) continue;
        switch (random_.below(4)) {
          case 0:
            interest.entries = {{}, random_.between(1, 30)};
            break;
          case 1: {
            const SeqNum first = random_.between(1, 40);
            interest.entries = {RangeSet{{first, first + random_.below(60)}}, 0};
            break;
          }
          case 2:
            interest.payloads = false;
            break;
          default:
            break;
        }
      }
      peer.wants.emplace(log->known.log, interest);
    }
  }

  /// What a process does when it begins.
  void resume(Peer& peer) {
    node::SyncRequest request;
    request.live = true;
    request.push = peer.pushes;
    for (const auto& [log, interest] : peer.wants) {
      replication::WantRequest want;
      want.log = log;
      want.interest = interest.entries;
      want.payloads = interest.payloads;
      request.logs.push_back(want);
    }
    // Relays, which come first, call only those before them.
    for (const Peer& other : peers_) {
      if (&other == &peer) break;
      if (other.is_relay) request.peers.push_back({other.node->endpoint()});
    }
    if (request.peers.empty() || request.logs.empty()) return;
    peer.node->node().sync(std::move(request), network_.now());
    peer.node->settle();
  }

  // What is done all the time.

  void schedule_work() {
    for (Peer& peer : peers_) {
      if (peer.own != nullptr)
        again(seconds(8), [this, &peer] {
          if (!peer.is_down) authors_.append(peer);
        });
      again(minutes(1), [this, &peer] { back_up(peer); });
      again(minutes(2), [this, &peer] { erase(peer); });
    }
  }

  /// Now and then, until all is healed.
  void again(Duration mean, const std::function<void()>& act) {
    const auto delay = Duration(1 + random_.below(2 * static_cast<std::uint64_t>(mean.count())));
    network_.after(delay, [this, mean, act] {
      if (is_healed_) return;
      act();
      again(mean, act);
    });
  }

  void back_up(Peer& peer) {
    if (!peer.is_down) peer.backups.push_back(peer.node->image());
  }

  void erase(Peer& peer) {
    if (peer.is_down || peer.is_relay || peer.own != nullptr || peer.wants.empty()) return;
    const auto& log =
        std::next(peer.wants.begin(), static_cast<std::ptrdiff_t>(random_.below(peer.wants.size())))
            ->first;
    const SeqNum first = random_.between(1, 100);
    const RangeSet seqnums{{first, first + random_.below(20)}};
    peer.node->node().run([&peer, log, seqnums](store::Store& store) -> Result<void> {
      bool is_known = false;
      const auto erase = [&](store::WriteTransaction& transaction) -> Result<void> {
        CULM_TRY(const auto known, transaction.find_log(log));
        is_known = known != nullptr;
        if (is_known) CULM_CHECK(transaction.delete_payloads(log, seqnums, SIZE_MAX));
        return {};
      };
      CULM_CHECK(store.update(erase));
      if (is_known) peer.deleted[log] |= seqnums;
      return {};
    });
    peer.node->settle();
  }

  // What goes wrong.

  void schedule_faults(Instant end) {
    std::vector<Fault> drawn;
    for (std::size_t i = 0; i < kFaultCount; ++i) {
      const bool is_allowed = (bounds_.faults >> i & 1U) != 0;
      if (is_allowed && random_.below(2) == 0) drawn.push_back(static_cast<Fault>(i));
    }
    if (drawn.empty()) return;
    again(seconds(12), [this, drawn, end] {
      if (network_.now() < end) fire(drawn[random_.below(drawn.size())]);
    });
  }

  void fire(Fault fault) {
    Peer& peer = peers_[random_.below(peers_.size())];
    if (peer.is_down || !begin(fault, peer)) return;
    ++outcome_.faults[static_cast<std::size_t>(fault)];
    happened(std::string(name(fault)) + " at " + peer.node->name());
  }

  /// Whether it could happen to this peer.
  bool begin(Fault fault, Peer& peer) {
    switch (fault) {
      case Fault::kCrash:
      case Fault::kBackupRestored:
      case Fault::kStoreLost:
      case Fault::kWriteFails:
      case Fault::kCommitLandsUnsaid:
      case Fault::kDiskFull:
      case Fault::kDamagedRow:
        return restart(fault, peer);
      case Fault::kFork:
        return authors_.fork(peer);
      case Fault::kBadSigner:
      case Fault::kBadLinker:
        return bear(fault, peer);
      case Fault::kClone:
        return clone(peer);
      case Fault::kBareConnection:
      case Fault::kManyConnections:
      case Fault::kGarbage:
      case Fault::kHalfHandshake:
      case Fault::kReplay:
      case Fault::kByzantine:
      case Fault::kLiar:
      case Fault::kWithholder:
      case Fault::kIdler:
      case Fault::kFlooder:
        return visit(fault, peer);
      case Fault::kConnectionCut:
      case Fault::kAllConnectionsCut:
      case Fault::kPartition:
      case Fault::kOneWayPartition:
      case Fault::kSlowNetwork:
      case Fault::kJitter:
      case Fault::kFragments:
      case Fault::kSlowReader:
        return disturb(fault, peer);
    }
    return false;
  }

  bool restart(Fault fault, Peer& peer) {
    if (fault == Fault::kBackupRestored && peer.backups.empty()) return false;
    auto rotten = peer.node->image();
    if (fault == Fault::kDamagedRow) {
      if (peer.own != nullptr) return false;  // what nobody else has may go for ever
      if (!rot(peer, authors_.logs(), rotten, random_)) return false;
    }
    auto image = peer.node->crash();
    peer.is_down = true;
    store::MemoryOptions disk;
    switch (fault) {
      case Fault::kBackupRestored:
        image = peer.backups[random_.below(peer.backups.size())];
        break;
      case Fault::kStoreLost:
        image = {};
        break;
      case Fault::kDamagedRow:
        image = rotten;
        break;
      case Fault::kWriteFails:
      case Fault::kCommitLandsUnsaid:
        disk.fail_operation = random_.between(1, 300);
        disk.failed_commit_lands = fault == Fault::kCommitLandsUnsaid;
        if (peer.own != nullptr && disk.failed_commit_lands) peer.own->may_be_unsaid = true;
        break;
      case Fault::kDiskFull:
        disk.full_after_bytes = image.size_bytes + random_.below(200'000);
        disk.may_grow = false;
        break;
      default:
        break;
    }
    const bool is_older = fault == Fault::kBackupRestored || fault == Fault::kStoreLost;
    network_.after(milliseconds(random_.between(10, 20'000)),
                   [this, &peer, image, disk, is_older] { start(peer, image, disk, is_older); });
    const bool is_bad = disk.fail_operation != 0 || !disk.may_grow;
    if (is_bad) {  // somebody replaces the disk
      network_.after(seconds(60), [this, &peer] {
        if (peer.is_down) return;
        const auto kept = peer.node->crash();
        start(peer, kept, {}, false);
      });
    }
    return true;
  }

  void start(Peer& peer, const store::MemoryImage& image, const store::MemoryOptions& disk,
             bool is_older) {
    if (!peer.node->start(image, disk)) {
      CULM_ASSERT(peer.node->start(image));
    }
    peer.is_down = false;
    peer.held.clear();
    if (is_older) {
      peer.deleted.clear();
      peer.acknowledged_here = 0;
    } else if (peer.own != nullptr) {
      const auto state = peer.node->state(peer.own->known.log);
      authors_.learn(*peer.own, peer.node->store());  // a commit may have landed unsaid
      const bool is_there = state.held.largest_up_to(kSeqnumMax) >= peer.acknowledged_here;
      if (!is_there) violate("an acknowledged append was lost at " + peer.node->name());
    }
    for (const auto& log : authors_.logs()) {
      const auto state = peer.node->state(log->known.log);
      if (is_older) peer.deleted[log->known.log] = state.deleted;
      peer.held[log->known.log] = state.held;
      peer.ever_held[log->known.log] |= {state.held, state.payloads};
    }
    resume(peer);
    happened(peer.node->name() + " is up");
  }

  bool clone(Peer& peer) {
    if (peer.own != nullptr || clones_ > 0) return false;
    ++clones_;
    auto& copy = network_.add(peer.node->name() + "-clone");
    copy.checks = &authors_.signatures();
    CULM_ASSERT(copy.start(peer.node->image()));
    copy.on_event = [](const node::SessionEvent& /*told*/) {};
    node::SyncRequest request;
    request.live = true;
    for (const auto& [log, interest] : peer.wants) request.logs.emplace_back().log = log;
    request.peers.push_back({peers_[0].node->endpoint()});
    if (request.logs.empty() || &copy == peers_[0].node) return true;
    copy.node().sync(std::move(request), network_.now());
    copy.settle();
    return true;
  }

  /// A stranger brings what an author made badly.
  bool bear(Fault fault, Peer& peer) {
    if (!peer.is_relay) return false;
    const auto broken = authors_.make_bad(peer, fault == Fault::kBadLinker);
    if (!broken) return false;
    Stranger::visit(network_, *peer.node, Stranger::Role::kBearer, random_.next(), {&*broken, 1},
                    2);
    return true;
  }

  bool disturb(Fault fault, Peer& peer) {
    Peer& other = peers_[random_.below(peers_.size())];
    const Duration lasts = seconds(random_.between(1, 120));
    switch (fault) {
      case Fault::kConnectionCut:
        return network_.cut_one(random_);
      case Fault::kAllConnectionsCut:
        network_.cut(*peer.node);
        return true;
      case Fault::kPartition:
      case Fault::kOneWayPartition:
        if (&other == &peer) return false;
        network_.part(*peer.node, *other.node);
        if (fault == Fault::kPartition) network_.part(*other.node, *peer.node);
        network_.after(lasts, [this] { network_.heal(); });
        return true;
      case Fault::kSlowNetwork:
        network_.link.latency = milliseconds(random_.between(100, 3000));
        network_.link.bytes_per_second = random_.between(10'000, 100'000);
        break;
      case Fault::kJitter:
        network_.link.jitter = milliseconds(random_.between(10, 1000));
        break;
      case Fault::kFragments:
        network_.link.piece_bytes_max = random_.between(1, 40);
        break;
      case Fault::kSlowReader:
        network_.block(*peer.node);
        network_.after(lasts, [this] { network_.unblock(); });
        return true;
      default:
        return false;
    }
    network_.after(lasts, [this] { network_.link = {}; });
    return true;
  }

  bool visit(Fault fault, Peer& peer) {
    std::vector<KnownLog> known;
    for (const auto& log : authors_.logs()) known.push_back(log->known);
    const auto host = static_cast<std::uint8_t>(random_.between(2, 250));
    const auto come = [&](Stranger::Role role) {
      Stranger::visit(network_, *peer.node, role, random_.next(), known, 40);
      return true;
    };
    switch (fault) {
      case Fault::kBareConnection:
      case Fault::kManyConnections:
        for (int i = fault == Fault::kBareConnection ? 1 : 80; i > 0; --i) {
          network_.connect_silently(*peer.node, host);
        }
        return true;
      case Fault::kGarbage:
      case Fault::kHalfHandshake:
      case Fault::kReplay: {
        const Bytes bytes = fault == Fault::kReplay
                                ? overheard_
                                : random_.bytes(fault == Fault::kGarbage ? 3000 : 30);
        if (bytes.empty()) return false;
        network_.connect_raw(*peer.node, host, [](ByteView /*bytes*/) {})->say(bytes);
        return true;
      }
      case Fault::kByzantine:
        return come(Stranger::Role::kByzantine);
      case Fault::kLiar:
        return come(Stranger::Role::kLiar);
      case Fault::kIdler:
        return come(Stranger::Role::kIdler);
      case Fault::kFlooder:
        return come(Stranger::Role::kFlooder);
      case Fault::kWithholder:
        return come(Stranger::Role::kWithholder);
      default:
        return false;
    }
  }

  void heal() {
    network_.heal();
    network_.unblock();
    network_.link = {};
    happened("all is healed");
  }

  // What must hold.

  void told_by(Peer& peer, const node::SessionEvent& told) {
    const auto* const ended = std::get_if<replication::Ended>(&told.event);
    if (ended == nullptr) return;
    const std::string why = ended->error ? std::string(culm::name(ended->error->code)) : "clean";
    const bool is_handshake = ended->error && ended->error->code == Errc::kHandshake;
    if (!is_handshake) happened(peer.node->name() + ": session ended, " + why);
    // A full node hangs up with what also denies one want.
    const bool is_refusal = ended->error && ended->error->code == Errc::kBusy;
    if (ended->error && !is_refusal && ends(ended->error->code) < Scope::kSession) {
      violate(peer.node->name() + " ends a session for what is of one log: " + why);
    }
    if (!ended->error || culm::fault(ended->error->code) != culm::Fault::kPeer) return;
    const bool is_honest = told.session.peer && honest_.contains(told.session.peer->bytes);
    if (is_honest) violate(peer.node->name() + " blames an honest peer: " + why);
  }

  /// A receipt speaks of what has been held, payloads included.
  void told_by_sync(Peer& peer, const node::SyncEvent& told) {
    const auto* const pushed = std::get_if<node::SyncPushed>(&told);
    if (pushed == nullptr) return;
    for (const Peer& other : peers_) {
      if (other.node->endpoint() != pushed->endpoint) continue;
      const auto held = other.ever_held.find(pushed->log);
      const auto here = peer.node->state(pushed->log);
      const RangeSet upto{{1, pushed->head}};
      const bool is_true = held != other.ever_held.end() &&
                           held->second.entries.contains(here.served() & upto) &&
                           held->second.payloads.contains(here.payloads & here.served() & upto);
      if (!is_true) violate(other.node->name() + " is said to hold what it never held");
    }
  }

  void committed(Peer& peer, const std::vector<LogKey>& changed) {
    if (changed.empty()) return;
    ++outcome_.commits;
    for (const auto& log : authors_.logs()) {
      if (std::ranges::find(changed, log->known.log) != changed.end()) check(peer, *log);
    }
  }

  /// After a commit, of what it has changed.
  void check(Peer& peer, Log& log) {
    const auto wrong = why_wrong(peer, log);
    happened(peer.node->name() + " holds up to " +
             std::to_string(peer.held[log.known.log].largest_up_to(kSeqnumMax)));
    if (wrong) violate(*wrong + " at " + peer.node->name());
    if (log.is_signed_twice) violate("an honest author signed two entries for one seqnum");
    const auto published = *log.mark.read();
    const SeqNum known = published ? published->seqnum : 0;
    if (peer.own != &log && !log.is_broken && !log.may_be_unsaid &&
        peer.held[log.known.log].largest_up_to(kSeqnumMax) > known) {
      violate("what is not marked as published is held at " + peer.node->name());
    }
  }

  /// Where all hold what they want and nothing is made, nothing moves but pings.
  void stay_quiet() {
    network_.run(seconds(60));
    const std::uint64_t commits = outcome_.commits;
    const std::uint64_t bytes = network_.bytes_sent();
    network_.run(kQuietLasts);
    if (outcome_.commits != commits) violate("something is committed although all is there");
    const std::uint64_t moved = network_.bytes_sent() - bytes;
    if (moved > kQuietBytesMax * peers_.size()) {
      violate(std::to_string(moved) + " bytes are said although all is there");
    }
    if (network_.output_bytes_max() > limits::kSessionAnswersBytesMax + kRecordBytesMax) {
      violate("a session kept " + std::to_string(network_.output_bytes_max()) + " bytes");
    }
  }

  void violate(std::string what) {
    happened("violated: " + what);
    if (!outcome_.violated) outcome_.violated = std::move(what);
  }

  /// Part of the run's hash, and of what is shown when it fails.
  void happened(const std::string& what) {
    const auto at = std::chrono::duration_cast<milliseconds>(network_.now() - Instant{}).count();
    const std::string line = std::to_string(at) + " ms: " + what;
    for (const char c : line) {
      outcome_.event_hash = (outcome_.event_hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3U;
    }
    outcome_.last.push_back(line);
    if (outcome_.last.size() > kLastEvents && !outcome_.violated) {
      outcome_.last.erase(outcome_.last.begin());
    }
  }

  const Bounds bounds_;
  TestRandom random_;
  Authors authors_{random_};
  SimulatedNetwork network_;
  Peers peers_;
  std::set<std::array<std::uint8_t, 32>> honest_;
  std::size_t clones_ = 0;
  std::shared_ptr<const void> overheard_on_;
  Bytes overheard_;  ///< what one node said to another one, from the first
  bool overhears_ = true;
  bool is_healed_ = false;
  Outcome outcome_;
};

std::uint64_t Outcome::fault_count() const {
  std::uint64_t count = 0;
  for (const std::uint64_t one : faults) count += one;
  return count;
}

Outcome simulate(std::uint64_t seed, const Bounds& bounds) {
  return Simulation(seed, bounds).run();
}

}  // namespace culm::simulation
