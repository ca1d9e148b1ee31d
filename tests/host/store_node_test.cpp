#include "culm/replication/host/store_node.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "culm/replication/host/detail/asio.hpp"
#include "culm/store/appender.hpp"
#include "culm/store/check.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"

namespace culm::host {
namespace {

/// What became of a log that was forgotten beside a live sync of all logs.
struct Forgotten {
  bool is_done = false;
  bool is_unknown = false;
  bool is_told = false;
};

Forgotten forget_beside_sync(const store::MemoryImage& image, const LogKey& log,
                             std::uint64_t fail_operation) {
  test::TestRandom random{1};
  auto kv = std::make_unique<store::MemoryKv>(
      store::MemoryOptions{.fail_operation = fail_operation}, image);
  const auto store = *store::Store::open(std::move(kv), random);
  replication::OpenPolicy policy;
  asio::io_context io;
  StoreNode host(io, *store, policy, {{.identity = sealing::KeyPair::generate(random)}});
  Forgotten out;
  node::SyncRequest request;
  request.peers.push_back({{"127.0.0.1", 1}, {}});
  request.logs.emplace_back().log = log;
  request.while_known.insert(log);
  request.live = true;
  bool is_begun = false;
  host.sync(
      request,
      [&](const node::SyncEvent& event) {
        is_begun = true;
        out.is_told = out.is_told || std::holds_alternative<node::SyncForgotten>(event);
        return true;
      },
      [](const node::SyncReport&) {});
  // It tells that nobody is there.
  while (!is_begun && io.run_one_for(std::chrono::seconds(30)) != 0) continue;
  out.is_done = host.writer().forget(log).has_value();
  io.poll();
  const auto transaction = *store->read();
  out.is_unknown = *transaction.find_log(log) == nullptr;
  bool is_stopped = false;
  host.stop([&] { is_stopped = true; });
  while (!is_stopped && io.run_one_for(std::chrono::seconds(30)) != 0) continue;
  return out;
}

TEST(StoreNode, SyncsHearOfALogThatIsForgottenWhereverErasingItFails) {
  const test::LogBuilder log = test::LogBuilder("alice").append_many(3);
  store::MemoryImage image;
  {
    test::TestRandom random{1};
    auto kv = std::make_unique<store::MemoryKv>();
    const store::MemoryKv& memory = *kv;
    const auto store = *store::Store::open(std::move(kv), random);
    Ed25519Verifier verifier;
    ASSERT_TRUE(store::ingest(*store, log.log(), log.unit({{1, 3}}, true), verifier));
    image = memory.image();
  }
  std::size_t half_done = 0;
  for (std::uint64_t n = 1;; ++n) {
    ASSERT_LT(n, 200U);
    const Forgotten out = forget_beside_sync(image, log.log(), n);
    EXPECT_EQ(out.is_told, out.is_unknown) << n;
    if (out.is_done) break;
    if (out.is_unknown) ++half_done;
  }
  EXPECT_NE(half_done, 0U);
}

class Mark final : public store::AuthorMark {
 public:
  explicit Mark(const store::Published& published) : published_(published) {}
  Result<std::optional<store::Published>> read() override { return published_; }
  Result<void> write(const store::Published& next) override {
    published_ = next;
    return {};
  }

 private:
  store::Published published_;
};

std::unique_ptr<store::Store> open_image(const store::MemoryImage& image,
                                         const store::MemoryKv** memory = nullptr) {
  test::TestRandom random{1};
  auto kv = std::make_unique<store::MemoryKv>(store::MemoryOptions{}, image);
  if (memory != nullptr) *memory = kv.get();
  return *store::Store::open(std::move(kv), random);
}

/// Tells when a thread other than that which made it reads an entry.
class AwaitedKv final : public store::Kv {
 public:
  explicit AwaitedKv(std::unique_ptr<store::Kv> kv) : kv_(std::move(kv)) {}

  Result<std::unique_ptr<store::KvReadTransaction>> begin_read() override {
    CULM_TRY(auto begun, kv_->begin_read());
    return std::make_unique<Reading>(*this, std::move(begun));
  }
  Result<std::unique_ptr<store::KvWriteTransaction>> begin_write() override {
    return kv_->begin_write();
  }
  Result<void> grow() override { return kv_->grow(); }
  Result<void> compact() override { return kv_->compact(); }
  Result<store::KvClaim> claim() override { return kv_->claim(); }
  bool is_claimed(std::uint64_t number) override { return kv_->is_claimed(number); }

  std::future<void> await() { return read_.get_future(); }

 private:
  class Reading final : public store::KvReadTransaction {
   public:
    Reading(AwaitedKv& awaited, std::unique_ptr<store::KvReadTransaction> kv)
        : awaited_(awaited), kv_(std::move(kv)) {}

    Result<std::optional<ByteView>> get(store::Table table, ByteView key) const override {
      if (table == store::Table::kEntries) awaited_.tell();
      return kv_->get(table, key);
    }
    Result<std::unique_ptr<store::KvCursor>> cursor(store::Table table) const override {
      if (table == store::Table::kEntries) awaited_.tell();
      return kv_->cursor(table);
    }
    Result<store::KvSpace> space() const override { return kv_->space(); }

   private:
    AwaitedKv& awaited_;
    std::unique_ptr<store::KvReadTransaction> kv_;
  };

  void tell() {
    if (std::this_thread::get_id() == made_by_ || is_told_.exchange(true)) return;
    read_.set_value();
  }

  std::unique_ptr<store::Kv> kv_;
  const std::thread::id made_by_ = std::this_thread::get_id();
  std::atomic<bool> is_told_ = false;
  std::promise<void> read_;
};

TEST(StoreNode, WhatItsThreadsHandedOutDoesNothingOnceItIsGone) {
  const test::LogBuilder log = test::LogBuilder("alice").append_many(10);
  for (const bool searches : {true, false}) {
    SCOPED_TRACE(searches);
    test::TestRandom random{1};
    auto kv = std::make_unique<AwaitedKv>(std::make_unique<store::MemoryKv>());
    const auto read = kv->await();
    const auto store = *store::Store::open(std::move(kv), random);
    Ed25519Verifier verifier;
    ASSERT_TRUE(store::ingest(*store, log.log(), log.unit({{1, 10}}, true), verifier));
    replication::OpenPolicy policy;
    asio::io_context io;
    std::optional<StoreNode> host;
    host.emplace(io, *store, policy,
                 StoreNodeOptions{{.identity = sealing::KeyPair::generate(random)}});
    if (searches) {
      host->search_for_damage();
    } else {
      host->verify_in_background();
    }
    // That it has begun; it ends what it has begun before the host is gone.
    ASSERT_EQ(read.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    host.reset();
    EXPECT_GE(io.poll(), 1U);
  }
}

TEST(StoreNode, KeepsALogOfManyRangesWholeWhileItIsAppendedTo) {
  constexpr SeqNum kHead = 1000;
  const test::LogBuilder log = test::LogBuilder("alice").append_many(kHead);
  const store::MemoryKv* memory = nullptr;
  const auto first = open_image({}, &memory);
  Ed25519Verifier verifier;
  ASSERT_TRUE(store::ingest(*first, log.log(), log.unit({{1, kHead}}, true), verifier));
  RangeSet deleted;
  for (SeqNum n = 2; n < kHead; n += 2) deleted.insert(n);
  ASSERT_TRUE(first->delete_payloads(log.log(), deleted));

  const auto store = open_image(memory->image(), &memory);
  replication::OpenPolicy policy;
  asio::io_context io;
  test::TestRandom random{2};
  StoreNode host(io, *store, policy, {{.identity = sealing::KeyPair::generate(random)}});
  Mark mark({kHead, log.hash(kHead), store->id()});
  auto appender = *store::Appender::open(*store, log.key(), LogId{0}, mark,
                                         commit_through(host.writer(), *store));
  const ByteView payload = as_bytes(std::string_view("another"));
  ASSERT_TRUE(appender.append({&payload, 1}));
  ASSERT_TRUE(host.writer().delete_payloads(log.log(), {{1, 1}}));
  ASSERT_TRUE(appender.append({&payload, 1}));
  ASSERT_TRUE(host.writer().set_interest(log.log(), {{{{5, 9}}, 0}, true}));
  ASSERT_TRUE(appender.append({&payload, 1}));

  deleted.insert(1);
  const auto again = open_image(memory->image());
  for (const store::Store* const where : {store.get(), again.get()}) {
    const auto state = **(*where->read()).get_log(log.log());
    EXPECT_EQ(state.held, (RangeSet{{1, kHead + 3}}));
    EXPECT_EQ(state.deleted, deleted);
    EXPECT_EQ(state.payloads, state.held - deleted);
    EXPECT_EQ(state.interest.entries.ranges, (RangeSet{{5, 9}}));
  }
  bool is_stopped = false;
  host.stop([&] { is_stopped = true; });
  while (!is_stopped && io.run_one_for(std::chrono::seconds(30)) != 0) continue;
}

}  // namespace
}  // namespace culm::host
