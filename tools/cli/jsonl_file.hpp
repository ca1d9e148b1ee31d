#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culm/feed/verify.hpp"
#include "culm/store/store.hpp"

#include "tools/cli/files.hpp"

/// Files of JSON lines, checked whole. Spec: verification.md#jsonl
namespace culm::tools {

/// An entry of a file, well-formed and authentic, and where it stands.
struct JsonlRow {
  EntryBuffer entry;
  Hash hash;
  std::uint64_t line = 0;    ///< from 1
  std::uint64_t offset = 0;  ///< of a line with the entry, in bytes; with its payload if any has it
  std::size_t size_bytes = 0;
  bool has_payload = false;

  [[nodiscard]] SeqNum seqnum() const { return entry.view().seqnum(); }
};

/// The entries of a log in a file, ascending by seqnum, each once.
struct JsonlLog {
  LogKey key;
  std::vector<const JsonlRow*> rows;

  [[nodiscard]] RangeSet seqnums() const;
};

/// A file whose lines are all good by themselves. Keeps the entries in memory, and not the
/// payloads.
class JsonlFile {
 public:
  /// Reads and checks each line: JSON, hex, entry, payload, signature. Fails with exit 4 and the
  /// line, the seqnum and the reason of the first that is wrong.
  [[nodiscard]] static Outcome<JsonlFile> read(const std::string& path,
                                               SignatureVerifier& verifier);

  [[nodiscard]] const std::vector<JsonlLog>& logs() const noexcept { return logs_; }
  /// How many different entries.
  [[nodiscard]] std::uint64_t entry_count() const noexcept;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Reads the payload of a row once more. Fails with exit 4 when the file has changed.
  [[nodiscard]] Outcome<Bytes> read_payload(const JsonlRow& row) const;

  /// Fails with exit 7 when two entries prove a defect.
  [[nodiscard]] Outcome<void> check_forks() const;
  /// Fails with exit 4 when an entry lies above an end-of-log entry.
  [[nodiscard]] Outcome<void> check_ends() const;
  /// Fails with exit 4 when an entry has no link target in the file nor in `held`, by log.
  using FindHeld = std::function<RangeSet(const LogKey&)>;
  [[nodiscard]] Outcome<void> check_anchored(const FindHeld& find_held) const;

 private:
  JsonlFile(std::string path, Descriptor file) : path_(std::move(path)), file_(std::move(file)) {}

  Outcome<void> read_lines(SignatureVerifier& verifier);
  void sort_rows();

  std::string path_;
  Descriptor file_;
  std::deque<JsonlRow> rows_;
  std::vector<JsonlLog> logs_;
};

/// What is held of a log, together with what of a file was accepted already.
class HeldAndAccepted final : public HeldLog {
 public:
  /// Without `state` nothing is held. All must outlive this.
  HeldAndAccepted(const store::ReadTransaction* transaction, const store::LogState* state);

  /// Takes a row as held and verified.
  void add(const JsonlRow& row);

  [[nodiscard]] const RangeSet& held() const override { return held_; }
  [[nodiscard]] const RangeSet& verified() const override { return verified_; }
  [[nodiscard]] SeqNum cap() const override { return cap_; }
  [[nodiscard]] SeqNum end_of_log() const override { return end_of_log_; }
  [[nodiscard]] Result<EntryView> entry(SeqNum seqnum) override;

 private:
  const store::ReadTransaction* transaction_;
  const store::LogState* state_;
  RangeSet held_;
  RangeSet verified_;
  SeqNum cap_ = 0;
  SeqNum end_of_log_ = 0;
  std::vector<const JsonlRow*> rows_;  // ascending
};

/// Whether the accepting rule takes `log` of the file on top of `held`, unit by unit. Returns
/// whether it proves a defect against what is held. Fails with the line, the seqnum and the reason.
[[nodiscard]] Outcome<bool> accept_log(const JsonlLog& log, HeldAndAccepted held,
                                       SignatureVerifier& verifier, bool is_loose);

/// `verify --jsonl`. Spec: verification.md#jsonl
[[nodiscard]] Outcome<void> verify_jsonl(const JsonlFile& file, SignatureVerifier& verifier,
                                         bool is_loose);

}  // namespace culm::tools
