#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>
#include <optional>
#include <vector>

#include "culm/replication/host/append_gate.hpp"
#include "culm/replication/host/file_reader.hpp"
#include "culm/store/author_mark_place.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/carry.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/gate.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/lost.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kLineBytesMax = 4096;

constexpr const char* kBegun =
    "  (began here; until a peer shows that it holds it each sync asks whether elsewhere too, see "
    "--gate in `culm help append`)";
constexpr const char* kUnasked =
    "  (no peer, or not all, could tell of more, see --gate in `culm help append`)";
constexpr const char* kHalf = "  (one half is damaged: more may have been published)";

struct Options {
  std::vector<std::string> logs;
  std::string import_path;
};

/// What is to be known of a mark beside its seqnum.
std::string words_of(const store::Published& published) {
  if (published.is_overtaken) return kHalf;
  if (published.is_begun()) return kBegun;
  if (!published.is_branch()) return published.is_unasked() ? kUnasked : "";
  return "  (a peer holds another entry " + std::to_string(published.branch_at()) +
         " than was appended here: while that one is here, append refuses)";
}

/// Of a half that is left: who takes it over asks before appending.
Json to_json(const LogKey& log, const store::Published& published, const std::string& path,
             SeqNum cap) {
  const bool is_half = published.is_overtaken;
  const bool is_branch = !is_half && published.is_branch();
  return {{"type", "mark"},
          {"log", to_string(log)},
          {"seqnum", published.seqnum},
          {"hash", to_hex(published.hash.bytes)},
          {"store_id", to_hex(is_half ? store::kUnaskedStore : published.store)},
          {"half_damaged", is_half},
          {"file", path},
          {"unasked", !is_half && !is_branch && published.is_unasked()},
          {"branch_at", is_branch ? Json(published.branch_at()) : Json()},
          {"cap", cap == 0 ? Json() : Json(cap)}};
}

/// `log`: what the store knows of it.
Failure half_damaged(const LogKey& key, const store::Published& left,
                     const std::optional<store::LogOutline>& log) {
  Failure failure = mark_failure(Error{Errc::kAuthorMarkFormat}, key);
  if (!log || log->held.empty() || log->held.max() <= left.seqnum) return failure;
  failure.message = "one half of the author mark is damaged, and this store is ahead of the other";
  return std::move(failure).next("append to the log, which makes it whole (`" +
                                 append_command("", key) +
                                 "`); or restore it from a copy (`culm mark --import FILE`)");
}

template <std::size_t size>
bool read_hex(const Json& object, const char* key, std::array<std::uint8_t, size>& into) {
  const std::string* const text = object.find_text(key);
  if (text == nullptr) return false;
  const auto bytes = from_hex(*text);
  if (!bytes || bytes->size() != size) return false;
  std::ranges::copy(*bytes, into.begin());
  return true;
}

Outcome<std::pair<LogKey, store::Published>> parse_line(std::string_view line) {
  const auto bad = [] { return fail_with(Failure(Error{Errc::kFileFormat})); };
  const auto object = parse_json_object(line);
  const std::string* const log = object ? object->find_text("log") : nullptr;
  if (log == nullptr) return bad();
  const auto key = parse_log_key(*log);
  store::Published published;
  published.seqnum = object->find_number("seqnum").value_or(0);
  if (!key || !read_hex(*object, "hash", published.hash.bytes) ||
      !read_hex(*object, "store_id", published.store) ||
      (published.seqnum == 0 && !published.is_branch())) {
    return bad();
  }
  return std::pair{*key, published};
}

/// Precondition: the mark is locked.
Result<bool> raise(store::AuthorMark& mark, const store::Published& published) {
  const auto read = mark.read();
  bool is_damaged = !read && read.error().code == Errc::kAuthorMarkFormat;
  if (!is_damaged) {
    CULM_TRY(const auto ours, read);
    is_damaged = ours && ours->is_overtaken;
    if (ours && ours->seqnum > published.seqnum) return false;
    const bool is_same_place = ours && ours->seqnum == published.seqnum;
    if (is_same_place && ours->hash != published.hash) {
      return fail(error_for(Errc::kAuthorMarkFork, ours->seqnum));
    }
    const bool is_news = ours && published.is_branch() && !ours->is_branch();
    if (is_same_place && !is_damaged && !is_news) return false;
  }
  // A damaged one may have said more, and what began elsewhere did not begin here: the next append
  // asks. One upon a branch is refused, which says more.
  const bool is_due = (is_damaged || published.is_begun()) && !published.is_branch();
  const auto& id = is_due ? store::kUnaskedStore : published.store;
  CULM_CHECK(mark.write({published.seqnum, published.hash, id}));
  return true;
}

/// Says where what is in the store may be another branch than what the mark tells of now.
Result<void> tell_conflict(const Context& context, const store::Store& store, const LogKey& log,
                           const store::Published& published, bool was_unasked) {
  CULM_TRY(const auto doubt, host::find_doubt(store, log, published));
  if (doubt != host::Doubt::kMarked) return {};
  CULM_TRY(const auto transaction, store.read());
  CULM_TRY(const auto state, transaction.get_log(log));
  const SeqNum tail = state->held.max();
  // Only behind it, as after a restore: the next sync brings the rest.
  if (tail < published.seqnum && !was_unasked) return {};
  const std::string at = std::to_string(published.seqnum);
  std::string text = "the log is published up to seqnum " + at + ", and ";
  if (tail < published.seqnum) {
    text += "the last entries in this store, up to " + std::to_string(tail);
    text.append(", were appended ").append(kWhileUntold).append(": they may fork it");
  } else {
    text += "this store holds another entry " + at + ": that forks it";
  }
  std::string next = "`culm sync HOST:PORT " + whole_name_of_one(log);
  next += "` with a peer that holds it, before anything is appended: nothing moves where that ";
  next += "would fork the log, and it says how to go on";
  warn(context, "mark", log, {std::move(text), std::move(next)});
  return {};
}

/// Moves the mark up to what was published elsewhere; whether it was lower.
Result<bool> raise_mark(const std::string& directory, const LogKey& log,
                        const store::Published& published) {
  CULM_TRY(const auto mark, store::open_author_mark({.directory = directory}, log));
  bool is_raised = false;
  CULM_CHECK(store::with_lock(*mark, [&] {
    auto raised = raise(*mark, published);
    is_raised = raised.value_or(false);
    return raised.map([](bool /*was*/) {});
  }));
  return is_raised;
}

Outcome<void> import_marks(Context& context, const std::string& directory,
                           const std::string& path) {
  auto opened = open_input(path);
  if (!opened) return fail_with(std::move(opened.error()).about(shown(path)));
  const Descriptor file = *std::move(opened);
  host::LineReader lines(file, kLineBytesMax, Errc::kFileFormat);
  std::uint64_t count = 0;
  std::uint64_t raised_count = 0;
  const auto store = open_for_reading(context);  // the marks may come before it
  while (true) {
    CULM_TOOLS_TRY(const auto line, about(shown(path), lines.next()));
    if (!line) break;
    ++count;
    auto parsed = parse_line(*line);
    if (!parsed) {
      return fail_with(std::move(parsed.error())
                           .about(shown(path) + ", line " + std::to_string(count))
                           .next("it takes what `culm mark --json` prints"));
    }
    const auto& [log, published] = *parsed;
    const bool was_unasked = store::is_unasked(directory, log).value_or(false);
    CULM_TOOLS_TRY(const bool is_raised, about("author mark of log " + to_string(log),
                                               raise_mark(directory, log, published)));
    if (is_raised) ++raised_count;
    if (is_raised && store) {
      // What cannot be read there the next sync will say.
      static_cast<void>(tell_conflict(context, **store, log, published, was_unasked));
    }
  }
  say_when_interrupted("the marks were read");
  if (context.json)
    return context.out.write_json(
        Json{{"type", "marks_imported"}, {"marks", count}, {"raised", raised_count}});
  return context.out.say("read " + std::to_string(count) + (count == 1 ? " mark, " : " marks, ") +
                         std::to_string(raised_count) + " of them told of more than was known\n");
}

/// Those that are named, or all.
Outcome<std::vector<LogKey>> choose_logs(const std::vector<std::string>& names,
                                         const std::vector<LogKey>& known) {
  if (names.empty()) return known;
  std::vector<LogKey> logs;
  for (const std::string& text : names) {
    CULM_TOOLS_TRY(const auto whole, find_whole_name(text));
    const auto is_named = [&](const LogKey& log) {
      return whole ? whole->matches(log) : to_string(log).starts_with(text);
    };
    const std::size_t before = logs.size();
    std::ranges::copy_if(known, std::back_inserter(logs), is_named);
    if (logs.size() == before) {
      return fail_with(
          Failure(Exit::kNotFound, Errc::kLogUnknown, "nothing was appended to it here")
              .about("log " + shown(text))
              .next("`culm mark` lists the logs that were appended to"));
    }
  }
  return logs;
}

/// What the store, where there is one, knows of a log.
std::optional<store::LogOutline> find_here(const Outcome<std::unique_ptr<store::Store>>& store,
                                           const LogKey& log) {
  const auto transaction = store ? (*store)->read() : fail(Errc::kStoreNotFound);
  auto found = transaction ? transaction->find_outline(log) : fail(transaction.error());
  return found ? *std::move(found) : std::nullopt;
}

std::string words_of_fork(const std::optional<store::LogOutline>& log) {
  if (!log || log->cap == 0) return {};
  return "  (forked at " + std::to_string(log->cap) +
         ": it does not go on, another one does: `culm append --key FILE --log-id N`)";
}

Outcome<void> run(Context& context, const Options& options) {
  CULM_TOOLS_TRY(const std::string directory, about("author mark", store::find_marks_directory()));
  if (!options.import_path.empty()) return import_marks(context, directory, options.import_path);
  CULM_TOOLS_TRY(const auto known, about(shown(directory), store::list_author_marks(directory)));
  CULM_TOOLS_TRY(const std::vector<LogKey> logs, choose_logs(options.logs, known));
  CULM_TOOLS_TRY(const auto names, list_given_names());
  if (logs.empty() && !context.json) return context.out.say("nothing was appended here yet\n");
  const auto store = open_for_reading(context);
  std::optional<Failure> damaged;
  for (const LogKey& log : logs) {
    const std::string path = store::author_mark_path(directory, log);
    const auto read = store::read_author_mark(directory, log);
    const auto here = find_here(store, log);
    const bool is_half = read && *read && (*read)->is_overtaken;
    if (is_half) damaged = half_damaged(log, **read, here).about(short_name(log));
    if (!read) {
      damaged = Failure(read.error()).about("author mark " + shown(path));
      if (!read && read.error().code != Errc::kAuthorMarkFormat) return fail_with(*damaged);
    }
    // One that was made, and that nothing was published under yet, says nothing.
    const SeqNum seqnum = read && *read ? (*read)->seqnum : 0;
    const bool is_branch = read && *read && !is_half && (*read)->is_branch();
    if (seqnum == 0 && !is_branch && ((read && !is_half) || context.json)) continue;
    if (context.json) {
      CULM_TOOLS_CHECK(context.out.write_json(to_json(log, **read, path, here ? here->cap : 0)));
      continue;
    }
    CULM_TOOLS_CHECK(context.out.say(given_name_of(names, log).value_or(to_string(log)) + "  " +
                                     (read ? std::to_string(seqnum) : "?") + "  " + shown(path) +
                                     (read ? words_of(**read) : "  (damaged)") +
                                     words_of_fork(here) + "\n"));
  }
  if (damaged) return fail_with(*std::move(damaged));
  return {};
}

}  // namespace

void add_mark(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "mark",
      "Show what was published last in each log that is appended to here: log, seqnum, and the\n"
      "file of the author mark. A store that lacks what its mark says is not appended to. Marks\n"
      "belong to the key, not to a store: keep a copy of both, and move both to another machine.\n"
      "They lie in $CULM_MARKS, else in culm/marks in $XDG_DATA_HOME or ~/.local/share.",
      "culm mark --json >marks.jsonl\n"
      "  culm mark --import marks.jsonl          (on the other machine)",
      options, run);
  verb.group(VerbGroup::kKeep);
  verb.add_option("LOG", &options->logs, "Logs that were appended to here; otherwise all");
  verb.add_option("--import", &options->import_path,
                  "Take over what `culm mark --json` printed elsewhere, where that\n"
                  "tells of more")
      .type_name("FILE");
}

}  // namespace culm::tools
