#pragma once

#include <cstddef>
#include <set>

#include "culm/replication/arriving_payloads.hpp"

namespace culm::replication {

/// The payloads of a log that one want is bringing in parts. Spec: replication.md#units
class PayloadClaims {
 public:
  /// `payloads` must outlive these.
  PayloadClaims(ArrivingPayloads& payloads, const LogKey& log, const Claimer& claimer)
      : payloads_(payloads), log_(log), claimer_(claimer) {}
  PayloadClaims(const PayloadClaims&) = delete;
  PayloadClaims& operator=(const PayloadClaims&) = delete;
  ~PayloadClaims() {
    for (const SeqNum seqnum : claimed_) {
      payloads_.give_back(log_, seqnum, claimer_.session);
    }
  }

  /// Of more than can be under way the lowest is given back.
  void add(SeqNum seqnum) {
    constexpr std::size_t kClaimsMax = 4;
    if (!claimed_.insert(seqnum).second) return;
    payloads_.claim(log_, seqnum, claimer_);
    if (claimed_.size() > kClaimsMax) remove(*claimed_.begin());
  }
  void remove(SeqNum seqnum) {
    if (claimed_.erase(seqnum) != 0) payloads_.give_back(log_, seqnum, claimer_.session);
  }

 private:
  ArrivingPayloads& payloads_;
  LogKey log_;
  Claimer claimer_;
  std::set<SeqNum> claimed_;
};

}  // namespace culm::replication
