#include "culm/feed/closure.hpp"
#include "culm/feed/lipmaa.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {
  std::string seqnum;
  std::string head;
  std::string log;
};

RangeSet to_set(const std::vector<SeqNum>& seqnums) {
  RangeSet set;
  for (const SeqNum n : seqnums) set.insert(n);
  return set;
}

std::string line(std::string_view title, const RangeSet& set) {
  return std::string(title) + (set.empty() ? "-" : to_string(set)) + "\n";
}

Outcome<void> run(Context& context, const Options& options) {
  SeqNum head = kSeqnumMax;
  RangeSet held;
  if (!options.log.empty()) {
    CULM_TOOLS_TRY(const auto store, open_for_reading(context));
    CULM_TOOLS_TRY(const auto transaction, store->read());
    CULM_TOOLS_TRY(const auto state, get_log_named(transaction, options.log));
    held = state.served();
    head = state.head();
  }
  if (!options.head.empty()) {
    if (options.log.empty() && is_from_last(options.head)) {
      return usage_without(context, "--log LOG",
                           "say with --log of which log the last entries are meant");
    }
    CULM_TOOLS_TRY(head, parse_seqnum_of("--head", options.head, head));
  }
  if (head == kSeqnumMax && is_from_last(options.seqnum)) {
    return usage_without(
        context, "--log LOG",
        "say with --log of which log the last entries are meant, or where it ends: --head");
  }
  CULM_TOOLS_TRY(const SeqNum n, parse_seqnum_of("N", options.seqnum, head));
  if (n > head)
    return usage("N " + std::to_string(n) + " lies above the head " + std::to_string(head));

  const RangeSet head_path = to_set(path_to_first(n));
  const RangeSet tail = to_set(tail_path(n, head));
  const RangeSet pool = head_path | tail;
  const RangeSet missing = pool - held;
  if (context.json) {
    Json object = {{"type", "pool"},
                   {"seqnum", n},
                   {"head_path", to_string(head_path)},
                   {"tail_path", to_string(tail)},
                   {"entries", pool.count()}};
    if (head != kSeqnumMax) object["head"] = head;
    if (!options.log.empty()) object["held"] = to_string(pool & held);
    if (!options.log.empty()) object["missing"] = to_string(missing);
    return context.out.write_json(object);
  }
  std::string text = line("head path  ", head_path) + line("tail path  ", tail) + "entries    " +
                     human_count(pool.count()) + "\n";
  if (!options.log.empty()) text += line("held       ", pool & held) + line("missing    ", missing);
  return context.out.say(text);
}

}  // namespace

void add_pool(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "pool",
      "Print the certificate pool of an entry. That is the head path down to 1 and what exists of\n"
      "the tail path, up to the head. Who holds these can prove the entry, now and later.",
      "culm pool 100 --head 1000\n  culm pool 100 --log 4fd3ab12", options, run);
  verb.group(VerbGroup::kExplore);
  verb.add_option("N", &options->seqnum,
                  "Seqnum; with --log or --head also last, or -10 for the tenth from the end")
      .required();
  verb.add_option("--head", &options->head, "Highest seqnum of the log; else the log's, or no end")
      .type_name("N");
  verb.add_option("--log", &options->log, "Say which of the pool are held of this log")
      .type_name("LOG");
}

}  // namespace culm::tools
