#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "culm/core/signing.hpp"
#include "culm/feed/writer.hpp"
#include "culm/store/author_mark.hpp"
#include "culm/store/store.hpp"

namespace culm::store {

/// New entries of one's own log, signed and not yet seen by anybody. Only an `Appender` makes it,
/// so that nothing that came from elsewhere is trusted as one's own.
class SignedUnit {
 public:
  [[nodiscard]] const LogKey& log() const noexcept { return unit_.log(); }
  /// Ascending, with their payloads.
  [[nodiscard]] std::span<const UnitEntry> entries() const noexcept { return unit_.entries(); }
  /// The payload of its one entry, where that is in the store already: to be bound with it, in one
  /// transaction.
  [[nodiscard]] const std::optional<StagedPayload>& staged() const noexcept { return staged_; }
  /// The same, with the verdicts that follow from having signed it.
  [[nodiscard]] const CheckedUnit& checked() const noexcept { return unit_; }

 private:
  friend class Appender;
  SignedUnit(CheckedUnit unit, const std::optional<StagedPayload>& staged)
      : unit_(std::move(unit)), staged_(staged) {}

  CheckedUnit unit_;
  std::optional<StagedPayload> staged_;
};

struct AppenderOptions {
  /// Where the mark is missing or damaged, take what the store holds as all that was ever
  /// published. A person must know that; see `Appender::open`.
  bool adopt = false;
  /// Asked once by `Appender::open` where the mark is of another store or another seqnum than the
  /// last entry here, or is missing; an error refuses. Asked by the next one too until something
  /// was appended. `tail`: that entry, 0 for none. False where nobody could be asked: then the mark
  /// says so, and the next appender asks again. Where there is none, a mark that says so goes on
  /// to.
  std::function<Result<bool>(SeqNum tail)> gate{};
};

/// Appends to one log of one's own and never forks it: sign, commit, move the mark, then return.
/// Not thread-safe. Spec: store.md#author-mark
class Appender {
 public:
  /// Commits a unit durably, into the store or through the node that runs on it, then moves the
  /// mark, and only then lets anybody know of it. Fails with the error of either; calls `move_mark`
  /// once where it succeeds.
  using MoveMark = std::function<Result<void>()>;
  using Commit = std::function<Result<void>(const SignedUnit& unit, const MoveMark& move_mark)>;

  /// Compares mark and store, and moves the mark up where the store that it is of is ahead of it on
  /// the same chain. `store`, `key` and `mark` must outlive the appender. Nothing may be appended,
  /// until the log was recovered from peers, after
  /// - kAuthorMarkBehind: the store lacks the entry that was published last;
  /// - kAuthorMarkFork: it holds another entry in its place, or one behind it that a peer showed
  ///   another in place of;
  /// - kEntryNotHeld: the store holds the log in part, without what later entries link to.
  /// With kAuthorMarkFormat the mark is damaged or, if a seqnum is given, missing although the
  /// store holds the log up to there; see `AppenderOptions::adopt`. kLogEnded and kLogCapped are
  /// final.
  [[nodiscard]] static Result<Appender> open(const Store& store, const SecretKey& key, LogId log_id,
                                             AuthorMark& mark, Commit commit,
                                             const AppenderOptions& options = {});

  Appender(Appender&&) noexcept;
  Appender& operator=(Appender&&) noexcept;
  ~Appender();

  /// Appends payloads in order, in units of at most limits::kUnitEntriesMax entries and
  /// limits::kCommitBytesTarget of payloads, or a larger one alone, each committed whole, and
  /// returns the seqnum of the last one. Looks at mark and store again for each unit, so
  /// fails as `open`, with kPayloadTooLarge, kSeqnumEnd, or the error of the commit; units that
  /// were committed before stay, and `head` tells how far it came.
  [[nodiscard]] Result<SeqNum> append(std::span<const ByteView> payloads);

  /// Appends an entry for a payload that was staged, which is bound to it with the same commit;
  /// with Tag::kEndOfLog it closes the log. Where it fails, the stage stays as it was. Fails as
  /// `append`, and with kPayloadNotHeld when the stage is gone.
  [[nodiscard]] Result<SeqNum> append_staged(const StagedPayload& payload, Tag tag = Tag::kEntry);

  /// Closes the log with an end-of-log entry and returns its seqnum. Fails as `append`.
  [[nodiscard]] Result<SeqNum> end(ByteView payload);

  /// The last entry of the log, as of the last call; 0 for none.
  [[nodiscard]] SeqNum head() const noexcept;

 private:
  struct State;
  explicit Appender(std::unique_ptr<State> state);

  Result<void> append_unit(std::span<const ByteView> payloads, Tag tag,
                           const std::optional<StagedPayload>& staged = {});

  std::unique_ptr<State> state_;
};

/// Fails with kAuthorMarkFork where something of the log is held at or above `first`: what another
/// process has signed, looking at the store as it was then, must still be the end of the log.
[[nodiscard]] Result<void> check_is_new(const ReadTransaction& transaction, const LogKey& log,
                                        SeqNum first);
/// The same before what another process has signed is ingested; its payloads are taken, also where
/// they were deleted ahead of the head. Fails also as `WriteTransaction::undelete_payloads`.
[[nodiscard]] Result<void> admit_own(Store& store, const LogKey& log, SeqRange own);

/// Commits into `store`, and checks no signature: the appender has just made them. Fails, and
/// commits nothing, with kAuthorMarkFork when the log grew in the store since they were made.
/// `store` must outlive what is returned.
[[nodiscard]] Appender::Commit commit_into(Store& store);

}  // namespace culm::store
