#include <vector>

#include "culm/feed/closure.hpp"
#include "culm/feed/lipmaa.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string log;
  std::string seqnum;
  std::string file;
  std::string hex;
};

struct Field {
  std::uint16_t offset = 0;
  const char* name = "";
  std::string value;
};

std::string short_hex(ByteView bytes) { return to_hex(bytes.first(16)) + "…"; }

/// The fields that are there, in their order.
std::vector<Field> fields_of(const EntryView& entry, bool is_short) {
  const auto hex = [is_short](ByteView bytes) {
    return is_short ? short_hex(bytes) : to_hex(bytes);
  };
  const EntryView::Offsets& at = entry.offsets();
  std::vector<Field> fields = {{0, "tag", entry.is_end_of_log() ? "1 (end-of-log)" : "0 (entry)"},
                               {1, "author", to_hex(entry.author().bytes)},
                               {at.log_id, "log_id", std::to_string(to_integer(entry.log_id()))},
                               {at.seqnum, "seqnum", std::to_string(entry.seqnum())}};
  if (const auto link = entry.lipmaalink()) {
    fields.push_back({at.lipmaalink, "lipmaalink",
                      hex(link->bytes) + " -> " + std::to_string(lipmaa(entry.seqnum()))});
  }
  if (const auto link = entry.backlink()) {
    fields.push_back(
        {at.backlink, "backlink", hex(link->bytes) + " -> " + std::to_string(entry.seqnum() - 1)});
  }
  fields.push_back({at.payload_size, "payload_size", std::to_string(entry.payload_size())});
  fields.push_back({at.payload_hash, "payload_hash", hex(entry.payload_hash().bytes)});
  fields.push_back({at.signature, "signature", hex(entry.signature().bytes)});
  return fields;
}

Json to_json(const EntryView& entry) {
  const auto link = [](const std::optional<Hash>& hash) {
    return hash ? Json(to_hex(hash->bytes)) : Json();
  };
  Json offsets = Json::object();
  for (const Field& field : fields_of(entry, true)) offsets[field.name] = field.offset;
  return {{"type", "inspection"},
          {"tag", entry.is_end_of_log() ? 1 : 0},
          {"author", to_hex(entry.author().bytes)},
          {"log_id", to_integer(entry.log_id())},
          {"seqnum", entry.seqnum()},
          {"lipmaalink", link(entry.lipmaalink())},
          {"backlink", link(entry.backlink())},
          {"payload_size", entry.payload_size()},
          {"payload_hash", to_hex(entry.payload_hash().bytes)},
          {"signature", to_hex(entry.signature().bytes)},
          {"offsets", offsets},
          {"size", entry.bytes().size()},
          {"hash", to_hex(entry.hash().bytes)},
          {"lipmaa", lipmaa(entry.seqnum())},
          {"encoded", to_hex(entry.bytes())}};
}

std::string line(std::string_view name, std::string_view value) {
  std::string text = "        " + std::string(name);
  text.resize(std::max<std::size_t>(text.size() + 1, 23), ' ');
  return text + std::string(value) + "\n";
}

std::string to_text(const EntryView& entry) {
  std::string text = "offset  field          value\n";
  for (const Field& field : fields_of(entry, false)) {
    std::string offset = std::to_string(field.offset);
    offset.insert(0, 6 - offset.size(), ' ');
    std::string name = field.name;
    name.resize(15, ' ');
    text += offset + "  " + name + field.value + "\n";
  }
  std::string size = std::to_string(entry.bytes().size());
  size.insert(0, 6 - size.size(), ' ');
  return text + size + "  (end)\n\n" + line("hash", to_hex(entry.hash().bytes));
}

Result<void> check_signature(const EntryView& entry) {
  Ed25519Verifier verifier;
  return verifier.verify(entry.author(), entry.signed_bytes(), entry.signature());
}

std::string signature_line(const Result<void>& signature) {
  return line("signature is", signature ? "good" : "bad: " + message(signature.error()));
}

/// A state for people.
std::string worded(const std::string& state) {
  if (state == "dropped") return "dropped: at or above the fork";
  if (state == "deleted") return "deleted here";
  return state == "not_held" ? "not held" : state;
}

/// How an entry stands in the log that is held. Spec: cli.md#keys
struct Standing {
  std::string level;
  std::string payload;
  RangeSet linked_from;  ///< held entries with a link to it
  RangeSet pool_missing;
  bool is_loose = false;
};

Standing standing_of(const store::LogState& log, SeqNum n) {
  Standing standing;
  const RangeSet served = log.served();
  const bool is_dropped = log.cap != 0 && n >= log.cap;
  standing.level = is_dropped ? "dropped" : log.verified.contains(n) ? "verified" : "attested";
  standing.payload = is_dropped                 ? "dropped"
                     : log.payloads.contains(n) ? "held"
                     : log.deleted.contains(n)  ? "deleted"
                                                : "not_held";
  for (const SeqNum from : InLinks(n)) {
    if (served.contains(from)) standing.linked_from.insert(from);
  }
  standing.pool_missing = closure({{n, n}}, log.head()) - served;
  const auto next = up(n);
  standing.is_loose = next && *next <= log.head() && !served.contains(*next);
  return standing;
}

Outcome<void> print_raw(Context& context, const std::string& name, ByteView bytes) {
  const auto entry = EntryView::parse(bytes);
  if (!entry) {
    const std::string size =
        std::to_string(bytes.size()) + (bytes.size() == 1 ? " byte" : " bytes");
    return fail_with(
        Failure(entry.error())
            .about(name + " (" + size + ")")
            .next("give all bytes of one entry and no others: `culm inspect LOG SEQNUM "
                  "--json` prints those of one that is held, as encoded"));
  }
  const auto signature = check_signature(*entry);
  Json object = to_json(*entry);
  object["signature_good"] = signature.has_value();
  if (!context.json) {
    CULM_TOOLS_CHECK(context.out.say(to_text(*entry) + signature_line(signature)));
  } else {
    CULM_TOOLS_CHECK(context.out.write_json(object));
  }
  if (signature) return {};
  return fail_with(error_for(signature.error().code, entry->seqnum()));
}

/// Of an author with several logs one has to be named.
Outcome<store::LogState> find_one(const store::ReadTransaction& transaction,
                                  const Options& options) {
  auto one = get_log_named(transaction, options.log);
  const auto logs = find_logs_named(transaction, {options.log});
  if (one || !logs || logs->size() < 2) return one;
  const std::string name = options.log + "." + std::to_string(to_integer(logs->front().log_id));
  return fail_with(std::move(one).error().next("like `culm inspect " + shell_word(name) + " " +
                                               shell_word(options.seqnum) + "`"));
}

Outcome<void> print_held(Context& context, const Options& options) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto transaction, store->read());
  CULM_TOOLS_TRY(const auto log, find_one(transaction, options));
  CULM_TOOLS_TRY(const SeqNum n, parse_seqnum_of("SEQNUM", options.seqnum, log.head()));
  CULM_TOOLS_TRY(const auto stored, about(short_name(log.log), transaction.get_entry(log, n)));
  const Standing standing = standing_of(log, n);
  CULM_TOOLS_TRY(const auto stages, transaction.arriving_stages(log, {{n, n}}));
  std::uint64_t in_part = 0;
  for (const auto& stage : stages) in_part = std::max(in_part, stage.size_bytes);
  const RangeSet& missing = standing.pool_missing;
  if (context.json) {
    Json object = to_json(stored.entry);
    object["level"] = standing.level;
    object["payload_state"] = standing.payload;
    object["payload_bytes_in_part"] = in_part;
    object["linked_from"] = to_string(standing.linked_from);
    object["is_loose"] = standing.is_loose;
    object["pool_missing"] = to_string(missing);
    return context.out.write_json(object);
  }
  std::string payload = worded(standing.payload);
  if (in_part != 0) payload += ", " + human_size(in_part) + " of it in part";
  std::string text = to_text(stored.entry) + signature_line(check_signature(stored.entry)) +
                     line("level", worded(standing.level)) + line("payload", payload);
  if (log.payloads.contains(n)) {
    CULM_TOOLS_TRY(const ByteView start, transaction.read_payload(log, n, 0, 512));
    text += line("payload text", preview(start, terminal_columns() - 24,
                                         start.size() == stored.entry.payload_size()));
  }
  const std::string from = to_string(standing.linked_from);
  text += line("linked from", from.empty() ? "no held entry" : from);
  text += line("closure", standing.is_loose ? "loose: an entry of its tail path is not held yet"
                                            : "closed at the head " + std::to_string(log.head()));
  text += line("pool", missing.empty() ? "held" : "missing " + to_string(missing));
  return context.out.say(text);
}

Outcome<void> run(Context& context, const Options& options) {
  const bool is_held = !options.log.empty();
  if (is_held + !options.file.empty() + !options.hex.empty() != 1) {
    return usage("say what to inspect: LOG SEQNUM, or --file FILE, or --hex DIGITS");
  }
  if (is_held) {
    if (options.seqnum.empty()) {
      return usage_without(context, "SEQNUM", "which entry of the log? Give its SEQNUM");
    }
    return print_held(context, options);
  }
  if (!options.file.empty()) {
    auto bytes = read_file(options.file, 4096, Errc::kEntryTooLong);
    if (!bytes) return fail_with(std::move(bytes.error()));
    return print_raw(context, shown(options.file), *bytes);
  }
  const auto bytes = from_hex(options.hex);
  if (!bytes) return usage("--hex takes hex digits and nothing else, two for each byte");
  return print_raw(context, "--hex", *bytes);
}

}  // namespace

void add_inspect(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "inspect",
      "Show an entry, every field with its offset in bytes. It is one of a log, with how "
      "it stands\n"
      "in the store, or raw bytes from a file or as hex digits, which need no store.",
      "culm inspect 4fd3ab12 last\n  culm inspect --file entry.bin", options, run);
  verb.group(VerbGroup::kRead);
  verb.add_option("LOG", &options->log, "Log");
  verb.add_option("SEQNUM", &options->seqnum,
                  "Which entry of it: a number, last, or -10 for the tenth from the end");
  verb.add_option("--file", &options->file, "File of raw bytes").type_name("FILE");
  verb.add_option("--hex", &options->hex, "Hex digits").type_name("DIGITS");
}

}  // namespace culm::tools
