#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "culm/core/bytes.hpp"
#include "culm/core/hash.hpp"
#include "culm/core/time.hpp"
#include "culm/core/types.hpp"
#include "culm/store/store.hpp"

namespace culm::store {

/// What a mark names in place of its store where the append gate was due, and nobody could be
/// asked: no store has it, so the gate is due again. Spec: store.md#append-gate
inline constexpr StoreId kUnaskedStore{};
/// Likewise where all of the log was appended so: it began here, or its author lost all but the
/// key.
inline constexpr StoreId kBegunStore{1};
/// Likewise where a peer showed another entry in place of one behind it: says which that was here,
/// and how many lie between of which nobody knows.
[[nodiscard]] StoreId branch_store(const Hash& other, std::uint64_t between = 0);

/// The last entry of a log that was published from here.
struct Published {
  SeqNum seqnum = 0;  ///< 0: none yet
  Hash hash;
  StoreId store{};  ///< where it was committed, or one of those above
  /// A later one was lost, or its writing did not end: the store must be ahead of this one.
  bool is_overtaken = false;
  /// The mark or the store is not the file that it was when this was written: one was copied,
  /// restored or carried along.
  bool is_copied = false;
  /// It was written beside another store, and neither it nor that one need to have moved.
  bool is_elsewhere = false;

  /// Whether it was appended without having asked anybody who could know of more.
  [[nodiscard]] bool is_unasked() const noexcept {
    return store == kUnaskedStore || is_begun() || is_branch();
  }
  [[nodiscard]] bool is_begun() const noexcept { return store == kBegunStore; }
  [[nodiscard]] bool is_branch() const noexcept { return branch_at() != 0; }
  /// The entry that a peer showed otherwise; 0: none.
  [[nodiscard]] SeqNum branch_at() const noexcept;

  friend bool operator==(const Published&, const Published&) = default;
};

/// A mark, and what its file tells besides.
struct FiledMark {
  Published published;
  std::uint64_t store_file = 0;  ///< the number of that which it was written beside; 0: not known
  bool is_forgotten = false;     ///< the log was, on purpose, and was not appended to since
};

/// Remembers, outside of the store, what was published, so that a store that lost entries is never
/// appended to and the author never forks their own log. Injected: a
/// simulation has its own. Spec: store.md#author-mark
class AuthorMark {
 public:
  virtual ~AuthorMark() = default;

  /// Waits for other appenders to the log, then keeps them out until `unlock`. Fails with
  /// kAuthorMarkLocked when that takes too long, kFileIo. Where there is only one, nothing is to be
  /// done.
  [[nodiscard]] virtual Result<void> lock() { return {}; }
  virtual void unlock() noexcept {}
  /// What was written last, or nothing when nothing ever was. Fails with kAuthorMarkFormat,
  /// kFileIo.
  [[nodiscard]] virtual Result<std::optional<Published>> read() = 0;
  /// Durable when it returns. What was copied stays so where `published` says it. Fails with
  /// kFileIo.
  [[nodiscard]] virtual Result<void> write(const Published& published) = 0;
};

/// Whether it was read and says `Published::is_unasked`.
[[nodiscard]] bool is_unasked(AuthorMark& mark);

/// Calls `act` with the mark locked. Fails as both.
template <class Act>
[[nodiscard]] Result<void> with_lock(AuthorMark& mark, Act act) {
  CULM_CHECK(mark.lock());
  Result<void> done = act();
  mark.unlock();
  return done;
}

/// So that what was made at `path` is still there after a crash. Fails with kFileIo.
[[nodiscard]] Result<void> sync_parent(const std::string& path);

/// The mark in a file of two slots, written alternately. Its lock is on the file, so that one key
/// appends to a log in one process at a time.
class FileAuthorMark final : public AuthorMark {
 public:
  static constexpr Duration kWaitMax = std::chrono::seconds(10);

  /// Opens the file, or makes it, whole, and its directories, where there is none. Fails with
  /// kFileIo. `lock` waits at most `wait_max`, and lets who waits go before who holds the lock and
  /// wants it again. `store_file`: a number of the store, by which a copy of it is known; 0 for
  /// none. A file that was made goes with this where nothing was written to it, and so do
  /// directories.
  [[nodiscard]] static Result<std::unique_ptr<FileAuthorMark>> open(const std::string& path,
                                                                    const LogKey& log,
                                                                    Duration wait_max = kWaitMax,
                                                                    std::uint64_t store_file = 0);
  /// To `read` only. Fails with kFileIo, also where there is none.
  [[nodiscard]] static Result<std::unique_ptr<FileAuthorMark>> open_to_read(
      const std::string& path, const LogKey& log, std::uint64_t store_file = 0);
  /// Makes the file, whole, what `other` is, and its directories. False, with nothing done, where
  /// there is one already, or no `other` any more. Fails with kFileIo.
  [[nodiscard]] static Result<bool> copy(const std::string& other, const std::string& path);

  FileAuthorMark(const FileAuthorMark&) = delete;
  FileAuthorMark& operator=(const FileAuthorMark&) = delete;
  ~FileAuthorMark() override;

  [[nodiscard]] Result<void> lock() override;
  void unlock() noexcept override;
  /// Fails with kAuthorMarkFormat when no slot is good or the mark is another log's.
  [[nodiscard]] Result<std::optional<Published>> read() override;
  /// Fails as `read`.
  [[nodiscard]] Result<std::optional<FiledMark>> read_file();
  [[nodiscard]] Result<void> write(const Published& published) override;
  /// That the log is forgotten on purpose, until it is appended to again. What the mark says
  /// stays. Fails as `read` and `write`.
  [[nodiscard]] Result<void> write_forgotten();

 private:
  struct Slots;
  /// What there was not before.
  struct Made {
    bool is_file = false;
    std::string directory{};  ///< the topmost, "": none
  };
  struct Opened;
  template <class Fill>
  static Result<Made> make(const std::string& path, Fill fill);
  static Result<Opened> open_or_make(const std::string& path, const LogKey& log);

  FileAuthorMark(std::string path, int descriptor, const LogKey& log, Duration wait_max,
                 std::uint64_t store_file)
      : path_(std::move(path)),
        descriptor_(descriptor),
        log_(log),
        wait_max_(wait_max),
        store_file_(store_file) {}

  Result<Slots> read_slots() const;
  Result<Bytes> make_place(std::uint64_t store_file) const;
  void remove_unwritten() const;

  std::string path_;
  int descriptor_;
  LogKey log_;
  Duration wait_max_;
  std::uint64_t store_file_;
  Made made_{};
};

}  // namespace culm::store
