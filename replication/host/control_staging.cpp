// What is said of payloads that are in the store before their entries.
#include <algorithm>

#include "culm/replication/host/control_protocol.hpp"

namespace culm::control {

static Json to_json(const store::StagedPayload& staged) {
  Json object = to_fields(staged.stage);
  object["payload_hash"] = to_hex(staged.hash.bytes);
  object["payload_size"] = staged.size_bytes;
  return object;
}

std::string encode_append(const store::SignedUnit& unit) {
  const auto& staged = unit.staged();
  Json head = {{"verb", "append"}, {"log", to_string(unit.log())}};
  if (staged) head.update(to_json(*staged));
  std::string text = to_line(head) + "\n";
  for (const UnitEntry& item : unit.entries()) {
    append_jsonl(text, item.entry.bytes(), item.payload);
  }
  return text + "\n";
}

std::string encode_put_parts(const store::Stage& stage, std::uint64_t offset, ByteView bytes) {
  Json head = {{"verb", "put_parts"}};
  head.update(to_fields(stage));
  head["offset"] = offset;
  head["bytes"] = bytes.size();
  std::string text = to_line(head) + "\n\n";
  return text.append(as_text(bytes));
}

std::string encode(const BeginStageRequest& request_value) {
  return to_line(Json{{"verb", "begin_stage"}, {"claim", request_value.claim}}) + "\n\n";
}

std::string encode(const BindStageRequest& request_value) {
  Json head = {{"verb", "bind_stage"}, {"log", to_string(request_value.log)}};
  head.update(to_json(request_value.staged));
  head["seqnum"] = request_value.seqnum;
  head["undelete"] = request_value.undelete;
  return to_line(head) + "\n\n";
}

std::string encode(const ReclaimRequest& /*request*/) {
  return to_line(Json{{"verb", "reclaim"}}) + "\n\n";
}

Json to_fields(const store::Stage& stage) { return {{"claim", stage.seqnum}, {"stage", stage.id}}; }

Result<store::Stage> to_stage(const Json& fields) {
  const auto claim = fields.find_number("claim");
  const auto id = fields.find_number("stage");
  if (!claim || !id) return fail(Errc::kFileFormat);
  return store::Stage{0, *claim, *id};
}

Result<store::StagedPayload> to_staged(const Json& fields) {
  store::StagedPayload staged;
  CULM_TRY(staged.stage, to_stage(fields));
  const std::string* const text = fields.find_text("payload_hash");
  const auto digest = text != nullptr ? from_hex(*text) : std::nullopt;
  const auto size = fields.find_number("payload_size");
  if (!digest || digest->size() != staged.hash.bytes.size() || !size) {
    return fail(Errc::kFileFormat);
  }
  std::ranges::copy(*digest, staged.hash.bytes.begin());
  staged.size_bytes = *size;
  return staged;
}

}  // namespace culm::control
