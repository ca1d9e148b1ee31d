#include "culm/replication/host/store_node.hpp"

#include <future>
#include <utility>

#include "culm/replication/host/detail/asio.hpp"
#include "culm/replication/host/detail/known_peer.hpp"

namespace culm::host {

StoreNode::StoreNode(asio::io_context& io, store::Store& store, replication::Policy& policy,
                     StoreNodeOptions options)
    : io_(io),
      store_(store),
      pool_(verifier_, options.verify_threads),
      writer_(store, pool_, options.accept,
              [&io](std::function<void()> task) { asio::post(io, std::move(task)); }),
      guard_(io, store, policy, std::move(options.own), std::move(options.found_unasked),
             [this](const LogKey& log) { node_.log_changed(log); }),
      node_(io, store, guard_, pool_, random_, writer_, std::move(options.node)),
      accept_(options.accept) {
  node_.before_dials([this](transport::SyncDial dial, OwnLogGuard::Answer answer) {
    guard_.ask(std::move(dial), std::move(answer));
  });
}

void StoreNode::post(std::function<void(StoreNode&)> call) {
  asio::post(io_, [self = std::weak_ptr(self_), call = std::move(call)] {
    if (const auto host = self.lock()) call(**host);
  });
}

Result<void> StoreNode::write(const std::function<Result<void>(DirectWriter&)>& body) {
  std::promise<Result<void>> outcome;
  auto future = outcome.get_future();
  node::Task task;
  task.body = [&](store::Store& store) -> Result<void> {
    DirectWriter writer(store, verifier_, accept_);
    outcome.set_value(body(writer));
    return {};
  };
  writer_.run(std::move(task), [self = std::weak_ptr(self_)](const node::JobResult& result) {
    const auto host = self.lock();
    if (!host) return;
    for (const LogKey& log : result.changed) (*host)->node_.log_changed(log);
  });
  return future.get();
}

Result<store::IngestReport> StoreNode::InNodeWriter::ingest(CheckedUnit& unit) {
  store::IngestReport report;
  CULM_CHECK(host_.write([&](DirectWriter& writer) -> Result<void> {
    CULM_TRY(report, writer.ingest(unit));
    return {};
  }));
  return report;
}

IngestedUnits StoreNode::InNodeWriter::ingest_all(std::span<KeptUnit> units) {
  IngestedUnits all;
  all.outcome = host_.write([&](DirectWriter& writer) {
    all = writer.ingest_all(units);
    return all.outcome;
  });
  return all;
}

Result<void> StoreNode::InNodeWriter::append(const store::SignedUnit& unit,
                                             const MoveMark& move_mark) {
  bool is_stored = false;
  const auto move = [&] {
    is_stored = true;
    return move_mark();
  };
  return host_.write([&](DirectWriter& writer) -> Result<void> {
    const SeqNum first = unit.entries().front().entry.seqnum();
    {
      CULM_TRY(const auto transaction, host_.store_.read());
      CULM_CHECK(store::check_is_new(transaction, unit.log(), first));
    }
    // Before it is stored, so that nobody is shown it before its mark has moved.
    host_.guard_.hold_back(unit.log(), first);
    const auto done = writer.append(unit, move);
    // After kStoreIo nobody knows whether it is stored.
    const bool is_refused = !done && !is_stored && done.error().code != Errc::kStoreIo;
    if (done || is_refused) host_.guard_.publish(unit.log());
    return done;
  });
}

Result<void> StoreNode::InNodeWriter::drop_damaged(const LogKey& log, const RangeSet& seqnums) {
  return host_.write([&](DirectWriter& writer) { return writer.drop_damaged(log, seqnums); });
}

ChangedLogs StoreNode::InNodeWriter::change_all(std::span<const LogChange> changes) {
  ChangedLogs all;
  all.outcome = host_.write([&](DirectWriter& writer) {
    all = writer.change_all(changes);
    return all.outcome;
  });
  // Syncs hear of it even if rows could not be erased now.
  std::vector<LogKey> forgotten = find_forgotten(changes.first(all.count));
  if (forgotten.empty()) return all;
  host_.post([forgotten = std::move(forgotten)](StoreNode& host) {
    for (const LogKey& log : forgotten) host.node_.log_forgotten(log);
  });
  return all;
}

Result<void> StoreNode::InNodeWriter::forget_peer(const std::string& address) {
  return host_.write([&](DirectWriter& writer) { return writer.forget_peer(address); });
}

Result<void> StoreNode::InNodeWriter::compact() {
  return host_.write([](DirectWriter& writer) { return writer.compact(); });
}

Result<store::Stage> StoreNode::InNodeWriter::begin_stage(const store::KvClaim& claim) {
  store::Stage stage;
  CULM_CHECK(host_.write([&](DirectWriter& writer) -> Result<void> {
    CULM_TRY(stage, writer.begin_stage(claim));
    return {};
  }));
  return stage;
}

Result<void> StoreNode::InNodeWriter::put_parts(const store::Stage& stage, std::uint64_t offset,
                                                ByteView bytes) {
  return host_.write([&](DirectWriter& writer) { return writer.put_parts(stage, offset, bytes); });
}

Result<bool> StoreNode::InNodeWriter::bind_stage(const LogKey& log, SeqNum seqnum,
                                                 const store::StagedPayload& staged,
                                                 bool undelete) {
  bool is_bound = false;
  CULM_CHECK(host_.write([&](DirectWriter& writer) -> Result<void> {
    CULM_TRY(is_bound, writer.bind_stage(log, seqnum, staged, undelete));
    return {};
  }));
  return is_bound;
}

Result<void> StoreNode::InNodeWriter::reclaim() {
  return host_.write([](DirectWriter& writer) { return writer.reclaim(); });
}

Result<void> StoreNode::serve_requests(const std::string& directory, bool serves_every_log) {
  CULM_TRY(control_,
           ControlServer::open(io_, directory, store_, node_, guard_, pool_, serves_every_log));
  return {};
}

void StoreNode::verify_in_background() {
  background_.emplace(store_, verifier_, [this](store::Store::Body body, auto handler) {
    post([body = std::move(body), handler = std::move(handler)](StoreNode& host) {
      host.node_.update(body, [handler](const Result<void>& /*outcome*/) { handler(); });
    });
  });
  transport::NodeObserver observer;
  observer.log_changed = [this](const LogKey& /*log*/) {
    if (background_) background_->wake();
  };
  node_.observe(std::move(observer));
}

void StoreNode::search_for_damage() {
  search_.emplace(store_,
                  [this](const LogKey& log, const SeqRange& part, const store::RowDamage& damage) {
                    post([=](StoreNode& host) { host.node_.damage_found(log, part, damage); });
                  });
}

node::SyncId StoreNode::sync(const node::SyncRequest& request,
                             std::function<bool(const node::SyncEvent&)> told,
                             std::function<void(const node::SyncReport&)> ended) {
  const auto id = std::make_shared<node::SyncId>();
  *id = node_.sync(request, [this, id, memory = PeerMemory(node_, store_, request.quote_only),
                             told = std::move(told),
                             ended = std::move(ended)](const node::SyncEvent& event) mutable {
    memory.hear(event);
    if (!told(event)) node_.end_sync(*id);
    const auto* const end = std::get_if<node::SyncEnded>(&event);
    if (end == nullptr) return;
    guard_.ended(*id, end->report);
    ended(end->report);
  });
  return *id;
}

void StoreNode::stop(std::function<void()> handler) {
  background_.reset();
  search_.reset();
  guard_.stop();
  if (control_) control_->close();
  node_.stop(std::move(handler));
}

}  // namespace culm::host
