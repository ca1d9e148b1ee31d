#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "culm/feed/range_set.hpp"
#include "culm/replication/host/json.hpp"
#include "culm/replication/host/jsonl.hpp"
#include "culm/replication/host/log_change.hpp"
#include "culm/replication/node/sync.hpp"
#include "culm/store/appender.hpp"
#include "culm/store/store.hpp"

/// What verbs that write say to the node that runs on the store, over a Unix-domain socket in the
/// store's directory. A request is a line of JSON that names its verb, for `ingest` followed by
/// entries as JSON lines, for `change` by logs, and ends with an empty line. The answer is one line
/// of JSON. Several requests may follow each other on one connection. `append` is `ingest` for
/// entries that the log's own author has just signed: refused, before they are a fork, where the
/// log has grown meanwhile. A payload too large for a request is put into the store before its
/// entry
/// (`begin_stage`, `put_parts`), and named by `append`. The node shows them to no peer before
/// `publish` says, of them or of later ones, that the author mark has been moved up to them.
///
///   {"verb":"ingest","log":"<author hex>.<log_id>"}      {"ok":true,"added":"1-3",..}
///   {"encoded":"..","payload":".."}                      {"ok":false,"error":"log_ended",
///                                                         "seqnum":7,"message":".."}
///
/// Behind the empty line of `put_parts` come as many bytes as it says, as they are.
namespace culm::control {

inline constexpr std::string_view kSocketName = "node.sock";

/// Bounds what a node keeps in memory for one request: a unit with limits::kCommitBytesTarget of
/// payloads in hex fits, and so does a set of limits::kRangesPerLogMax ranges.
inline constexpr std::size_t kRequestBytesMax = std::size_t{24} << 20U;

/// Entries of one log, at most limits::kUnitEntriesMax, to verify and append as one unit.
struct IngestRequest {
  LogKey log;
  std::vector<JsonlEntry> entries;
  /// New entries of this author, with the verb `append`.
  bool is_own = false;
  /// The payload of the last entry.
  std::optional<store::StagedPayload> staged{};
  /// Is added to what the store keeps of the log, as `KeptUnit` has it.
  std::optional<store::LogInterest> keeps{};
  /// As that has it too.
  RangeSet undeletes{};
};
/// Drops what is damaged of these.
struct DropDamagedRequest {
  LogKey log;
  RangeSet seqnums;
};
/// As `Writer::change_all`; answered by how many were made.
struct ChangeRequest {
  std::vector<host::LogChange> changes;
};
/// Of those that the store has synced with.
struct ForgetPeerRequest {
  std::string address;
};
/// Gives the disk back what is free; the node writes nothing meanwhile.
struct CompactRequest {};
/// Begins a stage that is bound to no entry; answered by its number.
struct BeginStageRequest {
  std::uint64_t claim = 0;
};
struct PutPartsRequest {
  store::Stage stage;
  std::uint64_t offset = 0;
  Bytes bytes;
};
/// Makes it the payload of a held entry; `payload_hash` is what who put its parts there made of
/// them.
struct BindStageRequest {
  LogKey log;
  SeqNum seqnum = 0;
  store::StagedPayload staged;
  bool undelete = false;
};
/// Erases what was staged by processes that were killed.
struct ReclaimRequest {};
/// The author mark of the log is where the log is.
struct PublishRequest {
  LogKey log;
};
struct StatusRequest {};
/// A sync by the node; not live. Answered by its report.
struct SyncRequest {
  node::SyncRequest sync;
};

using Request = std::variant<IngestRequest, ChangeRequest, DropDamagedRequest, ForgetPeerRequest,
                             PublishRequest, CompactRequest, StatusRequest, SyncRequest,
                             BeginStageRequest, PutPartsRequest, BindStageRequest, ReclaimRequest>;

// Requests as text, with the empty line.
[[nodiscard]] std::string encode_ingest(const LogKey& log, std::span<const UnitEntry> unit,
                                        const store::LogInterest* keeps = nullptr,
                                        const RangeSet& undeletes = {});
[[nodiscard]] std::string encode_append(const store::SignedUnit& unit);
/// The first of them, as many as a request has room for; one in any case.
[[nodiscard]] std::string encode_changes(std::span<const host::LogChange> changes);
[[nodiscard]] std::string encode_put_parts(const store::Stage& stage, std::uint64_t offset,
                                           ByteView bytes);
[[nodiscard]] std::string encode(const BeginStageRequest& request);
[[nodiscard]] std::string encode(const BindStageRequest& request);
[[nodiscard]] std::string encode(const ReclaimRequest& request);
[[nodiscard]] std::string encode(const DropDamagedRequest& request);
[[nodiscard]] std::string encode(const ForgetPeerRequest& request);
[[nodiscard]] std::string encode(const CompactRequest& request);
[[nodiscard]] std::string encode(const PublishRequest& request);
[[nodiscard]] std::string encode(const SyncRequest& request);

/// Bytes of the first whole request in `received`, its empty line and what is behind that included;
/// 0 while it is not all there. `scanned`: no request ends before this place; 0 for a new one.
[[nodiscard]] std::size_t request_size(std::string_view received, std::size_t& scanned);

/// Reads one whole request. Fails with kFileFormat, kHexFormat, kRange, kLimit.
[[nodiscard]] Result<Request> decode_request(std::string_view text);

/// `error` unless the request was done; `fields` say more, as the verb has it.
struct Response {
  std::optional<Error> error;
  Json fields = Json::object();
};

/// One line with its line end.
[[nodiscard]] std::string encode(const Response& response);
/// Fails with kFileFormat.
[[nodiscard]] Result<Response> decode_response(std::string_view line);

[[nodiscard]] Json to_json(const Error& error);
/// Nothing where the object names no error. Fails with kFileFormat for one that is not known.
[[nodiscard]] Result<std::optional<Error>> find_error(const Json& object);

/// What `begin_stage` answers, and back. Fails with kFileFormat.
[[nodiscard]] Json to_fields(const store::Stage& stage);
[[nodiscard]] Result<store::Stage> to_stage(const Json& fields);
/// As `append` and `bind_stage` name it. Fails with kFileFormat.
[[nodiscard]] Result<store::StagedPayload> to_staged(const Json& fields);

/// What `ingest` answers, and back. Fails with kFileFormat.
[[nodiscard]] Json to_fields(const store::IngestReport& report);
[[nodiscard]] Result<store::IngestReport> to_report(const Json& fields);

}  // namespace culm::control
