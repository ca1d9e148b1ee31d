#include "culm/store/lmdb_kv.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <utility>

#include <unistd.h>

#include "culm/core/assert.hpp"
#include "culm/core/random.hpp"
#include "culm/store/detail/lmdb.hpp"
#include "culm/store/detail/safe_read.hpp"
#include "culm/store/detail/store_directory.hpp"
#include "culm/store/detail/transaction_gate.hpp"

namespace culm::store {

using detail::Access;
using detail::LockFor;
using detail::TransactionGate;
using detail::WriterLock;

constexpr int kAdoptionsMax = 8;

struct LmdbKv::State {
  // In the order in which they are let go, last first.
  detail::DirectoryClaim claim;
  std::optional<WriterLock> node_lock;  ///< looked at and changed with a writer's ticket
  detail::LmdbEnv env;
  std::string directory;  ///< absolute: the process may change its own
  bool read_only;
  Duration wait_max;
  pid_t process = ::getpid();
  TransactionGate gate;
  std::atomic<bool> disk_full = false;     ///< the last kStoreFull was not the map's
  std::atomic<bool> write_failed = false;  ///< what the disk holds is unknown
  std::atomic<bool> is_node = false;       ///< nobody else may put another file in its place

  State(detail::DirectoryClaim taken, detail::LmdbEnv opened, std::string path,
        const LmdbOptions& options)
      : claim(std::move(taken)),
        env(std::move(opened)),
        directory(std::move(path)),
        read_only(options.read_only),
        wait_max(options.wait_max) {}

  Result<std::unique_ptr<Transaction>> begin(Access access);
  /// Whether the file is not under its name: what is written to it is lost, or nobody finds it.
  bool is_elsewhere() const { return env.is_taken_away() || (is_node && env.is_replaced()); }
  Result<void> follow();
  Result<void> swap_in_copy();
};

// Both kinds: who began to read sees only the reading half.
class LmdbKv::Transaction final : public KvWriteTransaction {
 public:
  Transaction(State& state, TransactionGate::Ticket ticket, std::optional<WriterLock> lock,
              detail::LmdbTxn txn, Access access)
      : state_(state),
        ticket_(std::move(ticket)),
        lock_(std::move(lock)),
        txn_(std::move(txn)),
        access_(access) {}
  ~Transaction() override { CULM_ASSERT(cursors_ == 0); }

  Result<std::optional<ByteView>> get(Table table, ByteView key) const override {
    check_key(key);
    CULM_ASSERT(txn_);
    return txn_->get(table, key);
  }

  Result<std::unique_ptr<KvCursor>> cursor(Table table) const override;

  const detail::LmdbTxn& txn() const { return *txn_; }

  Result<KvSpace> space() const override {
    CULM_ASSERT(txn_);
    return txn_->space();
  }

  Result<void> put(Table table, ByteView key, ByteView value) override {
    return write(key, [&] { return txn_->put(table, key, value); });
  }

  Result<void> erase(Table table, ByteView key) override {
    return write(key, [&] { return txn_->erase(table, key); });
  }

  Result<void> commit() override {
    CULM_ASSERT(txn_ && !failed_ && cursors_ == 0);
    const auto result = noted(txn_->commit());
    txn_.reset();
    lock_.reset();
    ticket_.reset();
    return result;
  }

 private:
  friend Cursor;

  static void check_key(ByteView key) { CULM_ASSERT(!key.empty() && key.size() <= kKeyBytesMax); }

  template <class Change>
  Result<void> write(ByteView key, Change change) {
    check_key(key);
    CULM_ASSERT(txn_ && !failed_);
    ++writes_;
    return noted(change());
  }

  Result<void> noted(Result<void> result) {
    if (result) return result;
    failed_ = true;
    const Error& error = result.error();
    if (error.code == Errc::kStoreFull) {
      state_.disk_full = error.detail_kind == ErrorDetail::kSystem;
    }
    if (error.code == Errc::kStoreIo) state_.write_failed = true;
    return result;
  }

  State& state_;
  std::optional<TransactionGate::Ticket> ticket_;
  std::optional<WriterLock> lock_;
  std::optional<detail::LmdbTxn> txn_;
  Access access_;
  bool failed_ = false;
  std::uint64_t writes_ = 0;
  mutable std::size_t cursors_ = 0;  // LMDB would free them with the transaction, and we once more
};

// LMDB moves cursors along with writes, but not always to where `next` promises to go on: so a
// cursor of a write transaction knows its key and finds its place again after a write.
class LmdbKv::Cursor final : public KvCursor {
 public:
  Cursor(const Transaction& transaction, detail::LmdbCursor cursor)
      : transaction_(transaction), cursor_(std::move(cursor)) {
    ++transaction_.cursors_;
  }
  ~Cursor() override { --transaction_.cursors_; }

  Result<std::optional<KvRow>> seek(ByteView key) override {
    Transaction::check_key(key);
    return arrived(cursor_.seek(key));
  }

  Result<std::optional<KvRow>> seek_before(ByteView key) override {
    Transaction::check_key(key);
    return arrived(cursor_.seek_before(key));
  }

  Result<std::optional<KvRow>> next() override {
    CULM_ASSERT(at_row_);
    if (writes_ != transaction_.writes_) {
      auto row = cursor_.seek(key_);
      if (!row || !*row || !equal((*row)->key, key_)) return arrived(std::move(row));
    }
    return arrived(cursor_.next());
  }

 private:
  Result<std::optional<KvRow>> arrived(Result<std::optional<KvRow>> row) {
    at_row_ = row && *row;
    if (at_row_ && transaction_.access_ == Access::kWrite) {
      key_.assign((*row)->key.begin(), (*row)->key.end());
      writes_ = transaction_.writes_;
    }
    return row;
  }

  const Transaction& transaction_;
  detail::LmdbCursor cursor_;
  bool at_row_ = false;
  Bytes key_;
  std::uint64_t writes_ = 0;
};

Result<std::unique_ptr<KvCursor>> LmdbKv::Transaction::cursor(Table table) const {
  CULM_ASSERT(txn_);
  CULM_TRY(auto cursor, txn_->cursor(table));
  return std::make_unique<Cursor>(*this, std::move(cursor));
}

Result<std::unique_ptr<LmdbKv::Transaction>> LmdbKv::State::begin(Access access) {
  if (::getpid() != process) return fail(Errc::kStoreLocked);
  const bool writes = access == Access::kWrite;
  for (int adoptions = 0;; ++adoptions) {
    {
      auto ticket = gate.enter(access);
      std::optional<WriterLock> lock;
      if (writes && !node_lock) {
        CULM_TRY(auto turn, WriterLock::take(directory, LockFor::kTransaction, wait_max));
        lock.emplace(std::move(turn));
      }
      if (writes && is_elsewhere()) return fail(Errc::kStoreNotFound);
      // With a lock to write the file stays in its place. Who reads finds out afterwards, and a
      // snapshot within another is of the same file.
      bool is_left = writes && env.is_replaced();
      if (!is_left) {
        CULM_TRY(auto txn, env.begin(!writes));
        // Asked inside, because the writer we waited for may have failed.
        if (writes && write_failed) return fail(Errc::kStoreIo);
        is_left = txn && !writes && !is_node && env.is_replaced() && !gate.is_nested();
        if (txn && !is_left) {
          return std::make_unique<Transaction>(*this, std::move(ticket), std::move(lock),
                                               *std::move(txn), access);
        }
      }
    }
    // Others may grow the map or replace the file again meanwhile, but not for ever.
    if (adoptions == kAdoptionsMax) return fail(Errc::kStoreIo);
    CULM_CHECK(gate.alone([&] { return follow(); }));
  }
}

/// Goes on with what other processes have made of the file.
Result<void> LmdbKv::State::follow() {
  return !is_node && env.is_replaced() ? env.reopen() : env.set_map_size_bytes(0);
}

Result<void> LmdbKv::State::swap_in_copy() {
  const auto replaced = detail::replace_data_file(directory, wait_max);
  // What is written to the new file could be lost with its name.
  if (!replaced && replaced.error().code != Errc::kStoreLocked) write_failed = true;
  if (env.is_replaced()) CULM_CHECK(env.reopen());
  return replaced;
}

void set_abort_handler(AbortHandler handler) { detail::set_abort_handler(handler); }

void leave_read() { detail::leave_read(); }

std::optional<long> lock_holder(const std::string& directory) {
  return WriterLock::holder(directory);
}
std::optional<long> find_opener(const std::string& directory) {
  return detail::OpeningLock::holder(directory);
}

std::optional<std::string> find_odd_file(const std::string& directory) {
  return detail::find_odd_file(directory);
}

Result<std::uint64_t> file_size_bytes(const std::string& directory) {
  const auto file = detail::find_data_file(directory);
  if (!file) return fail(Errc::kStoreNotFound);
  return static_cast<std::uint64_t>(file->st_size);
}

std::uint64_t compacted_bytes(const std::string& directory) {
  std::error_code error;
  const auto size = std::filesystem::file_size(detail::copy_path(directory), error);
  return error ? 0 : size;
}

Result<std::unique_ptr<LmdbKv>> LmdbKv::open(const std::string& directory,
                                             const LmdbOptions& options) {
  const bool may_create = options.create && !options.read_only;
  bool is_new = false;
  if (may_create) {
    CULM_TRY(is_new, detail::make_directory(directory));
  }
  if (!options.allow_network_filesystem) CULM_CHECK(detail::check_filesystem(directory));
  CULM_CHECK(detail::check_files(directory));
  CULM_TRY(auto claim, detail::DirectoryClaim::take(directory));
  CULM_TRY(const bool exists, detail::has_data_file(directory));
  if (!exists && !may_create) return fail(Errc::kStoreNotFound);
  std::optional<WriterLock> lock;  // until the tables are made
  if (!options.read_only) {
    CULM_TRY(auto turn, WriterLock::take(directory, LockFor::kTransaction, options.wait_max));
    lock.emplace(std::move(turn));
  }
  std::error_code error;
  const auto absolute = std::filesystem::absolute(directory, error);
  if (error) return fail(error_system(Errc::kStoreIo, error.value()));
  if (!options.read_only) detail::drop_copies(directory);
  auto opened = detail::LmdbEnv::open(absolute.string(), options.map_size_bytes, options.read_only,
                                      options.wait_max);
  if (!opened && may_create && !exists) {
    lock.reset();
    detail::drop_unmade(directory, is_new);
  }
  CULM_TRY(auto env, std::move(opened));
  // Who found the file may have been faster than the process that made it.
  if (!options.read_only) CULM_CHECK(detail::sync_directory(directory));
  if (!options.read_only) detail::keep_reserve(directory);
  return std::unique_ptr<LmdbKv>(new LmdbKv(
      std::make_unique<State>(std::move(claim), std::move(env), absolute.string(), options)));
}

LmdbKv::LmdbKv(std::unique_ptr<State> state) : state_(std::move(state)) {}
LmdbKv::~LmdbKv() = default;

Result<std::unique_ptr<KvReadTransaction>> LmdbKv::begin_read() {
  return state_->begin(Access::kRead);
}

Result<std::unique_ptr<KvWriteTransaction>> LmdbKv::begin_write() {
  if (state_->read_only) return fail(Errc::kStoreReadOnly);
  return state_->begin(Access::kWrite);
}

Result<void> LmdbKv::grow() {
  if (state_->read_only) return fail(Errc::kStoreReadOnly);
  if (state_->disk_full) return fail(Errc::kStoreFull);
  return state_->gate.alone([&]() -> Result<void> {
    const std::size_t size = state_->env.map_size_bytes();
    const std::size_t size_max = detail::disk_size_bytes(state_->directory).value_or(SIZE_MAX);
    if (size >= size_max) return fail(Errc::kStoreFull);
    return state_->env.set_map_size_bytes(size > size_max / 2 ? size_max : 2 * size);
  });
}

Result<void> LmdbKv::compact() {
  constexpr int kCopiesMax = 4;
  State& state = *state_;
  if (state.read_only) return fail(Errc::kStoreReadOnly);
  if (::getpid() != state.process) return fail(Errc::kStoreLocked);
  // No process may begin to write to the file that is about to go.
  std::optional<WriterLock> lock;
  {
    const auto ticket = state.gate.enter(Access::kWrite);
    if (!state.node_lock) {
      CULM_TRY(auto taken, WriterLock::take(state.directory, LockFor::kNode, kNodeLockWaitMax));
      lock.emplace(std::move(taken));
    }
    if (state.is_elsewhere()) return fail(Errc::kStoreNotFound);
  }
  CULM_CHECK(state.begin(Access::kRead));  // it may have been another file until now
  for (int copies = 0; copies < kCopiesMax; ++copies) {
    std::size_t copied = 0;
    {
      const auto ticket = state.gate.enter(Access::kWrite);
      CULM_TRY(copied, state.env.copy_compacted(detail::copy_path(state.directory)));
    }
    bool is_done = false;
    const auto swapped = state.gate.alone([&]() -> Result<void> {
      is_done = state.env.last_transaction() == copied;
      return is_done ? state.swap_in_copy() : Result<void>();
    });
    if (is_done && swapped) return {};
    detail::drop_copies(state.directory);
    CULM_CHECK(swapped);
  }
  return fail(Errc::kStoreBusy);  // threads of this process keep writing
}

Result<KvClaim> LmdbKv::claim() {
  while (true) {
    std::array<std::uint8_t, sizeof(std::uint64_t)> bytes{};
    SystemRandom().fill(bytes);
    // The place of a byte in a file.
    const std::uint64_t number = from_big_endian(bytes) / 4 + 1;
    auto lock = detail::ClaimLock::take(state_->directory, number);
    if (lock) return KvClaim{number, std::make_shared<detail::ClaimLock>(*std::move(lock))};
    if (lock.error().code != Errc::kStoreLocked) return fail(lock.error());
  }
}

bool LmdbKv::is_claimed(std::uint64_t number) {
  return detail::ClaimLock::is_held(state_->directory, number);
}

bool LmdbKv::release_reserve() { return detail::release_reserve(state_->directory); }
void LmdbKv::keep_reserve() {
  if (!state_->read_only) detail::keep_reserve(state_->directory);
}

Result<void> LmdbKv::copy_to(const std::string& file) {
  CULM_TRY(const auto reading, state_->begin(Access::kRead));
  return state_->env.copy_rows(reading->txn(), file);
}

void LmdbKv::check_readers() {
  const auto ticket = state_->gate.enter(Access::kRead);
  state_->env.check_readers();
}

Result<NodeLock> LmdbKv::lock_for_node(Duration wait_max) {
  if (state_->read_only) return fail(Errc::kStoreReadOnly);
  if (::getpid() != state_->process) return fail(Errc::kStoreLocked);
  {
    const auto ticket = state_->gate.enter(Access::kWrite);
    if (state_->node_lock) return fail(Errc::kStoreLocked);
    CULM_TRY(auto taken, WriterLock::take(state_->directory, LockFor::kNode, wait_max));
    state_->node_lock.emplace(std::move(taken));
  }
  NodeLock lock(state_.get());
  CULM_CHECK(state_->begin(Access::kRead));  // it may have been another file until now
  state_->is_node = true;
  return lock;
}

NodeLock::NodeLock(NodeLock&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

NodeLock::~NodeLock() {
  if (state_ == nullptr) return;
  const auto ticket = state_->gate.enter(Access::kWrite);
  state_->is_node = false;
  state_->node_lock.reset();
}

}  // namespace culm::store
