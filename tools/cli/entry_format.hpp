#pragma once

#include <cstddef>
#include <string>

#include "culm/store/store.hpp"

#include "tools/cli/context.hpp"
#include "tools/cli/progress.hpp"

/// How entries of a log are printed, and the one loop that prints them.
namespace culm::tools {

/// Turns entries into text, one after the other.
class EntryFormat {
 public:
  virtual ~EntryFormat() = default;

  /// Appends what stands before the payload of `entry`; whether its payload is to follow.
  [[nodiscard]] virtual Result<bool> begin(std::string& out,
                                           const store::ReadTransaction& transaction,
                                           const store::LogState& log,
                                           const store::StoredEntry& entry) = 0;
  /// Appends a part of the payload; the parts come in order.
  virtual void payload(std::string& out, ByteView part) = 0;
  /// Appends what stands behind the payload.
  virtual void end(std::string& out) = 0;
  /// Appends what is left of an entry that is damaged, or whose payload is; whether it is of use.
  [[nodiscard]] virtual bool put_remains(std::string& /*out*/, const store::LogState& /*log*/,
                                         const store::Remains& /*remains*/) {
    return false;
  }
};

/// Prints the entries `seqnums`, which must be held, in small portions: memory does not grow with
/// them, and no snapshot of the store is kept while `out` waits for its reader.
/// Leaves out what is damaged, and returns it.
/// `progress` is told of the bytes of payloads.
[[nodiscard]] Outcome<RangeSet> print_entries(Output& out, const store::Store& store,
                                              const LogKey& log, const RangeSet& seqnums,
                                              EntryFormat& format, Progress* progress = nullptr);

/// Which entries of a log have their payloads printed.
struct PrintedPayloads {
  const store::LogState& log;
  const RangeSet& seqnums;
};
/// The bytes of payloads, for a progress of their printing; 0 where it would not be shown: it has
/// no place on a terminal that prints them, nor beside the program at the other end of a pipe.
[[nodiscard]] Outcome<std::uint64_t> bytes_to_print(const Output& out, const store::Store& store,
                                                    const std::vector<PrintedPayloads>& logs);

/// Fails with kStoreDamaged where something was left out: entries, or the payloads of others.
[[nodiscard]] Outcome<void> unless_damaged(const LogKey& log, const RangeSet& damaged,
                                           const RangeSet& payloads = {});

/// What `range` names of a log: all but an open end, such as 30-, which means what there is.
[[nodiscard]] RangeSet named_in(RangeSet range);

/// Fails with `error` where something that was asked for is not held, and names it.
/// `may_be_at_peer`: a peer that could have it is known, or may be.
[[nodiscard]] Outcome<void> unless_missing(const store::LogState& log, const RangeSet& missing,
                                           Errc error = Errc::kEntryNotHeld,
                                           bool may_be_at_peer = true);

/// One line per entry: seqnum, level, payload size, the payload's start. Or an object of JSON.
class LineFormat final : public EntryFormat {
 public:
  struct Options {
    bool json = false;
    bool with_log = false;  ///< lines of several logs
    SeqNum head = 0;        ///< for the width of the seqnums
  };
  explicit LineFormat(const Options& options);

  [[nodiscard]] std::string header() const;
  [[nodiscard]] Result<bool> begin(std::string& out, const store::ReadTransaction& transaction,
                                   const store::LogState& log,
                                   const store::StoredEntry& entry) override;
  void payload(std::string& /*out*/, ByteView /*part*/) override {}
  void end(std::string& /*out*/) override {}

 private:
  Options options_;
  std::size_t seqnum_width_;
  std::size_t columns_;
};

/// The bytes of the payloads.
class PayloadFormat final : public EntryFormat {
 public:
  struct Options {
    bool json = false;    ///< an object with the payload in hex for each entry
    bool lines = false;   ///< a line end behind each payload
    bool escape = false;  ///< nothing that could drive a terminal
  };
  explicit PayloadFormat(const Options& options) : options_(options) {}

  [[nodiscard]] Result<bool> begin(std::string& out, const store::ReadTransaction& transaction,
                                   const store::LogState& log,
                                   const store::StoredEntry& entry) override;
  void payload(std::string& out, ByteView part) override;
  void end(std::string& out) override;

 private:
  Options options_;
  Bytes cut_;  // start of a character whose rest comes with the next part
};

/// JSON lines as `import` and `verify --jsonl` read them.
class JsonlFormat final : public EntryFormat {
 public:
  /// Payloads of other entries than `with_payload` are left out.
  explicit JsonlFormat(RangeSet with_payload) : with_payload_(std::move(with_payload)) {}

  [[nodiscard]] Result<bool> begin(std::string& out, const store::ReadTransaction& transaction,
                                   const store::LogState& log,
                                   const store::StoredEntry& entry) override;
  void payload(std::string& out, ByteView part) override;
  void end(std::string& out) override;
  [[nodiscard]] bool put_remains(std::string& out, const store::LogState& log,
                                 const store::Remains& remains) override;

  /// Entries that stand there alone because their payloads are damaged.
  [[nodiscard]] const RangeSet& damaged_payloads() const noexcept { return damaged_payloads_; }
  [[nodiscard]] const RangeSet& written() const noexcept { return written_; }
  /// Entries that were left out: nobody imports them, as they do not lead to entry 1 by others.
  [[nodiscard]] const RangeSet& cut_off() const noexcept { return cut_off_; }

 private:
  bool take(SeqNum seqnum);

  RangeSet with_payload_;
  RangeSet written_;
  RangeSet cut_off_;
  RangeSet damaged_payloads_;
};

}  // namespace culm::tools
