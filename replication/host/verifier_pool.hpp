#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "culm/core/signing.hpp"

namespace culm::host {

/// Checks many signatures at a time. Stands wherever a verifier is asked for:
///
///   Ed25519Verifier verifier;
///   VerifierPool pool(verifier, VerifierPool::count_cores());
///   store::audit_log(transaction, log, pool);
///
/// All calls are safe from any thread. `verify_all` returns when each of its checks is done: the
/// calling thread takes its part, so nobody waits for a thread that is busy with another call.
class VerifierPool final : public SignatureVerifier {
 public:
  static constexpr std::size_t kThreadsMax = 256;

  /// The cores that the calling thread may run on, from 1 to kThreadsMax; 1 where that is unknown.
  /// A quota of processor time is not seen.
  [[nodiscard]] static std::size_t count_cores();

  /// `verifier` outlives the pool and is called from several threads. `threads`, from 1 to
  /// kThreadsMax, counts the one that calls: with 1 none is started. Where the process may not
  /// start so many the pool works with fewer.
  VerifierPool(SignatureVerifier& verifier, std::size_t threads);
  VerifierPool(const VerifierPool&) = delete;
  VerifierPool& operator=(const VerifierPool&) = delete;
  /// No call may be under way.
  ~VerifierPool() override;

  [[nodiscard]] Result<void> verify(const Author& author, ByteView message,
                                    const Signature& signature) override;
  void verify_all(std::span<const SignatureCheck> checks,
                  std::span<Result<void>> outcomes) override;

 private:
  /// One call of `verify_all`. Guarded by mutex_, but for the outcomes.
  struct Batch {
    std::span<const SignatureCheck> checks;
    std::span<Result<void>> outcomes;
    std::size_t begun = 0;
    std::size_t done = 0;
  };

  void loop();
  [[nodiscard]] bool check_portion(Batch& batch, std::unique_lock<std::mutex>& lock) noexcept;

  SignatureVerifier& verifier_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::deque<Batch*> batches_;  // with checks that nobody has begun; guarded by mutex_
  bool stopping_ = false;       // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace culm::host
