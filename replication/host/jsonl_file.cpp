#include "culm/replication/host/jsonl_file.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "culm/replication/host/file_reader.hpp"
#include "culm/replication/host/jsonl.hpp"

namespace culm::host {
namespace {

tl::unexpected<JsonlFault> refuse(const Error& error, std::uint64_t line,
                                  std::optional<SeqNum> seqnum = std::nullopt) {
  return tl::unexpected(JsonlFault(error, line, seqnum));
}

}  // namespace

RangeSet JsonlLog::seqnums() const {
  RangeSet set;
  for (const JsonlRow* row : rows) set.insert(row->seqnum());
  return set;
}

JsonlLog JsonlLog::below(SeqNum cap) const {
  JsonlLog below = *this;
  if (cap != 0) std::erase_if(below.rows, [cap](const auto* row) { return row->seqnum() >= cap; });
  return below;
}

JsonlResult<JsonlFile> JsonlFile::read(Descriptor from, SignatureVerifier& verifier,
                                       Signatures signatures, const Told& told, Descriptor copy) {
  LineReader lines(from, kJsonlLineBytesMax, Errc::kFileFormat);
  const bool is_copied = copy.get() >= 0;
  if (is_copied) lines.keep_copy(copy);
  JsonlFile file;
  const bool is_each = signatures == Signatures::kEach;
  auto good = file.read_lines(lines, is_each ? &verifier : nullptr, told);
  if (!good || is_each) {
    // A line before that is wrong is the first.
    if (auto before = file.check_signatures(verifier); !before) good = std::move(before);
  }
  if (!good) return tl::unexpected(std::move(good).error());
  file.file_ = std::move(is_copied ? copy : from);
  file.sort_rows();
  return file;
}

/// With a verifier it checks signatures on the way.
JsonlResult<void> JsonlFile::read_lines(LineReader& lines, SignatureVerifier* verifier,
                                        const Told& told) {
  // So many that each thread of the verifier has some.
  constexpr std::size_t kSignatures = 256;
  for (std::uint64_t number = 1;; ++number) {
    const std::uint64_t offset = lines.offset();
    const auto line = lines.next();
    if (!line) {
      const bool is_too_long = line.error().code == Errc::kFileFormat;
      return refuse(line.error(), is_too_long ? number : 0);
    }
    if (!*line) return {};
    if (is_blank(**line)) continue;
    const auto read = decode_jsonl(**line);
    if (!read) return refuse(read.error(), number);
    const auto entry = EntryView::parse(read->encoded);
    if (!entry) return refuse(entry.error(), number);
    if (read->payload) {
      const auto fits = check_payload(*entry, *read->payload);
      if (!fits) return refuse(fits.error(), number, entry->seqnum());
    }
    rows_.push_back({EntryBuffer(*entry), entry->hash(), number, offset, (*line)->size(),
                     read->payload.has_value()});
    if (verifier != nullptr && rows_.size() - checked_ >= kSignatures) {
      if (auto good = check_signatures(*verifier); !good) return good;
    }
    if (told) told(lines.offset());
  }
}

/// Fails with the first line whose signature is wrong, of those that were not checked yet.
JsonlResult<void> JsonlFile::check_signatures(SignatureVerifier& verifier) {
  const std::size_t first = std::exchange(checked_, rows_.size());
  std::vector<SignatureCheck> checks;
  checks.reserve(rows_.size() - first);
  for (std::size_t i = first; i < rows_.size(); ++i) {
    checks.push_back(signature_check(rows_[i].entry.view()));
  }
  std::vector<Result<void>> outcomes(checks.size());
  verifier.verify_all(checks, outcomes);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    JsonlRow& row = rows_[first + i];
    if (!outcomes[i]) return refuse(outcomes[i].error(), row.line, row.seqnum());
    row.is_verified = true;
  }
  return {};
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

Result<Bytes> JsonlFile::read_payload(const JsonlRow& row) const {
  const auto line = read_at(file_, row.offset, row.size_bytes);
  if (!line) return fail(Errc::kFileFormat);
  auto read = decode_jsonl(*line);
  const bool is_same = read && read->payload && equal(read->encoded, row.entry.bytes());
  if (!is_same) return fail(Errc::kFileFormat);
  return *std::move(read->payload);
}

}  // namespace culm::host
