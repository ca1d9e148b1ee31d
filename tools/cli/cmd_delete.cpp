#include <algorithm>

#include "tools/cli/arguments.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string log;
  RangeSet range;
  bool payloads = false;
};

Outcome<void> run(Context& context, const Options& options) {
  if (!options.payloads) {
    return usage("say what to delete: --payloads (entries are kept, as the proof of the others)");
  }
  RangeSet range = options.range;
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  CULM_TOOLS_TRY(const auto before, read_log_named(*access.store, options.log));
  // An open range is meant of what there is, not of payloads yet to come.
  const SeqNum head = before.held.largest_up_to(kSeqnumMax);
  if (range.contains(kSeqnumMax) && head < kSeqnumMax) range.erase({head + 1, kSeqnumMax});
  CULM_TOOLS_CHECK(
      about(short_name(before.log), access.writer->delete_payloads(before.log, range)));
  CULM_TOOLS_TRY(const auto after, read_log_named(*access.store, to_string(before.log)));

  const std::uint64_t count = (before.payloads - after.payloads).count();
  const std::uint64_t bytes =
      before.payload_bytes - std::min(before.payload_bytes, after.payload_bytes);
  if (context.json) {
    return context.out.write_json(Json{{"log", to_string(before.log)},
                                       {"deleted", count},
                                       {"deleted_bytes", bytes},
                                       {"payloads", after.payloads.count()}});
  }
  return context.out.write("deleted " + human_count(count) +
                           (count == 1 ? " payload" : " payloads") + " (" + human_size(bytes) +
                           "), " + human_count(after.payloads.count()) +
                           " left; all entries are kept\n");
}

}  // namespace

void add_delete(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "delete",
      "Delete payloads here and keep the entries. What is left still verifies and can be served.\n"
      "Deleted payloads are not fetched again. An open range ends at the head.",
      "culm delete 4fd3ab12 --payloads --range 1-500", options, run);
  verb.add_option("LOG", &options->log, "Log").required();
  verb.add_flag("--payloads", options->payloads, "Needed: says that payloads are to be deleted");
  verb.add_option("--range", ranges_of(options->range), "Seqnums, such as 5-9,20,30-").required();
}

}  // namespace culm::tools
