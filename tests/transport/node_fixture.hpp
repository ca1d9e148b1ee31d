#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "culm/replication/host/store_writer.hpp"
#include "culm/replication/transport/node.hpp"
#include "culm/store/check.hpp"
#include "culm/store/memory_kv.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"
#include "tests/transport/network.hpp"

namespace culm::test {

/// A node with a store of its own, and all that it told.
class TestNode final : public replication::Policy {
 public:
  explicit TestNode(asio::io_context& io, std::uint64_t seed,
                    std::unique_ptr<store::Kv> kv = std::make_unique<store::MemoryKv>())
      : io_(io),
        crypto(initialize_crypto()),
        random(seed),
        identity(sealing::KeyPair::generate(random)),
        options{.identity = identity},
        store_(*store::Store::open(std::move(kv), random)) {}

  bool may_read(const sealing::PeerKey&, const LogKey&) override { return true; }
  std::optional<store::LogInterest> accept_offer(const sealing::PeerKey&, const LogKey&) override {
    return accepts;
  }

  /// Starts the node, with `options`.
  transport::Node& start() {
    writer_.emplace(*store_, verifier, AcceptOptions{},
                    [this](std::function<void()> task) { asio::post(io_, std::move(task)); });
    node_ =
        std::make_unique<transport::Node>(io_, *store_, *this, verifier, random, *writer_, options);
    node_->observe(
        {.session = [this](const transport::SessionRef& ref,
                           const replication::Event& event) { seen.emplace_back(ref, event); },
         .committed =
             [this](const replication::WorkReport& report) {
               if (report.outcome && report.outcome->defect) ++defects;
             },
         .log_changed = {}});
    return *node_;
  }
  [[nodiscard]] Endpoint start_listening() {
    const auto bound = start().listen(any_port());
    EXPECT_TRUE(bound);
    return bound.value_or(Endpoint{});
  }
  /// Destroys the node; what it has received is committed then.
  void destroy() {
    node_.reset();
    writer_.reset();
  }
  /// Stops the node; whether that came to its end.
  [[nodiscard]] bool stop() {
    bool stopped = false;
    node_->stop([&] { stopped = true; });
    return run_until(io_, [&] { return stopped; });
  }
  [[nodiscard]] transport::Node& node() { return *node_; }

  /// Stores entries of `log` with payloads, by way of the node if there is one.
  void hold(const LogBuilder& log, const RangeSet& members) {
    const auto unit = log.unit(members, true);
    const auto task = [&](store::Store& store) -> Result<void> {
      CULM_CHECK(store::ingest(store, log.log(), unit, verifier));
      return {};
    };
    if (!node_) {
      ASSERT_TRUE(task(*store_));
      return;
    }
    std::optional<Result<void>> done;
    node_->run(task, [&](Result<void> result) { done = result; });
    ASSERT_TRUE(run_until(io_, [&] { return done.has_value(); }));
    ASSERT_TRUE(*done);
  }
  void hold(const LogBuilder& log) { hold(log, {{1, log.head()}}); }

  [[nodiscard]] store::LogState state(const LogKey& log) const {
    const auto transaction = store_->read();
    const auto state = *transaction->find_log(log);
    return state ? *state : store::LogState{};
  }
  [[nodiscard]] bool holds(const LogKey& log, const RangeSet& members) const {
    const auto now = state(log);
    return now.held.contains(members) && now.payloads.contains(members);
  }

  template <class T>
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> out;
    for (const auto& [ref, event] : seen) {
      if (const auto* one = std::get_if<T>(&event)) out.push_back(*one);
    }
    return out;
  }
  template <class T>
  [[nodiscard]] std::size_t count() const {
    return all<T>().size();
  }
  /// The reason of the first session that has ended; nothing for a clean end or none.
  [[nodiscard]] std::optional<Errc> why_ended() const {
    const auto ended = all<replication::Ended>();
    if (ended.empty() || !ended.front().error) return std::nullopt;
    return ended.front().error->code;
  }

 private:
  asio::io_context& io_;

 public:
  Result<void> crypto;
  TestRandom random;
  sealing::KeyPair identity;
  Ed25519Verifier verifier;
  transport::NodeOptions options;
  std::optional<store::LogInterest> accepts;
  std::vector<std::pair<transport::SessionRef, replication::Event>> seen;
  std::size_t defects = 0;

 private:
  std::unique_ptr<store::Store> store_;
  std::optional<host::StoreWriter> writer_;
  std::unique_ptr<transport::Node> node_;
};

inline replication::WantRequest want_of(const LogKey& log, Interest interest = everything()) {
  replication::WantRequest request;
  request.log = log;
  request.interest = std::move(interest);
  return request;
}

inline replication::WantRequest live_want_of(const LogKey& log) {
  auto request = want_of(log);
  request.live = true;
  return request;
}

}  // namespace culm::test
