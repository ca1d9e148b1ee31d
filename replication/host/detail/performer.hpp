#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <variant>

#include "culm/core/signing.hpp"
#include "culm/replication/host/control_protocol.hpp"
#include "culm/replication/host/own_log_guard.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/replication/transport/node.hpp"
#include "culm/store/store.hpp"

namespace culm::host {

/// Does what requests ask for, in the node's thread that writes.
class Performer {
 public:
  /// Who asked, and waits for the answer.
  struct Asker {
    std::function<void(const control::Response&)> answer;
    /// Whether nobody is there any more to hear it. Called in the thread that writes as well.
    std::function<bool()> has_gone;
  };

  /// All must outlive it.
  Performer(store::Store& store, transport::Node& node, OwnLogGuard& guard,
            SignatureVerifier& verifier, bool serves_every_log)
      : store_(store),
        node_(node),
        guard_(guard),
        verifier_(verifier),
        serves_every_log_(serves_every_log) {}

  /// What would be written for somebody who has gone before its turn came is not: who asked was
  /// told that nothing is known of it, and may ask again.
  void perform(control::Request request, Asker asker) {
    const Answer answer{std::make_shared<Asker>(std::move(asker))};
    std::visit([&](auto& one) { start(std::move(one), answer); }, request);
  }

 private:
  struct Answer {
    std::shared_ptr<Asker> asker;
    bool is_begun = false;  ///< then it is brought to its end

    void operator()(const control::Response& response) const { asker->answer(response); }
  };

  void start(control::IngestRequest request, const Answer& answer);
  void start(control::DropDamagedRequest request, const Answer& answer);
  void start(control::ForgetPeerRequest request, const Answer& answer);
  void start(control::ChangeRequest request, const Answer& answer);
  void start(control::CompactRequest request, const Answer& answer);
  void start(const control::PublishRequest& request, const Answer& answer);
  void start(control::StatusRequest request, const Answer& answer);
  void start(control::SyncRequest request, const Answer& answer);
  void start(control::BeginStageRequest request, const Answer& answer);
  void start(control::PutPartsRequest request, const Answer& answer);
  void start(control::BindStageRequest request, const Answer& answer);
  void start(control::ReclaimRequest request, const Answer& answer);

  struct Changes;
  void go_on(const std::shared_ptr<Changes>& changes, const Answer& answer);
  /// Has the node's thread that writes do it, if it is still wanted then.
  void run(const Answer& answer, node::StoreTask body, std::function<void(Result<void>)> handler);
  /// Answers with the fields that `write` returns.
  void write(std::function<Result<Json>(Writer&)> write, const Answer& answer);

  store::Store& store_;
  transport::Node& node_;
  OwnLogGuard& guard_;
  SignatureVerifier& verifier_;
  bool serves_every_log_;
};

}  // namespace culm::host
