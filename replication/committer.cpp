#include "culm/replication/committer.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "culm/replication/detail/earlier_entries.hpp"
#include "culm/replication/keep_interest.hpp"
#include "culm/store/check.hpp"

namespace culm::replication {
namespace {

using store::IngestAttempt;

bool is_distrusted(const Work& work) { return work.session && work.session->is_distrusted; }

}  // namespace

/// A work, and how far it has come.
struct Committer::Job {
  explicit Job(Work received) : work(std::move(received)) {}

  /// Of a part: not where it was there before, or is passed over.
  [[nodiscard]] std::uint64_t stored_bytes() const {
    if (!arrival || is_there || !*outcome) return 0;
    const auto& part = std::get<PayloadWork>(work.content);
    const std::uint64_t bytes = part.bytes.size();
    return part.offset + bytes <= arrival->put ? bytes : 0;
  }

  Work work;
  std::optional<CheckedUnit> unit;
  std::optional<ProvenDefect> proven;
  /// Units of this batch, by place, whose entries the links of this one were restored from.
  std::vector<std::size_t> sources;
  std::shared_ptr<Arrival> arrival;  ///< of parts; none of a payload that comes whole
  std::optional<Hash> payload_hash;  ///< of a payload whose last part this is
  bool is_there = false;             ///< the part was left by another want
  std::optional<Outcome> outcome;    ///< nothing while it is not decided
  RangeSet damaged;                  ///< for the report
};

/// Where the links of a unit come from: units of the same session before it, else the store.
class Committer::EarlierTargets final : public LinkTargets {
 public:
  EarlierTargets(const EarlierEntries& earlier, store::HeldTargets held)
      : earlier_(earlier), held_(held) {}

  Result<std::optional<Hash>> find(SeqNum seqnum) override {
    const auto found = earlier_.find(seqnum);
    if (!found) return held_.find(seqnum);
    if (sources.empty() || sources.back() != found->place) sources.push_back(found->place);
    return found->entry->hash;
  }

  std::vector<std::size_t> sources;

 private:
  const EarlierEntries& earlier_;
  store::HeldTargets held_;
};

Committer::Committer(store::Store& store, SignatureVerifier& verifier, const AcceptOptions& options,
                     std::size_t stages_max, std::uint64_t hash_bytes_max)
    : store_(store),
      verifier_(verifier),
      options_(options),
      stages_max_(stages_max),
      hash_bytes_max_(hash_bytes_max) {}

std::vector<WorkReport> Committer::commit(std::vector<Work> works) {
  std::vector<Job> jobs = check(std::move(works));
  // Comes to an end: only this thread writes, so no log has changed when its first work that waits
  // is tried again, and that second try decides. Who makes up works that need ever more rounds
  // must not keep all others waiting.
  constexpr int kRoundsMax = 8;
  const auto is_decided = [](const Job& job) { return job.outcome.has_value(); };
  for (int round = 0; !std::ranges::all_of(jobs, is_decided); ++round) {
    const auto done = round < kRoundsMax ? attempt(jobs) : Result<void>(fail(Errc::kBusy));
    if (done) continue;
    for (Job& job : jobs) {
      if (!job.outcome) job.outcome = fail(done.error());
    }
  }
  std::uint64_t hash_bytes = hash_bytes_max_;
  std::vector<WorkReport> reports = complete_due(hash_bytes);
  reports.reserve(reports.size() + jobs.size());
  for (Job& job : jobs) {
    bool is_done = true;
    if (job.arrival && !*job.outcome) job.arrival->is_over = true;
    if (job.arrival && job.arrival->is_resumed) {
      const bool is_last = std::get<PayloadWork>(job.work.content).last;
      is_done = complete(*job.arrival, is_last, hash_bytes, *job.outcome);
    }
    const std::uint64_t stored_bytes = job.stored_bytes();
    WorkReport report{job.work.id,     job.work.log, *std::move(job.outcome),
                      job.work.credit, stored_bytes, std::move(job.damaged)};
    if (is_done) {
      reports.push_back(std::move(report));
    } else {
      std::erase(past_, job.arrival);
      due_.push_back({job.arrival, std::move(report)});
    }
  }
  tidy();
  return reports;
}

/// Restores all, then checks the signatures of all.
std::vector<Committer::Job> Committer::check(std::vector<Work> works) {
  std::vector<Job> jobs;
  jobs.reserve(works.size());
  std::map<LogKey, store::SharedLogState> logs;
  {
    const auto transaction = store_.read();
    std::map<std::pair<std::uint64_t, LogKey>, EarlierEntries> earlier;
    for (Work& received : works) {
      Job& job = jobs.emplace_back(std::move(received));
      if (is_distrusted(job.work)) job.outcome = fail(Errc::kPeerClosed);
      const auto* const payload = std::get_if<PayloadWork>(&job.work.content);
      if (payload != nullptr && !job.outcome) hash_part(job, *payload);
      auto* const content = std::get_if<UnitWork>(&job.work.content);
      if (content != nullptr && !transaction) job.outcome = fail(transaction.error());
      if (job.outcome || content == nullptr) continue;
      const LogKey& log = job.work.log;
      if (!logs.contains(log)) {
        auto state = transaction->find_log(log);
        if (!state) {
          job.outcome = fail(state.error());
          continue;
        }
        logs.emplace(log, *std::move(state));
      }
      const auto& state = logs.at(log);
      auto& before = earlier[{job.work.id.session, log}];
      EarlierTargets targets(before, {*transaction, state ? &*state : nullptr});
      auto restored = restore_unit(log, std::move(content->elided), targets);
      if (!restored) {
        job.outcome = fail(restored.error());
        continue;
      }
      job.unit = *std::move(restored);
      job.unit->leave_out_payloads(job.work.bare);
      job.sources = std::move(targets.sources);
      before.add(job.unit->entries(), jobs.size() - 1);
    }
  }
  std::vector<DueSignatures> due;
  for (Job& job : jobs) {
    if (job.unit) {
      const auto& state = logs.at(job.work.log);
      due.push_back(job.unit->due_signatures(state ? state->held : RangeSet(), options_));
    } else if (auto* const content = std::get_if<EvidenceWork>(&job.work.content);
               content != nullptr && !job.outcome) {
      auto proven = ProvenDefect::derive(job.work.log, std::move(content->evidence), verifier_);
      if (!proven) job.outcome = fail(proven.error());
      if (proven) job.proven = *std::move(proven);
    }
  }
  check_signatures(due, verifier_);
  return jobs;
}

/// One transaction over all that is not decided; then the checks of what was missing in it.
Result<void> Committer::attempt(std::vector<Job>& jobs) {
  std::vector<std::optional<Outcome>> outcomes;
  std::vector<std::pair<std::size_t, std::vector<UncheckedEntry>>> missing;
  Stages stages;
  store::WriteTransaction::Dropped dropped;
  CULM_CHECK(store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    outcomes.assign(jobs.size(), std::nullopt);
    missing.clear();
    stages = {};
    std::set<LogKey> waiting;
    const auto is_refused = [&](std::size_t place) {
      const auto& outcome = outcomes[place] ? outcomes[place] : jobs[place].outcome;
      return outcome && !*outcome;
    };
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const Job& job = jobs[i];
      if (job.outcome) continue;
      if (waiting.contains(job.work.log)) {
        if (!job.unit || is_distrusted(job.work)) continue;
        // What this one will most likely be missing is checked along, so that few rounds suffice.
        auto ahead = transaction.find_missing(*job.unit, options_);
        if (ahead && !ahead->empty()) missing.emplace_back(i, *std::move(ahead));
        continue;
      }
      auto attempted = apply(transaction, job, stages);
      if (!attempted) {
        Error error = attempted.error();
        // The transaction is of no use after that; a damaged row spoils only what needs it.
        if (ends(error.code) == Scope::kStore) return fail(error);
        // Only for want of a unit that may be asked for in full: so may this one.
        if (error.code == Errc::kUnitUnanchored && std::ranges::any_of(job.sources, is_refused)) {
          error.code = Errc::kElidedTarget;
        }
        outcomes[i] = fail(error);
      } else if (attempted->report) {
        outcomes[i] = *std::move(attempted->report);
      } else {
        waiting.insert(job.work.log);
        missing.emplace_back(i, std::move(attempted->missing));
      }
    }
    dropped = transaction.dropped();
    return {};
  }));
  keep(stages);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (!outcomes[i] || !*outcomes[i]) continue;
    if (const auto& defect = (*outcomes[i])->defect) forget_capped(jobs[i].work.log, defect->at);
  }
  for (const auto& [log, seqnums] : dropped) {
    std::ranges::find(jobs, log, [](const Job& job) { return job.work.log; })->damaged |= seqnums;
    has_looked_ = false;  // of a large payload parts may be left
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (outcomes[i]) jobs[i].outcome = std::move(outcomes[i]);
  }
  std::vector<DueSignatures> due;
  due.reserve(missing.size());
  for (const auto& [place, entries] : missing) {
    due.push_back(jobs[place].unit->due_missing(entries));
  }
  check_signatures(due, verifier_);
  return {};
}

Result<IngestAttempt> Committer::apply(store::WriteTransaction& transaction, const Job& job,
                                       Stages& stages) {
  if (is_distrusted(job.work)) return fail(Errc::kPeerClosed);
  if (job.work.while_known && (job.unit || job.proven)) {
    CULM_TRY(const auto known, transaction.find_log(job.work.log));
    IngestAttempt passed_over{store::IngestReport(), {}};
    if (!known) return passed_over;
  }
  transaction.undelete_as_taken(job.work.undeletes);
  if (job.unit) {
    CULM_TRY(auto done, transaction.ingest(*job.unit, options_));
    if (!done.report || !job.work.keeps) return done;
    CULM_TRY(const auto state, transaction.find_log(job.work.log));
    if (!state || state->held.empty()) return done;  // nothing of it was taken
    // Too many ranges are no reason not to take the entries.
    const auto kept = keep_interest(transaction, job.work.log, *job.work.keeps);
    if (!kept && ends(kept.error().code) == Scope::kStore) return fail(kept.error());
    return done;
  }
  IngestAttempt attempt;
  if (job.proven) {
    CULM_TRY(attempt.report.emplace().defect, transaction.record_evidence(*job.proven));
    return attempt;
  }
  const auto& payload = std::get<PayloadWork>(job.work.content);
  CULM_TRY(const bool is_taken, put_part(transaction, job, stages));
  attempt.report.emplace();
  const bool is_complete = is_taken && payload.last && !(job.arrival && job.arrival->is_resumed);
  if (is_complete) {
    attempt.report->payloads_added.insert(payload.seqnum);
    attempt.report->payload_bytes_added = payload.offset + payload.bytes.size();
  }
  return attempt;
}

/// Passes over what does not go on where its want was.
void Committer::hash_part(Job& job, const PayloadWork& payload) {
  if (payload.offset == 0 && payload.last) {
    job.payload_hash = hash(payload.bytes);
    return;
  }
  if (payload.offset == 0) begin_arrival(job.work, payload);
  const auto find = [&] {
    const auto [first, last] = arrivals_.equal_range(job.work.session);
    const auto found = std::find_if(
        first, last, [&](const auto& row) { return row.second->seqnum == payload.seqnum; });
    return found == last ? arrivals_.end() : found;
  };
  auto found = find();
  if (found == arrivals_.end() && resume(job.work, payload)) found = find();
  const auto arrival = found == arrivals_.end() ? nullptr : found->second;
  job.is_there = arrival && arrival->is_resumed && payload.offset < arrival->offset;
  const bool goes_on = arrival && !arrival->is_over && arrival->log == job.work.log &&
                       (job.is_there ? payload.last : arrival->offset == payload.offset);
  if (!goes_on) {
    job.outcome = store::IngestReport{};
    return;
  }
  job.arrival = arrival;
  arrival->moved = ++parts_;
  arrival->undeletes = job.work.undeletes;
  if (!job.is_there) arrival->offset += payload.bytes.size();
  if (!arrival->is_resumed) arrival->hasher.update(payload.bytes);
  if (!payload.last) return;
  if (!arrival->is_resumed) job.payload_hash = arrival->hasher.finish();
  past_.push_back(arrival);
  arrivals_.erase(found);
}

/// Whether it was wanted.
Result<bool> Committer::put_part(store::WriteTransaction& transaction, const Job& job,
                                 Stages& stages) {
  const auto& payload = std::get<PayloadWork>(job.work.content);
  const LogKey& log = job.work.log;
  if (!job.arrival) {
    return transaction.put_payload(log, payload.seqnum, payload.bytes, *job.payload_hash);
  }
  Arrival* const arrival = job.arrival.get();
  if (arrival->is_over || stages.ended.contains(arrival)) return false;
  const auto put = [&]() -> Result<bool> {
    std::optional<store::Stage> stage = arrival->stage;
    const auto begun = stages.begun.find(arrival);
    if (begun != stages.begun.end()) stage = begun->second;
    if (!stage) {
      CULM_TRY(stage, transaction.begin_stage(log, payload.seqnum, arrival->bearer));
      if (!stage) return false;
      stages.begun.emplace(arrival, *stage);
    }
    if (job.is_there) {
      CULM_TRY(const auto state, transaction.get_log(log));
      CULM_TRY(const auto stored, transaction.get_entry(*state, payload.seqnum));
      const bool ends = payload.offset + payload.bytes.size() == stored.entry.payload_size();
      return ends ? Result<bool>(true) : fail(error_for(Errc::kPayloadSize, payload.seqnum));
    }
    CULM_TRY(const bool is_put,
             transaction.put_stage_part(log, *stage, payload.offset, payload.bytes, job.work.peer,
                                        payload.last));
    if (is_put) stages.put[arrival] = payload.offset + payload.bytes.size();
    if (!is_put || !payload.last || arrival->is_resumed) return is_put;
    return finish(transaction, log, *stage, *job.payload_hash);
  }();
  // A part that cannot be the next one takes nothing from those that others have brought.
  const bool is_left = !put && arrival->put != 0 && put.error().code == Errc::kPayloadSize;
  const bool is_futile = !is_left && (!put || !*put);
  if (is_futile) stages.futile.insert(arrival);
  if (is_futile || payload.last) stages.ended.insert(arrival);
  if (put && *put && payload.last && !arrival->is_resumed) stages.held.insert(arrival);
  return put;
}

}  // namespace culm::replication
