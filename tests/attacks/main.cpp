// culm_attack NAME PORT LOG SECONDS COUNT: a stranger against a real relay at 127.0.0.1, or, where
// PORT is 0, a provider that prints its port. Says "ready" when the attack is under way and in the
// end what it moved, both as JSON. Bounded in time and in connections.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <sys/resource.h>

#include "culm/core/limits.hpp"
#include "culm/core/signing.hpp"
#include "culm/core/types.hpp"
#include "culm/feed/elided.hpp"

#include "tests/attacks/stranger.hpp"
#include "tests/support/log_builder.hpp"

namespace culm::attack {
namespace {

using replication::Compare;
using replication::Have;
using replication::Message;
using replication::Offer;
using replication::Payload;
using replication::Ping;
using replication::Pong;
using replication::Quote;
using replication::Ready;
using replication::Want;

struct Attack {
  std::uint16_t port = 0;
  LogKey log;
  Clock::time_point deadline;
  std::uint32_t count = 0;

  std::vector<std::unique_ptr<Stranger>> strangers{};
  std::uint64_t said = 0;   ///< of what the attack is about
  std::uint64_t sent = 0;   ///< of strangers that have gone
  std::uint64_t ended = 0;  ///< strangers that were hung up on

  [[nodiscard]] bool goes_on() const { return Clock::now() < deadline; }

  void connect() {
    for (std::uint32_t i = 0; i < count && goes_on(); ++i) {
      strangers.push_back(Stranger::call(port, i));
    }
  }
  void ready(std::uint16_t own_port = 0) const {
    std::printf("{\"ready\":%zu,\"port\":%u}\n", strangers.size(), own_port);
    std::fflush(stdout);
  }
  void hold() const {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left > 0) static_cast<void>(::poll(nullptr, 0, static_cast<int>(left)));
  }
};

Want want_of(const LogKey& log, replication::WantId id) {
  Want want;
  want.id = id;
  want.log = log;
  return want;
}

Have have_of(const LogKey& log, SeqNum head, const RangeSet& held) {
  Have have;
  have.log = log;
  have.head = head;
  have.held = held;
  return have;
}

/// Offers ever new logs of an author that the relay takes.
void offers(Attack& attack) {
  attack.ready();
  std::uint64_t next = 1000;
  for (std::uint32_t i = 0; i < attack.count && attack.goes_on(); ++i) {
    const auto stranger = Stranger::call(attack.port, 0);
    for (std::size_t n = 0; n < limits::kOffersPerSessionMax; ++n) {
      LogKey log = attack.log;
      log.log_id = LogId{next++};
      stranger->say(Offer{log, 1});
      ++attack.said;
    }
    stranger->say(replication::Bye{});
    stranger->send(attack.deadline);
    while (stranger->is_open() && attack.goes_on()) stranger->hear(attack.deadline, {});
    attack.sent += stranger->sent();
  }
  attack.hold();
}

/// An entry of the log that nobody has signed.
Bytes forged_entry(const LogKey& log) {
  Bytes entry{0};
  append_bytes(entry, log.author.bytes);
  append_bytes(entry, Bytes{0, 1, 0, 0, 64});  // to the payload's hash
  entry.insert(entry.end(), 64, 9);
  entry.insert(entry.end(), 64, 3);
  return entry;
}

/// Claims to hold another branch, and answers each comparison at once with a forged entry.
void evidence(Attack& attack) {
  attack.connect();
  const Bytes forged = forged_entry(attack.log);
  Want want = want_of(attack.log, 1);
  want.interest = everything();
  want.live = true;
  want.held = RangeSet{{1, 1'000'000}};
  const Have have = have_of(attack.log, 3, {{1, 1}});
  const Compare answer{attack.log, 1, true, hash(forged), forged};
  for (const auto& stranger : attack.strangers) stranger->say(want);
  attack.ready();
  for (bool is_any = true; is_any && attack.goes_on();) {
    is_any = false;
    for (const auto& stranger : attack.strangers) {
      if (!stranger->is_open()) continue;
      is_any = true;
      std::size_t asked = 0;
      stranger->say(have);
      stranger->send(attack.deadline);
      stranger->hear(std::min(attack.deadline, Clock::now() + std::chrono::milliseconds(1)),
                     [&](const Message& message) {
                       const auto* const query = std::get_if<Compare>(&message);
                       if (query != nullptr && !query->answer) ++asked;
                     });
      for (; asked != 0; --asked, ++attack.said) stranger->say(answer);
      stranger->send(attack.deadline);
    }
  }
  attack.hold();
}

/// Live sessions that have been granted credit and leave it there.
void idle(Attack& attack) {
  LogKey log = attack.log;
  log.log_id = LogId{77};
  for (std::uint32_t i = 0; i < attack.count && attack.goes_on(); ++i) {
    auto stranger = Stranger::call(attack.port, i);
    stranger->say(Offer{log, 1});
    stranger->send(attack.deadline);
    bool is_wanted = false;
    while (stranger->is_open() && !is_wanted && attack.goes_on()) {
      stranger->hear(attack.deadline, [&](const Message& message) {
        if (const auto* const want = std::get_if<Want>(&message)) {
          stranger->say(have_of(log, 0, {}));
          stranger->say(Quote{.want = want->id});
          stranger->say(Ready{want->id});
          is_wanted = true;
        }
      });
    }
    stranger->send(attack.deadline);
    ++attack.said;
    attack.strangers.push_back(std::move(stranger));
  }
  attack.ready();
  attack.hold();
}

/// Asks for answers and does not read them.
void deaf(Attack& attack) {
  attack.connect();
  attack.ready();
  std::map<Stranger*, replication::WantId> last;
  while (attack.goes_on()) {
    for (const auto& stranger : attack.strangers) {
      Want want = want_of(attack.log, 0);
      want.interest = everything();
      want.quote_only = true;
      for (int i = 0; i < 100; ++i, ++attack.said) {
        want.id = ++last[stranger.get()];
        stranger->say(want);
        stranger->say(Ping{1});
      }
      const auto turn = Clock::now() + std::chrono::milliseconds(20);
      stranger->send(std::min(attack.deadline, turn), true);
    }
  }
}

Want scattered(const LogKey& log, replication::WantId id, SeqNum shift) {
  Want want = want_of(log, id);
  for (SeqNum i = 0; i < limits::kRangesPerMessageMax; ++i) {
    want.interest.ranges.insert(2 + 4 * i + shift % 3);
  }
  return want;
}

/// As many open wants of as many ranges as there may be, and then quotes of the same kind.
void wants(Attack& attack) {
  attack.connect();
  for (const auto& stranger : attack.strangers) {
    for (replication::WantId id = 1; id <= limits::kWantsPerSessionMax; ++id) {
      Want want = scattered(attack.log, id, id);
      want.live = true;
      stranger->say(want);
      stranger->send(attack.deadline);
      ++attack.said;
    }
  }
  attack.ready();
  for (replication::WantId id = limits::kWantsPerSessionMax + 1; attack.goes_on(); ++id) {
    for (const auto& stranger : attack.strangers) {
      Want want = scattered(attack.log, id, id);
      want.quote_only = true;
      stranger->say(want);
      stranger->send(attack.deadline);
      ++attack.said;
    }
  }
}

/// Begins a large message on each connection, goes on with it a byte at a time, and comes again
/// where it was hung up on.
void begun(Attack& attack) {
  const auto begin = [&](Stranger& stranger) {
    stranger.begin_message(limits::kMessageBytesMax);
    stranger.say_part(limits::kMessageBytesMax - 1000);
    stranger.send(attack.deadline);
    ++attack.said;
  };
  attack.connect();
  for (const auto& stranger : attack.strangers) begin(*stranger);
  attack.ready();
  while (attack.goes_on()) {
    const auto turn = std::min(attack.deadline, Clock::now() + std::chrono::milliseconds(500));
    for (std::uint32_t i = 0; i < attack.strangers.size() && attack.goes_on(); ++i) {
      auto& stranger = attack.strangers[i];
      if (!stranger->is_open()) {
        ++attack.ended;
        attack.sent += stranger->sent();
        stranger = Stranger::call(attack.port, i);
        begin(*stranger);
      }
      stranger->say_part(1);
      stranger->send(turn);
    }
    if (!attack.strangers.empty()) attack.strangers[0]->hear(turn, {});
  }
}

/// Says the smallest of messages on each connection, as fast as they are taken, and comes again
/// where it was hung up on.
void pings(Attack& attack) {
  constexpr int kAtATime = 4000;
  attack.connect();
  attack.ready();
  while (attack.goes_on()) {
    for (std::uint32_t n = 0; n < attack.strangers.size(); ++n) {
      auto& stranger = attack.strangers[n];
      if (!stranger->is_open()) {
        ++attack.ended;
        attack.sent += stranger->sent();
        stranger = Stranger::call(attack.port, n);
      }
      for (int i = 0; i < kAtATime && !stranger->has_unsent(); ++i) {
        stranger->say(Ping{1});
        ++attack.said;
      }
      const auto turn = std::min(attack.deadline, Clock::now() + std::chrono::milliseconds(1));
      stranger->send(turn);
      stranger->hear(Clock::now(), {});
    }
  }
}

/// Connects from one address and says nothing.
void bare(Attack& attack) {
  const sockaddr_in relay = Stranger::address(INADDR_LOOPBACK, attack.port);
  std::vector<int> sockets;
  for (std::uint32_t i = 0; i < attack.count && attack.goes_on(); ++i) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) break;
    sockets.push_back(socket);
    if (::connect(socket, Stranger::as_sockaddr(relay), sizeof relay) == 0) ++attack.said;
  }
  attack.ready();
  attack.hold();
  for (const int socket : sockets) ::close(socket);
}

/// Answers one reader, for as long as it stays, with what is of no use: the first part of a payload
/// whose entry is not there, or the same unit, again and again.
void provide(Attack& attack, bool repeats_unit) {
  const test::LogBuilder log = test::LogBuilder("attack").append_many(40);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  auto* const name = static_cast<sockaddr*>(static_cast<void*>(&own));
  static_cast<void>(::bind(listener, name, size));
  static_cast<void>(::listen(listener, 4));
  static_cast<void>(::getsockname(listener, name, &size));
  std::printf("{\"ready\":1,\"port\":%u,\"log\":\"%s\"}\n", ntohs(own.sin_port),
              to_string(log.log()).c_str());
  std::fflush(stdout);
  pollfd waits{listener, POLLIN, 0};
  if (::poll(&waits, 1, 30'000) <= 0) return;
  auto stranger =
      std::make_unique<Stranger>(::accept(listener, nullptr, nullptr), Stranger::Role::kResponder);
  ::close(listener);
  stranger->begin();
  Bytes unit;
  const RangeSet known;
  UnitEncoder encoder(unit, known, LinkForm::kWhole);
  encoder.add(log.entry(1), std::nullopt);
  const Bytes garbage(limits::kPayloadChunkBytes, 7);
  std::uint64_t credit = 0;
  replication::WantId open = 0;
  const auto heard = [&](const Message& message) {
    if (const auto* const more = std::get_if<replication::Credit>(&message)) credit += more->bytes;
    if (const auto* const ping = std::get_if<Ping>(&message)) stranger->say(Pong{ping->nonce});
    const auto* const want = std::get_if<Want>(&message);
    if (want == nullptr) return;
    Have have = have_of(log.log(), 40, {{1, 40}});
    have.head_hash = log.hash(40);
    have.payloads = have.held;
    stranger->say(have);
    stranger->say(Quote{.want = want->id, .entries = 40, .payload_bytes = 1'000'000});
    if (want->quote_only) return stranger->say(replication::Done{want->id});
    open = want->id;
  };
  while (stranger->is_open() && attack.goes_on()) {
    stranger->hear(attack.deadline, heard);
    while (open != 0 && credit >= limits::kCreditBytesMin) {
      const Message again = repeats_unit
                                ? Message(replication::Entries{open, unit})
                                : Message(Payload{.want = open, .seqnum = 4, .bytes = garbage});
      Bytes encoded;
      replication::encode(encoded, again);
      credit -= std::min<std::uint64_t>(
          credit, std::max<std::uint64_t>(encoded.size(), limits::kCountedBytesMin));
      stranger->say(again);
      ++attack.said;
    }
    stranger->send(attack.deadline, false, heard);
  }
  attack.strangers.push_back(std::move(stranger));
}

}  // namespace
}  // namespace culm::attack

int main(int argc, char** argv) {
  using culm::attack::Attack;
  using culm::attack::Clock;
  if (argc != 6 || !culm::initialize_crypto()) return 2;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  const std::map<std::string, void (*)(Attack&)> attacks{
      {"offers", culm::attack::offers},
      {"evidence", culm::attack::evidence},
      {"idle", culm::attack::idle},
      {"deaf", culm::attack::deaf},
      {"wants", culm::attack::wants},
      {"begun", culm::attack::begun},
      {"pings", culm::attack::pings},
      {"bare", culm::attack::bare},
      {"parts", [](Attack& attack) { culm::attack::provide(attack, false); }},
      {"units", [](Attack& attack) { culm::attack::provide(attack, true); }},
  };
  const auto found = attacks.find(argv[1]);
  const auto log = culm::parse_log_key(argv[3]);
  if (found == attacks.end() || !log) return 2;
  Attack attack{static_cast<std::uint16_t>(std::atoi(argv[2])), *log,
                Clock::now() + std::chrono::seconds(std::atoi(argv[4])),
                static_cast<std::uint32_t>(std::atoi(argv[5]))};
  found->second(attack);
  std::uint64_t received = 0;
  for (const auto& stranger : attack.strangers) {
    attack.sent += stranger->sent();
    received += stranger->received();
    if (!stranger->is_open()) ++attack.ended;
  }
  std::printf("{\"said\":%lu,\"sent\":%lu,\"received\":%lu,\"ended\":%lu}\n", attack.said,
              attack.sent, received, attack.ended);
}
