#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "culm/replication/host/file_reader.hpp"
#include "culm/replication/host/payload_stager.hpp"
#include "culm/store/appender.hpp"
#include "culm/store/author_mark_place.hpp"
#include "culm/store/key_file.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/gate.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/progress.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/cli/verbs.hpp"
#include "tools/relay/config.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kBatchBytes = 4 * 1024 * 1024;
constexpr std::size_t kReadBytes = 256 * 1024;
constexpr std::size_t kKeyBytesMax = 4096;  ///< no key file is longer

struct Options {
  std::string key_path;
  std::vector<std::string> files;
  std::string log_id = "0";
  double wait_seconds = 10;
  std::string gate = "ask";
  bool lines = false;
  bool end = false;
  bool adopt = false;
  HostOptions host_options;  ///< how peers are reached
};

/// What is in a log stays there, for all to read.
Outcome<void> unless_secret(ByteView payload) {
  if (!store::holds_secret_key(payload)) return {};
  return fail_with(Failure(Exit::kUsage, Errc::kUsage,
                           "it holds a secret key, with which all who read the log could sign as "
                           "its author: it is not appended")
                       .next("name the file to append; the key goes behind --key"));
}

/// Payloads that wait for their commit.
class Batch {
 public:
  Batch(const LogKey& log, store::Appender& appender, const host::WritableStore& access,
        Progress& progress)
      : log_(log), appender_(appender), access_(access), progress_(progress) {}

  /// For a payload that comes in pieces.
  [[nodiscard]] host::PayloadStager begin() const {
    return host::PayloadStager(*access_.writer, *access_.store);
  }
  Outcome<void> put(host::PayloadStager& stager, ByteView piece) {
    CULM_TOOLS_CHECK(stager.put(piece));
    return {};
  }
  /// Of the input, line ends among it.
  void has_read(std::size_t size_bytes) { progress_.advance(size_bytes); }
  Outcome<void> add(host::PayloadStager& stager) {
    CULM_TOOLS_TRY(const auto staged, stager.finish());
    if (!staged) return add(stager.bytes());
    CULM_TOOLS_CHECK(commit());
    const Uninterrupted whole;
    CULM_TOOLS_TRY(const SeqNum last, appender_.append_staged(*staged));
    note(last, 1, staged->size_bytes);
    return {};
  }

  Outcome<void> add(ByteView payload) {
    CULM_TOOLS_CHECK(unless_secret(payload));
    payloads_.emplace_back(payload.begin(), payload.end());
    size_bytes_ += payload.size();
    const bool is_full = payloads_.size() == limits::kUnitEntriesMax || size_bytes_ >= kBatchBytes;
    if (is_full) return commit();
    return {};
  }

  Outcome<void> commit() {
    if (payloads_.empty()) return {};
    const std::vector<ByteView> views(payloads_.begin(), payloads_.end());
    const Uninterrupted whole;
    CULM_TOOLS_TRY(const SeqNum last, appender_.append(views));
    note(last, payloads_.size(), size_bytes_);
    payloads_.clear();
    size_bytes_ = 0;
    return {};
  }

  [[nodiscard]] std::uint64_t total_bytes() const noexcept { return total_bytes_; }
  /// Other processes may have appended between them.
  [[nodiscard]] const RangeSet& appended() const noexcept { return appended_; }

 private:
  void note(SeqNum last, std::size_t count, std::uint64_t size_bytes) {
    appended_.insert({last - count + 1, last});
    total_bytes_ += size_bytes;
    say_when_interrupted(
        "appended " + human_entries(appended_.count()) + " to the log, seqnum " +
            human_ranges(appended_),
        {{"log", to_string(log_)}, {"seqnums", to_string(appended_)}, {"head", appender_.head()}});
  }

  LogKey log_;
  store::Appender& appender_;
  const host::WritableStore& access_;
  Progress& progress_;
  std::vector<Bytes> payloads_;
  std::size_t size_bytes_ = 0;
  std::uint64_t total_bytes_ = 0;
  RangeSet appended_;
};

/// The lines of files, one after the other. A file is read only when its turn comes.
class Lines {
 public:
  explicit Lines(const std::vector<std::string>& paths) : paths_(paths) {}

  using Piece = host::LineReader::Piece;
  /// Waits for the first line. Whether there is any.
  Outcome<bool> begin() {
    CULM_TOOLS_TRY(first_, read());
    return first_.has_value();
  }
  Outcome<std::optional<Piece>> next() {
    if (first_) return std::exchange(first_, std::nullopt);
    return read();
  }
  [[nodiscard]] bool would_wait() const { return !first_ && (!reader_ || reader_->would_wait()); }

 private:
  Outcome<std::optional<Piece>> read() {
    for (; at_ < paths_.size(); ++at_, reader_.reset()) {
      auto piece = read_here();
      if (!piece) return fail_with(std::move(piece.error()).about(shown(paths_[at_])));
      if (*piece) return piece;
    }
    return std::nullopt;
  }
  Outcome<std::optional<Piece>> read_here() {
    if (!reader_) {
      CULM_TOOLS_TRY(file_, open_input(paths_[at_]));
      reader_.emplace(file_, limits::kPayloadSizeBytesMax, Errc::kPayloadTooLarge);
    }
    CULM_TOOLS_TRY(auto piece, reader_->next_piece());
    return piece;
  }

  const std::vector<std::string>& paths_;
  std::size_t at_ = 0;
  Descriptor file_{-1};
  std::optional<host::LineReader> reader_;
  std::optional<Piece> first_;
};

Outcome<void> add_lines(Batch& batch, Lines& lines) {
  const auto next = [&]() -> Outcome<std::optional<Lines::Piece>> {
    CULM_TOOLS_TRY(auto piece, lines.next());
    if (piece) batch.has_read(piece->text.size() + (piece->is_last ? 1 : 0));
    return piece;
  };
  while (true) {
    // A line that was typed or logged is not kept waiting for others.
    if (lines.would_wait()) CULM_TOOLS_CHECK(batch.commit());
    CULM_TOOLS_TRY(auto piece, next());
    if (!piece) return {};
    if (piece->is_last) {
      CULM_TOOLS_CHECK(batch.add(as_bytes(piece->text)));
      continue;
    }
    CULM_TOOLS_CHECK(batch.commit());
    auto stager = batch.begin();
    CULM_TOOLS_CHECK(batch.put(stager, as_bytes(piece->text)));
    while (!piece->is_last) {
      CULM_TOOLS_TRY(piece, next());
      CULM_TOOLS_CHECK(batch.put(stager, as_bytes(piece->text)));
    }
    CULM_TOOLS_CHECK(batch.add(stager));
  }
}

Outcome<void> add_whole(Batch& batch, const Descriptor& file) {
  auto stager = batch.begin();
  std::string piece(kReadBytes, '\0');
  while (true) {
    CULM_TOOLS_TRY(const std::size_t got, host::read_some(file, piece.data(), piece.size()));
    if (got == 0) return batch.add(stager);
    batch.has_read(got);
    CULM_TOOLS_CHECK(batch.put(stager, as_bytes(piece).first(got)));
  }
}

Outcome<void> add_file(Batch& batch, const std::string& path) {
  CULM_TOOLS_TRY(const Descriptor file, open_input(path));
  return add_whole(batch, file);
}

Outcome<void> add_files(Batch& batch, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    auto added = add_file(batch, path);
    if (!added) return fail_with(std::move(added.error()).about(shown(path)));
  }
  return {};
}

/// Appends all input; entries that were committed stay, whatever happens then.
Outcome<void> append_all(Batch& batch, const Options& options, Lines& lines) {
  auto added = options.lines ? add_lines(batch, lines) : add_files(batch, options.files);
  CULM_TOOLS_CHECK(batch.commit());
  return added;
}

/// What is said of a file that is not there, which may be the text itself.
Failure without_file(const Options& options, const std::string& path, Failure failure) {
  if (failure.exit == Exit::kNotFound) {
    std::string append = "culm append --key " + shell_word(options.key_path);
    if (options.log_id != "0") append += " --log-id " + shell_word(options.log_id);
    failure.step = "check the name of the file; text goes in by a pipe: `echo " + shell_word(path) +
                   " | " + append + "`";
  }
  return std::move(failure).about(shown(path));
}

/// Looks at all input before anything is written; the bytes there are, 0 when that is not known.
Outcome<std::uint64_t> check_inputs(const Context& context, const Options& options) {
  if (options.files.empty() && has_input_now()) {
    return usage_without(context, "-",
                         "standard input is not empty, and --end alone would close the log for "
                         "good without it: - appends it before, </dev/null leaves it out");
  }
  std::uint64_t total = 0;
  bool is_known = true;
  for (const std::string& path : options.files) {
    auto size = check_input(path);
    if (!size) return fail_with(without_file(options, path, std::move(size).error()));
    if (!options.lines && *size > limits::kPayloadSizeBytesMax) {
      return fail_with(Failure(Error{Errc::kPayloadTooLarge}).about(shown(path)));
    }
    if (path != "-" && *size > 0 && *size <= kKeyBytesMax) {
      CULM_TOOLS_TRY(const Bytes text, read_file(path, kReadBytes, Errc::kPayloadTooLarge));
      auto good = unless_secret(text);
      if (!good) return fail_with(std::move(good.error()).about(shown(path)));
    }
    is_known = is_known && *size > 0;
    total += *size;
  }
  return is_known ? total : 0;
}

Outcome<void> report(Context& context, const LogKey& log, const RangeSet& appended, SeqNum head,
                     std::uint64_t bytes, bool ended, double seconds) {
  const std::uint64_t count = appended.count();
  if (context.json) {
    Json object = {{"type", "appended"}, {"log", to_string(log)},  {"entries", count},
                   {"head", head},       {"payload_bytes", bytes}, {"ended", ended}};
    if (count > 0) {
      object["first"] = appended.ranges().front().first;
      object["seqnums"] = to_string(appended);
    }
    return context.out.write_json(object);
  }
  std::string text = "appended " + human_entries(count);
  if (bytes != 0) {
    text += " (" + human_size(bytes) + ")";
  } else if (count > 0) {
    text += count == 1 ? " with an empty payload" : " with empty payloads";
  }
  if (count > 0) text += ", seqnum " + to_string(appended);
  text += ", in " + human_duration(seconds) + "\nlog " + to_string(log) + "\n";
  if (ended) text += "the log is closed\n";
  return context.out.say(text);
}

/// Nothing is to be appended: nothing is opened to be written to, nor made.
Outcome<void> report_nothing(Context& context, const LogKey& log) {
  SeqNum head = 0;
  if (const auto store = open_for_reading(context)) {
    CULM_TOOLS_TRY(const auto transaction, (*store)->read());
    CULM_TOOLS_TRY(const auto state, transaction.find_log(log));
    if (state) head = state->head();
  } else if (store.error().code != Errc::kStoreNotFound) {
    return fail_with(store.error());
  }
  if (context.json) return report(context, log, {}, head, 0, false, 0);
  return context.out.say("the input is empty: nothing was appended\n");
}

Outcome<Duration> parse_wait(double seconds) {
  constexpr double kSecondsMax = 24 * 60 * 60;
  if (!(seconds >= 0 && seconds <= kSecondsMax)) {
    return usage("--wait must be 0 seconds or more, and at most a day");
  }
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

/// All of the input again would append twice what is in the log.
void go_on_behind(Failure& failure, std::uint64_t done) {
  failure.step = failure.code == Errc::kStoreFull ? "free space on the disk, then " : "";
  failure.step += "append what follows in the input: " + human_entries(done) + " of it ";
  failure.step += done == 1 ? "is in the log" : "are in the log";
}

Outcome<void> run(Context& context, const Options& given) {
  Options options = given;
  if (options.files.empty() && options.end && options.lines) {
    return usage_without(context, "FILE", "with --end and --lines name what to read, or -");
  }
  if (options.files.empty() && !options.end) options.files.emplace_back("-");
  CULM_TOOLS_TRY(const std::uint64_t log_id, parse_number("--log-id", options.log_id));
  CULM_TOOLS_TRY(const std::uint64_t total_bytes, check_inputs(context, options));
  if (options.key_path.empty()) return usage("a file name must not be empty");
  CULM_TOOLS_TRY(const Duration wait_max, parse_wait(options.wait_seconds));
  Gate gate{.wait_max = wait_max, .options = to_replica_options(options.host_options)};
  CULM_TOOLS_TRY(gate.gate, parse_gate(options.gate));
  CULM_TOOLS_CHECK(read_network_key(options.host_options));
  const auto key = store::read_key_file(options.key_path);
  if (!key) {
    return fail_with(Failure(key.error()).about(shown(options.key_path)).as(Exit::kVerification));
  }
  const LogKey log{key->author(), LogId{log_id}};
  say_when_interrupted("nothing was appended");
  Lines lines(options.files);
  if (options.lines && !options.end) {
    CULM_TOOLS_TRY(const bool is_any, lines.begin());
    if (!is_any) return report_nothing(context, log);
  }

  Ed25519Verifier verifier;
  CULM_TOOLS_TRY(const std::string marks, about("author mark", store::find_marks_directory()));
  const AppendedLog own{log, options.key_path};
  const auto open_mark = [&] {
    return about("author mark " + shown(store::author_mark_path(marks, log)),
                 store::open_author_mark({.directory = marks,
                                          .key_path = options.key_path,
                                          .store_directory = context.store_directory,
                                          .wait_max = wait_max},
                                         log));
  };
  std::unique_ptr<store::FileAuthorMark> first;  // to the end: with it goes what it has made
  const auto may_make = [&]() -> Outcome<void> {
    CULM_TOOLS_TRY(first, open_mark());
    return check_new_log(context, own, *first, options.adopt, gate.gate);
  };
  CULM_TOOLS_TRY(auto access,
                 open_for_writing(context, IfMissing::kCreate, verifier, {}, wait_max, may_make));
  CULM_TOOLS_TRY(const auto mark, open_mark());
  const auto pass_gate = [&](SeqNum tail) { return pass(gate, access, context, *mark, log, tail); };
  auto appender = store::Appender::open(*access.store, *key, log.log_id, *mark,
                                        host::commit_through(*access.writer, *access.store),
                                        {.adopt = options.adopt, .gate = pass_gate});
  if (!appender) {
    return fail_with(explain(context, appender.error(), own, *access.store, *mark, gate));
  }
  Progress progress("appending", total_bytes, Progress::Unit::kBytes);
  Batch batch(log, *appender, access, progress);
  Outcome<void> outcome = append_all(batch, options, lines);
  if (!outcome) explain_lost_node(outcome.error(), log);
  RangeSet appended = batch.appended();
  if (outcome && options.end) {
    const Uninterrupted whole;
    const auto ended = appender->end({});
    if (ended) appended.insert({*ended, *ended});
    if (!ended) outcome = fail_with(Failure(ended.error()));
    if (ended) say_when_interrupted("the log is closed");
  }
  if (!outcome && appended.empty()) return outcome;
  if (!outcome && options.lines) go_on_behind(outcome.error(), appended.count());
  CULM_TOOLS_CHECK(report(context, log, appended, appender->head(), batch.total_bytes(),
                          outcome && options.end, progress.seconds()));
  return outcome;
}

}  // namespace

void add_append(CommandTree& tree) {
  const auto options = std::make_shared<Options>();
  Verb& verb = tree.add_verb(
      "append",
      "Sign entries and append them to one's own log. One entry per FILE (- or no FILE is\n"
      "standard input; where that is empty, so is the payload), or one per line with --lines;\n"
      "each of up to 4 GiB. Entries are durable when it returns; while a node runs on the store\n"
      "it does the writing. Appends that coincide wait for each other. One that is killed has\n"
      "appended nothing or, of many entries, the first ones: look with `culm log` before it is\n"
      "done again. What holds a secret key is refused.\n"
      "\n"
      "What was published is remembered outside of the store (`culm mark`): a store that lacks it\n"
      "is not appended to. Where both are of an earlier time, --gate says whether to go on.",
      "culm append --key me.key --lines notes.txt\n  date | culm append --key me.key", options,
      run);
  verb.group(VerbGroup::kKeep);
  verb.add_option("FILE", &options->files, "Files to append");
  verb.add_option("--key", &options->key_path, "Key file, made by `culm keygen`")
      .type_name("FILE")
      .required();
  verb.add_flag("--lines", options->lines, "One entry per line, without its line end");
  verb.add_option("--log-id", &options->log_id, "Which of the author's logs")
      .type_name("N")
      .show_default();
  verb.add_flag(
      "--end", options->end,
      "Close the log for good, after FILE if one is given; nothing can follow. Standard input is\n"
      "read only as -, and without any FILE it must be empty where it is a pipe or a file");
  verb.add_option("--wait", time_of(options->wait_seconds),
                  "Wait so long for others that append with this key or write to the store,\n"
                  "for a node that runs on it to answer, and, at least 1 s and at most 5 s, for\n"
                  "the peers that --gate asks")
      .show_default();
  verb.add_option(
          "--gate", &options->gate,
          "Where author mark and store are not as they were written together, as after a\n"
          "restore, or a log begins: ask the peers that the store has synced with whether\n"
          "they hold more of the log, and do not append then. Where one cannot be asked, or\n"
          "of a log that begins none of them, ask goes on, says so and asks again each time\n"
          "until all answer (`culm peers --forget` drops one that is gone), required does not\n"
          "go on; never asks nobody. Where a peer has shown other entries than are here, all\n"
          "of these refuse until those here are forgotten. A node that runs on the store\n"
          "mostly does the asking, with its own key and network")
      .type_name("required|ask|never")
      .show_default();
  verb.add_flag("--adopt", options->adopt,
                "Take the store's log as all that was ever published, where the mark is missing\n"
                "or damaged. If that is wrong the log forks");
  add_peer_options(verb, options->host_options);
}

}  // namespace culm::tools
