#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "culm/core/random.hpp"
#include "culm/culm.hpp"
#include "culm/replication/host/descriptor.hpp"
#include "culm/replication/host/detail/asio.hpp"
#include "culm/replication/host/node_key.hpp"
#include "culm/replication/host/store_node.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/store/author_mark_place.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tests/support/child_process.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm {
namespace {

using node::LogOutcome;
using node::SyncOutcome;

/// A node on the store in a directory, in a process of its own, as `culm relay --accept-any` is;
/// killed in the end.
class Relay {
 public:
  explicit Relay(const std::string& directory)
      : process_([&](const test::ParentLine& parent) { return run(directory, parent); }) {
    EXPECT_TRUE(process_.await());
    std::ifstream(file_of(directory)) >> address_;
  }

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  static std::string file_of(const std::string& directory) { return directory + "/address"; }

  static int run(const std::string& directory, const test::ParentLine& parent) {
    host::asio::io_context io;
    SystemRandom random;
    replication::OpenPolicy policy;
    auto kv = *store::LmdbKv::open(directory, {});
    auto& lmdb = *kv;
    const auto store = *store::Store::open(std::move(kv), random);
    const auto lock = *lmdb.lock_for_node();
    host::StoreNode host(io, *store, policy, {{.identity = sealing::KeyPair::generate(random)}});
    const auto endpoint = *host.node().listen({"127.0.0.1", 0});
    EXPECT_TRUE(host.serve_requests(directory, true));
    std::ofstream(file_of(directory)) << node::to_string(endpoint) << std::flush;
    parent.tell();
    io.run();
    return 0;
  }

  test::ChildProcess process_;
  std::string address_;
};

/// A port that nobody else gets, and where nobody listens.
class TakenPort {
 public:
  TakenPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_.get(), any, size), 0);
    EXPECT_EQ(::getsockname(socket_.get(), any, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  host::Descriptor socket_;
  std::uint16_t port_ = 0;
};

class ReplicaTest : public testing::Test {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const { return place_.path(name); }
  [[nodiscard]] Replica open(const std::string& name) const {
    auto replica = Replica::open(path(name));
    if (!replica) ADD_FAILURE() << message(replica.error());
    return *std::move(replica);
  }
  [[nodiscard]] static std::string text(const Replica& replica, const LogKey& log, SeqNum seqnum) {
    const auto payload = replica.read(log, seqnum);
    return payload ? std::string(as_text(*payload)) : std::string(name(payload.error().code));
  }

  /// As if nobody could have been asked before the last entry was appended.
  void make_unasked(const LogKey& log) const {
    const auto mark = *store::open_author_mark(
        {.directory = path("marks"), .store_directory = path("store")}, log);
    auto published = **mark->read();
    published.store = store::kUnaskedStore;
    ASSERT_TRUE(mark->write(published));
  }

  void SetUp() override { ASSERT_EQ(::setenv("CULM_MARKS", path("marks").c_str(), 1), 0); }
  [[nodiscard]] static node::SyncRequest live_push(const Relay& relay, const LogKey& log) {
    node::SyncRequest request;
    request.peers.push_back({*node::parse_endpoint(relay.address())});
    request.logs.emplace_back().log = log;
    request.live = request.push = true;
    return request;
  }

  test::TempDir place_;
};

TEST_F(ReplicaTest, MakesStoreAndKeyAndGoesOnWhereItWas) {
  LogKey log;
  {
    Replica replica = open("store");
    OwnLog mine = *replica.open_log(path("key"));
    log = mine.key();
    EXPECT_EQ(mine.head(), 0U);
    EXPECT_EQ(mine.append("one"), SeqNum{1});
    const ByteView more[] = {as_bytes("two"), as_bytes("three")};
    EXPECT_EQ(mine.append(more), SeqNum{3});
  }
  EXPECT_EQ(std::filesystem::status(path("key")).permissions() & std::filesystem::perms::mask,
            std::filesystem::perms(0600));
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  EXPECT_EQ(mine.key(), log);
  EXPECT_EQ(mine.append("four"), SeqNum{4});
  EXPECT_EQ(text(replica, log, 2), "two");
  EXPECT_EQ(text(replica, log, 4), "four");
  EXPECT_EQ(replica.store().read()->get_log(log).value()->interest,
            (store::LogInterest{everything(), true}));
  EXPECT_EQ(mine.end(), SeqNum{5});
  EXPECT_EQ(mine.append("six").error().code, Errc::kLogEnded);
}

TEST_F(ReplicaTest, SyncsNothingThatWasAppendedUnaskedWhereAPeerHoldsOthers) {
  const Relay relay(path("relay"));
  Replica replica = open("store");
  const LogKey log = replica.open_log(path("key"))->key();
  ASSERT_EQ(replica.open_log(path("key"))->append("one"), SeqNum{1});
  ASSERT_TRUE(replica.push(relay.address(), {log}));
  {
    Replica other = Replica::open(path("other"), {.marks_directory = path("elsewhere")}).value();
    ASSERT_TRUE(other.sync(relay.address(), {log}));
    OwnLog theirs = *other.open_log(path("key"), {.adopt = true});
    ASSERT_EQ(theirs.append("other two"), SeqNum{2});
    ASSERT_TRUE(other.push(relay.address(), {log}));
  }
  ASSERT_EQ(replica.open_log(path("key"), {.gate = AppendGate::kNever})->append("two"), SeqNum{2});
  make_unasked(log);
  EXPECT_EQ(replica.push(relay.address(), {log}).error(), error_for(Errc::kAuthorMarkFork, 2));
  EXPECT_EQ(replica.start_sync(live_push(relay, log))->wait().error,
            error_for(Errc::kAuthorMarkFork, 2));
  EXPECT_EQ(replica.open_log(path("key")).error().code, Errc::kAuthorMarkFork);
  EXPECT_EQ(replica.store().read()->get_log(log).value()->cap, 0U);
  ASSERT_TRUE(replica.forget(log));
  ASSERT_TRUE(replica.sync(relay.address(), {log}));
  EXPECT_EQ(text(replica, log, 2), "other two");
  ASSERT_EQ(replica.open_log(path("key"))->append("two"), SeqNum{3});
  ASSERT_TRUE(replica.push(relay.address(), {log}));
}

TEST_F(ReplicaTest, PushesNothingInDoubtToAPeerThatNeverHeldTheLog) {
  Replica replica = open("store");
  const LogKey log = replica.open_log(path("key"))->key();
  {
    const Relay known(path("relay"));
    ASSERT_EQ(replica.open_log(path("key"))->append("one"), SeqNum{1});
    ASSERT_TRUE(replica.push(known.address(), {log}));
  }
  make_unasked(log);
  const Relay stranger(path("stranger"));
  EXPECT_FALSE(replica.push(stranger.address(), {log}));
  EXPECT_TRUE((*store::read_author_mark(path("marks"), log))->is_unasked());
  {
    const auto mark = *store::open_author_mark({.directory = path("marks")}, log);
    ASSERT_TRUE(mark->write({9, hash(as_bytes("nine")), replica.store().id()}));
  }
  EXPECT_EQ(replica.push(stranger.address(), {log}).error(), error_for(Errc::kAuthorMarkBehind, 9));
}

TEST_F(ReplicaTest, ASyncThatRanInItsOwnThreadLeavesTheMarkAsked) {
  const Relay relay(path("relay"));
  Replica replica = open("store");
  const LogKey log = replica.open_log(path("key"))->key();
  ASSERT_EQ(replica.open_log(path("key"))->append("one"), SeqNum{1});
  make_unasked(log);
  auto request = live_push(relay, log);
  request.live = false;
  EXPECT_EQ(replica.start_sync(request)->wait().outcome, node::SyncOutcome::kDone);
  EXPECT_FALSE((*store::read_author_mark(path("marks"), log))->is_unasked());
}

TEST_F(ReplicaTest, SaysWhatIsMissing) {
  EXPECT_EQ(Replica::open(path("none"), {.create = false}).error().code, Errc::kStoreNotFound);
  Replica replica = open("store");
  EXPECT_EQ(replica.open_log(path("key"), {.make_key = false}).error().code, Errc::kKeyFileMissing);
  OwnLog mine = *replica.open_log(path("key"));
  EXPECT_EQ(text(replica, mine.key(), 1), "log_unknown");
  ASSERT_TRUE(mine.append("one"));
  EXPECT_EQ(text(replica, mine.key(), 2), "entry_not_held");
  ASSERT_TRUE(replica.delete_payloads(mine.key(), RangeSet{{1, 1}}));
  EXPECT_EQ(text(replica, mine.key(), 1), "payload_deleted");
  std::ofstream(path("bad"), std::ios::binary) << "no key";
  std::filesystem::permissions(path("bad"), std::filesystem::perms(0600));
  EXPECT_EQ(replica.open_log(path("bad")).error().code, Errc::kKeyFileFormat);
  // The mark goes by the key, not by where it lies.
  std::filesystem::rename(path("key"), path("moved"));
  Replica empty = open("empty");
  EXPECT_EQ(empty.open_log(path("moved")).error().code, Errc::kAuthorMarkBehind);
}

TEST_F(ReplicaTest, ALargePayloadComesInPieces) {
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  std::string large;
  for (std::size_t i = 0; large.size() < 5'000'000; ++i) large += std::to_string(i);
  ASSERT_TRUE(mine.append(large));
  EXPECT_EQ(text(replica, mine.key(), 1), large);
  std::size_t pieces = 0;
  std::string whole;
  ASSERT_TRUE(replica.read(mine.key(), 1, [&](ByteView piece) -> Result<void> {
    ++pieces;
    whole += as_text(piece);
    return {};
  }));
  EXPECT_EQ(whole, large);
  EXPECT_GE(pieces, 5U);
  const auto stopped =
      replica.read(mine.key(), 1, [](ByteView) -> Result<void> { return fail(Errc::kFileIo); });
  EXPECT_EQ(stopped.error().code, Errc::kFileIo);
}

/// Appends a payload that comes in pieces, and whole ones, and one that does not come to its end.
static void append_large(const Replica& replica, OwnLog& mine, const store::Store& store) {
  constexpr std::size_t kPieces = 40;
  const std::string piece(333'333, 'x');
  std::size_t given = 0;
  const auto give = [&]() -> Result<ByteView> {
    return given++ == kPieces ? ByteView() : as_bytes(piece);
  };
  const SeqNum first = mine.head() + 1;
  EXPECT_EQ(mine.append(give), first);
  std::string large;
  for (std::size_t i = 0; i < kPieces; ++i) large += piece;
  const std::vector<ByteView> payloads{as_bytes("a"), as_bytes(large), as_bytes("b")};
  EXPECT_EQ(mine.append(payloads), first + 3);
  given = 0;
  const auto broken = [&]() -> Result<ByteView> {
    if (given++ == kPieces / 2) return fail(Errc::kFileIo);
    return as_bytes(piece);
  };
  EXPECT_EQ(mine.append(broken).error().code, Errc::kFileIo);
  EXPECT_TRUE(store.read()->unbound_stages()->empty());
  EXPECT_EQ(mine.end(as_bytes(large)), first + 4);
  for (const SeqNum n : {first, first + 2, first + 4}) {
    const auto payload = replica.read(mine.key(), n);
    EXPECT_TRUE(payload && equal(*payload, as_bytes(large))) << n;
  }
  EXPECT_EQ(as_text(*replica.read(mine.key(), first + 3)), "b");
  EXPECT_TRUE(store.read()->unbound_stages()->empty());
}

TEST_F(ReplicaTest, ALargePayloadIsAppendedAsItComes) {
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  append_large(replica, mine, replica.store());
}

TEST_F(ReplicaTest, ALargePayloadIsAppendedAsItComesBesideANode) {
  const Relay relay(path("store"));
  Replica replica = open("store");
  ASSERT_TRUE(replica.is_beside_node());
  OwnLog mine = *replica.open_log(path("key"));
  append_large(replica, mine, replica.store());
}

TEST_F(ReplicaTest, ALargePayloadIsAppendedAsItComesWhileASyncRuns) {
  const Relay relay(path("relay"));
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_TRUE(mine.append("first"));
  auto running = replica.start_sync(live_push(relay, mine.key()));
  ASSERT_TRUE(running);
  append_large(replica, mine, replica.store());
}

TEST_F(ReplicaTest, PushesToAPeerAndFetchesFromIt) {
  const Relay relay(path("relay"));
  Replica author = open("author");
  OwnLog mine = *author.open_log(path("key"));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(mine.append("entry " + std::to_string(i)));
  const auto pushed = author.push(relay.address(), {mine.key()});
  ASSERT_TRUE(pushed) << message(pushed.error());
  EXPECT_TRUE(pushed->logs.at(0).is_pushed);

  Replica reader = open("reader");
  const auto fetched = reader.sync(relay.address(), {mine.key(), mine.key()});
  ASSERT_TRUE(fetched) << message(fetched.error());
  EXPECT_EQ(fetched->logs.at(0).outcome, LogOutcome::kComplete);
  EXPECT_EQ(fetched->logs.at(0).entries, 100U);
  EXPECT_EQ(text(reader, mine.key(), 100), "entry 99");

  node::SyncRequest part;
  part.peers.push_back({*node::parse_endpoint(relay.address())});
  part.logs.emplace_back().log = mine.key();
  part.logs[0].interest = {{}, 5};
  Replica other = open("other");
  const auto newest = other.sync(part);
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->logs.at(0).entries, 5U);
}

TEST_F(ReplicaTest, BesideANodeEveryCallIsTheSame) {
  const Relay relay(path("store"));
  const Relay other(path("other"));
  Replica replica = open("store");
  ASSERT_TRUE(replica.is_beside_node());
  OwnLog mine = *replica.open_log(path("key"));
  EXPECT_EQ(mine.append("one"), SeqNum{1});
  EXPECT_EQ(mine.append("two"), SeqNum{2});
  EXPECT_EQ(text(replica, mine.key(), 2), "two");
  const auto pushed = replica.push(other.address(), {mine.key()});
  ASSERT_TRUE(pushed) << message(pushed.error());
  EXPECT_TRUE(pushed->logs.at(0).is_pushed);
  Replica reader = open("reader");
  ASSERT_TRUE(reader.sync(other.address(), {mine.key()}));
  EXPECT_EQ(text(reader, mine.key(), 2), "two");
  EXPECT_EQ(replica.sync({.peers = {{}}, .logs = {}, .live = true}).error().code, Errc::kUsage);
}

TEST_F(ReplicaTest, BesideANodeThatHasItsOwnWaysOthersAreRefused) {
  const Relay relay(path("store"));
  Replica replica = *Replica::open(path("store"), {.network = "ours"});
  EXPECT_EQ(replica.sync(relay.address(), {}).error().code, Errc::kUsage);
}

TEST_F(ReplicaTest, WhenTheNodeEndsCallsFailUntilAnotherRuns) {
  auto relay = std::make_unique<Relay>(path("store"));
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_TRUE(mine.append("one"));
  relay.reset();
  EXPECT_FALSE(mine.append("two"));
  EXPECT_EQ(mine.append("two").error().code, Errc::kPeerClosed);
  EXPECT_EQ(text(replica, mine.key(), 1), "one") << "reading goes on";
  relay = std::make_unique<Relay>(path("store"));
  EXPECT_EQ(mine.append("two"), SeqNum{2});
}

TEST_F(ReplicaTest, ANodeThatComesAndGoesDoesTheWritingMeanwhile) {
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_EQ(mine.append("one"), SeqNum{1});
  const Relay other(path("other"));
  auto relay = std::make_unique<Relay>(path("store"));
  EXPECT_EQ(mine.append("two"), SeqNum{2});
  const auto pushed = replica.push(other.address(), {mine.key()});
  ASSERT_TRUE(pushed) << message(pushed.error());
  relay.reset();
  EXPECT_EQ(mine.append("three"), SeqNum{3});
  ASSERT_TRUE(replica.push(other.address(), {mine.key()}));
  EXPECT_EQ(text(replica, mine.key(), 3), "three");
}

TEST_F(ReplicaTest, ALiveSyncIsStoppedFromAnotherThread) {
  const Relay relay(path("relay"));
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_TRUE(mine.append("one"));
  std::stop_source stop;
  std::thread stopper;
  const auto report = replica.sync(
      live_push(relay, mine.key()),
      [&](const node::SyncEvent& event) {
        if (!std::holds_alternative<node::SyncPushed>(event)) return true;
        EXPECT_EQ(replica.sync(relay.address(), {}).error().code, Errc::kBusy);
        stopper = std::thread([&] { stop.request_stop(); });
        return true;
      },
      stop.get_token());
  stopper.join();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->outcome, SyncOutcome::kStopped);
  EXPECT_TRUE(report->logs.at(0).is_pushed);
  EXPECT_EQ(mine.append("two"), SeqNum{2});
}

TEST_F(ReplicaTest, WhatIsWrittenWhileASyncRunsReachesThePeer) {
  const Relay relay(path("relay"));
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_TRUE(mine.append("one"));
  std::promise<void> has_all;
  {
    auto running = replica.start_sync(live_push(relay, mine.key()), [&](const auto& event) {
      const auto* const pushed = std::get_if<node::SyncPushed>(&event);
      // In the thread of the node, and waits for none.
      if (pushed != nullptr && pushed->head == 1) {
        EXPECT_EQ(mine.append("two"), SeqNum{2});
      }
      if (pushed != nullptr && pushed->head == 2) has_all.set_value();
      return true;
    });
    ASSERT_TRUE(running) << message(running.error());
    ASSERT_EQ(has_all.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
    EXPECT_EQ(replica.sync(relay.address(), {}).error().code, Errc::kBusy);
    EXPECT_EQ(replica.start_sync(live_push(relay, mine.key())).error().code, Errc::kBusy);
    EXPECT_EQ(mine.append("three"), SeqNum{3});
    ASSERT_TRUE(replica.delete_payloads(mine.key(), RangeSet{{3, 3}}));
    EXPECT_EQ(text(replica, mine.key(), 3), "payload_deleted");
    ASSERT_TRUE(replica.delete_all(mine.key()));
    EXPECT_EQ(text(replica, mine.key(), 1), "payload_deleted");
    EXPECT_EQ(running->end().outcome, SyncOutcome::kStopped);
    EXPECT_EQ(mine.append("four"), SeqNum{4});
  }
  EXPECT_EQ(mine.append("five"), SeqNum{5});
  EXPECT_EQ(text(replica, mine.key(), 5), "five");
}

TEST_F(ReplicaTest, WhatIsForgottenGivesTheDiskBack) {
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_TRUE(mine.append(std::string(4'000'000, 'x')));
  const auto before = store::file_size_bytes(path("store"));
  ASSERT_TRUE(replica.forget(mine.key()));
  ASSERT_TRUE(replica.compact());
  EXPECT_LT(*store::file_size_bytes(path("store")), *before / 10);
  EXPECT_EQ(text(replica, mine.key(), 1), "log_unknown");
  EXPECT_FALSE(mine.append("two"));
  EXPECT_EQ(replica.forget(mine.key()).error().code, Errc::kLogUnknown);
}

TEST_F(ReplicaTest, ARunningSyncEndsOfItself) {
  const Relay relay(path("relay"));
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_TRUE(mine.append("one"));
  auto request = live_push(relay, mine.key());
  request.live = false;
  auto running = *replica.start_sync(request);
  const auto report = running.wait();
  EXPECT_EQ(report.outcome, SyncOutcome::kDone);
  EXPECT_TRUE(report.logs.at(0).is_pushed);
}

TEST_F(ReplicaTest, ARequestThatIsNotSoundIsRefused) {
  Replica replica = open("store");
  const auto error_of = [&](const node::SyncRequest& request) {
    return replica.sync(request).error().code;
  };
  const node::SyncPeer peer{{"127.0.0.1", 1}};
  EXPECT_EQ(error_of({.peers = {}, .logs = {}}), Errc::kUsage);
  EXPECT_EQ(error_of({.peers = {peer, peer}, .logs = {}}), Errc::kUsage);
  EXPECT_EQ(error_of({.peers = {peer}, .logs = {{}, {}}}), Errc::kUsage);
  EXPECT_EQ(error_of({.peers = {peer}, .logs = {}, .push = true, .quote_only = true}),
            Errc::kUsage);
}

TEST_F(ReplicaTest, WhatIsAppendedBesideANodeReachesItsPeersAtOnce) {
  const Relay relay(path("store"));
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_TRUE(mine.append("one"));
  Replica reader = open("reader");
  node::SyncRequest live;
  live.peers.push_back({*node::parse_endpoint(relay.address())});
  live.logs.emplace_back().log = mine.key();
  live.live = true;
  const auto report = reader.sync(live, [&](const node::SyncEvent& event) {
    const auto* const received = std::get_if<node::SyncReceived>(&event);
    if (std::holds_alternative<node::SyncCaughtUp>(event)) {
      EXPECT_TRUE(mine.append("two"));
    }
    return received == nullptr || received->up_to < 2;
  });
  ASSERT_TRUE(report);
  EXPECT_EQ(report->outcome, SyncOutcome::kStopped);
  EXPECT_EQ(text(reader, mine.key(), 2), "two");
}

TEST_F(ReplicaTest, AFollowerTellsEachEntryOnceAlsoOfAnotherProcess) {
  const Relay relay(path("store"));
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  Follower follower = replica.follow(mine.key());
  EXPECT_EQ(follower.next(Duration(0)), RangeSet());
  ASSERT_TRUE(mine.append("one"));
  ASSERT_TRUE(mine.append("two"));
  EXPECT_EQ(follower.next(), (RangeSet{{1, 2}}));
  EXPECT_EQ(follower.next(Duration(0)), RangeSet());
  std::thread later([&] { EXPECT_TRUE(mine.append("three")); });
  EXPECT_EQ(follower.next(std::chrono::minutes(1)), (RangeSet{{3, 3}}));
  later.join();
  EXPECT_EQ(replica.follow(mine.key(), 3).next(), (RangeSet{{3, 3}}));
}

TEST_F(ReplicaTest, ASyncThatCannotBeDoneSaysWhy) {
  Replica replica = open("store");
  OwnLog mine = *replica.open_log(path("key"));
  ASSERT_TRUE(mine.append("one"));
  EXPECT_EQ(replica.sync("nowhere", {mine.key()}).error().code, Errc::kAddress);
  const Relay relay(path("relay"));
  OwnLog other = *replica.open_log(path("other"));
  EXPECT_EQ(replica.sync(relay.address(), {mine.key()}).error().code, Errc::kDenied);
  EXPECT_TRUE(replica.push(relay.address(), {mine.key()}));
  EXPECT_EQ(replica.push(relay.address(), {other.key()}).error().code, Errc::kDenied)
      << "nothing of it is here or there";
  const TakenPort taken;
  const node::Endpoint nobody{"127.0.0.1", taken.port()};
  EXPECT_EQ(replica.sync(node::to_string(nobody), {mine.key()}).error().code, Errc::kNetwork);
}

}  // namespace
}  // namespace culm
