#pragma once

#include <cstddef>
#include <set>

#include "culm/replication/credit_pool.hpp"

namespace culm::replication {

/// The payloads of a log that one want is bringing in parts. Spec: replication.md#units
class PayloadClaims {
 public:
  /// `pool` must outlive these.
  PayloadClaims(CreditPool& pool, const LogKey& log, const Claimer& claimer)
      : pool_(pool), log_(log), claimer_(claimer) {}
  PayloadClaims(const PayloadClaims&) = delete;
  PayloadClaims& operator=(const PayloadClaims&) = delete;
  ~PayloadClaims() {
    for (const SeqNum seqnum : claimed_) {
      pool_.give_back_payload(log_, seqnum, claimer_.session);
    }
  }

  /// Of more than can be under way the lowest is given back.
  void add(SeqNum seqnum) {
    constexpr std::size_t kClaimsMax = 4;
    if (!claimed_.insert(seqnum).second) return;
    pool_.claim_payload(log_, seqnum, claimer_);
    if (claimed_.size() > kClaimsMax) remove(*claimed_.begin());
  }
  void remove(SeqNum seqnum) {
    if (claimed_.erase(seqnum) != 0) pool_.give_back_payload(log_, seqnum, claimer_.session);
  }

 private:
  CreditPool& pool_;
  LogKey log_;
  Claimer claimer_;
  std::set<SeqNum> claimed_;
};

}  // namespace culm::replication
