#include "culm/replication/host/writer.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/core/random.hpp"
#include "culm/replication/host/detail/node_socket.hpp"
#include "culm/replication/host/sync_json.hpp"

namespace culm::host {
namespace {

using store::IngestReport;
using Clock = std::chrono::steady_clock;

/// For a node that begins or ends, which holds the store and takes no requests for that moment.
class Wait {
 public:
  explicit Wait(Duration wait_max) : end_(Clock::now() + wait_max) {}

  /// Passes a little of the time; false when it is over.
  [[nodiscard]] bool goes_on() const {
    constexpr Duration kInterval = std::chrono::milliseconds(5);
    const auto now = Clock::now();
    if (now >= end_) return false;
    std::this_thread::sleep_until(std::min(end_, now + kInterval));
    return true;
  }

 private:
  Clock::time_point end_;
};

Result<std::unique_ptr<store::Store>> open_store(const std::string& directory,
                                                 const store::LmdbOptions& options,
                                                 store::LmdbKv** lmdb = nullptr) {
  CULM_TRY(auto kv, store::LmdbKv::open(directory, options));
  if (lmdb != nullptr) *lmdb = kv.get();
  SystemRandom random;
  return store::Store::open(std::move(kv), random);
}

/// The author keeps the whole log, unless something else was said before.
Result<void> keep_all(const store::Store& store, Writer& writer, const LogKey& log) {
  {
    CULM_TRY(const auto transaction, store.read());
    CULM_TRY(const auto known, transaction.find_outline(log));
    if (known && known->is_selected) return {};
  }
  return writer.set_interest(log, {everything(), true});
}

}  // namespace

/// Makes a change alone.
static Result<void> change(Writer& writer, LogChange one) {
  return writer.change_all(std::span(&one, 1)).outcome;
}

Result<void> Writer::delete_payloads(const LogKey& log, const RangeSet& seqnums) {
  return change(*this, {log, LogChange::DeletePayloads{seqnums}});
}

Result<void> Writer::set_interest(const LogKey& log, const store::LogInterest& interest) {
  return change(*this, {log, interest});
}

Result<void> Writer::forget(const LogKey& log) { return change(*this, {log, LogChange::Forget{}}); }

NodeClient::NodeClient(std::string directory, std::unique_ptr<NodeSocket> socket, Duration wait_max)
    : directory_(std::move(directory)), wait_max_(wait_max), socket_(std::move(socket)) {}
NodeClient::~NodeClient() = default;

std::unique_ptr<NodeClient> NodeClient::connect(const std::string& directory, Duration wait_max) {
  auto socket = NodeSocket::connect(directory, wait_max);
  if (socket == nullptr) return nullptr;
  return std::unique_ptr<NodeClient>(new NodeClient(directory, std::move(socket), wait_max));
}

Result<Json> NodeClient::ask(std::string_view request) {
  CULM_TRY(auto response, exchange(request));
  if (response.error) return fail(*response.error);
  return std::move(response.fields);
}

Result<control::Response> NodeClient::exchange(std::string_view request) {
  if (request.size() > control::kRequestBytesMax) return fail(Errc::kPayloadTooLarge);
  const Wait wait(wait_max_);
  // Another one may be about to run.
  while (socket_ == nullptr) {
    socket_ = NodeSocket::connect(directory_, wait_max_);
    if (socket_ == nullptr && !wait.goes_on()) return fail(Errc::kPeerClosed);
  }
  const auto line = socket_->exchange(request);
  // What would come next might be the rest of this answer.
  if (!line) socket_.reset();
  if (!line) return fail(line.error());
  return control::decode_response(*line);
}

template <class Write>
auto SharingWriter::write(Write write) {
  const Wait wait(wait_max_);
  while (true) {
    auto written = write(direct_);
    if (written || written.error().code != Errc::kStoreLocked) return written;
    if (const auto node = NodeClient::connect(directory_, wait_max_)) return write(*node);
    if (!wait.goes_on()) return written;
  }
}

Result<IngestReport> SharingWriter::ingest(CheckedUnit& unit) {
  return write([&](Writer& writer) { return writer.ingest(unit); });
}

IngestedUnits SharingWriter::ingest_all(std::span<KeptUnit> units) {
  IngestedUnits all;
  all.outcome = write([&](Writer& writer) {
    IngestedUnits done = writer.ingest_all(units.subspan(all.reports.size()));
    std::ranges::move(done.reports, std::back_inserter(all.reports));
    return std::move(done.outcome);
  });
  return all;
}

Result<void> SharingWriter::append(const store::SignedUnit& unit, const MoveMark& move_mark) {
  return write([&](Writer& writer) { return writer.append(unit, move_mark); });
}

void SharingWriter::publish(const LogKey& log) {
  if (const auto node = NodeClient::connect(directory_, wait_max_)) node->publish(log);
}

Result<void> SharingWriter::drop_damaged(const LogKey& log, const RangeSet& seqnums) {
  return write([&](Writer& writer) { return writer.drop_damaged(log, seqnums); });
}

ChangedLogs SharingWriter::change_all(std::span<const LogChange> changes) {
  ChangedLogs all;
  all.outcome = write([&](Writer& writer) {
    ChangedLogs done = writer.change_all(changes.subspan(all.count));
    all.count += done.count;
    return std::move(done.outcome);
  });
  return all;
}

Result<void> SharingWriter::forget_peer(const std::string& address) {
  return write([&](Writer& writer) { return writer.forget_peer(address); });
}

Result<void> SharingWriter::compact() {
  return write([](Writer& writer) { return writer.compact(); });
}

Result<store::Stage> SharingWriter::begin_stage(const store::KvClaim& claim) {
  return write([&](Writer& writer) { return writer.begin_stage(claim); });
}

Result<void> SharingWriter::put_parts(const store::Stage& stage, std::uint64_t offset,
                                      ByteView bytes) {
  return write([&](Writer& writer) { return writer.put_parts(stage, offset, bytes); });
}

Result<bool> SharingWriter::bind_stage(const LogKey& log, SeqNum seqnum,
                                       const store::StagedPayload& staged, bool undelete) {
  return write([&](Writer& writer) { return writer.bind_stage(log, seqnum, staged, undelete); });
}

Result<void> SharingWriter::reclaim() {
  return write([](Writer& writer) { return writer.reclaim(); });
}

Result<IngestReport> NodeClient::ingest(CheckedUnit& unit) {
  CULM_TRY(const Json fields, ask(control::encode_ingest(unit.log(), unit.entries())));
  return control::to_report(fields);
}

IngestedUnits NodeClient::ingest_all(std::span<KeptUnit> units) {
  IngestedUnits done;
  std::set<LogKey> forked;
  for (auto& [unit, keeps, undeletes] : units) {
    if (forked.contains(unit.log())) {
      done.reports.emplace_back();
      continue;
    }
    const auto fields = ask(control::encode_ingest(unit.log(), unit.entries(), &keeps, undeletes));
    auto report = fields ? control::to_report(*fields) : fail(fields.error());
    if (!report) {
      done.outcome = fail(report.error());
      return done;
    }
    if (report->defect) forked.insert(unit.log());
    done.reports.push_back(*std::move(report));
  }
  return done;
}

Result<void> NodeClient::append(const store::SignedUnit& unit, const MoveMark& move_mark) {
  CULM_TRY(const Json fields, ask(control::encode_append(unit)));
  CULM_CHECK(move_mark());
  // It is done; a node that ends now shows all of it when it runs again.
  publish(unit.log());
  return {};
}

void NodeClient::publish(const LogKey& log) {
  static_cast<void>(ask(control::encode(control::PublishRequest{log})));
}

Result<void> NodeClient::drop_damaged(const LogKey& log, const RangeSet& seqnums) {
  CULM_TRY(const Json fields, ask(control::encode(control::DropDamagedRequest{log, seqnums})));
  return {};
}

ChangedLogs NodeClient::change_all(std::span<const LogChange> changes) {
  ChangedLogs all;
  do {
    const auto response = exchange(control::encode_changes(changes.subspan(all.count)));
    if (!response) return {all.count, fail(response.error())};
    const std::uint64_t count = response->fields.find_number("changed").value_or(0);
    all.count += count;
    if (response->error) all.outcome = fail(*response->error);
    if (count == 0 && !changes.empty() && all.outcome) all.outcome = fail(Errc::kFileFormat);
  } while (all.outcome && all.count < changes.size());
  return all;
}

Result<void> NodeClient::forget_peer(const std::string& address) {
  CULM_TRY(const Json fields, ask(control::encode(control::ForgetPeerRequest{address})));
  return {};
}

Result<void> NodeClient::compact() {
  CULM_TRY(const Json fields, ask(control::encode(control::CompactRequest{})));
  return {};
}

Result<store::Stage> NodeClient::begin_stage(const store::KvClaim& claim) {
  CULM_TRY(const Json fields, ask(control::encode(control::BeginStageRequest{claim.number})));
  return control::to_stage(fields);
}

Result<void> NodeClient::put_parts(const store::Stage& stage, std::uint64_t offset,
                                   ByteView bytes) {
  CULM_TRY(const Json fields, ask(control::encode_put_parts(stage, offset, bytes)));
  return {};
}

Result<bool> NodeClient::bind_stage(const LogKey& log, SeqNum seqnum,
                                    const store::StagedPayload& staged, bool undelete) {
  const control::BindStageRequest request{log, seqnum, staged, undelete};
  CULM_TRY(const Json fields, ask(control::encode(request)));
  const auto is_bound = fields.find_bool("is_bound");
  if (!is_bound) return fail(Errc::kFileFormat);
  return *is_bound;
}

Result<void> NodeClient::reclaim() {
  CULM_TRY(const Json fields, ask(control::encode(control::ReclaimRequest{})));
  return {};
}

Result<node::SyncReport> NodeClient::sync(const node::SyncRequest& request) {
  CULM_TRY(const Json fields, ask(control::encode(control::SyncRequest{request})));
  return control::parse_sync_report(fields);
}

/// For who opens a store: what is not reclaimed now is the next time.
static void try_reclaim(const WritableStore& opened) {
  bool are_stages_left = false;
  if (const auto transaction = opened.store->read()) {
    const auto stages = transaction->unbound_stages();
    are_stages_left = stages && !stages->empty();
  }
  if (are_stages_left) static_cast<void>(opened.writer->reclaim());
}

Result<WritableStore> open_to_write(const std::string& directory, bool create,
                                    SignatureVerifier& verifier, const AcceptOptions& options,
                                    Duration wait_max) {
  const Wait wait(wait_max);
  while (true) {
    WritableStore opened;
    auto store = open_store(directory, {.create = create, .wait_max = wait_max}, &opened.kv);
    if (store) {
      opened.store = *std::move(store);
      opened.writer =
          std::make_unique<SharingWriter>(directory, *opened.store, verifier, options, wait_max);
      try_reclaim(opened);
      return opened;
    }
    if (store.error().code != Errc::kStoreLocked) return fail(store.error());
    if (auto client = NodeClient::connect(directory, wait_max)) {
      CULM_TRY(opened.store, open_to_read(directory));
      opened.node = client.get();
      opened.writer = std::move(client);
      try_reclaim(opened);
      return opened;
    }
    if (!wait.goes_on()) return fail(store.error());
  }
}

Result<std::unique_ptr<store::Store>> open_to_read(const std::string& directory) {
  return open_store(directory, {.read_only = true});
}

/// Whether all of the unit is in the store.
static bool is_stored(const store::Store& store, const store::SignedUnit& unit) {
  const auto transaction = store.read();
  if (!transaction) return false;
  const auto state = transaction->find_log(unit.log());
  if (!state || !*state) return false;
  const UnitEntry& last = unit.entries().back();
  const auto stored = transaction->find_entry(**state, last.entry.seqnum());
  return stored && *stored && (*stored)->entry.hash() == last.hash;
}

store::Appender::Commit commit_through(Writer& writer, const store::Store& store) {
  return [&writer, &store, is_kept = false](
             const store::SignedUnit& unit,
             const store::Appender::MoveMark& move_mark) mutable -> Result<void> {
    if (!is_kept) CULM_CHECK(keep_all(store, writer, unit.log()));
    is_kept = true;
    const auto done = writer.append(unit, move_mark);
    if (done) return done;
    // A node that ended or fell silent has not said what came of it; the store has.
    const Errc code = done.error().code;
    const bool is_unknown =
        code == Errc::kPeerClosed || code == Errc::kNetwork || code == Errc::kNodeSilent;
    if (!is_unknown || !is_stored(store, unit)) return done;
    CULM_CHECK(move_mark());
    writer.publish(unit.log());
    return {};
  };
}

}  // namespace culm::host
