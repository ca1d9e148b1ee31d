// Whether the lines of a file go together.
#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <utility>

#include "culm/feed/closure.hpp"
#include "culm/feed/lipmaa.hpp"
#include "culm/replication/host/detail/jsonl_refusal.hpp"
#include "culm/replication/host/jsonl_file.hpp"

namespace culm::host {
namespace {

/// The worst of several findings, in the order of the specification.
struct Finding {
  std::uint64_t line = 0;
  DefectKind kind{};
  SeqNum seqnum = 0;

  friend auto operator<=>(const Finding&, const Finding&) = default;
};

void keep_first(std::optional<Finding>& first, const Finding& finding) {
  if (!first || finding < *first) first = finding;
}

/// What the file proves against the author of a log.
struct Defects {
  std::optional<Finding> first;
  SeqNum lowest = kSeqnumMax;
};

/// What two entries of one log prove, if their signatures are good.
void keep_defect(Defects& found, const JsonlRow& below, const JsonlRow& above) {
  const auto defect = find_defect(std::array{below.entry.view(), above.entry.view()});
  if (!defect) return;
  keep_first(found.first, {std::max(below.line, above.line), defect->kind, defect->at});
  found.lowest = std::min(found.lowest, defect->at);
}

using Rows = std::vector<JsonlRow*>;

Rows::const_iterator find_row(const Rows& rows, SeqNum seqnum) {
  return std::ranges::lower_bound(rows, seqnum, {},
                                  [](const JsonlRow* row) { return row->seqnum(); });
}

/// A link of `row` against the rows at its target. Rows of one seqnum are different entries, so a
/// link that fits the first of them does not fit the second.
void compare_link(const Rows& rows, const JsonlRow& row, SeqNum target, Defects& found) {
  const auto link = row.entry.view().link_to(target);
  if (!link) return;
  for (auto at = find_row(rows, target); at != rows.end() && (*at)->seqnum() == target; ++at) {
    if ((*at)->hash == *link) continue;
    keep_defect(found, **at, row);
    return;
  }
}

Defects find_forks(const Rows& rows) {
  Defects found;
  for (auto at = rows.begin(); at != rows.end(); ++at) {
    const JsonlRow& row = **at;
    const SeqNum n = row.seqnum();
    // Rows of one seqnum ascend by line, so the pair of the first two is complete first.
    if (at != rows.begin() && (*std::prev(at))->seqnum() == n) {
      keep_defect(found, **std::prev(at), row);
    }
    if (n == 1) continue;
    compare_link(rows, row, n - 1, found);
    if (has_lipmaalink(n)) compare_link(rows, row, lipmaa(n), found);
  }
  return found;
}

/// What is held of a log, together with what of a file was accepted already.
class HeldAndAccepted final : public HeldLog {
 public:
  /// `transaction` may be none where `state` holds nothing. All must outlive this.
  HeldAndAccepted(const store::ReadTransaction* transaction, const store::LogState& state);

  /// Takes a row as held.
  void add(JsonlRow& row);

  [[nodiscard]] const RangeSet& held() const override { return held_; }
  [[nodiscard]] const RangeSet& verified() const override { return verified_; }
  [[nodiscard]] SeqNum cap() const override { return cap_; }
  [[nodiscard]] SeqNum end_of_log() const override { return end_of_log_; }
  [[nodiscard]] Result<EntryView> entry(SeqNum seqnum) override;

 private:
  const store::ReadTransaction* transaction_;
  const store::LogState& state_;
  RangeSet held_;
  RangeSet verified_;
  SeqNum cap_ = 0;
  SeqNum end_of_log_ = 0;
  Rows rows_;  // ascending
};

HeldAndAccepted::HeldAndAccepted(const store::ReadTransaction* transaction,
                                 const store::LogState& state)
    : transaction_(transaction),
      state_(state),
      held_(state.held),
      verified_(state.verified),
      cap_(state.cap),
      end_of_log_(state.end_of_log) {}

void HeldAndAccepted::add(JsonlRow& row) {
  const EntryView entry = row.entry.view();
  if (held_.contains(entry.seqnum())) return;
  held_.insert(entry.seqnum());
  if (row.is_verified) verified_.insert(entry.seqnum());
  if (entry.is_end_of_log()) end_of_log_ = entry.seqnum();
  rows_.push_back(&row);
}

Result<EntryView> HeldAndAccepted::entry(SeqNum seqnum) {
  const auto row = find_row(rows_, seqnum);
  if (row != rows_.end() && (*row)->seqnum() == seqnum) return (*row)->entry.view();
  if (transaction_ == nullptr) return fail(error_for(Errc::kEntryNotHeld, seqnum));
  CULM_TRY(const auto stored, transaction_->get_entry(state_, seqnum));
  return stored.entry;
}

/// Whether the accepting rule takes `log` on top of `held`, unit by unit; the seqnum of the first
/// defect that it proves against what is held, which the import is to record, or 0.
JsonlResult<SeqNum> accept_log(const JsonlLog& log, HeldAndAccepted held,
                               SignatureVerifier& verifier, bool is_loose) {
  for (std::size_t start = 0; start < log.rows.size(); start += limits::kUnitEntriesMax) {
    const std::size_t end = std::min(start + limits::kUnitEntriesMax, log.rows.size());
    std::vector<UnitEntry> unit;
    for (std::size_t i = start; i < end; ++i) {
      unit.push_back({log.rows[i]->entry.view(), log.rows[i]->hash});
    }
    const auto verdict = verify_unit(log.key, unit, held, verifier, {.loose = is_loose});
    if (!verdict) return refuse(verdict.error(), log.key);
    if (verdict->proven) return verdict->proven->defect().at;
    auto row = log.rows.begin() + static_cast<std::ptrdiff_t>(start);
    for (const AcceptedEntry& accepted : verdict->accepted) {
      while ((*row)->seqnum() != accepted.entry().seqnum()) ++row;
      if (accepted.level() == Level::kVerified) (*row)->is_verified = true;
      held.add(**row);
    }
  }
  return SeqNum{0};
}

/// What the store holds of a log; nothing where there is no store.
Result<store::LogState> read_state(const store::ReadTransaction* transaction, const LogKey& log) {
  if (transaction == nullptr) return store::LogState{};
  CULM_TRY(const auto state, transaction->find_log(log));
  return state ? *state : store::LogState{};
}

}  // namespace

JsonlResult<void> JsonlFile::check(SignatureVerifier& verifier, const store::ReadTransaction* store,
                                   bool is_loose) {
  auto good = check_rules(verifier, store, is_loose);
  if (good) return good;
  // The rest may only follow from a wrong signature.
  auto authentic = check_signatures(verifier);
  return authentic ? std::move(good) : std::move(authentic);
}

JsonlResult<void> JsonlFile::check_rules(SignatureVerifier& verifier,
                                         const store::ReadTransaction* store, bool is_loose) {
  if (auto good = check_forks(); !good) return good;
  if (auto good = check_ends(); !good) return good;
  std::map<LogKey, store::LogState> states;
  for (const JsonlLog& log : logs_) {
    auto state = read_state(store, log.key);
    if (!state) return refuse(state.error(), log.key);
    states.emplace(log.key, *std::move(state));
  }
  if (!is_loose) {
    auto good = check_anchored([&](const LogKey& log) { return states.at(log).served(); });
    if (!good) return good;
  }
  forks_.clear();
  for (const JsonlLog& log : logs_) {
    const store::LogState& state = states.at(log.key);
    const auto at =
        accept_log(log.below(state.cap), HeldAndAccepted(store, state), verifier, is_loose);
    if (!at) return tl::unexpected(at.error());
    if (*at != 0) forks_.push_back({log.key, *at, {}, {}});
  }
  return {};
}

JsonlResult<void> JsonlFile::check_forks() const {
  std::optional<Finding> first;
  std::vector<JsonlFork> forks;
  for (const JsonlLog& log : logs_) {
    const Defects found = find_forks(log.rows);
    if (!found.first) continue;
    keep_first(first, *found.first);
    forks.push_back({log.key, found.lowest, {}, {}});
  }
  if (!first) return {};
  JsonlFault fault(Error{Errc::kFork}, first->line, first->seqnum);
  fault.kind = first->kind;
  fault.forks = std::move(forks);
  return tl::unexpected(std::move(fault));
}

JsonlResult<void> JsonlFile::check_ends() const {
  std::optional<Finding> first;
  for (const JsonlLog& log : logs_) {
    std::uint64_t end_line = 0;  // of the end-of-log entry below that comes first in the file
    for (const JsonlRow* row : log.rows) {
      if (end_line != 0) keep_first(first, {std::max(end_line, row->line), {}, row->seqnum()});
      if (!row->entry.view().is_end_of_log()) continue;
      end_line = end_line == 0 ? row->line : std::min(end_line, row->line);
    }
  }
  if (!first) return {};
  return refuse(Error{Errc::kLogEnded}, first->line, first->seqnum);
}

JsonlResult<void> JsonlFile::check_anchored(const FindHeld& find_held) const {
  std::optional<Finding> first;
  const JsonlLog* log_of_first = nullptr;
  for (const JsonlLog& log : logs_) {
    RangeSet anchored = find_held(log.key);
    for (const JsonlRow* row : log.rows) {
      const SeqNum n = row->seqnum();
      if (n == 1 || anchored.contains(n - 1) || anchored.contains(lipmaa(n))) {
        anchored.insert(n);
        continue;
      }
      keep_first(first, {row->line, {}, n});
      if (first->line == row->line) log_of_first = &log;
    }
  }
  if (!first) return {};
  JsonlFault fault(Error{Errc::kUnitUnanchored}, first->line, first->seqnum);
  for (const SeqNum m : path_to_first(first->seqnum)) fault.missing.insert(m);
  fault.missing -= find_held(log_of_first->key) | log_of_first->seqnums();
  return tl::unexpected(std::move(fault));
}

}  // namespace culm::host
