#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "culm/store/memory_kv.hpp"

namespace culm::tools {

/// Whether nothing was written yet.
[[nodiscard]] Result<bool> is_empty(store::Kv& kv);
/// Writes all of `from` into an empty one.
[[nodiscard]] Result<void> copy(store::Kv& from, store::Kv& into);

/// What a store is in that is not there yet: memory, until something is written that is to last.
/// Then it is made, in the thread that writes. So what comes to nothing leaves nothing behind.
class UnmadeKv final : public store::Kv {
 public:
  /// Makes a copy of what is in memory, or opens the one that somebody else has made meanwhile,
  /// which then takes its place; its failure is that of the write.
  using Make = std::function<Result<std::unique_ptr<store::Kv>>(store::Kv& memory)>;

  explicit UnmadeKv(Make make) : make_(std::move(make)) {}

  [[nodiscard]] Result<std::unique_ptr<store::KvReadTransaction>> begin_read() override;
  /// The first one, by which a store gets its id, makes nothing.
  [[nodiscard]] Result<std::unique_ptr<store::KvWriteTransaction>> begin_write() override;
  [[nodiscard]] Result<void> grow() override;
  [[nodiscard]] Result<void> compact() override;
  [[nodiscard]] Result<store::KvClaim> claim() override;
  [[nodiscard]] bool is_claimed(std::uint64_t number) override;
  [[nodiscard]] bool release_reserve() override;
  void keep_reserve() override;

 private:
  [[nodiscard]] store::Kv& now();
  [[nodiscard]] Result<void> make();

  Make make_;
  store::MemoryKv memory_;
  std::mutex mutex_;  // guards `made_`
  std::unique_ptr<store::Kv> made_;
};

}  // namespace culm::tools
