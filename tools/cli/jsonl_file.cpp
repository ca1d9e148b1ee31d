#include "tools/cli/jsonl_file.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "culm/feed/lipmaa.hpp"
#include "culm/replication/host/jsonl.hpp"

#include "tools/cli/progress.hpp"

namespace culm::tools {
namespace {

Failure bad_line(const std::string& path, std::uint64_t line, std::optional<SeqNum> seqnum,
                 const Error& error, Exit exit = Exit::kVerification) {
  std::string what = shown(path) + ":" + std::to_string(line);
  if (seqnum) what += ": seqnum " + std::to_string(*seqnum);
  Failure failure(exit, error.code,
                  std::string(name(error.code)) + ": " + std::string(describe(error.code)));
  failure.fields = {{"line", line}, {"seqnum", nullptr}, {"reason", name(error.code)}};
  if (seqnum) failure.fields["seqnum"] = *seqnum;
  if (!seqnum && error.detail_kind == ErrorDetail::kOffset) {
    failure.message += " (at byte " + std::to_string(error.detail) + " of the entry)";
    failure.fields["offset"] = error.detail;
  }
  return std::move(failure).about(what);
}

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

/// What two entries of one log prove. Their signatures were checked.
void keep_defect(std::optional<Finding>& first, const JsonlRow& below, const JsonlRow& above) {
  const auto defect = find_defect(std::array{below.entry.view(), above.entry.view()});
  if (defect) keep_first(first, {std::max(below.line, above.line), defect->kind, defect->at});
}

using Rows = std::vector<const JsonlRow*>;

Rows::const_iterator find_row(const Rows& rows, SeqNum seqnum) {
  return std::ranges::lower_bound(rows, seqnum, {},
                                  [](const JsonlRow* row) { return row->seqnum(); });
}

/// A link of `row` against the rows at its target. Rows of one seqnum are different entries, so a
/// link that fits the first of them does not fit the second.
void compare_link(const Rows& rows, const JsonlRow& row, SeqNum target,
                  std::optional<Finding>& first) {
  const auto link = row.entry.view().link_to(target);
  if (!link) return;
  for (auto at = find_row(rows, target); at != rows.end() && (*at)->seqnum() == target; ++at) {
    if ((*at)->hash == *link) continue;
    keep_defect(first, **at, row);
    return;
  }
}

void find_forks(const Rows& rows, std::optional<Finding>& first) {
  for (auto at = rows.begin(); at != rows.end(); ++at) {
    const JsonlRow& row = **at;
    const SeqNum n = row.seqnum();
    // Rows of one seqnum ascend by line, so the pair of the first two is complete first.
    if (at != rows.begin() && (*std::prev(at))->seqnum() == n) {
      keep_defect(first, **std::prev(at), row);
    }
    if (n == 1) continue;
    compare_link(rows, row, n - 1, first);
    if (has_lipmaalink(n)) compare_link(rows, row, lipmaa(n), first);
  }
}

}  // namespace

RangeSet JsonlLog::seqnums() const {
  RangeSet set;
  for (const JsonlRow* row : rows) set.insert(row->seqnum());
  return set;
}

Outcome<JsonlFile> JsonlFile::read(const std::string& path, SignatureVerifier& verifier) {
  auto opened = open_input(path);
  if (!opened) return fail_with(std::move(opened.error()).about(shown(path)));
  JsonlFile file(path, *std::move(opened));
  CULM_TOOLS_CHECK(file.read_lines(verifier));
  file.sort_rows();
  return file;
}

Outcome<void> JsonlFile::read_lines(SignatureVerifier& verifier) {
  const auto size = check_input(path_);
  Progress progress("checking", size.value_or(0), Progress::Unit::kBytes);
  LineReader lines(file_, kJsonlLineBytesMax, Errc::kFileFormat);
  for (std::uint64_t number = 1;; ++number) {
    const std::uint64_t offset = lines.offset();
    auto line = lines.next();
    if (!line) {
      const Failure& why = line.error();
      if (why.code == Errc::kFileFormat) {
        return fail_with(bad_line(path_, number, std::nullopt, Error{why.code}));
      }
      return fail_with(std::move(line.error()).about(shown(path_)));
    }
    if (!*line) return {};
    if (is_blank(**line)) continue;
    const auto refuse = [&](const Error& error, std::optional<SeqNum> seqnum = std::nullopt) {
      return fail_with(bad_line(path_, number, seqnum, error));
    };
    const auto read = decode_jsonl(**line);
    if (!read) return refuse(read.error());
    const auto entry = EntryView::parse(read->encoded);
    if (!entry) return refuse(entry.error());
    if (read->payload) {
      const auto fits = check_payload(*entry, *read->payload);
      if (!fits) return refuse(fits.error(), entry->seqnum());
    }
    const auto good = verifier.verify(entry->author(), entry->signed_bytes(), entry->signature());
    if (!good) return refuse(good.error(), entry->seqnum());
    rows_.push_back({EntryBuffer(*entry), entry->hash(), number, offset, (*line)->size(),
                     read->payload.has_value()});
    progress.show(lines.offset());
  }
}

void JsonlFile::sort_rows() {
  struct Place {
    LogKey log;
    SeqNum seqnum = 0;
    JsonlRow* row = nullptr;
  };
  std::vector<Place> places;
  places.reserve(rows_.size());
  for (JsonlRow& row : rows_) {
    const EntryView entry = row.entry.view();
    places.push_back({entry.log(), entry.seqnum(), &row});
  }
  // Equal entries stand side by side then; the first line counts, and whichever has a payload.
  std::ranges::sort(places, [](const Place& a, const Place& b) {
    return std::tie(a.log, a.seqnum, a.row->hash, a.row->line) <
           std::tie(b.log, b.seqnum, b.row->hash, b.row->line);
  });
  JsonlRow* kept = nullptr;
  for (const Place& place : places) {
    if (logs_.empty() || logs_.back().key != place.log) logs_.push_back({place.log, {}});
    if (kept == nullptr || kept->hash != place.row->hash) {
      kept = place.row;
      logs_.back().rows.push_back(kept);
    } else if (!kept->has_payload && place.row->has_payload) {
      kept->offset = place.row->offset;
      kept->size_bytes = place.row->size_bytes;
      kept->has_payload = true;
    }
  }
  for (JsonlLog& log : logs_) {
    std::ranges::stable_sort(log.rows, [](const JsonlRow* a, const JsonlRow* b) {
      return std::pair(a->seqnum(), a->line) < std::pair(b->seqnum(), b->line);
    });
  }
}

std::uint64_t JsonlFile::entry_count() const noexcept {
  std::uint64_t count = 0;
  for (const JsonlLog& log : logs_) count += log.rows.size();
  return count;
}

Outcome<Bytes> JsonlFile::read_payload(const JsonlRow& row) const {
  const auto changed = [&] {
    return fail_with(
        Failure(Exit::kVerification, Errc::kFileFormat, "the file changed while it was being read")
            .about(shown(path_)));
  };
  const auto line = read_at(file_, row.offset, row.size_bytes);
  if (!line) return changed();
  auto read = decode_jsonl(*line);
  if (!read || !read->payload || !equal(read->encoded, row.entry.bytes())) return changed();
  return *std::move(read->payload);
}

Outcome<void> JsonlFile::check_forks() const {
  std::optional<Finding> first;
  for (const JsonlLog& log : logs_) find_forks(log.rows, first);
  if (!first) return {};
  Failure failure = bad_line(path_, first->line, first->seqnum, Error{Errc::kFork}, Exit::kFork);
  failure.fields["kind"] = name(first->kind);
  failure.message = "fork: " + std::string(describe(first->kind));
  return fail_with(std::move(failure));
}

Outcome<void> JsonlFile::check_ends() const {
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
  return fail_with(bad_line(path_, first->line, first->seqnum, Error{Errc::kLogEnded}));
}

Outcome<void> JsonlFile::check_anchored(const FindHeld& find_held) const {
  std::optional<Finding> first;
  RangeSet missing;
  for (const JsonlLog& log : logs_) {
    const RangeSet held = find_held(log.key);
    RangeSet anchored = held;
    for (const JsonlRow* row : log.rows) {
      const SeqNum n = row->seqnum();
      if (n == 1 || anchored.contains(n - 1) || anchored.contains(lipmaa(n))) {
        anchored.insert(n);
        continue;
      }
      keep_first(first, {row->line, {}, n});
      if (first->line == row->line) {
        missing = RangeSet();
        for (const SeqNum m : path_to_first(n)) missing.insert(m);
        missing -= held | log.seqnums();
      }
    }
  }
  if (!first) return {};
  Failure failure = bad_line(path_, first->line, first->seqnum, Error{Errc::kUnitUnanchored});
  failure.fields["missing"] = to_string(missing);
  return fail_with(std::move(failure).next("entries that would prove it: " + to_string(missing)));
}

HeldAndAccepted::HeldAndAccepted(const store::ReadTransaction* transaction,
                                 const store::LogState* state)
    : transaction_(transaction), state_(state) {
  if (state == nullptr) return;
  held_ = state->held;
  verified_ = state->verified;
  cap_ = state->cap;
  end_of_log_ = state->end_of_log;
}

void HeldAndAccepted::add(const JsonlRow& row) {
  const EntryView entry = row.entry.view();
  if (held_.contains(entry.seqnum())) return;
  held_.insert(entry.seqnum());
  verified_.insert(entry.seqnum());
  if (entry.is_end_of_log()) end_of_log_ = entry.seqnum();
  rows_.push_back(&row);
}

Result<EntryView> HeldAndAccepted::entry(SeqNum seqnum) {
  const auto row = find_row(rows_, seqnum);
  if (row != rows_.end() && (*row)->seqnum() == seqnum) return (*row)->entry.view();
  if (state_ == nullptr) return fail(error_for(Errc::kEntryNotHeld, seqnum));
  CULM_TRY(const auto stored, transaction_->get_entry(*state_, seqnum));
  return stored.entry;
}

Outcome<bool> accept_log(const JsonlLog& log, HeldAndAccepted held, SignatureVerifier& verifier,
                         bool is_loose) {
  for (std::size_t start = 0; start < log.rows.size(); start += limits::kUnitEntriesMax) {
    const std::size_t end = std::min(start + limits::kUnitEntriesMax, log.rows.size());
    std::vector<UnitEntry> unit;
    for (std::size_t i = start; i < end; ++i) {
      unit.push_back({log.rows[i]->entry.view(), log.rows[i]->hash});
    }
    // Every signature of the file was checked with its line.
    const auto verdict = verify_unit(log.key, unit, held, verifier, {.loose = is_loose});
    if (!verdict) {
      Failure failure(verdict.error());
      failure.fields["reason"] = name(verdict.error().code);
      return fail_with(std::move(failure).about("log " + to_string(log.key)));
    }
    if (verdict->proven) return true;
    for (std::size_t i = start; i < end; ++i) held.add(*log.rows[i]);
  }
  return false;
}

Outcome<void> verify_jsonl(const JsonlFile& file, SignatureVerifier& verifier, bool is_loose) {
  CULM_TOOLS_CHECK(file.check_forks());
  CULM_TOOLS_CHECK(file.check_ends());
  if (!is_loose) {
    CULM_TOOLS_CHECK(file.check_anchored([](const LogKey&) { return RangeSet(); }));
  }
  for (const JsonlLog& log : file.logs()) {
    CULM_TOOLS_CHECK(accept_log(log, HeldAndAccepted(nullptr, nullptr), verifier, is_loose));
  }
  return {};
}

}  // namespace culm::tools
