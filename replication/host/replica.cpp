#include "culm/replication/host/replica.hpp"

#include <algorithm>
#include <thread>
#include <utility>

#include "culm/core/random.hpp"
#include "culm/replication/host/append_gate.hpp"
#include "culm/replication/host/commit_watch.hpp"
#include "culm/replication/host/detail/sync_run.hpp"
#include "culm/replication/host/payload_stager.hpp"
#include "culm/replication/host/writer.hpp"
#include "culm/store/author_mark_place.hpp"
#include "culm/store/key_file.hpp"

namespace culm {
namespace {

/// Read in one transaction.
constexpr std::size_t kPieceBytes = 1024 * 1024;

Result<SecretKey> read_or_make_key(const std::string& path, const OwnLogOptions& options) {
  auto key = store::read_key_file(path);
  if (key || !options.make_key || key.error().code != Errc::kKeyFileMissing) return key;
  SystemRandom random;
  const auto made = store::write_key_file(path, SecretKey::generate(random));
  // Another process may have been faster.
  if (!made && made.error().code != Errc::kFileExists) return fail(made.error());
  return store::read_key_file(path);
}

}  // namespace

struct Replica::Impl {
  std::string directory;
  ReplicaOptions options;
  Ed25519Verifier verifier;
  host::WritableStore store;
  host::SyncRun* running = nullptr;

  /// To write with: while a sync runs its node writes, and tells peers of it.
  [[nodiscard]] host::Writer& writer() const {
    return running != nullptr ? running->writer() : *store.writer;
  }
  [[nodiscard]] Result<node::SyncReport> sync_by(host::NodeClient& other,
                                                 const node::SyncRequest& request) const;
  [[nodiscard]] std::optional<host::OwnLogs> own_logs() const;
  [[nodiscard]] Result<std::string> marks() const {
    return options.marks_directory.empty() ? store::find_marks_directory()
                                           : options.marks_directory;
  }
};

struct OwnLog::Impl {
  Impl(const Replica::Impl& owner, SecretKey own_key, LogId log_id)
      : replica(owner), key(std::move(own_key)), log{key.author(), log_id} {}

  [[nodiscard]] Result<SeqNum> append(ByteView payload, Tag tag);
  [[nodiscard]] Result<SeqNum> append(host::PayloadStager& stager, Tag tag);

  const Replica::Impl& replica;
  SecretKey key;
  LogKey log;
  std::unique_ptr<store::FileAuthorMark> mark;
  std::optional<store::Appender> appender;
};

Replica::Replica(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Replica::Replica(Replica&&) noexcept = default;
Replica& Replica::operator=(Replica&&) noexcept = default;
Replica::~Replica() = default;

Result<Replica> Replica::open(const std::string& directory, ReplicaOptions options) {
  CULM_CHECK(initialize_crypto());
  auto impl = std::make_unique<Impl>();
  impl->directory = directory;
  impl->options = std::move(options);
  CULM_TRY(impl->store, host::open_to_write(directory, impl->options.create, impl->verifier,
                                            impl->options.accept));
  return Replica(std::move(impl));
}

bool Replica::is_beside_node() const { return impl_->store.node != nullptr; }
const store::Store& Replica::store() const { return *impl_->store.store; }

Result<OwnLog> Replica::open_log(const std::string& key_file, const OwnLogOptions& options) {
  CULM_TRY(auto key, read_or_make_key(key_file, options));
  auto impl = std::make_unique<OwnLog::Impl>(*impl_, std::move(key), options.log_id);
  CULM_TRY(const std::string marks, impl_->marks());
  CULM_TRY(impl->mark,
           store::open_author_mark(
               {.directory = marks, .key_path = key_file, .store_directory = impl_->directory},
               impl->log));
  auto commit = [&replica = *impl_](const store::SignedUnit& unit,
                                    const store::Appender::MoveMark& move_mark) -> Result<void> {
    return host::commit_through(replica.writer(), *replica.store.store)(unit, move_mark);
  };
  std::function<Result<bool>(SeqNum)> gate;
  if (options.gate != AppendGate::kNever) {
    gate = [this, &options, &own = *impl](SeqNum tail) -> Result<bool> {
      CULM_TRY(const auto known, host::ask_known_peers(impl_->store, impl_->directory, *own.mark,
                                                       own.log, tail, impl_->options));
      return known.check(options.gate, tail);
    };
  }
  CULM_TRY(
      impl->appender,
      store::Appender::open(*impl_->store.store, impl->key, options.log_id, *impl->mark,
                            std::move(commit), {.adopt = options.adopt, .gate = std::move(gate)}));
  return OwnLog(std::move(impl));
}

Result<void> Replica::delete_payloads(const LogKey& log, const RangeSet& seqnums) {
  return impl_->writer().delete_payloads(log, seqnums);
}

Result<void> Replica::delete_all(const LogKey& log) {
  RangeSet held;
  {
    CULM_TRY(const auto transaction, impl_->store.store->read());
    CULM_TRY(const auto state, transaction.get_log(log));
    held = state->payloads;
  }
  return delete_payloads(log, held);
}

Result<void> Replica::forget(const LogKey& log) { return impl_->writer().forget(log); }

Result<void> Replica::compact() { return impl_->writer().compact(); }

Result<void> Replica::set_interest(const LogKey& log, const store::LogInterest& interest) {
  return impl_->writer().set_interest(log, interest);
}

Result<void> Replica::read(const LogKey& log, SeqNum seqnum, const Take& take) const {
  Bytes piece;
  std::uint64_t offset = 0;
  do {
    piece.clear();
    {
      CULM_TRY(const auto transaction, impl_->store.store->read());
      CULM_TRY(const auto state, transaction.get_log(log));
      // Also what is withheld from peers.
      const bool is_valid = state->cap == 0 || seqnum < state->cap;
      if (!is_valid || !state->held.contains(seqnum)) {
        return fail(error_for(Errc::kEntryNotHeld, seqnum));
      }
      while (piece.size() < kPieceBytes) {
        CULM_TRY(const ByteView part,
                 transaction.read_payload(*state, seqnum, offset, kPieceBytes - piece.size()));
        if (part.empty()) break;
        append_bytes(piece, part);
        offset += part.size();
      }
    }
    if (!piece.empty()) CULM_CHECK(take(piece));
  } while (!piece.empty());
  return {};
}

Result<Bytes> Replica::read(const LogKey& log, SeqNum seqnum) const {
  Bytes payload;
  CULM_CHECK(read(log, seqnum, [&payload](ByteView piece) -> Result<void> {
    append_bytes(payload, piece);
    return {};
  }));
  return payload;
}

Follower Replica::follow(const LogKey& log, SeqNum from) const {
  return {*impl_->store.store, std::make_unique<host::CommitWatch>(impl_->directory), log, from};
}

static node::SyncRequest request_of(const node::Endpoint& peer, const std::vector<LogKey>& logs) {
  node::SyncRequest request;
  request.peers.push_back({peer});
  node::add_logs(request, {}, logs);
  return request;
}

static Result<node::SyncReport> unless_failed(Result<node::SyncReport> report) {
  if (!report) return report;
  if (const auto why = node::why_not_done(*report)) return fail(why->error);
  return report;
}

Result<node::SyncReport> Replica::sync(std::string_view peer, const std::vector<LogKey>& logs) {
  CULM_TRY(const auto endpoint, node::parse_endpoint(peer));
  return unless_failed(sync(request_of(endpoint, logs)));
}

Result<node::SyncReport> Replica::push(std::string_view peer, const std::vector<LogKey>& logs) {
  CULM_TRY(const auto endpoint, node::parse_endpoint(peer));
  auto request = request_of(endpoint, logs);
  request.push = true;
  return unless_failed(sync(request));
}

Result<node::SyncReport> Replica::sync(const node::SyncRequest& request, const Told& told,
                                       const std::stop_token& stop) {
  if (!node::is_sound(request)) return fail(Errc::kUsage);
  if (impl_->running != nullptr) return fail(Errc::kBusy);
  if (impl_->store.node != nullptr) return impl_->sync_by(*impl_->store.node, request);
  const auto lock = impl_->store.kv->lock_for_node();
  if (!lock) {
    if (lock.error().code != Errc::kStoreLocked) return fail(lock.error());
    const auto node = host::NodeClient::connect(impl_->directory);
    return node ? impl_->sync_by(*node, request) : fail(lock.error());
  }
  const auto own = impl_->own_logs();
  CULM_TRY(const auto run, host::SyncRun::start(*impl_->store.store, impl_->directory,
                                                impl_->options, request, told, own));
  impl_->running = run.get();
  auto report = run->run(stop);
  impl_->running = nullptr;
  const bool is_own_fork = report.error && (report.error->code == Errc::kAuthorMarkFork ||
                                            report.error->code == Errc::kLogCapped);
  if (is_own_fork) return fail(*report.error);
  return report;
}

std::optional<host::OwnLogs> Replica::Impl::own_logs() const {
  const auto place = marks();
  if (!place) return std::nullopt;
  return host::OwnLogs{*store.store, directory, *place, options};
}

struct RunningSync::Impl {
  Impl(Replica::Impl& owner, store::NodeLock node_lock, std::unique_ptr<host::SyncRun> sync)
      : replica(owner), lock(std::move(node_lock)), run(std::move(sync)) {
    replica.running = run.get();
    thread = std::jthread([this](const std::stop_token& stop) { report = run->run(stop); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    thread.request_stop();
    if (thread.joinable()) thread.join();
    replica.running = nullptr;
  }

  Replica::Impl& replica;
  store::NodeLock lock;
  std::unique_ptr<host::SyncRun> run;
  node::SyncReport report;
  std::jthread thread;
};

RunningSync::RunningSync(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RunningSync::RunningSync(RunningSync&&) noexcept = default;
RunningSync& RunningSync::operator=(RunningSync&&) noexcept = default;
RunningSync::~RunningSync() = default;

node::SyncReport RunningSync::wait() {
  if (impl_->thread.joinable()) impl_->thread.join();
  return impl_->report;
}

node::SyncReport RunningSync::end() {
  impl_->thread.request_stop();
  return wait();
}

Result<RunningSync> Replica::start_sync(const node::SyncRequest& request, const Told& told) {
  if (!node::is_sound(request)) return fail(Errc::kUsage);
  if (impl_->running != nullptr) return fail(Errc::kBusy);
  if (impl_->store.kv == nullptr) return fail(Errc::kStoreLocked);
  CULM_TRY(auto lock, impl_->store.kv->lock_for_node());
  const auto own = impl_->own_logs();
  CULM_TRY(auto run, host::SyncRun::start(*impl_->store.store, impl_->directory, impl_->options,
                                          request, told, own));
  return RunningSync(std::make_unique<RunningSync::Impl>(*impl_, std::move(lock), std::move(run)));
}

Result<node::SyncReport> Replica::Impl::sync_by(host::NodeClient& other,
                                                const node::SyncRequest& request) const {
  const bool speaks_of_peers = options.accept.full || !options.network.empty() ||
                               !options.network_key_file.empty() || !options.peer_key_file.empty();
  if (request.live || speaks_of_peers) return fail(Errc::kUsage);
  const auto own = own_logs();
  if (own) {
    CULM_TRY(const auto unasked, host::find_unasked(*own, request));
    if (unasked && !std::holds_alternative<host::SilentPeer>(unasked->why)) {
      return fail(host::why_not_synced(*unasked));
    }
  }
  auto report = other.sync(request);
  // Where that fails, the next append asks once more.
  if (own && report) static_cast<void>(host::bind_confirmed(*own, *report));
  return report;
}

OwnLog::OwnLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OwnLog::OwnLog(OwnLog&&) noexcept = default;
OwnLog& OwnLog::operator=(OwnLog&&) noexcept = default;
OwnLog::~OwnLog() = default;

LogKey OwnLog::key() const { return impl_->log; }
SeqNum OwnLog::head() const { return impl_->appender->head(); }

Result<SeqNum> OwnLog::append(ByteView payload) { return append({&payload, 1}); }
Result<SeqNum> OwnLog::append(std::string_view payload) { return append(as_bytes(payload)); }
Result<SeqNum> OwnLog::append(std::span<const ByteView> payloads) {
  const auto is_large = [](ByteView payload) {
    return payload.size() >= host::PayloadStager::kStagedBytesMin;
  };
  while (!payloads.empty()) {
    const auto large = std::ranges::find_if(payloads, is_large);
    const auto count = static_cast<std::size_t>(large - payloads.begin());
    CULM_CHECK(impl_->appender->append(payloads.first(count)));
    payloads = payloads.subspan(count);
    if (payloads.empty()) break;
    CULM_CHECK(impl_->append(payloads.front(), Tag::kEntry));
    payloads = payloads.subspan(1);
  }
  return head();
}
Result<SeqNum> OwnLog::append(const Give& give) {
  host::PayloadStager stager(impl_->replica.writer(), *impl_->replica.store.store);
  while (true) {
    CULM_TRY(const ByteView piece, give());
    if (piece.empty()) return impl_->append(stager, Tag::kEntry);
    CULM_CHECK(stager.put(piece));
  }
}
Result<SeqNum> OwnLog::end(ByteView payload) { return impl_->append(payload, Tag::kEndOfLog); }

Result<SeqNum> OwnLog::Impl::append(ByteView payload, Tag tag) {
  host::PayloadStager stager(replica.writer(), *replica.store.store);
  CULM_CHECK(stager.put(payload));
  return append(stager, tag);
}

Result<SeqNum> OwnLog::Impl::append(host::PayloadStager& stager, Tag tag) {
  CULM_TRY(const auto staged, stager.finish());
  if (staged) return appender->append_staged(*staged, tag);
  const ByteView payload = stager.bytes();
  return tag == Tag::kEndOfLog ? appender->end(payload) : appender->append({&payload, 1});
}

}  // namespace culm
