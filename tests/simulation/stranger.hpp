#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "culm/replication/frame.hpp"
#include "culm/replication/message.hpp"
#include "culm/replication/secure_channel.hpp"

#include "tests/support/simulated_network.hpp"

/// Peers that are no nodes: what they send is theirs to say.
namespace culm::simulation {

/// What the author of a log made, as far as strangers know it.
struct KnownLog {
  LogKey log;
  std::vector<EntryBuffer> entries;  ///< in the order of their making, branches and all
};

/// Completes the handshake with a node and then says messages of every kind, well-formed and made
/// up, out of what it knows.
class Stranger : public std::enable_shared_from_this<Stranger> {
 public:
  enum class Role {
    kByzantine,   ///< anything
    kLiar,        ///< says that it holds more than there is, and that it costs what it does not
    kWithholder,  ///< promises what there is and never brings anything
    kIdler,       ///< wants all live, takes what credit it is given, and is silent
    kFlooder,     ///< says many small messages at a time
    kBearer,      ///< offers the first log, and brings its last entry as an honest peer would
  };

  Stranger(Role role, std::uint64_t seed, std::span<const KnownLog> logs)
      : role_(role),
        random_(seed),
        logs_(logs.begin(), logs.end()),
        channel_(
            {replication::SecureChannel::Role::kInitiator, sealing::KeyPair::generate(random_)},
            random_) {}

  /// Connects, and says so many messages, one a while.
  static void visit(test::SimulatedNetwork& network, test::SimulatedNode& node, Role role,
                    std::uint64_t seed, std::span<const KnownLog> logs, int messages);

 private:
  void received(ByteView bytes);
  void flush();
  void say(const replication::Message& message);
  void say_something();
  /// What is asked for, as far as it is the last entry of the log.
  void bring(const replication::Want& want);
  /// What an honest peer says before it brings that.
  void promise(const replication::Want& want);
  void answer(const replication::Message& message);
  void want_all();
  [[nodiscard]] replication::Message make();
  [[nodiscard]] replication::Message have();
  [[nodiscard]] SeqNum seqnum();
  [[nodiscard]] RangeSet ranges();
  [[nodiscard]] const KnownLog& any_log() { return logs_[random_.below(logs_.size())]; }
  [[nodiscard]] Bytes any_entry();

  Role role_;
  test::TestRandom random_;
  std::vector<KnownLog> logs_;
  replication::SecureChannel channel_;
  replication::FrameReader reader_;
  std::shared_ptr<test::RawConnection> connection_;
  Bytes kept_;  // what a message borrows
  bool has_spoken_ = false;
};

}  // namespace culm::simulation
