#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "culm/store/author_mark.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/simulation/stranger.hpp"
#include "tests/support/simulated_network.hpp"

/// What a simulation knows of the logs and the nodes in it.
namespace culm::simulation {

using test::TestRandom;

/// Knows the signatures that were made in this run, and takes no other.
class Signatures final : public SignatureVerifier {
 public:
  void add(const EntryView& entry) {
    made_.insert(digest(entry.author(), entry.signed_bytes(), entry.signature()));
  }
  [[nodiscard]] std::uint64_t checks() const { return checks_; }
  Result<void> verify(const Author& author, ByteView message, const Signature& signature) override {
    ++checks_;
    if (made_.contains(digest(author, message, signature))) return {};
    return fail(Errc::kEntrySignature);
  }

 private:
  static Hash digest(const Author& author, ByteView message, const Signature& signature) {
    Hasher hasher;
    hasher.update(author.bytes);
    hasher.update(message);
    hasher.update(signature.bytes);
    return hasher.finish();
  }

  std::set<Hash> made_;
  std::uint64_t checks_ = 0;
};

/// What was published last, on a disk that loses nothing.
class Mark final : public store::AuthorMark {
 public:
  Result<std::optional<store::Published>> read() override { return published_; }
  Result<void> write(const store::Published& published) override {
    published_ = published;
    return {};
  }

 private:
  std::optional<store::Published> published_;
};

/// A log, and what its author made of it.
struct Log {
  explicit Log(std::string_view seed)
      : key(test::key_from(seed)), known{{key.author(), LogId{0}}, {}} {}

  SecretKey key;
  KnownLog known;
  std::map<SeqNum, std::set<Hash>> made;  ///< more than one where it was forked
  Mark mark;
  bool is_broken = false;        ///< its author is not honest
  bool is_signed_twice = false;  ///< although he is
  bool may_be_unsaid = false;    ///< entries may have been stored by a commit that failed
};

struct Holding {
  RangeSet entries;
  RangeSet payloads;

  void operator|=(const Holding& more) {
    entries |= more.entries;
    payloads |= more.payloads;
  }
};

/// An honest node, and what is expected of it.
struct Peer {
  test::SimulatedNode* node = nullptr;
  Log* own = nullptr;  ///< that it appends to
  bool is_relay = false;
  bool pushes = true;
  std::map<LogKey, store::LogInterest> wants;
  std::vector<store::MemoryImage> backups;
  std::map<LogKey, RangeSet> held;  ///< at the last commit
  std::map<LogKey, Holding> ever_held;
  std::map<LogKey, RangeSet> deleted;  ///< by its user
  std::map<LogKey, RangeSet> rotten;   ///< rows of entries that were damaged
  bool is_rotten = false;              ///< it had any damage, also of payloads
  SeqNum acknowledged_here = 0;        ///< of its own log, in the store that it has now
  bool is_down = false;
};

using Logs = std::vector<std::unique_ptr<Log>>;
using Peers = std::deque<Peer>;

}  // namespace culm::simulation
