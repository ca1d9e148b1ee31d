#include "culm/store/memory_kv.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "culm/core/assert.hpp"
#include "culm/store/detail/transaction_gate.hpp"

namespace culm::store {
namespace detail {

struct MemoryRow {
  Bytes key;
  Bytes value;
  std::uint64_t priority;
};

// A treap that is never changed: a write copies the path to its row and shares the rest, so that
// snapshots, undoing and crashes are a matter of keeping the right root.
struct MemoryNode {
  std::shared_ptr<const MemoryRow> row;
  std::shared_ptr<const MemoryNode> left;
  std::shared_ptr<const MemoryNode> right;
};

}  // namespace detail

namespace {

using detail::Access;
using detail::TransactionGate;
using Node = std::shared_ptr<const detail::MemoryNode>;
using Row = std::shared_ptr<const detail::MemoryRow>;

// From the key alone, so that a table's shape, and with it the time taken, can be repeated.
std::uint64_t priority_of(ByteView key) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const std::uint8_t byte : key) hash = (hash ^ byte) * 0x100000001b3U;
  hash = (hash ^ hash >> 32U) * 0xd6e8feb86659fd93U;
  return hash ^ hash >> 32U;
}

bool below(ByteView a, ByteView b) { return std::ranges::lexicographical_compare(a, b); }

Node make_node(Row row, Node left, Node right) {
  return std::make_shared<const detail::MemoryNode>(
      detail::MemoryNode{std::move(row), std::move(left), std::move(right)});
}

const detail::MemoryRow* find_row(const Node& root, ByteView key) {
  const detail::MemoryNode* node = root.get();
  while (node != nullptr) {
    if (below(key, node->row->key)) {
      node = node->left.get();
    } else if (below(node->row->key, key)) {
      node = node->right.get();
    } else {
      return node->row.get();
    }
  }
  return nullptr;
}

// The first row at or behind `key`; only behind it if `behind`.
const detail::MemoryRow* find_from(const Node& root, ByteView key, bool behind) {
  const detail::MemoryRow* best = nullptr;
  const detail::MemoryNode* node = root.get();
  while (node != nullptr) {
    const bool candidate = behind ? below(key, node->row->key) : !below(node->row->key, key);
    if (candidate) best = node->row.get();
    node = candidate ? node->left.get() : node->right.get();
  }
  return best;
}

const detail::MemoryRow* find_before(const Node& root, ByteView key) {
  const detail::MemoryRow* best = nullptr;
  const detail::MemoryNode* node = root.get();
  while (node != nullptr) {
    const bool candidate = below(node->row->key, key);
    if (candidate) best = node->row.get();
    node = candidate ? node->right.get() : node->left.get();
  }
  return best;
}

// The rows below `key` and those above it. Precondition: `key` itself is not there.
std::pair<Node, Node> split(const Node& node, ByteView key) {
  if (!node) return {};
  if (below(key, node->row->key)) {
    auto [less, greater] = split(node->left, key);
    return {std::move(less), make_node(node->row, std::move(greater), node->right)};
  }
  auto [less, greater] = split(node->right, key);
  return {make_node(node->row, node->left, std::move(less)), std::move(greater)};
}

// Precondition: every key of `less` is below every key of `greater`.
Node merge(const Node& less, const Node& greater) {
  if (!less || !greater) return less ? less : greater;
  if (less->row->priority > greater->row->priority) {
    return make_node(less->row, less->left, merge(less->right, greater));
  }
  return make_node(greater->row, merge(less, greater->left), greater->right);
}

Node with_row(const Node& node, const Row& row) {
  if (!node || node->row->priority < row->priority) {
    auto [less, greater] = split(node, row->key);
    return make_node(row, std::move(less), std::move(greater));
  }
  if (below(row->key, node->row->key)) {
    return make_node(node->row, with_row(node->left, row), node->right);
  }
  if (below(node->row->key, row->key)) {
    return make_node(node->row, node->left, with_row(node->right, row));
  }
  return make_node(row, node->left, node->right);
}

// Precondition: the row is there.
Node without_row(const Node& node, ByteView key) {
  if (below(key, node->row->key)) {
    return make_node(node->row, without_row(node->left, key), node->right);
  }
  if (below(node->row->key, key)) {
    return make_node(node->row, node->left, without_row(node->right, key));
  }
  return merge(node->left, node->right);
}

std::uint64_t size_of(const detail::MemoryRow* row) {
  return row == nullptr ? 0 : row->key.size() + row->value.size();
}

void check_key(ByteView key) { CULM_ASSERT(!key.empty() && key.size() <= kKeyBytesMax); }

}  // namespace

bool MemoryPage::has(Table of, ByteView key) const {
  return of == table && !below(key, first) && !below(last, key);
}

struct MemoryKv::State {
  mutable std::mutex mutex;  // guards images and claims; the writer's ticket guards the rest
  MemoryImage committed;
  MemoryImage on_disk;
  MemoryOptions options;
  std::atomic<std::uint64_t> operations = 0;
  bool write_failed = false;
  TransactionGate gate;
  std::vector<std::weak_ptr<const void>> claims;  // by number less 1
};

class MemoryKv::Transaction final : public KvWriteTransaction {
 public:
  Transaction(State& state, TransactionGate::Ticket ticket, MemoryImage image)
      : state_(state), ticket_(std::move(ticket)), image_(std::move(image)) {}
  ~Transaction() override { CULM_ASSERT(cursors_ == 0); }

  Result<std::optional<ByteView>> get(Table table, ByteView key) const override {
    check_key(key);
    CULM_ASSERT(ticket_);
    CULM_CHECK(check_page(table, key));
    const auto* row = find_row(root(table), key);
    if (row == nullptr) return std::nullopt;
    return ByteView(row->value);
  }

  Result<std::unique_ptr<KvCursor>> cursor(Table table) const override;
  Result<KvSpace> space() const override { return KvSpace{}; }

  Result<void> put(Table table, ByteView key, ByteView value) override {
    check_key(key);
    CULM_CHECK(check_page(table, key));
    CULM_CHECK(count_operation());
    const std::uint64_t before = size_of(find_row(root(table), key));
    const std::uint64_t after = key.size() + value.size();
    const std::uint64_t size_bytes = image_.size_bytes - before + after;
    if (after > before && size_bytes > state_.options.full_after_bytes) {
      failed_ = true;
      return fail(Errc::kStoreFull);
    }
    const Row row = std::make_shared<const detail::MemoryRow>(detail::MemoryRow{
        Bytes(key.begin(), key.end()), Bytes(value.begin(), value.end()), priority_of(key)});
    root(table) = with_row(root(table), row);
    image_.size_bytes = size_bytes;
    return {};
  }

  Result<void> erase(Table table, ByteView key) override {
    check_key(key);
    CULM_CHECK(check_page(table, key));
    CULM_CHECK(count_operation());
    const auto* row = find_row(root(table), key);
    if (row == nullptr) return {};
    image_.size_bytes -= size_of(row);
    root(table) = without_row(root(table), key);
    return {};
  }

  Result<void> commit() override {
    CULM_ASSERT(cursors_ == 0);
    const auto counted = count_operation();
    {
      const std::lock_guard lock(state_.mutex);
      if (counted) state_.committed = image_;
      if (counted || state_.options.failed_commit_lands) state_.on_disk = image_;
    }
    ticket_.reset();
    return counted;
  }

 private:
  friend Cursor;

  const Node& root(Table table) const { return image_.tables[static_cast<std::size_t>(table)]; }
  Node& root(Table table) { return image_.tables[static_cast<std::size_t>(table)]; }

  Result<void> check_page(Table table, ByteView key) const {
    const auto& damaged = state_.options.damaged;
    if (damaged && damaged->has(table, key)) return fail(Errc::kStoreDamaged);
    return {};
  }

  Result<void> count_operation() {
    CULM_ASSERT(ticket_ && !failed_);
    if (++state_.operations != state_.options.fail_operation) return {};
    failed_ = true;
    state_.write_failed = true;
    return fail(Errc::kStoreIo);
  }

  State& state_;
  std::optional<TransactionGate::Ticket> ticket_;
  MemoryImage image_;
  bool failed_ = false;
  mutable std::size_t cursors_ = 0;
};

class MemoryKv::Cursor final : public KvCursor {
 public:
  Cursor(const Transaction& transaction, Table table) : transaction_(transaction), table_(table) {
    ++transaction_.cursors_;
  }
  ~Cursor() override { --transaction_.cursors_; }

  Result<std::optional<KvRow>> seek(ByteView key) override {
    check_key(key);
    return arrived(find_from(transaction_.root(table_), key, false));
  }

  Result<std::optional<KvRow>> next() override {
    CULM_ASSERT(at_row_);
    return arrived(find_from(transaction_.root(table_), key_, true));
  }

  Result<std::optional<KvRow>> seek_before(ByteView key) override {
    check_key(key);
    return arrived(find_before(transaction_.root(table_), key));
  }

 private:
  Result<std::optional<KvRow>> arrived(const detail::MemoryRow* row) {
    at_row_ = row != nullptr;
    if (!at_row_) return std::nullopt;
    CULM_CHECK(transaction_.check_page(table_, row->key));
    key_ = row->key;
    return KvRow{row->key, row->value};
  }

  const Transaction& transaction_;
  Table table_;
  bool at_row_ = false;
  Bytes key_;
};

Result<std::unique_ptr<KvCursor>> MemoryKv::Transaction::cursor(Table table) const {
  CULM_ASSERT(ticket_);
  return std::make_unique<Cursor>(*this, table);
}

MemoryKv::MemoryKv(const MemoryOptions& options, MemoryImage image)
    : state_(std::make_unique<State>()) {
  state_->committed = image;
  state_->on_disk = std::move(image);
  state_->options = options;
}

MemoryKv::~MemoryKv() = default;

Result<std::unique_ptr<KvReadTransaction>> MemoryKv::begin_read() {
  auto ticket = state_->gate.enter(Access::kRead);
  const std::lock_guard lock(state_->mutex);
  return std::make_unique<Transaction>(*state_, std::move(ticket), state_->committed);
}

Result<std::unique_ptr<KvWriteTransaction>> MemoryKv::begin_write() {
  auto ticket = state_->gate.enter(Access::kWrite);
  if (state_->write_failed) return fail(Errc::kStoreIo);
  const std::lock_guard lock(state_->mutex);
  return std::make_unique<Transaction>(*state_, std::move(ticket), state_->committed);
}

Result<void> MemoryKv::grow() {
  return state_->gate.alone([&]() -> Result<void> {
    auto& size = state_->options.full_after_bytes;
    if (!state_->options.may_grow) return fail(Errc::kStoreFull);
    size += std::min(size, std::numeric_limits<std::uint64_t>::max() - size);
    return {};
  });
}

Result<KvClaim> MemoryKv::claim() {
  const std::lock_guard lock(state_->mutex);
  KvClaim claim{state_->claims.size() + 1, std::make_shared<char>()};
  state_->claims.push_back(claim.held);
  return claim;
}

bool MemoryKv::is_claimed(std::uint64_t number) {
  const std::lock_guard lock(state_->mutex);
  const auto& claims = state_->claims;
  return number - 1 < claims.size() && !claims[static_cast<std::size_t>(number - 1)].expired();
}

MemoryImage MemoryKv::image() const {
  const std::lock_guard lock(state_->mutex);
  return state_->on_disk;
}

std::uint64_t MemoryKv::operations() const { return state_->operations; }

}  // namespace culm::store
