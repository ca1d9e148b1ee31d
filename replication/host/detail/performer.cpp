#include "culm/replication/host/detail/performer.hpp"

#include <memory>
#include <optional>

#include <unistd.h>

#include "culm/core/limits.hpp"
#include "culm/replication/host/detail/change_steps.hpp"
#include "culm/replication/host/detail/known_peer.hpp"
#include "culm/replication/host/sync_json.hpp"
#include "culm/store/appender.hpp"
#include "culm/store/check.hpp"

namespace culm::host {

void Performer::run(const Answer& answer, node::StoreTask body,
                    std::function<void(Result<void>)> handler) {
  node_.run(
      [answer, body = std::move(body)](store::Store& store) -> Result<void> {
        if (!answer.is_begun && answer.asker->has_gone()) return fail(Errc::kPeerClosed);
        return body(store);
      },
      std::move(handler));
}

void Performer::start(control::IngestRequest request, const Answer& answer) {
  const auto shared = std::make_shared<control::IngestRequest>(std::move(request));
  const auto report = std::make_shared<store::IngestReport>();
  run(
      answer,
      [shared, report, this](store::Store& store) -> Result<void> {
        CULM_TRY(const auto unit, to_unit(shared->entries));
        if (shared->keeps) {
          CULM_TRY(auto checked, check_unit(shared->log, unit, {}));
          std::vector<KeptUnit> kept;
          kept.push_back({std::move(checked), *shared->keeps, shared->undeletes});
          IngestedUnits done = DirectWriter(store, verifier_, {.full = true}).ingest_all(kept);
          CULM_CHECK(done.outcome);
          *report = std::move(done.reports.front());
          return {};
        }
        // The node is the only one who writes: what is new now is so when it is committed.
        if (shared->is_own && !unit.empty()) {
          const SeqNum first = unit.front().entry.seqnum();
          CULM_CHECK(store::admit_own(store, shared->log, {first, unit.back().entry.seqnum()}));
          // Before it is stored, so that nobody is shown it in between.
          guard_.hold_back(shared->log, first);
        }
        auto done =
            store::ingest(store, shared->log, unit, verifier_, {.full = true}, shared->staged);
        // After kStoreIo nobody knows whether it is stored.
        const bool is_refused = !done && done.error().code != Errc::kStoreIo;
        if (is_refused && shared->is_own) guard_.publish(shared->log);
        CULM_TRY(*report, std::move(done));
        return {};
      },
      [report, answer](const Result<void>& done) {
        if (!done) return answer({done.error(), Json::object()});
        answer({std::nullopt, control::to_fields(*report)});
      });
}

void Performer::write(std::function<Result<Json>(Writer&)> write, const Answer& answer) {
  const auto fields = std::make_shared<Json>(Json::object());
  run(
      answer,
      [this, write = std::move(write), fields](store::Store& store) -> Result<void> {
        DirectWriter writer(store, verifier_);
        CULM_TRY(*fields, write(writer));
        return {};
      },
      [fields, answer](const Result<void>& done) {
        if (!done) return answer({done.error(), Json::object()});
        answer({std::nullopt, std::move(*fields)});
      });
}

void Performer::start(control::BeginStageRequest request, const Answer& answer) {
  const auto begin = [request](Writer& writer) -> Result<Json> {
    CULM_TRY(const store::Stage stage, writer.begin_stage({request.claim, nullptr}));
    return control::to_fields(stage);
  };
  write(begin, answer);
}

void Performer::start(control::PutPartsRequest request, const Answer& answer) {
  const auto shared = std::make_shared<control::PutPartsRequest>(std::move(request));
  const auto put = [shared](Writer& writer) -> Result<Json> {
    CULM_CHECK(writer.put_parts(shared->stage, shared->offset, shared->bytes));
    return Json::object();
  };
  write(put, answer);
}

void Performer::start(control::BindStageRequest request, const Answer& answer) {
  const auto bind = [request](Writer& writer) -> Result<Json> {
    CULM_TRY(const bool is_bound,
             writer.bind_stage(request.log, request.seqnum, request.staged, request.undelete));
    return Json{{"is_bound", is_bound}};
  };
  write(bind, answer);
}

void Performer::start(control::ReclaimRequest /*request*/, const Answer& answer) {
  const auto is_done = std::make_shared<bool>(false);
  run(
      answer,
      [is_done](store::Store& store) -> Result<void> {
        CULM_TRY(*is_done, store.reclaim());
        return {};
      },
      [this, is_done, answer](const Result<void>& done) {
        if (!done) return answer({done.error(), Json::object()});
        if (*is_done) return answer({});
        start(control::ReclaimRequest{}, {answer.asker, true});
      });
}

/// Of a request; `steps` borrows them.
struct Performer::Changes {
  explicit Changes(std::vector<LogChange> of) : all(std::move(of)) {}

  std::vector<LogChange> all;
  ChangeSteps steps{all};
  std::size_t told = 0;  ///< syncs have heard of so many
};

void Performer::start(control::ChangeRequest request, const Answer& answer) {
  go_on(std::make_shared<Changes>(std::move(request.changes)), answer);
}

/// A step of them, so that others get to write in between.
void Performer::go_on(const std::shared_ptr<Changes>& changes, const Answer& answer) {
  const auto is_done = std::make_shared<bool>(false);
  run(
      answer,
      [changes, is_done](store::Store& store) -> Result<void> {
        CULM_TRY(*is_done, changes->steps.run(store));
        return {};
      },
      [this, changes, is_done, answer](const Result<void>& done) {
        const auto& [count, outcome] = changes->steps.done();
        const auto made = std::span(changes->all).subspan(changes->told, count - changes->told);
        for (const LogKey& log : find_forgotten(made)) node_.log_forgotten(log);
        changes->told = count;
        if (done && !*is_done) return go_on(changes, {answer.asker, true});
        const Result<void>& refused = done ? outcome : done;
        const auto error = refused ? std::nullopt : std::optional(refused.error());
        answer({error, Json{{"changed", count}}});
      });
}

void Performer::start(control::DropDamagedRequest request, const Answer& answer) {
  const auto drop = [request](Writer& writer) -> Result<Json> {
    CULM_CHECK(writer.drop_damaged(request.log, request.seqnums));
    return Json::object();
  };
  write(drop, answer);
}

void Performer::start(control::ForgetPeerRequest request, const Answer& answer) {
  const auto forget = [request](Writer& writer) -> Result<Json> {
    CULM_CHECK(writer.forget_peer(request.address));
    return Json::object();
  };
  write(forget, answer);
}

void Performer::start(control::CompactRequest /*request*/, const Answer& answer) {
  const auto compact = [](Writer& writer) -> Result<Json> {
    CULM_CHECK(writer.compact());
    return Json::object();
  };
  write(compact, answer);
}

void Performer::start(const control::PublishRequest& request, const Answer& answer) {
  guard_.publish(request.log);
  node_.log_changed(request.log);
  answer({});
}

static Json to_json(const replication::SessionStats& stats) {
  return {{"bytes_received", stats.bytes_received},
          {"bytes_sent", stats.bytes_sent},
          {"entries_received", stats.entries_received},
          {"entries_sent", stats.entries_sent}};
}

void Performer::start(control::StatusRequest /*request*/, const Answer& answer) {
  control::Response response;
  Json sessions = Json::array();
  for (const node::SessionStatus& session : node_.sessions()) {
    Json one = {{"session", session.session.id},
                {"remote", node::to_string(session.session.remote)},
                {"called", session.session.dial == 0 ? "us" : "by us"},
                {"agent", session.agent}};
    if (session.session.peer) one["peer"] = to_hex(session.session.peer->bytes);
    one.update(to_json(session.stats));
    sessions.push_back(std::move(one));
  }
  const node::NodeStats stats = node_.stats();
  Json logs = Json::object();
  if (const auto transaction = store_.read()) {
    constexpr std::size_t kListedMax = 1000;
    for (const LogKey& log :
         transaction->list_logs({}, kListedMax).value_or(std::vector<LogKey>{})) {
      if (const auto state = transaction->get_log(log)) logs[to_string(log)] = (*state)->head();
    }
  }
  response.fields = {{"pid", ::getpid()},          {"sessions", std::move(sessions)},
                     {"accepted", stats.accepted}, {"displaced", stats.displaced},
                     {"refused", stats.refused},   {"evicted", stats.evicted},
                     {"dialed", stats.dialed},     {"established", stats.established},
                     {"commits", stats.commits},   {"logs", std::move(logs)}};
  response.fields.update(to_json(stats.sessions));
  answer(response);
}

void Performer::start(control::SyncRequest request, const Answer& answer) {
  // One that serves some logs alone shows peers no others.
  if (request.sync.push && !serves_every_log_) {
    return answer({Error{Errc::kStoreLocked}, Json::object()});
  }
  PeerMemory memory(node_, store_, request.sync.quote_only);
  node_.sync(std::move(request.sync), [memory, answer](const node::SyncEvent& event) mutable {
    memory.hear(event);
    const auto* const ended = std::get_if<node::SyncEnded>(&event);
    if (ended != nullptr) answer({std::nullopt, control::to_json(ended->report)});
  });
}

}  // namespace culm::host
