#pragma once

#include <functional>
#include <utility>
#include <variant>

#include "culm/core/signing.hpp"
#include "culm/replication/host/control_protocol.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/replication/transport/node.hpp"
#include "culm/store/store.hpp"

namespace culm::host {

/// Does what requests ask for, in the node's thread that writes.
class Performer {
 public:
  using Answer = std::function<void(const control::Response&)>;

  /// All must outlive it.
  Performer(store::Store& store, transport::Node& node, SignatureVerifier& verifier,
            bool serves_every_log)
      : store_(store), node_(node), verifier_(verifier), serves_every_log_(serves_every_log) {}

  void perform(control::Request request, Answer answer) {
    std::visit([&](auto& one) { start(std::move(one), std::move(answer)); }, request);
  }

 private:
  void start(control::IngestRequest request, Answer answer);
  void start(control::DeletePayloadsRequest request, Answer answer);
  void start(control::DropDamagedRequest request, Answer answer);
  void start(control::ForgetRequest request, Answer answer);
  void start(control::SetInterestRequest request, Answer answer);
  void start(control::CompactRequest request, Answer answer);
  void start(const control::PublishRequest& request, const Answer& answer);
  void start(control::StatusRequest request, const Answer& answer);
  void start(control::SyncRequest request, Answer answer);
  void start(control::BeginStageRequest request, Answer answer);
  void start(control::PutPartsRequest request, Answer answer);
  void start(control::BindStageRequest request, Answer answer);
  void start(control::ReclaimRequest request, Answer answer);

  /// Answers with the fields that `write` returns.
  void write(std::function<Result<Json>(Writer&)> write, Answer answer);

  store::Store& store_;
  transport::Node& node_;
  SignatureVerifier& verifier_;
  bool serves_every_log_;
};

}  // namespace culm::host
