#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culm/store/detail/lmdb.hpp"
#include "culm/store/detail/lmdb_calls.hpp"
#include "culm/store/detail/page.hpp"

namespace culm::store::detail {
namespace {

void put_number(std::array<std::uint8_t, kMetaBytes>& bytes, std::size_t offset,
                std::size_t number) {
  std::memcpy(bytes.data() + offset, &number, sizeof(number));
}

struct Numbering {
  std::size_t now;          ///< of the last commit
  std::size_t transaction;  ///< what it is to be
  std::size_t map_bytes;
};

/// Who will use a copy goes on from another number than that of its last commit: so that one gets
/// it, and the one before is the same. The list of free pages goes by the old numbers: it is
/// emptied, and the few pages that the copy's own commits left are lost in it.
Result<void> renumber(int file, std::size_t page_bytes, const Numbering& numbers) {
  std::array<std::uint8_t, kMetaBytes> meta{};
  const auto place = [&](std::size_t number) {
    return static_cast<off_t>(number % kMetaPages * page_bytes);
  };
  if (::pread(file, meta.data(), meta.size(), place(numbers.now)) != std::ssize(meta) ||
      number_at<std::size_t>(meta, kMetaTransactionAt) != numbers.now) {
    return fail(Errc::kStoreDamaged);
  }
  std::fill(meta.begin() + kMetaFreeAt + kTreeDepthAt, meta.begin() + kMetaMainAt, 0);
  put_number(meta, kMetaFreeAt + kTreeRootAt, kNoPage);
  put_number(meta, kMetaMapBytesAt, numbers.map_bytes);
  for (const std::size_t number : {numbers.transaction - 1, numbers.transaction}) {
    put_number(meta, 0, number % kMetaPages);
    put_number(meta, kMetaTransactionAt, number);
    if (::pwrite(file, meta.data(), meta.size(), place(number)) != std::ssize(meta)) {
      return fail(error_system(Errc::kStoreIo, errno));
    }
  }
  // A page that was not needed in the end was not written.
  const auto size =
      static_cast<off_t>((number_at<std::size_t>(meta, kMetaLastPageAt) + 1) * page_bytes);
  if (::ftruncate(file, size) != 0 || ::fsync(file) != 0) {
    return fail(error_system(Errc::kStoreIo, errno));
  }
  return {};
}

/// In pages that no list has, who looks for lost rows must find none, nor damage: empty leaves.
Result<void> clear_free_pages(MDB_txn* txn, int file, std::size_t page_bytes) {
  Bytes leaf(page_bytes);
  const std::uint16_t header[] = {kLeaf, kHeaderBytes, static_cast<std::uint16_t>(page_bytes)};
  std::memcpy(leaf.data() + kHeaderBytes - sizeof(header), header, sizeof(header));
  // A record is a count, and so many numbers of pages.
  return walk(txn, kFreeTree, [&](const KvRow& row) -> Result<void> {
    for (std::size_t i = number_at<std::size_t>(row.value, 0); i > 0; --i) {
      const std::size_t page = number_at<std::size_t>(row.value, i * sizeof(std::size_t));
      std::memcpy(leaf.data(), &page, sizeof(page));
      if (::pwrite(file, leaf.data(), page_bytes, static_cast<off_t>(page * page_bytes)) < 0) {
        return fail(error_system(Errc::kStoreIo, errno));
      }
    }
    return {};
  });
}

}  // namespace

/// Rows in the order of their keys fill the pages. Commits only bound the memory: none is durable.
class LmdbEnv::RowCopy {
 public:
  RowCopy(const LmdbTxn& from, LmdbEnv& to) : from_(from), to_(to) {}

  Result<void> run() {
    CULM_CHECK(begin());
    for (std::size_t i = 0; i < kTableCount; ++i) {
      CULM_CHECK(written([&] {
        return mdb_dbi_open(txn_->txn_.get(), kTableNames[i], MDB_CREATE, &to_.tables_[i]);
      }));
    }
    txn_->tables_ = to_.tables_;
    for (std::size_t i = 0; i < kTableCount; ++i) CULM_CHECK(copy(i));
    return txn_->commit();
  }

 private:
  Result<void> begin() {
    CULM_TRY(auto begun, to_.begin(false));
    if (!begun) return fail(Errc::kStoreIo);
    txn_.emplace(*std::move(begun));
    return {};
  }

  /// A damaged tree shows by its count or its order, or leads in circles and fills the map.
  Result<void> copy(std::size_t table) {
    CULM_CHECK(begin_table(table));
    std::size_t rows = 0;
    CULM_CHECK(walk(from_.txn_.get(), from_.tables_[table], [&](const KvRow& row) {
      ++rows;
      return append(table, row);
    }));
    MDB_stat counted{};
    mdb_stat(from_.txn_.get(), from_.tables_[table], &counted);  // known to it since it was walked
    end_.reset();
    if (rows != counted.ms_entries) return fail(Errc::kStoreDamaged);
    return {};
  }

  Result<void> begin_table(std::size_t table) {
    CULM_TRY(end_, open_cursor(txn_->txn_.get(), to_.tables_[table]));
    return {};
  }

  Result<void> append(std::size_t table, const KvRow& row) {
    if (step_bytes_ >= kStepBytes) {
      end_.reset();
      CULM_CHECK(txn_->commit());
      CULM_CHECK(begin());
      CULM_CHECK(begin_table(table));
      step_bytes_ = 0;
    }
    step_bytes_ += row.key.size() + row.value.size();
    MDB_val key = to_val(row.key);
    MDB_val value = to_val(row.value);
    return written([&] {
      const int code = mdb_cursor_put(end_.get(), &key, &value, MDB_APPEND);
      const bool is_damage =
          code == MDB_KEYEXIST || code == MDB_BAD_VALSIZE || code == MDB_MAP_FULL;
      return is_damage ? MDB_CORRUPTED : code;
    });
  }

  static constexpr std::size_t kStepBytes = std::size_t{8} << 20U;

  const LmdbTxn& from_;
  LmdbEnv& to_;
  std::optional<LmdbTxn> txn_;
  std::unique_ptr<MDB_cursor, LmdbClose> end_;
  std::size_t step_bytes_ = 0;
};

Result<void> LmdbEnv::copy_rows(const LmdbTxn& rows, const std::string& path,
                                std::size_t transaction) const {
  CULM_TRY(const Measure from, measure(env_.get()));
  // Two pages in a row hold more than one did.
  const std::size_t room = 3 * static_cast<std::size_t>(from.status.st_size) + kRoomBytes;
  CULM_TRY(auto copy, open_file(path, room, MDB_NOSYNC));
  CULM_CHECK(RowCopy(rows, copy).run());
  CULM_TRY(const Measure to, measure(copy.env_.get()));
  CULM_TRY(const auto reading, copy.begin_adopting(true));
  CULM_CHECK(clear_free_pages(reading.txn_.get(), to.file, to.pages.ms_psize));
  return renumber(to.file, to.pages.ms_psize,
                  {copy.last_transaction(), transaction, map_size_bytes()});
}

Result<std::size_t> LmdbEnv::copy_compacted(const std::string& path) {
  // Held to the end; also settles what a process that died had committed half.
  CULM_TRY(const auto writing, begin(false));
  if (!writing) return fail(Errc::kStoreBusy);
  const std::size_t last = mdb_txn_id(writing->txn_.get()) - 1;
  CULM_TRY(const Measure from, measure(env_.get()));
  const int copy = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (copy < 0) return fail(error_of(errno));
  const bool is_owned = ::fchmod(copy, from.status.st_mode & 07777U) == 0 &&
                        ::fchown(copy, from.status.st_uid, from.status.st_gid) == 0;
  const int number = errno;
  ::close(copy);
  const auto done = is_owned ? copy_rows(*writing, path, last)
                             : Result<void>(fail(error_system(Errc::kStoreIo, number)));
  if (!done) ::unlink(path.c_str());
  CULM_CHECK(done);
  return last;
}

}  // namespace culm::store::detail
