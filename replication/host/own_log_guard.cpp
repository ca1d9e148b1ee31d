#include "culm/replication/host/own_log_guard.hpp"

#include "culm/replication/host/detail/asio.hpp"

namespace culm::host {
namespace {

/// A log that began here, most likely, needs no peer that says so.
OwnLogGuard::Outcome unless_first(OwnLogGuard::Outcome outcome) {
  if (!outcome || !*outcome) return outcome;
  const auto* const silent = std::get_if<SilentPeer>(&(*outcome)->why);
  return silent != nullptr && silent->is_first_sync ? std::nullopt : std::move(outcome);
}

transport::DialAnswer judge(const OwnLogGuard::Outcome& outcome, const node::Endpoint& endpoint) {
  if (!outcome) return {outcome.error(), true};
  if (!*outcome) return {};
  const UnaskedLog& unasked = **outcome;
  const auto* const silent = std::get_if<SilentPeer>(&unasked.why);
  if (silent == nullptr) return {why_not_synced(unasked), true};
  const bool is_of_this = silent->peer.endpoint == endpoint;
  return {is_of_this ? why_not_synced(unasked) : Error{Errc::kPeerStalled}};
}

}  // namespace

OwnLogGuard::OwnLogGuard(boost::asio::io_context& io, OwnLogs own, Found found)
    : io_(io), own_(std::move(own)), found_(std::move(found)) {}

OwnLogGuard::~OwnLogGuard() = default;

void OwnLogGuard::ask(transport::SyncDial dial, Answer answer) {
  const auto logs = list_unasked(own_, dial.request);
  if (logs && logs->empty()) return answer({});
  const auto [question, is_new] = questions_.try_emplace(dial.sync);
  question->second.waiting.emplace_back(dial.endpoint, std::move(answer));
  if (!is_new) return;
  question->second.thread =
      std::jthread([this, weak = std::weak_ptr(self_), sync = dial.sync,
                    request = std::move(dial.request)](const std::stop_token& stop) {
        auto outcome = unless_first(find_unasked(own_, request, stop));
        asio::post(io_, [weak, sync, outcome = std::move(outcome)] {
          if (const auto self = weak.lock()) (*self)->answered(sync, outcome);
        });
      });
}

void OwnLogGuard::answered(node::SyncId sync, const Outcome& outcome) {
  auto question = questions_.extract(sync);
  question.mapped().thread.join();
  if (found_) found_(outcome);
  for (const auto& [endpoint, answer] : question.mapped().waiting) {
    answer(judge(outcome, endpoint));
  }
}

}  // namespace culm::host
