#include "culm/replication/host/jsonl_file.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "culm/replication/host/detail/jsonl_refusal.hpp"
#include "culm/replication/host/detail/long_line.hpp"
#include "culm/replication/host/file_reader.hpp"
#include "culm/replication/host/jsonl.hpp"

namespace culm::host {
namespace {

constexpr std::uint64_t kReadAgainBytes = 256 * 1024;

/// Where no line could be read, none is to blame.
tl::unexpected<JsonlFault> refuse_line(JsonlFault fault, std::uint64_t number) {
  if (fault.error.code != Errc::kFileIo) fault.line = number;
  return tl::unexpected(std::move(fault));
}

/// A row that is not at its place yet; fails with the seqnum, once that could be read.
using RowResult = JsonlResult<JsonlRow>;

RowResult make_row(ByteView encoded) {
  const auto entry = EntryView::parse(encoded);
  if (!entry) return tl::unexpected(JsonlFault(entry.error()));
  return JsonlRow{EntryBuffer(*entry), entry->hash()};
}

RowResult decode_row(std::string_view line) {
  const auto read = decode_jsonl(line);
  if (!read) return tl::unexpected(JsonlFault(read.error()));
  auto row = make_row(read->encoded);
  if (!row || !read->payload) return row;
  row->has_payload = true;
  const auto fits = check_payload(row->entry.view(), *read->payload);
  if (!fits) return refuse(fits.error(), 0, row->seqnum());
  return row;
}

/// The rest of a line of which `piece` has come.
RowResult read_long_row(LineReader& lines, std::string_view piece, std::uint64_t offset,
                        const JsonlFile::Told& told) {
  LongLine line(offset);
  for (bool is_last = false;;) {
    if (const auto put = line.put(piece); !put) return tl::unexpected(JsonlFault(put.error()));
    if (told) told(lines.offset());
    if (is_last) break;
    const auto next = lines.next_piece();
    if (!next) return tl::unexpected(JsonlFault(next.error()));
    if (!*next) break;
    piece = (*next)->text;
    is_last = (*next)->is_last;
  }
  const auto read = line.finish();
  if (!read) return tl::unexpected(JsonlFault(read.error()));
  auto row = make_row(read->entry.encoded);
  if (!row) return row;
  const EntryView entry = row->entry.view();
  Result<void> fits;
  if (read->entry.payload) fits = check_payload(entry, *read->entry.payload);
  if (read->payload && read->payload->hash != entry.payload_hash()) {
    fits = fail(error_for(Errc::kPayloadHash, entry.seqnum()));
  } else if (read->payload && read->payload->size_bytes != entry.payload_size()) {
    fits = fail(error_for(Errc::kPayloadSize, entry.seqnum()));
  }
  if (!fits) return refuse(fits.error(), 0, entry.seqnum());
  row->is_long = true;
  row->has_payload = read->entry.payload || read->payload;
  if (read->payload) row->payload_offset = read->payload->offset;
  return row;
}

/// A payload that is short in a line that is not, in the memory that reading the line took.
Result<JsonlEntry> read_long_line(const Descriptor& file, const JsonlRow& row) {
  LongLine line(row.offset);
  for (std::uint64_t done = 0; done < row.size_bytes;) {
    const std::uint64_t size = std::min(row.size_bytes - done, kReadAgainBytes);
    CULM_TRY(const auto piece, read_at(file, row.offset + done, static_cast<std::size_t>(size)));
    CULM_CHECK(line.put(piece));
    done += size;
  }
  CULM_TRY(auto content, line.finish());
  return std::move(content.entry);
}

Result<JsonlEntry> read_short_line(const Descriptor& file, const JsonlRow& row) {
  CULM_TRY(const auto line, read_at(file, row.offset, static_cast<std::size_t>(row.size_bytes)));
  return decode_jsonl(line);
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
    const auto piece = lines.next_piece();
    if (!piece) return refuse_line(JsonlFault(piece.error()), number);
    if (!*piece) return {};
    const auto [text, is_last] = **piece;
    if (is_last && is_blank(text)) continue;
    auto row = is_last ? decode_row(text) : read_long_row(lines, text, offset, told);
    if (!row) {
      JsonlFault& fault = row.error();
      fault.is_cut = fault.error.code == Errc::kFileFormat && lines.is_cut_before('}');
      return refuse_line(std::move(fault), number);
    }
    row->line = number;
    row->offset = offset;
    row->size_bytes = lines.offset() - offset;
    rows_.push_back(*std::move(row));
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
      kept->payload_offset = place.row->payload_offset;
      kept->is_long = place.row->is_long;
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
  if (row.payload_offset != 0) {
    Bytes payload;
    CULM_CHECK(read_payload(row, [&](ByteView piece) -> Result<void> {
      append_bytes(payload, piece);
      return {};
    }));
    return payload;
  }
  auto read = row.is_long ? read_long_line(file_, row) : read_short_line(file_, row);
  const bool is_same = read && read->payload && equal(read->encoded, row.entry.bytes());
  if (!is_same) return fail(Errc::kFileFormat);
  return *std::move(read->payload);
}

Result<void> JsonlFile::read_payload(const JsonlRow& row, const Take& take) const {
  Hasher hasher;
  std::uint64_t rest = row.entry.view().payload_size();
  for (std::uint64_t offset = row.payload_offset; rest != 0;) {
    const std::uint64_t size = std::min(rest, kReadAgainBytes);
    const auto digits = read_at(file_, offset, static_cast<std::size_t>(2 * size));
    const auto piece = digits ? from_hex(*digits) : std::nullopt;
    if (!piece) return fail(Errc::kFileFormat);
    hasher.update(*piece);
    CULM_CHECK(take(*piece));
    offset += 2 * size;
    rest -= size;
  }
  if (hasher.finish() != row.entry.view().payload_hash()) return fail(Errc::kFileFormat);
  return {};
}

}  // namespace culm::host
