#include <algorithm>
#include <iterator>

#include "culm/core/limits.hpp"
#include "culm/replication/host/detail/change_steps.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/replication/keep_interest.hpp"
#include "culm/store/check.hpp"

namespace culm::host {

using store::IngestReport;

Result<IngestReport> DirectWriter::ingest(CheckedUnit& unit) {
  return store::ingest(store_, unit, verifier_, options_);
}

IngestedUnits DirectWriter::ingest_all(std::span<KeptUnit> units) {
  IngestedUnits all;
  std::set<LogKey> forked;
  while (all.outcome && !units.empty()) {
    auto step = ingest_once(units, forked);
    if (!step) {
      all.outcome = fail(step.error());
    } else {
      units = units.subspan(step->reports.size());
      std::ranges::move(step->reports, std::back_inserter(all.reports));
      all.outcome = std::move(step->outcome);
    }
  }
  return all;
}

/// One transaction, up to a unit that lacks verdicts: it gets them, for the next.
Result<IngestedUnits> DirectWriter::ingest_once(std::span<KeptUnit> units,
                                                std::set<LogKey>& forked) {
  IngestedUnits step;
  std::set<LogKey> forked_then;
  std::vector<UncheckedEntry> missing;
  CULM_CHECK(store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    step = {};
    forked_then = forked;
    missing.clear();
    for (const auto& [unit, keeps, undeletes] : units) {
      if (forked_then.contains(unit.log())) {
        step.reports.emplace_back();
        continue;
      }
      transaction.undelete_as_taken(undeletes);
      auto attempt = transaction.ingest(unit, options_);
      if (attempt && !attempt->report) {
        missing = std::move(attempt->missing);
        return {};
      }
      const bool is_forked = attempt && attempt->report->defect;
      if (is_forked) forked_then.insert(unit.log());
      if (attempt && !is_forked) {
        step.outcome = replication::keep_interest(transaction, unit.log(), keeps);
      } else if (!attempt) {
        step.outcome = fail(attempt.error());
      }
      if (!step.outcome) {
        // What was refused for itself leaves what came before it.
        const bool is_of_store = ends(step.outcome.error().code) == Scope::kStore;
        return is_of_store ? step.outcome : Result<void>();
      }
      step.reports.push_back(*std::move(attempt->report));
    }
    return {};
  }));
  forked = std::move(forked_then);
  if (!missing.empty()) units[step.reports.size()].unit.check_missing(missing, verifier_);
  return step;
}

Result<void> DirectWriter::append(const store::SignedUnit& unit, const MoveMark& move_mark) {
  return store::commit_into(store_)(unit, move_mark);
}

Result<void> DirectWriter::drop_damaged(const LogKey& log, const RangeSet& seqnums) {
  return store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.drop_damaged(log, seqnums));
    return {};
  });
}

ChangedLogs DirectWriter::change_all(std::span<const LogChange> changes) {
  ChangeSteps steps(changes);
  for (;;) {
    const auto is_done = steps.run(store_);
    if (!is_done) return {steps.done().count, fail(is_done.error())};
    if (*is_done) return steps.done();
  }
}

Result<void> DirectWriter::forget_peer(const std::string& address) {
  return store_.update(
      [&](store::WriteTransaction& transaction) { return transaction.forget_peer(address); });
}

Result<void> DirectWriter::compact() { return store_.compact(); }

Result<store::Stage> DirectWriter::begin_stage(const store::KvClaim& claim) {
  store::Stage stage;
  CULM_CHECK(store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    CULM_TRY(stage, transaction.begin_unbound_stage(claim));
    return {};
  }));
  return stage;
}

Result<void> DirectWriter::put_parts(const store::Stage& stage, std::uint64_t offset,
                                     ByteView bytes) {
  constexpr std::size_t kPart = limits::kPayloadChunkBytes;
  return store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    for (std::size_t at = 0; at < bytes.size(); at += kPart) {
      const ByteView part = bytes.subspan(at, std::min(bytes.size() - at, kPart));
      CULM_CHECK(transaction.put_unbound_part(stage, offset + at, part));
    }
    return {};
  });
}

Result<bool> DirectWriter::bind_stage(const LogKey& log, SeqNum seqnum,
                                      const store::StagedPayload& staged, bool undelete) {
  bool is_bound = false;
  CULM_CHECK(store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    if (undelete) transaction.undelete_as_taken({{seqnum, seqnum}});
    CULM_TRY(is_bound, transaction.bind_stage(log, seqnum, staged));
    return {};
  }));
  return is_bound;
}

Result<void> DirectWriter::reclaim() {
  for (bool is_done = false; !is_done;) {
    CULM_TRY(is_done, store_.reclaim());
  }
  return {};
}

}  // namespace culm::host
