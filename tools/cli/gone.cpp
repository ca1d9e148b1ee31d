#include "tools/cli/gone.hpp"

#include <algorithm>

#include "tools/cli/arguments.hpp"

namespace culm::tools {
namespace {

/// Of names in a sentence: more nobody reads.
constexpr std::size_t kNamesCharactersMax = 300;

struct Names {
  std::string text;
  std::size_t left_out = 0;
};

Names join(const std::vector<store::GoneLog>& gone, const std::string& separator) {
  Names names;
  for (const store::GoneLog& one : gone) {
    if (names.text.size() > kNamesCharactersMax) {
      ++names.left_out;
      continue;
    }
    names.text += (names.text.empty() ? "" : separator) + findable_name_of_one(one.log);
  }
  return names;
}

}  // namespace

Outcome<std::vector<store::GoneLog>> find_gone(const Context& context, const store::Store& store,
                                               store::GoneFrom from) {
  const auto directory = store::find_marks_directory();
  const auto marks = directory ? store::AuthorMarks::list(*directory, context.store_directory)
                               : Result<store::AuthorMarks>(store::AuthorMarks());
  // Who may not look there has appended nothing from there.
  if (!marks) return std::vector<store::GoneLog>();
  CULM_TOOLS_TRY(const auto transaction, store.read());
  return marks->list_gone(transaction, store.id(), from);
}

std::string human_gone(const std::vector<store::GoneLog>& gone, const std::string& separator) {
  const auto [text, left_out] = join(gone, separator);
  if (left_out == 0) return text;
  return text + " and " + human_count(left_out) + (left_out == 1 ? " other" : " others");
}

Outcome<void> tell_gone(Context& context, const std::vector<store::GoneLog>& gone,
                        const std::string& peer) {
  if (gone.empty()) return {};
  if (context.json) {
    for (const auto& [log, published] : gone) {
      CULM_TOOLS_CHECK(context.out.write_json(
          Json{{"type", "own_gone"}, {"log", to_string(log)}, {"published", published}}));
    }
    return {};
  }
  const auto [names, left_out] = join(gone, " ");
  const bool is_one = gone.size() == 1;
  std::string text = human_logs(gone.size()) + " of your own ";
  text += is_one ? "is not in this store, though its author mark tells of it"
                 : "are not in this store, though their author marks tell of them";
  text += ": `culm sync " + peer + " " + names + "` takes " + (is_one ? "it" : "them");
  if (left_out != 0) {
    text += " but for " + human_count(left_out) + ", which `culm ls --json` names,";
  }
  text += " from a peer; `culm forget " + (is_one ? names : "LOG") + " --own` misses ";
  return context.out.say(text + (is_one ? "it" : "one") + " no more\n");
}

}  // namespace culm::tools
