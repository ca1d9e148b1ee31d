#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "culm/core/random.hpp"
#include "culm/core/result.hpp"
#include "culm/core/types.hpp"

/// A store whose file has damaged pages, written again with the rows that can still be read.
/// Spec: damage.md#damaged-pages
namespace culm::store {

/// How many pages of the file are damaged, as far as something leads to them. Trusts none, and
/// needs no store to be open. 0 where others write all the time: then it cannot be found out.
/// Fails with kStoreNotFound, kStoreIo, and with kStoreDamaged where nothing can be made of the
/// file.
[[nodiscard]] Result<std::uint64_t> count_damaged_pages(const std::string& directory);

/// Whether a row of ours can be read in the file, also where nothing leads to it. Where there is no
/// file, or it cannot be read, it is true as well.
[[nodiscard]] bool can_salvage(const std::string& directory);

/// A damaged file that a repair has kept beside the store's.
struct KeptFile {
  std::string path;
  std::uint64_t size_bytes = 0;
};

/// The first that was kept comes first.
[[nodiscard]] std::vector<KeptFile> list_kept(const std::string& directory);

/// Nobody writes to the store while this lives, and no node runs on it. What it has made goes with
/// it, unless `finish` put it in place.
class Salvage {
 public:
  /// Makes another file of the rows that can be read, in a directory below. Fails with
  /// kStoreLocked while a node runs or this process has the store open, with kStoreFull, kStoreIo,
  /// and with kStoreDamaged where nothing can be made of the file. The store is as it was.
  [[nodiscard]] static Result<Salvage> begin(const std::string& directory, Random& random);
  Salvage(Salvage&& other) noexcept;
  Salvage& operator=(Salvage&&) noexcept;
  ~Salvage();

  /// Where what was made can be looked at, as a store. What is lost of a log shows there as damage
  /// to its rows.
  [[nodiscard]] const std::string& directory() const noexcept;
  [[nodiscard]] std::uint64_t damaged_pages() const noexcept;
  /// What leads to others is damaged, or a commit may be lost, so that there may be more.
  [[nodiscard]] bool may_more_be_damaged() const noexcept;
  /// Of so many entries no row was found; nothing where the file does not say how many there were.
  [[nodiscard]] std::optional<std::uint64_t> lost_entries() const noexcept;
  /// Whether something was found of each log that the file had, as far as it says how many.
  [[nodiscard]] bool are_all_logs_found() const noexcept;
  /// So many entries no row nor state tells of; nothing likewise.
  [[nodiscard]] std::optional<std::uint64_t> unnamed_entries() const noexcept;
  /// Made of pages that nothing leads to and that may be older than what was lost with them: a
  /// forget of such a log, or a delete of payloads of it, may be undone.
  [[nodiscard]] const std::set<LogKey>& old_logs() const noexcept;
  /// The last commit was lost with its meta page or, without either of them, may be.
  [[nodiscard]] bool may_be_older() const noexcept;
  /// Under which name the old file, of which not all may have been read, stays beside the new one;
  /// "" where it goes.
  [[nodiscard]] const std::string& kept_file() const noexcept;
  /// Puts it in the place of the old file, durably. Fails with kStoreFull and kStoreIo: then the
  /// store is as it was.
  [[nodiscard]] Result<void> finish() &&;

 private:
  struct State;
  explicit Salvage(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace culm::store
