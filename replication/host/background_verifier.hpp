#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "culm/store/check.hpp"

namespace culm::host {

/// Checks the signatures that no unit needed, in a thread of its own, of low priority where the
/// system allows that: most entries come in vouched for by links, and what is verified would
/// otherwise stay a set of many small ranges.
///
///   BackgroundVerifier background(store, verifier, [&](auto body, auto handler) {
///     node.update(body, [handler](const auto&) { handler(); });  // in the node's thread
///   });
///   background.wake();  // whenever a log has changed
///
/// It is no verifier itself. Looks at each log that has changed, from the oldest change on, and
/// sleeps when nothing is left. A bad signature below a good one changes nothing: the entry stays
/// as it is, and this object does not look at it again.
class BackgroundVerifier {
 public:
  /// Runs a body as `store::Store::update` does, in a thread of its choice, and then calls
  /// `handler`, whatever came of it; may drop both when the host stops. Marks that are lost are
  /// made when their log changes again.
  using Update = std::function<void(store::Store::Body body, std::function<void()> handler)>;

  /// Signatures in one step, of one log or many; it ends with one commit.
  static constexpr std::size_t kStepMax = 512;

  /// `store` and `verifier` outlive this object; `update` is called in its thread. `pause`: how
  /// long it waits after a change for others to come, so that small changes share a commit.
  BackgroundVerifier(const store::Store& store, SignatureVerifier& verifier, Update update,
                     std::chrono::milliseconds pause = std::chrono::seconds(1));
  BackgroundVerifier(const BackgroundVerifier&) = delete;
  BackgroundVerifier& operator=(const BackgroundVerifier&) = delete;
  /// Waits for the few signatures that are being checked, not for what was handed to `update`.
  ~BackgroundVerifier();

  /// A log has changed. From any thread.
  void wake();

 private:
  /// Shared with handlers, which may be called late.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool is_awake = true;
    bool is_committing = false;
    bool is_stopping = false;
  };

  /// Of a log: what the pass under way has looked at, and what was bad in any pass.
  struct Seen {
    RangeSet looked_at;
    RangeSet bad;
  };
  /// What a step leaves.
  enum class Rest : std::uint8_t { kNothing, kMore, kLater };
  using Marks = std::vector<store::CheckedSignatures>;

  void loop();
  [[nodiscard]] Rest step();
  [[nodiscard]] Result<std::vector<store::ReadTransaction::Change>> next_change();
  [[nodiscard]] Result<void> check_some(const store::ReadTransaction::Change& change,
                                        std::size_t& room, Marks& marks);
  void commit(Marks marks);
  [[nodiscard]] bool is_stopping();

  const store::Store& store_;
  SignatureVerifier& verifier_;
  Update update_;
  std::chrono::milliseconds pause_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
  // Its thread alone.
  std::uint64_t change_ = 0;  // the last that was dealt with
  std::map<LogKey, Seen> seen_;
  std::thread thread_;
};

}  // namespace culm::host
