#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "culm/feed/verify.hpp"
#include "culm/replication/host/descriptor.hpp"
#include "culm/store/store.hpp"

/// Files of JSON lines, checked whole before anything of them is used. Spec: verification.md#jsonl
namespace culm::host {

class LineReader;

/// An entry of a file, well-formed, and where it stands.
struct JsonlRow {
  EntryBuffer entry;
  Hash hash;
  std::uint64_t line = 0;    ///< from 1
  std::uint64_t offset = 0;  ///< of a line with the entry, in bytes; with its payload if any has it
  std::uint64_t size_bytes = 0;
  std::uint64_t payload_offset = 0;  ///< of the hex of a payload that is long; else 0
  bool has_payload = false;
  bool is_long = false;      ///< was read in pieces
  bool is_verified = false;  ///< its own signature is good

  [[nodiscard]] SeqNum seqnum() const { return entry.view().seqnum(); }
};

/// The entries of a log in a file, ascending by seqnum, each once.
struct JsonlLog {
  LogKey key;
  std::vector<JsonlRow*> rows;

  [[nodiscard]] RangeSet seqnums() const;
  /// Without what lies at or above `cap`, if that is not 0.
  [[nodiscard]] JsonlLog below(SeqNum cap) const;
};

/// A log that its author forked.
struct JsonlFork {
  LogKey log;
  SeqNum at = 0;                ///< the lowest seqnum that is not valid
  RangeSet dropped{};           ///< that were held from there on, see `node::find_dropped`
  RangeSet payloads_dropped{};  ///< of these
};

/// What is wrong with a file, or with a line of it.
struct JsonlFault {
  // Implicit: an error from below becomes a fault wherever it is passed on.
  JsonlFault(const Error& why, std::uint64_t at = 0, std::optional<SeqNum> of = std::nullopt)
      : error(why), line(at), seqnum(of) {}

  Error error;
  std::uint64_t line = 0;            ///< the first that is wrong; 0 where no line is to blame
  std::optional<SeqNum> seqnum;      ///< of its entry, once that could be read
  std::optional<DefectKind> kind{};  ///< with kFork
  std::vector<JsonlFork> forks{};    ///< likewise: all that the file proves
  RangeSet missing{};                ///< with kUnitUnanchored: entries that would prove it
  std::optional<LogKey> log{};       ///< that the accepting rule, or the store, refused
  bool is_cut = false;               ///< with kFileFormat: the file ends within the line
};

template <class T>
using JsonlResult = tl::expected<T, JsonlFault>;

/// A file whose lines are all good by themselves. Keeps the entries in memory, and not the
/// payloads, which may be of any size.
///
///     auto file = JsonlFile::read(Descriptor(::open("part.jsonl", O_RDONLY)), verifier);
///     if (file && file->check(verifier)) use(file->logs());
class JsonlFile {
 public:
  /// Hears how far the work has come.
  using Told = std::function<void(std::uint64_t done)>;

  enum class Signatures { kEach, kOnlyDue };

  /// Reads and checks each line: JSON, hex, entry, payload, signature; tells the bytes read. With
  /// kOnlyDue signatures wait for `check`, which needs few where all is in order. Where
  /// `file` cannot be read twice, as a pipe, `copy` takes what was read and has the payloads then:
  /// an empty file. Fails with the first line that is wrong and why, or with kFileIo.
  [[nodiscard]] static JsonlResult<JsonlFile> read(Descriptor file, SignatureVerifier& verifier,
                                                   Signatures signatures = Signatures::kEach,
                                                   const Told& told = {},
                                                   Descriptor copy = Descriptor());

  [[nodiscard]] const std::vector<JsonlLog>& logs() const noexcept { return logs_; }
  /// How many different entries.
  [[nodiscard]] std::uint64_t entry_count() const noexcept;

  /// Reads the payload of a row once more. Fails with kFileFormat when the file has changed.
  [[nodiscard]] Result<Bytes> read_payload(const JsonlRow& row) const;
  /// The same in pieces, in order, for a row with `payload_offset`; ends early with the error of
  /// `take`. What was taken counts only when it returns.
  using Take = std::function<Result<void>(ByteView piece)>;
  [[nodiscard]] Result<void> read_payload(const JsonlRow& row, const Take& take) const;

  /// Whether the lines go together, and the accepting rule takes each log on top of what `store`
  /// holds, if there is one: all of it but what lies at or above a cap. `is_loose`: no path to
  /// entry 1 is asked for. Fails with kFork when two lines prove a defect, kLogEnded when an entry
  /// lies above the end of its log, kUnitUnanchored when it has no link target, or as
  /// `verify_unit`, with the log; but first as `read`, where a signature is wrong.
  [[nodiscard]] JsonlResult<void> check(SignatureVerifier& verifier,
                                        const store::ReadTransaction* store = nullptr,
                                        bool is_loose = false);
  /// The logs that it proves forked together with what the store of the last `check` holds, each
  /// with the first seqnum that was seen; a check of that store that fails may not know all.
  [[nodiscard]] const std::vector<JsonlFork>& forks() const noexcept { return forks_; }

 private:
  JsonlFile() = default;

  JsonlResult<void> read_lines(LineReader& lines, SignatureVerifier* verifier, const Told& told);
  JsonlResult<void> check_signatures(SignatureVerifier& verifier);
  void sort_rows();
  JsonlResult<void> check_rules(SignatureVerifier& verifier, const store::ReadTransaction* store,
                                bool is_loose);
  JsonlResult<void> check_forks() const;
  JsonlResult<void> check_ends() const;
  using FindHeld = std::function<RangeSet(const LogKey&)>;
  JsonlResult<void> check_anchored(const FindHeld& find_held) const;

  Descriptor file_;
  std::deque<JsonlRow> rows_;
  std::size_t checked_ = 0;  ///< so many of the first rows have had their signature checked
  std::vector<JsonlLog> logs_;
  std::vector<JsonlFork> forks_;
};

}  // namespace culm::host
