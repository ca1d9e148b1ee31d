#include <algorithm>
#include <numeric>

#include "culm/feed/closure.hpp"
#include "culm/store/audit.hpp"
#include "culm/store/salvage.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/entry_format.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/kept.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/readable.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {};

/// Bytes of one kind.
struct Kind {
  const char* key;
  const char* text;
  std::uint64_t bytes = 0;
};

enum : std::size_t {
  kPayloads,
  kEntries,
  kCertificate,
  kEvidence,
  kStaged,
  kForgotten,
  kFree,
  kOther
};

using Kinds = std::array<Kind, kOther + 1>;

Outcome<void> unless_uncounted(const LogKey& log, const RangeSet& damaged) {
  if (damaged.empty()) return {};
  Failure failure(error_for(Errc::kStoreDamaged, damaged.min()));
  failure.message += "; counted as all else: " + to_string(damaged);
  failure.fields["damaged"] = to_string(damaged);
  return fail_with(std::move(failure).about(short_name(log)));
}

/// Each entry is read. What is damaged counts as all else, and is named.
Outcome<void> count(const store::Store& store, const LogKey& key, Kinds& kinds,
                    Progress& progress) {
  CULM_TOOLS_TRY(const auto log, read_log(store, key));
  kinds[kPayloads].bytes += log.payload_bytes;
  const RangeSet certificate = log.certificate();
  CULM_TOOLS_TRY(const RangeSet unreadable,
                 visit_readable(store, key, log.held, [&](const store::StoredEntry& stored) {
                   const SeqNum seqnum = stored.entry.seqnum();
                   kinds[certificate.contains(seqnum) ? kCertificate : kEntries].bytes +=
                       stored.entry.bytes().size();
                   progress.advance(1);
                 }));
  CULM_TOOLS_TRY(const auto transaction, store.read());
  const auto evidence = about(short_name(key), transaction.evidence(log));
  for (const Evidence& one : evidence.value_or(std::vector<Evidence>())) {
    for (const Bytes& entry : one.entries) kinds[kEvidence].bytes += entry.size();
  }
  CULM_TOOLS_CHECK(unless_uncounted(key, unreadable));
  CULM_TOOLS_CHECK(evidence);
  return {};
}

/// What damage no count has met.
Outcome<void> unless_damaged(const Context& context, const store::ReadTransaction& transaction) {
  auto damage = find_damage(context, transaction);
  if (!damage) return {};
  damage->message += "; what only these lead to counts as all else";
  return fail_with(*std::move(damage));
}

Outcome<void> run(Context& context, const Options& /*options*/) {
  CULM_TOOLS_CHECK(guard_reading(context));
  CULM_TOOLS_TRY(const auto store, open_for_reading(context));
  CULM_TOOLS_TRY(const auto transaction, store->read());
  CULM_TOOLS_TRY(const auto space, about(named(context), transaction.space()));
  Kinds kinds{{{"payload_bytes", "payloads"},
               {"entry_bytes", "entries"},
               {"certificate_bytes", "certificate entries"},
               {"evidence_bytes", "evidence of forks"},
               {"staged_bytes", "parts of payloads that arrive"},
               {"forgotten_bytes", "rows of forgotten logs, which `culm compact` erases as well"},
               {"free_bytes", "free: besides those rows, `culm compact` gives back about so much"},
               {"other_bytes", "all else: keys, checksums, ranges, rest of pages"}}};
  CULM_TOOLS_TRY(const auto logs, about(named(context), transaction.list_logs()));
  Progress progress("counting", 0, Progress::Unit::kCount);
  if (progress.is_shown()) progress.set_total(count_held(transaction, logs));
  Outcome<void> outcome;
  for (const LogKey& log : logs) {
    auto counted = count(*store, log, kinds, progress);
    if (!counted && counted.error().code != Errc::kStoreDamaged) return counted;
    if (!counted && outcome) outcome = std::move(counted);
  }
  CULM_TOOLS_TRY(kinds[kStaged].bytes, about(named(context), transaction.staged_bytes()));
  const auto forgotten = store::forgotten_bytes(transaction);
  if (!forgotten && forgotten.error().code != Errc::kStoreDamaged) {
    return fail_with(forgotten.error());
  }
  if (outcome) outcome = unless_damaged(context, transaction);
  kinds[kForgotten].bytes = forgotten.value_or(0);
  const auto packed = transaction.packed_bytes();
  if (!packed && packed.error().code != Errc::kStoreDamaged) return fail_with(packed.error());
  const bool is_uncounted = !forgotten || !packed;
  if (outcome && is_uncounted) outcome = about(named(context), forgotten.map([](auto) {}));
  if (outcome && is_uncounted) outcome = about(named(context), packed.map([](auto) {}));
  // Where it cannot be told, only what is free in whole.
  kinds[kFree].bytes =
      packed ? space.file_bytes - std::min(space.file_bytes, *packed) : space.free_bytes;
  const std::uint64_t known =
      std::accumulate(kinds.begin(), kinds.end(), std::uint64_t{0},
                      [](std::uint64_t sum, const Kind& kind) { return sum + kind.bytes; });
  kinds[kOther].bytes = space.file_bytes - std::min(space.file_bytes, known);

  const auto files = store::list_kept(context.store_directory);
  const std::uint64_t kept = std::accumulate(
      files.begin(), files.end(), std::uint64_t{0},
      [](std::uint64_t sum, const store::KeptFile& file) { return sum + file.size_bytes; });
  if (context.json) {
    Json line = {{"type", "space"}, {"file_bytes", space.file_bytes}};
    for (const Kind& kind : kinds) line[kind.key] = kind.bytes;
    line["damaged_file_bytes"] = kept;
    CULM_TOOLS_CHECK(context.out.write_json(line));
    return outcome;
  }
  using enum Table::Align;
  Table table({{"bytes"}, {"", kLeft}});
  for (const Kind& kind : kinds) table.add({human_size(kind.bytes), kind.text});
  table.add({human_size(space.file_bytes), "the whole file"});
  if (!files.empty()) {
    table.add({human_size(kept), "besides: damaged files that `culm repair` has kept (" +
                                     human_kept(files) +
                                     "), to be deleted once all logs that you miss are here"});
  }
  CULM_TOOLS_CHECK(context.out.say(table.take()));
  return outcome;
}

}  // namespace

void add_du(CommandTree& tree) {
  Verb& verb = tree.add_verb(
      "du",
      "Say where the bytes of the store's file are, and how many `culm compact` would give back.\n"
      "Reads every entry and no payload, and adds up to the length of the file, but for damaged\n"
      "files that `culm repair` has kept beside it, which are named last. What is damaged counts\n"
      "as all else and is named, of the first log that has any, or else of the file, and the exit\n"
      "status is then 5; of payloads `culm verify` says it.",
      "culm du", std::make_shared<Options>(), run);
  verb.group(VerbGroup::kLetGo);
}

}  // namespace culm::tools
