#include <algorithm>

#include "culm/store/lmdb_kv.hpp"

#include "tools/cli/interrupt.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

struct Options {};

Result<void> compact(const std::string& directory, const host::WritableStore& access) {
  store::KvSpace space;
  {
    CULM_TRY(const auto transaction, access.store->read());
    CULM_TRY(space, transaction.space());
  }
  const WatchedProgress progress("compacting", Progress::Unit::kBytes, [&] {
    return WatchedProgress::Extent{store::compacted_bytes(directory), space.used_bytes()};
  });
  return access.writer->compact();
}

Outcome<void> run(Context& context, const Options& /*options*/) {
  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(auto access, open_for_writing(context, IfMissing::kFail, verifier));
  const std::string& directory = context.store_directory;
  CULM_TOOLS_TRY(const std::uint64_t before,
                 about(named(context), store::file_size_bytes(directory)));
  say_when_interrupted("nothing is lost; the same command starts again");
  CULM_TOOLS_CHECK(about(named(context), compact(directory, access)));
  CULM_TOOLS_TRY(const std::uint64_t after,
                 about(named(context), store::file_size_bytes(directory)));
  const std::uint64_t freed = before - std::min(before, after);
  say_when_interrupted("gave " + human_size(freed) + " back to the disk");
  if (context.json) {
    return context.out.write_json(Json{{"type", "compacted"},
                                       {"bytes_before", before},
                                       {"bytes_after", after},
                                       {"bytes_freed", freed}});
  }
  return context.out.write("gave " + human_size(freed) + " of " + human_size(before) +
                           " back to the disk; the store has " + human_size(after) + "\n");
}

}  // namespace

void add_compact(CommandTree& tree) {
  Verb& verb = tree.add_verb(
      "compact",
      "Give the disk back what the store no longer needs. Deleted payloads and forgotten logs "
      "leave\n"
      "room in the store's file that later writes use; this writes the file again, without such\n"
      "room. Entries stay, with their keys and checksums: of small payloads they are the most.\n"
      "`culm du` says before how much it would give back. It copies row by row to a new file,\n"
      "which takes the place of the old one in one step: the disk needs room for it, and nothing\n"
      "is lost when this is killed. Nothing can be written meanwhile; reading and serving go on.\n"
      "Where a node runs on the store, the node does it. The file stays as it is where damage to\n"
      "it keeps a row from being read.",
      "culm compact", std::make_shared<Options>(), run);
  verb.group(VerbGroup::kLetGo);
}

}  // namespace culm::tools
