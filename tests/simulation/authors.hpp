#pragma once

#include <optional>

#include "tests/simulation/parts.hpp"

/// What authors make in a simulation, good and bad.
namespace culm::simulation {

class Authors {
 public:
  /// The random source must outlive it.
  explicit Authors(TestRandom& random) : random_(random) {}

  Log& add();
  [[nodiscard]] const Logs& logs() const { return logs_; }
  [[nodiscard]] Log& any_log() { return *logs_[random_.below(logs_.size())]; }
  [[nodiscard]] Signatures& signatures() { return signatures_; }

  /// Some entries, now and then a large one, made at the node of the author.
  void append(Peer& peer);
  /// Takes down what the author has made, which others may see from now on.
  void learn(Log& log, const store::Store& store, SeqNum before = 0);
  /// An author signs another entry for a seqnum, and gives it to this peer.
  bool fork(Peer& peer);
  /// An author signs badly, or signs what links badly; nothing where it would not follow on what
  /// this peer holds.
  [[nodiscard]] std::optional<KnownLog> make_bad(const Peer& peer, bool is_well_signed);

 private:
  void note(Log& log, const EntryView& entry);

  TestRandom& random_;
  Signatures signatures_;
  Logs logs_;
};

}  // namespace culm::simulation
