#include "tools/cli/kept.hpp"

#include "tools/cli/files.hpp"

namespace culm::tools {

std::string human_kept(const std::vector<store::KeptFile>& files) {
  std::string text;
  for (const store::KeptFile& file : files) {
    text += (text.empty() ? "" : ", ") + shown(file.path);
  }
  return text;
}

Outcome<void> tell_kept(Context& context) {
  const auto files = store::list_kept(context.store_directory);
  if (files.empty()) return {};
  if (context.json) {
    for (const store::KeptFile& file : files) {
      CULM_TOOLS_CHECK(context.out.write_json(Json{{"type", "kept_file"}, {"file", file.path}}));
    }
    return {};
  }
  const bool is_one = files.size() == 1;
  return context.out.say(
      (is_one ? "a repair kept " : "repairs kept ") + human_kept(files) + ", as " +
      (is_one ? "it" : "they") +
      " may hold what was lost of which nothing here tells: a log of which nothing is left comes "
      "back with `culm sync HOST:PORT LOG` (LOG: the digits of its author, who knows them); once "
      "all logs that you miss are here you may delete " +
      (is_one ? "it" : "them") + "\n");
}

}  // namespace culm::tools
