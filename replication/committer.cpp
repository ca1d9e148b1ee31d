#include "culm/replication/committer.hpp"

#include <optional>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/feed/elided.hpp"

namespace culm::replication {
namespace {

class HeldTargets final : public LinkTargets {
 public:
  HeldTargets(const store::ReadTransaction& transaction, std::optional<store::LogState> log)
      : transaction_(transaction), log_(std::move(log)) {}

  Result<std::optional<Hash>> find(SeqNum seqnum) override {
    if (!log_ || !log_->held.contains(seqnum)) return std::nullopt;
    CULM_TRY(const auto stored, transaction_.get_entry(*log_, seqnum));
    return stored.entry.hash();
  }

 private:
  const store::ReadTransaction& transaction_;
  std::optional<store::LogState> log_;
};

}  // namespace

Committer::Committer(store::Store& store, SignatureVerifier& verifier, const AcceptOptions& options)
    : store_(store), verifier_(verifier), options_(options) {}

std::vector<WorkReport> Committer::commit(std::span<const Work> works) {
  std::vector<WorkReport> reports;
  const auto before = bringers_;
  const auto committed = store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    reports.clear();
    bringers_ = before;
    for (const Work& work : works) {
      reports.push_back({work.id, work.log, apply(transaction, work), work.credit});
      const auto& outcome = reports.back().outcome;
      // The transaction is of no use after that; a damaged row spoils only what needs it.
      if (!outcome && ends(outcome.error().code) == Scope::kStore) return fail(outcome.error());
    }
    return {};
  });
  std::erase_if(bringers_, [](const auto& row) { return row.second.session.expired(); });
  if (committed) return reports;
  reports.clear();
  for (const Work& work : works) {
    reports.push_back({work.id, work.log, fail(committed.error()), work.credit});
  }
  return reports;
}

Result<store::IngestReport> Committer::apply(store::WriteTransaction& transaction,
                                             const Work& work) {
  if (work.session && work.session->is_distrusted) return fail(Errc::kPeerClosed);
  if (const auto* unit = std::get_if<UnitWork>(&work.content)) {
    return apply_unit(transaction, work.log, *unit);
  }
  if (const auto* payload = std::get_if<PayloadWork>(&work.content)) {
    return apply_payload(transaction, work, *payload);
  }
  store::IngestReport report;
  const auto& evidence = std::get<EvidenceWork>(work.content).evidence;
  CULM_TRY(report.defect, transaction.record_evidence(work.log, evidence, verifier_));
  return report;
}

Result<store::IngestReport> Committer::apply_payload(store::WriteTransaction& transaction,
                                                     const Work& work, const PayloadWork& payload) {
  store::IngestReport report;
  const std::pair key{work.log, payload.seqnum};
  const auto begun = bringers_.find(key);
  const auto bringer = begun == bringers_.end() ? nullptr : begun->second.session.lock();
  if (bringer && bringer != work.session) return report;
  if (payload.offset != 0 && !bringer) return report;  // whoever began it is gone
  if (payload.offset != 0 && payload.offset != begun->second.offset) return report;
  bringers_.erase(key);

  auto put = transaction.put_payload_chunk(work.log, payload.seqnum, payload.offset, payload.bytes);
  // It was deleted here while it was under way.
  if (!put && put.error().code == Errc::kPayloadDeleted) return report;
  if (!put) return fail(put.error());
  if (!payload.last) {
    bringers_[key] = {work.session, payload.offset + payload.bytes.size()};
    return report;
  }
  CULM_CHECK(transaction.finish_payload(work.log, payload.seqnum));
  report.payloads_added.insert(payload.seqnum);
  return report;
}

Result<store::IngestReport> Committer::apply_unit(store::WriteTransaction& transaction,
                                                  const LogKey& log, const UnitWork& unit) {
  CULM_TRY(auto state, transaction.find_log(log));
  HeldTargets targets(transaction, std::move(state));
  CULM_TRY(const auto restored, restore_unit(log, Bytes(unit.elided), targets));
  return transaction.ingest(log, restored.entries(), verifier_, options_);
}

}  // namespace culm::replication
