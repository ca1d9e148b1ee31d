#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "culm/replication/committer.hpp"
#include "culm/replication/node/node.hpp"
#include "culm/store/check.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/held_log.hpp"
#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"
#include "tests/support/watched_kv.hpp"

namespace culm::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SimulatedNetwork;

/// The end of a connection that is no node's.
class RawConnection {
 public:
  virtual ~RawConnection() = default;
  virtual void say(ByteView bytes) = 0;
};

/// A whole node with a store of its own, and all that it told. It is found at "<name>:1".
class SimulatedNode final : public replication::Policy {
 public:
  SimulatedNode(SimulatedNetwork& network, std::string name, std::uint64_t seed)
      : network_(network),
        name_(std::move(name)),
        random(seed),
        options{.identity = sealing::KeyPair::generate(random)} {
    CULM_ASSERT(start({}));
  }

  bool may_read(const sealing::PeerKey&, const LogKey&) override { return serves; }
  std::optional<store::LogInterest> accept_offer(const sealing::PeerKey&, const LogKey&) override {
    return accepts;
  }
  bool must_ask(const LogKey& log) override { return in_doubt.contains(log); }

  /// The node itself, made at the first call from `options`. After a call of it: `settle`.
  [[nodiscard]] node::Node& node() {
    if (!node_) node_.emplace(options, *store_, *this, *checks, random);
    return *node_;
  }
  /// The process ends without a word; what is committed stays. Then `start` comes before `node`.
  store::MemoryImage crash();
  /// A process begins on such an image, of this node or of another one. Fails as `Store::open`.
  Result<void> start(store::MemoryImage image, const store::MemoryOptions& disk = {}) {
    auto kv = std::make_unique<store::MemoryKv>(disk, std::move(image));
    kv_ = kv.get();
    CULM_TRY(store_, store::Store::open(std::make_unique<WatchedKv>(std::move(kv)), random));
    committer_.emplace(*store_, *checks, AcceptOptions{}, limits::kStagesMax, 100'000);
    return {};
  }
  [[nodiscard]] bool is_up() const { return store_ != nullptr; }
  [[nodiscard]] store::MemoryImage image() const { return kv_->image(); }
  /// Does what the node asks for.
  void settle();
  node::DialId dial(const SimulatedNode& peer, node::DialOptions dial = {}) {
    const node::DialId id = node().dial(peer.endpoint(), std::move(dial));
    settle();
    return id;
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] node::Endpoint endpoint() const { return {name_, 1}; }
  [[nodiscard]] store::Store& store() { return *store_; }

  /// Stores entries of `log` with payloads, by way of the node.
  void hold(const LogBuilder& log, const RangeSet& members) {
    node().run([this, key = log.log(), unit = log.unit(members, true)](store::Store& store) {
      const auto done = store::ingest(store, key, unit, verifier);
      return done ? Result<void>() : Result<void>(fail(done.error()));
    });
    settle();
  }
  void hold(const LogBuilder& log) { hold(log, {{1, log.head()}}); }

  [[nodiscard]] store::LogState state(const LogKey& log) const {
    const auto state = *store_->read()->find_log(log);
    return state ? *state : store::LogState{};
  }
  [[nodiscard]] bool holds(const LogKey& log, const RangeSet& members) const {
    const auto now = state(log);
    return now.held.contains(members) && now.payloads.contains(members);
  }

  template <class T>
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> out;
    for (const auto& [session, event] : seen) {
      if (const auto* one = std::get_if<T>(&event)) out.push_back(*one);
    }
    return out;
  }
  template <class T>
  [[nodiscard]] std::size_t count() const {
    return all<T>().size();
  }
  /// Why the last session that has ended did; nothing for a clean end or none.
  [[nodiscard]] std::optional<Errc> why_ended() const {
    const auto ended = all<replication::Ended>();
    if (ended.empty() || !ended.back().error) return std::nullopt;
    return ended.back().error->code;
  }

 private:
  friend SimulatedNetwork;
  SimulatedNetwork& network_;
  std::string name_;

 public:
  TestRandom random;
  CountingVerifier verifier;
  SignatureVerifier* checks = &verifier;  ///< what it checks with; counts from the next start
  node::NodeOptions options;
  std::optional<store::LogInterest> accepts;
  std::set<LogKey> in_doubt{};  ///< `must_ask`
  std::vector<node::SessionEvent> seen;
  /// Takes what sessions tell, in place of `seen`.
  std::function<void(const node::SessionEvent&)> on_event;
  /// Takes what syncs tell, in place of `synced`.
  std::function<void(const node::SyncEvent&)> on_sync;
  /// Called behind each job, with the logs that it has changed.
  std::function<void(const std::vector<LogKey>&)> on_commit;
  std::vector<LogKey> changed;
  /// Where its connections come from; that of others as well.
  node::Address address{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1};
  bool listens = true;
  bool serves = true;
  bool stopped = false;
  std::vector<std::pair<node::TaskId, Result<void>>> tasks;
  std::vector<node::DialId> dials_over;
  std::vector<node::FetchEnded> fetches_ended;
  std::vector<node::SyncEvent> synced;  ///< what syncs told
  std::size_t quotes = 0;
  std::vector<Error> refused;  ///< works that were not stored

 private:
  store::MemoryKv* kv_ = nullptr;  // of the store
  std::unique_ptr<store::Store> store_;
  std::optional<replication::Committer> committer_;
  std::optional<node::Node> node_;
  std::uint64_t process_ = 1;  // numbers what was given to a process that may have ended meanwhile
  Instant writer_free_{};
  bool settling_ = false;
};

/// What the links of a network are like.
struct LinkOptions {
  Duration latency = milliseconds(10);
  Duration jitter{};  ///< at most so much more for each piece, none overtaking another
  std::size_t piece_bytes_max = 16384;  ///< a write arrives in pieces of up to so many bytes
  std::uint64_t bytes_per_second = 0;   ///< in each direction of a connection; 0: no limit
  std::size_t window_bytes = 256 * 1024;
};

/// Whole nodes, the connections between them and the time, all from one seed and in one thread: an
/// hour of a network costs what its messages cost.
///
///   SimulatedNetwork network(1);
///   auto& author = network.add("author");
///   auto& reader = network.add("reader");
///   reader.dial(author, {.wants = {want}});
///   EXPECT_TRUE(network.run_until([&] { return reader.count<WantEnded>() == 1; }, minutes(1)));
class SimulatedNetwork {
 public:
  explicit SimulatedNetwork(std::uint64_t seed) : random_(seed) {}

  SimulatedNode& add(const std::string& name) {
    nodes_.push_back(std::make_unique<SimulatedNode>(*this, name, random_.next()));
    return *nodes_.back();
  }

  [[nodiscard]] Instant now() const { return now_; }
  /// Lets time pass until `done`; false when `limit` has passed before, or nothing happens any
  /// more.
  [[nodiscard]] bool run_until(const std::function<bool()>& done, Duration limit) {
    const Instant end = now_ + limit;
    while (!done()) {
      const auto next = next_instant();
      if (!next || *next > end) {
        now_ = end;
        return done();
      }
      now_ = std::max(now_, *next);
      step();
    }
    return true;
  }
  void run(Duration time) {
    static_cast<void>(run_until([] { return false; }, time));
  }

  /// A connection to `node` by somebody at 10.0.0.`host` who neither says nor takes anything. All
  /// nodes are at 10.0.0.1.
  void connect_silently(SimulatedNode& node, std::uint8_t host = 1) { connect({}, node, host); }
  /// A connection to `node` by somebody of one's own making; `heard` takes what arrives.
  [[nodiscard]] std::shared_ptr<RawConnection> connect_raw(SimulatedNode& node, std::uint8_t host,
                                                           std::function<void(ByteView)> heard) {
    const auto one = connect({}, node, host);
    one->ends[0].heard = std::move(heard);
    return std::make_shared<Raw>(*this, one);
  }
  /// Cuts all connections of a node; those that are made later are whole.
  void cut(const SimulatedNode& node) {
    const auto links = links_;  // some go away meanwhile
    for (const auto& one : links) {
      if (one->ends[0].node != &node && one->ends[1].node != &node) continue;
      for (std::size_t side : {0U, 1U}) break_off(*one, side);
    }
  }
  /// Cuts one connection, whichever; false where there is none.
  bool cut_one(TestRandom& random) {
    if (links_.empty()) return false;
    const auto one = links_[random.below(links_.size())];
    for (std::size_t side : {0U, 1U}) break_off(*one, side);
    return true;
  }
  /// Nothing gets from `from` to `to` any more, nor does a connection come about; what is under way
  /// waits until `heal`.
  void part(const SimulatedNode& from, const SimulatedNode& to) { parted_.emplace(&from, &to); }
  void heal() {
    parted_.clear();
    const auto links = links_;
    for (const auto& one : links) {
      for (std::size_t side : {0U, 1U}) deliver(one, side);
    }
  }
  void after(Duration delay, std::function<void()> act) { later(delay, std::move(act)); }

  /// From now on nothing that `node` sends arrives.
  void mute(const SimulatedNode& node) { muted_ = &node; }
  void unmute() { muted_ = nullptr; }
  void block(const SimulatedNode& node) { blocked_ = &node; }
  void unblock() {
    const SimulatedNode* const was = std::exchange(blocked_, nullptr);
    const auto links = links_;
    for (const auto& one : links) {
      for (std::size_t side : {0U, 1U}) {
        const End& to = one->ends[side];
        const End& from = one->ends[1 - side];
        if (to.node != was || from.node == nullptr || from.closed) continue;
        transfer(*from.node, from.session);
        from.node->settle();
      }
    }
  }

  [[nodiscard]] std::uint64_t bytes_sent() const { return bytes_sent_; }
  /// The most that a session had to send at a time.
  [[nodiscard]] std::size_t output_bytes_max() const { return output_bytes_max_; }

  LinkOptions link;
  Duration commit_time = milliseconds(1);
  /// Hears what nodes say to nodes that they have called: the connection, and a piece of it.
  std::function<void(const std::shared_ptr<const void>&, ByteView)> wiretap;

 private:
  friend SimulatedNode;

  struct Piece {
    Instant arrives;
    Bytes bytes;  ///< none: the end
  };
  struct End {
    SimulatedNode* node = nullptr;          ///< null: somebody who is none
    std::function<void(ByteView)> heard{};  ///< of such a one; none: silent, and takes nothing
    node::SessionId session = 0;
    bool closed = false;
    std::deque<Piece> coming;  ///< towards this end
    std::size_t coming_bytes = 0;
    Instant line_free{};
  };
  struct Link {
    LinkOptions options;
    End ends[2];
  };
  class Raw final : public RawConnection {
   public:
    Raw(SimulatedNetwork& network, std::shared_ptr<Link> link)
        : network_(network), link_(std::move(link)) {}
    void say(ByteView bytes) override {
      if (link_->ends[1].node == nullptr || link_->ends[0].closed) return;
      network_.send(link_, 1, Bytes(bytes.begin(), bytes.end()));
    }

   private:
    SimulatedNetwork& network_;
    std::shared_ptr<Link> link_;
  };

  void later(Duration delay, std::function<void()> act) {
    later_.emplace(std::pair(now_ + delay, ++last_number_), std::move(act));
  }

  [[nodiscard]] std::optional<Instant> next_instant() {
    std::optional<Instant> next;
    const auto take = [&](Instant at) {
      if (!next || at < *next) next = at;
    };
    if (!later_.empty()) take(later_.begin()->first.first);
    for (const auto& node : nodes_) {
      const auto deadline = node->node_ ? node->node_->next_deadline() : std::nullopt;
      if (deadline) take(*deadline);
    }
    return next;
  }

  void step() {
    while (!later_.empty() && later_.begin()->first.first <= now_) {
      const auto act = std::move(later_.begin()->second);
      later_.erase(later_.begin());
      act();
    }
    for (const auto& node : nodes_) {
      const auto deadline = node->node_ ? node->node_->next_deadline() : std::nullopt;
      if (!deadline || *deadline > now_) continue;
      node->node_->deadline_reached(now_);
      node->settle();
    }
  }

  [[nodiscard]] SimulatedNode* find(const node::Endpoint& endpoint) {
    for (const auto& node : nodes_) {
      if (node->endpoint() == endpoint) return node.get();
    }
    return nullptr;
  }

  std::shared_ptr<Link> connect(
      const std::function<std::pair<SimulatedNode*, node::SessionId>()>& caller,
      SimulatedNode& called, std::uint8_t host = 1) {
    auto one = std::make_shared<Link>();
    one->options = link;
    if (caller) std::tie(one->ends[0].node, one->ends[0].session) = caller();
    if (caller && one->ends[0].session == 0) return one;
    const SimulatedNode* const from = one->ends[0].node;
    const node::Address stranger{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, host};
    const auto session = called.node().accepted({"10.0.0." + std::to_string(host), 1},
                                                from ? from->address : stranger, now_);
    if (session) one->ends[1] = End{&called, {}, *session, false, {}, 0, {}};
    links_.push_back(one);
    if (!session) break_off(*one, 0);
    called.settle();
    if (one->ends[0].node != nullptr) one->ends[0].node->settle();
    return one;
  }

  /// Tells one end that nothing comes any more.
  void break_off(Link& one, std::size_t side) {
    End& end = one.ends[side];
    if (std::exchange(end.closed, true) || end.node == nullptr) return;
    end.node->node().receive_ended(end.session, now_);
    end.node->node().send_failed(end.session, now_);
    end.node->settle();
  }

  [[nodiscard]] std::pair<std::shared_ptr<Link>, std::size_t> link_of(const SimulatedNode& node,
                                                                      node::SessionId session) {
    for (const auto& one : links_) {
      for (std::size_t side : {0U, 1U}) {
        if (one->ends[side].node == &node && one->ends[side].session == session) return {one, side};
      }
    }
    return {nullptr, 0};
  }

  void transfer(SimulatedNode& node, node::SessionId session) {
    const auto [one, side] = link_of(node, session);
    if (!one) return;
    End& to = one->ends[1 - side];
    for (;;) {
      const ByteView output = node.node().pending_output(session);
      output_bytes_max_ = std::max(output_bytes_max_, output.size());
      const std::size_t room =
          one->options.window_bytes - std::min(one->options.window_bytes, to.coming_bytes);
      const bool takes = to.heard || (to.node != nullptr && to.node != blocked_);
      if (output.empty() || room == 0 || !takes) break;
      std::size_t size = std::min({output.size(), room, std::size_t{16384}});
      if (one->options.piece_bytes_max < size) {
        size = static_cast<std::size_t>(random_.between(1, one->options.piece_bytes_max));
      }
      const ByteView piece = output.first(size);
      if (&node != muted_) send(one, 1 - side, Bytes(piece.begin(), piece.end()));
      bytes_sent_ += size;
      node.node().sent(session, piece.size(), now_);
    }
    deliver(one, side);
  }

  void send(const std::shared_ptr<Link>& one, std::size_t side, Bytes bytes) {
    End& to = one->ends[side];
    const bool is_called = side == 1 && one->ends[0].node != nullptr;
    if (wiretap && is_called && to.node != nullptr) wiretap(one, bytes);
    const std::uint64_t rate = one->options.bytes_per_second;
    const Duration takes(rate == 0 ? 0 : bytes.size() * 1'000'000 / rate);
    to.line_free = std::max(to.line_free, now_) + takes;
    to.coming_bytes += bytes.size();
    Instant arrives = to.line_free + one->options.latency;
    const auto jitter = static_cast<std::uint64_t>(one->options.jitter.count());
    if (jitter > 0) arrives += Duration(random_.below(jitter));
    if (!to.coming.empty()) arrives = std::max(arrives, to.coming.back().arrives);
    to.coming.push_back({arrives, std::move(bytes)});
    later(to.coming.back().arrives - now_, [this, one, side] { deliver(one, side); });
  }

  void deliver(const std::shared_ptr<Link>& one, std::size_t side) {
    End& end = one->ends[side];
    if (end.heard) return deliver_raw(*one, side);
    if (end.node == nullptr || end.closed) return;
    if (parted_.contains({one->ends[1 - side].node, end.node})) return;
    bool is_any = false;
    while (!end.coming.empty() && end.coming.front().arrives <= now_ &&
           end.node->node().wants_input(end.session)) {
      const Piece piece = std::move(end.coming.front());
      end.coming.pop_front();
      end.coming_bytes -= piece.bytes.size();
      is_any = true;
      if (piece.bytes.empty()) {
        end.node->node().receive_ended(end.session, now_);
      } else {
        end.node->node().received(end.session, piece.bytes, now_);
      }
    }
    if (!is_any) return;
    end.node->settle();
    const End& other = one->ends[1 - side];
    if (other.node != nullptr && !other.closed) {
      transfer(*other.node, other.session);
      other.node->settle();
    }
  }

  void deliver_raw(Link& one, std::size_t side) {
    End& end = one.ends[side];
    while (!end.coming.empty() && end.coming.front().arrives <= now_) {
      const Piece piece = std::move(end.coming.front());
      end.coming.pop_front();
      end.coming_bytes -= piece.bytes.size();
      if (!end.closed && !piece.bytes.empty()) end.heard(piece.bytes);
    }
    End& other = one.ends[1 - side];
    if (other.node == nullptr || other.closed) return;
    transfer(*other.node, other.session);
    other.node->settle();
  }

  void perform(SimulatedNode& node, node::Connect& connecting) {
    const std::uint64_t attempt = ++last_attempt_;
    attempts_[{&node, connecting.dial}] = attempt;
    later(link.latency, [this, &node, attempt, dial = connecting.dial, to = connecting.endpoint] {
      const auto under_way = attempts_.find({&node, dial});
      if (under_way == attempts_.end() || under_way->second != attempt) return;  // cancelled
      SimulatedNode* const called = find(to);
      const bool is_parted = parted_.contains({&node, called}) || parted_.contains({called, &node});
      if (called == nullptr || is_parted) return;  // nobody answers
      attempts_.erase(under_way);
      if (called->listens && called->is_up()) {
        connect([&] { return std::pair(&node, node.node().connected(dial, now_).value_or(0)); },
                *called);
      } else {
        node.node().connect_failed(dial, Error{Errc::kNetwork}, now_);
      }
      node.settle();
    });
  }
  void perform(SimulatedNode& node, node::CancelConnect& cancelled) {
    CULM_ASSERT(attempts_.erase({&node, cancelled.dial}) == 1);  // it is under way
  }
  void perform(SimulatedNode& node, node::Transfer& ready) { transfer(node, ready.session); }
  void perform(SimulatedNode& node, node::ShutDown& half) {
    const auto [one, side] = link_of(node, half.session);
    if (one) send(one, 1 - side, {});
  }
  void perform(SimulatedNode& node, node::Close& close) {
    const auto [one, side] = link_of(node, close.session);
    if (!one) return;
    const ByteView last = close.last_words;
    if (!last.empty()) send(one, 1 - side, Bytes(last.begin(), last.end()));
    one->ends[side].closed = true;
    later(link.latency, [this, cut = one, other = 1 - side] { break_off(*cut, other); });
    if (one->ends[1 - side].closed) std::erase(links_, one);
  }
  void perform(SimulatedNode& node, node::Perform& perform) {
    const auto job = std::make_shared<node::Job>(std::move(perform.job));
    node.writer_free_ = std::max(node.writer_free_, now_) + commit_time;
    later(node.writer_free_ - now_, [this, &node, job, process = node.process_] {
      if (node.process_ == process) finish(node, *job);
    });
  }
  void perform(SimulatedNode& node, node::SessionEvent& told) {
    if (node.on_event) return node.on_event(told);
    node.seen.push_back(std::move(told));
  }
  void perform(SimulatedNode& node, node::DialOver& over) { node.dials_over.push_back(over.dial); }
  void perform(SimulatedNode& node, node::FetchQuoted& /*quoted*/) { ++node.quotes; }
  void perform(SimulatedNode& node, node::FetchEnded& ended) {
    node.fetches_ended.push_back(std::move(ended));
  }
  void perform(SimulatedNode& node, node::SyncTold& told) {
    if (node.on_sync) return node.on_sync(told.event);
    node.synced.push_back(std::move(told.event));
  }
  void perform(SimulatedNode& node, node::WorkCommitted& committed) {
    if (!committed.report.outcome) node.refused.push_back(committed.report.outcome.error());
  }
  void perform(SimulatedNode& node, node::LogChanged& changed) {
    node.changed.push_back(changed.log);
  }
  void perform(SimulatedNode& node, node::TaskFinished& task) {
    node.tasks.emplace_back(task.task, std::move(task.outcome));
  }
  void perform(SimulatedNode& node, node::Stopped& /*stopped*/) { node.stopped = true; }

  void finish(SimulatedNode& node, node::Job& job) {
    const std::uint64_t before = last_change(node);
    node::JobResult result;
    if (auto* const works = std::get_if<std::vector<replication::Work>>(&job)) {
      result.reports = node.committer_->commit(std::move(*works));
    } else {
      const auto& task = std::get<node::Task>(job);
      result.task = task.id;
      result.outcome = task.body(node.store());
    }
    const auto transaction = node.store().read();
    const auto changes = transaction->changes(before, 1024);
    for (const auto& change : *changes) result.changed.push_back(change.log);
    result.damaged = node.store().take_damaged();
    if (node.on_commit) node.on_commit(result.changed);
    node.node().finished(std::move(result), now_);
    node.settle();
    node::Perform step{std::vector<replication::Work>{}};
    if (node.is_up() && node.committer_->is_hashing()) perform(node, step);
  }

  [[nodiscard]] static std::uint64_t last_change(SimulatedNode& node) {
    return *node.store().read()->last_change();
  }

  TestRandom random_;
  Instant now_{};
  std::vector<std::unique_ptr<SimulatedNode>> nodes_;
  std::vector<std::shared_ptr<Link>> links_;
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> later_;
  std::uint64_t last_number_ = 0;
  std::uint64_t bytes_sent_ = 0;
  std::size_t output_bytes_max_ = 0;
  std::map<std::pair<const SimulatedNode*, node::DialId>, std::uint64_t> attempts_;
  std::uint64_t last_attempt_ = 0;
  const SimulatedNode* muted_ = nullptr;
  const SimulatedNode* blocked_ = nullptr;
  std::set<std::pair<const SimulatedNode*, const SimulatedNode*>> parted_;  // from, to
};

inline store::MemoryImage SimulatedNode::crash() {
  ++process_;
  auto image = kv_->image();
  for (const auto& one : std::vector(network_.links_)) {
    for (std::size_t side : {0U, 1U}) {
      if (one->ends[side].node != this) continue;
      one->ends[side].closed = true;
      one->ends[side].node = nullptr;
      network_.later(one->options.latency,
                     [this, one, side] { network_.break_off(*one, 1 - side); });
    }
  }
  std::erase_if(network_.attempts_, [this](const auto& row) { return row.first.first == this; });
  node_.reset();
  committer_.reset();
  store_.reset();
  return image;
}

inline void SimulatedNode::settle() {
  if (std::exchange(settling_, true)) return;  // the call that has begun goes on
  while (auto action = node().next_action()) {
    std::visit([this](auto& one) { network_.perform(*this, one); }, *action);
  }
  settling_ = false;
}

}  // namespace culm::test
