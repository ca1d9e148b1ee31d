#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "culm/store/check.hpp"
#include "culm/store/detail/log_sets.hpp"
#include "culm/store/detail/schema.hpp"
#include "culm/store/memory_kv.hpp"
#include "culm/store/store.hpp"

#include "tests/support/held_log.hpp"
#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"
#include "tests/support/watched_kv.hpp"

namespace culm::store {

/// For gtest's messages.
inline void PrintTo(const LogState& state, std::ostream* out) {
  *out << "log " << state.number << " held " << to_string(state.held) << " payloads "
       << to_string(state.payloads) << " (" << state.payload_bytes << " bytes) verified "
       << to_string(state.verified) << " deleted " << to_string(state.deleted) << " cap "
       << state.cap << " end " << state.end_of_log << " change " << state.change;
}

}  // namespace culm::store

namespace culm::test {

using store::LogState;
using store::ReadTransaction;
using store::Stage;
using store::Store;
using store::Table;
using store::WriteTransaction;

/// `Errc{}` for success.
template <class T>
Errc code_of(const Result<T>& result) {
  return result ? Errc{} : result.error().code;
}

inline RangeSet up_to(SeqNum n) { return {{1, n}}; }

/// All rows of one table.
using Rows = std::vector<std::pair<Bytes, Bytes>>;

inline Rows rows_of(store::Kv& kv, Table table) {
  Rows rows;
  const auto transaction = *kv.begin_read();
  const auto cursor = *transaction->cursor(table);
  const std::uint8_t lowest[] = {0};
  for (auto row = *cursor->seek(lowest); row; row = *cursor->next()) {
    rows.emplace_back(Bytes(row->key.begin(), row->key.end()),
                      Bytes(row->value.begin(), row->value.end()));
  }
  return rows;
}

inline void put_row(store::Kv& kv, Table table, ByteView key, ByteView value) {
  const auto transaction = *kv.begin_write();
  ASSERT_TRUE(transaction->put(table, key, value));
  ASSERT_TRUE(transaction->commit());
}

inline void erase_row(store::Kv& kv, Table table, ByteView key) {
  const auto transaction = *kv.begin_write();
  ASSERT_TRUE(transaction->erase(table, key));
  ASSERT_TRUE(transaction->commit());
}

/// Puts a state in place of the one that is there, as a careless writer would.
inline void put_state(store::Kv& kv, const LogState& state) {
  const auto transaction = *kv.begin_write();
  Bytes row;
  ASSERT_TRUE(store::detail::write_log(*transaction, nullptr, state, row));
  ASSERT_TRUE(transaction->commit());
}

/// Puts a row whose checksum is good, whatever else it is. `content`: version and body.
inline void put_sealed(store::Kv& kv, Table table, ByteView key, Bytes content) {
  store::detail::seal(content, table, key);
  put_row(kv, table, key, content);
}

/// A store over memory, with the calls of a test in one word each.
class MemoryStore {
 public:
  explicit MemoryStore(const store::MemoryOptions& options = {}, store::MemoryImage image = {}) {
    auto owned = std::make_unique<store::MemoryKv>(options, std::move(image));
    kv_ = owned.get();
    TestRandom random(1);
    auto opened = Store::open(std::make_unique<WatchedKv>(std::move(owned)), random);
    if (opened) store_ = *std::move(opened);
  }

  [[nodiscard]] bool is_open() const { return store_ != nullptr; }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  [[nodiscard]] store::MemoryKv& kv() { return *kv_; }

  /// What is left after a crash, opened again.
  [[nodiscard]] MemoryStore reopened(const store::MemoryOptions& options = {}) const {
    return MemoryStore(options, kv_->image());
  }

  [[nodiscard]] LogState state(const LogKey& log) { return **store_->read()->get_log(log); }

  Result<store::IngestReport> ingest(const LogKey& log, std::span<const UnitEntry> unit,
                                     const AcceptOptions& options = {}) {
    return store::ingest(*store_, log, unit, verifier, options);
  }

  /// The entries of `log` named by `members`.
  Result<store::IngestReport> ingest(const LogBuilder& log, const RangeSet& members,
                                     bool with_payloads = true) {
    return ingest(log.log(), log.unit(members, with_payloads));
  }

  CountingVerifier verifier;

 private:
  store::MemoryKv* kv_ = nullptr;
  std::unique_ptr<Store> store_;
};

/// The whole payload as `read_payload` gives it in parts of at most `part` bytes.
inline Result<Bytes> payload_of(const ReadTransaction& transaction, const LogState& state,
                                SeqNum seqnum, std::size_t part = 10'000) {
  Bytes out;
  for (;;) {
    CULM_TRY(const ByteView bytes, transaction.read_payload(state, seqnum, out.size(), part));
    if (bytes.empty()) return out;
    if (bytes.size() > part) return fail(Errc::kLimit);
    append_bytes(out, bytes);
  }
}

/// A text of `size` bytes that differs from place to place.
inline std::string long_text(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + " ";
  text.resize(size);
  return text;
}

}  // namespace culm::test
