#include "culm/replication/host/control_protocol.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "culm/replication/host/detail/json_fields.hpp"
#include "culm/replication/host/sync_json.hpp"

namespace culm::control {
namespace {

constexpr std::array kNumbers = {
    std::pair{ErrorDetail::kOffset, "offset"},
    std::pair{ErrorDetail::kSeqnum, "seqnum"},
    std::pair{ErrorDetail::kSystem, "errno"},
};

constexpr std::string_view kPutParts = R"({"verb":"put_parts",)";

std::string request(std::string_view verb, const LogKey& log, const Json& more) {
  Json head = {{"verb", verb}, {"log", to_string(log)}};
  head.update(more);
  return to_line(head) + "\n";
}

Result<LogKey> get_log(const Json& object) {
  CULM_TRY(const std::string text, get_text(object, "log"));
  return parse_log_key(text);
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

/// `rest`: behind the first line.
Result<Request> decode_put_parts(const Json& head, std::string_view rest) {
  PutPartsRequest put;
  CULM_TRY(put.stage, to_stage(head));
  const auto offset = head.find_number("offset");
  const auto size = head.find_number("bytes");
  if (!offset || !size || !rest.starts_with('\n') || rest.size() != *size + 1) {
    return fail(Errc::kFileFormat);
  }
  put.offset = *offset;
  const ByteView bytes = as_bytes(rest.substr(1));
  put.bytes.assign(bytes.begin(), bytes.end());
  return put;
}

Result<Request> decode_bind_stage(const Json& head) {
  BindStageRequest bind;
  CULM_TRY(bind.log, get_log(head));
  CULM_TRY(bind.staged, to_staged(head));
  const auto seqnum = head.find_number("seqnum");
  if (!seqnum) return fail(Errc::kFileFormat);
  bind.seqnum = *seqnum;
  bind.undelete = head.find_bool("undelete").value_or(false);
  return bind;
}

/// Bytes behind the empty line of a request with this first line.
std::size_t bytes_behind(std::string_view head) {
  if (!head.starts_with(kPutParts)) return 0;
  const auto object = parse_json_object(head);
  const auto bytes = object ? object->find_number("bytes") : std::nullopt;
  // More than there can be is found out by who reads.
  return static_cast<std::size_t>(std::min<std::uint64_t>(bytes.value_or(0), kRequestBytesMax));
}

Result<store::LogInterest> decode_interest(const Json& head) {
  store::LogInterest interest;
  CULM_TRY(interest.entries.ranges, get_ranges(head, "ranges"));
  const auto newest = head.find_number("newest");
  const auto payloads = head.find_bool("payloads");
  if (!newest || !payloads) return fail(Errc::kFileFormat);
  interest.entries.newest = *newest;
  interest.payloads = *payloads;
  return interest;
}

Json to_fields(const store::LogInterest& interest) {
  return {{"ranges", to_string(interest.entries.ranges)},
          {"newest", interest.entries.newest},
          {"payloads", interest.payloads}};
}

Result<Request> decode_ingest(const Json& head, std::string_view lines, bool is_own) {
  IngestRequest ingest;
  ingest.is_own = is_own;
  CULM_TRY(ingest.log, get_log(head));
  if (head.find("stage") != nullptr) {
    CULM_TRY(ingest.staged, to_staged(head));
  }
  if (head.find("ranges") != nullptr) {
    CULM_TRY(ingest.keeps, decode_interest(head));
  }
  if (head.find("undeletes") != nullptr) {
    CULM_TRY(ingest.undeletes, get_ranges(head, "undeletes"));
  }
  while (true) {
    const std::string_view line = take_line(lines);
    if (line.empty()) return ingest;
    if (ingest.entries.size() == limits::kUnitEntriesMax) return fail(Errc::kLimit);
    CULM_TRY(auto entry, decode_jsonl(line));
    ingest.entries.push_back(std::move(entry));
  }
}

Json to_fields(const host::LogChange& change) {
  Json fields = {{"log", to_string(change.log)}};
  using host::LogChange;
  if (const auto* const deleted = std::get_if<LogChange::DeletePayloads>(&change.what)) {
    fields["delete"] = to_string(deleted->seqnums);
  } else if (const auto* const interest = std::get_if<store::LogInterest>(&change.what)) {
    fields.update(to_fields(*interest));
  } else {
    fields["forget"] = true;
  }
  return fields;
}

Result<host::LogChange> decode_change(std::string_view line) {
  using host::LogChange;
  const auto fields = parse_json_object(line);
  if (!fields) return fail(Errc::kFileFormat);
  LogChange change;
  CULM_TRY(change.log, get_log(*fields));
  if (fields->find("delete") != nullptr) {
    CULM_TRY(RangeSet seqnums, get_ranges(*fields, "delete"));
    change.what = LogChange::DeletePayloads{std::move(seqnums)};
  } else if (fields->find_bool("forget").value_or(false)) {
    change.what = LogChange::Forget{};
  } else {
    CULM_TRY(change.what, decode_interest(*fields));
  }
  return change;
}

Result<Request> decode_changes(std::string_view lines) {
  ChangeRequest request;
  while (true) {
    const std::string_view line = take_line(lines);
    if (line.empty()) return request;
    CULM_TRY(auto change, decode_change(line));
    request.changes.push_back(std::move(change));
  }
}

std::optional<Errc> find_errc(std::string_view wanted) {
  for (std::uint16_t number = 1; number < 1000; ++number) {
    if (name(Errc{number}) == wanted) return Errc{number};
  }
  return std::nullopt;
}

}  // namespace

std::string encode_ingest(const LogKey& log, std::span<const UnitEntry> unit,
                          const store::LogInterest* keeps, const RangeSet& undeletes) {
  Json more = keeps != nullptr ? to_fields(*keeps) : Json::object();
  if (!undeletes.empty()) more["undeletes"] = to_string(undeletes);
  std::string text = request("ingest", log, more);
  for (const UnitEntry& item : unit) append_jsonl(text, item.entry.bytes(), item.payload);
  return text + "\n";
}

std::string encode_changes(std::span<const host::LogChange> changes) {
  constexpr std::size_t kTextMax = kRequestBytesMax / 8;  // one may be the larger part of the rest
  std::string text = to_line(Json{{"verb", "change"}});
  text += "\n";
  for (const host::LogChange& change : changes) {
    if (text.size() > kTextMax) break;
    text += to_line(to_fields(change)) + "\n";
  }
  return text + "\n";
}

std::string encode(const DropDamagedRequest& request_value) {
  return request("drop_damaged", request_value.log,
                 {{"seqnums", to_string(request_value.seqnums)}}) +
         "\n";
}

std::string encode(const ForgetPeerRequest& request_value) {
  return to_line(Json{{"verb", "forget_peer"}, {"address", request_value.address}}) + "\n\n";
}

std::string encode(const CompactRequest& /*request*/) {
  return to_line(Json{{"verb", "compact"}}) + "\n\n";
}

std::string encode(const PublishRequest& request_value) {
  return request("publish", request_value.log, Json::object()) + "\n";
}

std::string encode(const SyncRequest& request_value) {
  Json head = {{"verb", "sync"}};
  head.update(to_json(request_value.sync));
  return to_line(head) + "\n\n";
}

std::size_t request_size(std::string_view received, std::size_t& scanned) {
  const std::size_t end = received.find("\n\n", scanned);
  scanned = std::min(end, received.empty() ? 0 : received.size() - 1);
  if (end == std::string_view::npos) return 0;
  const std::size_t size = end + 2 + bytes_behind(received.substr(0, received.find('\n')));
  return size <= received.size() ? size : 0;
}

Result<Request> decode_request(std::string_view text) {
  const auto head = parse_json_object(take_line(text));
  if (!head) return fail(Errc::kFileFormat);
  CULM_TRY(const std::string verb, get_text(*head, "verb"));
  if (verb == "ingest") return decode_ingest(*head, text, false);
  if (verb == "append") return decode_ingest(*head, text, true);
  if (verb == "change") return decode_changes(text);
  if (verb == "forget_peer") {
    CULM_TRY(std::string address, get_text(*head, "address"));
    return ForgetPeerRequest{std::move(address)};
  }
  if (verb == "compact") return CompactRequest{};
  if (verb == "status") return StatusRequest{};
  if (verb == "put_parts") return decode_put_parts(*head, text);
  if (verb == "bind_stage") return decode_bind_stage(*head);
  if (verb == "reclaim") return ReclaimRequest{};
  if (verb == "begin_stage") {
    const auto claim = head->find_number("claim");
    if (!claim) return fail(Errc::kFileFormat);
    return BeginStageRequest{*claim};
  }
  if (verb == "publish") {
    CULM_TRY(const LogKey log, get_log(*head));
    return PublishRequest{log};
  }
  if (verb == "sync") {
    CULM_TRY(auto sync, parse_sync_request(*head));
    return SyncRequest{std::move(sync)};
  }
  if (verb != "drop_damaged") return fail(Errc::kFileFormat);
  CULM_TRY(const LogKey log, get_log(*head));
  CULM_TRY(RangeSet seqnums, get_ranges(*head, "seqnums"));
  return DropDamagedRequest{log, std::move(seqnums)};
}

Json to_json(const Error& error) {
  Json object = {{"error", name(error.code)}};
  for (const auto& [kind, key] : kNumbers) {
    if (kind == error.detail_kind) object[key] = error.detail;
  }
  return object;
}

Result<std::optional<Error>> find_error(const Json& object) {
  if (object.find("error") == nullptr) return std::nullopt;
  CULM_TRY(const std::string text, get_text(object, "error"));
  const auto code = find_errc(text);
  if (!code) return fail(Errc::kFileFormat);
  Error error{*code};
  for (const auto& [kind, key] : kNumbers) {
    if (const auto number = object.find_number(key)) error = Error{*code, kind, *number};
  }
  return error;
}

std::string encode(const Response& response) {
  Json line = {{"ok", !response.error}};
  if (response.error) {
    line.update(to_json(*response.error));
    line["message"] = message(*response.error);
  }
  line.update(response.fields);
  return to_line(line) + "\n";
}

Result<Response> decode_response(std::string_view line) {
  auto object = parse_json_object(line);
  if (!object) return fail(Errc::kFileFormat);
  const auto ok = object->find_bool("ok");
  if (!ok) return fail(Errc::kFileFormat);
  Response response;
  if (!*ok) {
    CULM_TRY(response.error, find_error(*object));
    if (!response.error) return fail(Errc::kFileFormat);
  }
  response.fields = *std::move(object);
  return response;
}

Json to_fields(const store::IngestReport& report) {
  Json fields = {{"added", to_string(report.added)},
                 {"payloads_added", to_string(report.payloads_added)},
                 {"payload_bytes_added", report.payload_bytes_added},
                 {"signatures_checked", report.signatures_checked}};
  if (report.defect) {
    fields["defect"] = Json{{"kind", name(report.defect->kind)}, {"at", report.defect->at}};
  }
  return fields;
}

Result<store::IngestReport> to_report(const Json& fields) {
  store::IngestReport report;
  CULM_TRY(report.added, get_ranges(fields, "added"));
  CULM_TRY(report.payloads_added, get_ranges(fields, "payloads_added"));
  report.payload_bytes_added = fields.find_number("payload_bytes_added").value_or(0);
  report.signatures_checked = fields.find_number("signatures_checked").value_or(0);
  if (fields.find("defect") == nullptr) return report;
  const Json* const defect = fields.find_object("defect");
  if (defect == nullptr) return fail(Errc::kFileFormat);
  CULM_TRY(const std::string kind, get_text(*defect, "kind"));
  const auto at = defect->find_number("at");
  const auto known = find_defect_kind(kind);
  if (!at || !known) return fail(Errc::kFileFormat);
  report.defect = Defect{*known, *at};
  return report;
}

}  // namespace culm::control
