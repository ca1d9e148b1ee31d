#include "culm/replication/host/writer.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <variant>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "culm/core/limits.hpp"
#include "culm/core/random.hpp"
#include "culm/replication/host/sync_json.hpp"
#include "culm/store/check.hpp"

namespace culm::host {
namespace {

using store::IngestReport;

Error network_error() { return error_system(Errc::kNetwork, errno); }

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
    CULM_TRY(const auto state, transaction.find_log(log));
    if (state && !state->interest.entries.empty()) return {};
  }
  return writer.set_interest(log, {everything(), true});
}

}  // namespace

Result<IngestReport> DirectWriter::ingest(CheckedUnit& unit) {
  return store::ingest(store_, unit, verifier_, options_);
}

Result<void> DirectWriter::append(const store::SignedUnit& unit) {
  return store::commit_into(store_)(unit);
}

Result<void> DirectWriter::delete_payloads(const LogKey& log, const RangeSet& seqnums) {
  for (RangeSet rest = seqnums; !rest.empty();) {
    RangeSet next;
    CULM_CHECK(store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
      CULM_TRY(next, transaction.delete_payloads(log, rest, limits::kRowsPerStepMax));
      return {};
    }));
    rest = std::move(next);
  }
  return {};
}

Result<void> DirectWriter::set_interest(const LogKey& log, const store::LogInterest& interest) {
  return store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    return transaction.set_interest(log, interest);
  });
}

/// None where no node answers.
static Descriptor connect_to(const std::string& directory) {
  // A socket's name has room for 107 bytes; the way over the descriptor is always short.
  const Descriptor place(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string path =
      "/proc/self/fd/" + std::to_string(place.get()) + "/" + std::string(control::kSocketName);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (place.get() < 0 || path.size() >= sizeof address.sun_path) return Descriptor();
  std::memcpy(address.sun_path, path.data(), path.size());
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0 ||
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Descriptor();
  }
  return socket;
}

std::unique_ptr<NodeClient> NodeClient::connect(const std::string& directory) {
  Descriptor socket = connect_to(directory);
  if (socket.get() < 0) return nullptr;
  return std::unique_ptr<NodeClient>(new NodeClient(directory, std::move(socket)));
}

Result<Json> NodeClient::ask(std::string_view request) {
  CULM_TRY(auto response, exchange(request));
  if (response.error) return fail(*response.error);
  return std::move(response.fields);
}

Result<control::Response> NodeClient::exchange(std::string_view request) {
  if (request.size() > control::kRequestBytesMax) return fail(Errc::kPayloadTooLarge);
  if (socket_.get() < 0) socket_ = connect_to(directory_);
  if (socket_.get() < 0) return fail(Errc::kPeerClosed);
  const auto line = exchange_text(request);
  // What would come next might be the rest of this answer.
  if (!line) socket_ = Descriptor();
  if (!line) return fail(line.error());
  return control::decode_response(*line);
}

Result<std::string> NodeClient::exchange_text(std::string_view request) {
  while (!request.empty()) {
    const ssize_t sent = ::send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail(network_error());
    request.remove_prefix(static_cast<std::size_t>(sent));
  }
  std::string line;
  while (!line.ends_with('\n')) {
    std::array<char, 4096> part{};
    const ssize_t got = ::recv(socket_.get(), part.data(), part.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(network_error());
    // The node ended before it answered: whether it wrote is not known.
    if (got == 0 || line.size() > control::kRequestBytesMax) return fail(Errc::kPeerClosed);
    line.append(part.data(), static_cast<std::size_t>(got));
  }
  return line;
}

template <class Write>
auto SharingWriter::write(Write write) {
  auto written = write(direct_);
  if (written || written.error().code != Errc::kStoreLocked) return written;
  const auto node = NodeClient::connect(directory_);
  return node ? write(*node) : written;
}

Result<IngestReport> SharingWriter::ingest(CheckedUnit& unit) {
  return write([&](Writer& writer) { return writer.ingest(unit); });
}

Result<void> SharingWriter::append(const store::SignedUnit& unit) {
  return write([&](Writer& writer) { return writer.append(unit); });
}

Result<void> SharingWriter::delete_payloads(const LogKey& log, const RangeSet& seqnums) {
  return write([&](Writer& writer) { return writer.delete_payloads(log, seqnums); });
}

Result<void> SharingWriter::set_interest(const LogKey& log, const store::LogInterest& interest) {
  return write([&](Writer& writer) { return writer.set_interest(log, interest); });
}

Result<IngestReport> NodeClient::ingest(CheckedUnit& unit) {
  CULM_TRY(const Json fields, ask(control::encode_ingest(unit.log(), unit.entries())));
  return control::to_report(fields);
}

Result<void> NodeClient::append(const store::SignedUnit& unit) {
  CULM_TRY(const Json fields, ask(control::encode_ingest(unit.log(), unit.entries(), true)));
  return {};
}

Result<void> NodeClient::delete_payloads(const LogKey& log, const RangeSet& seqnums) {
  CULM_TRY(const Json fields, ask(control::encode(control::DeletePayloadsRequest{log, seqnums})));
  return {};
}

Result<void> NodeClient::set_interest(const LogKey& log, const store::LogInterest& interest) {
  CULM_TRY(const Json fields, ask(control::encode(control::SetInterestRequest{log, interest})));
  return {};
}

Result<node::SyncReport> NodeClient::sync(const node::SyncRequest& request) {
  CULM_TRY(const Json fields, ask(control::encode(control::SyncRequest{request})));
  return control::parse_sync_report(fields);
}

Result<WritableStore> open_to_write(const std::string& directory, bool create,
                                    SignatureVerifier& verifier, const AcceptOptions& options) {
  WritableStore opened;
  auto store = open_store(directory, {.create = create}, &opened.kv);
  if (store) {
    opened.store = *std::move(store);
    opened.writer = std::make_unique<SharingWriter>(directory, *opened.store, verifier, options);
    return opened;
  }
  if (store.error().code != Errc::kStoreLocked) return fail(store.error());
  auto client = NodeClient::connect(directory);
  if (client == nullptr) return fail(store.error());
  CULM_TRY(opened.store, open_to_read(directory));
  opened.node = client.get();
  opened.writer = std::move(client);
  return opened;
}

Result<std::unique_ptr<store::Store>> open_to_read(const std::string& directory) {
  return open_store(directory, {.read_only = true});
}

store::Appender::Commit commit_through(Writer& writer, const store::Store& store) {
  return [&writer, &store, is_kept = false](const store::SignedUnit& unit) mutable -> Result<void> {
    if (!is_kept) CULM_CHECK(keep_all(store, writer, unit.log()));
    is_kept = true;
    return writer.append(unit);
  };
}

}  // namespace culm::host
