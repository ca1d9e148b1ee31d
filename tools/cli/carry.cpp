#include "tools/cli/carry.hpp"

#include <algorithm>

#include "tools/cli/arguments.hpp"
#include "tools/cli/escape.hpp"

namespace culm::tools {
namespace {

Result<bool> are_lines(const store::ReadTransaction& transaction, const store::LogState& log,
                       const RangeSet& seqnums) {
  std::uint64_t left = kLookedAtBytes;
  for (const SeqRange& range : seqnums.ranges()) {
    for (SeqNum n = range.first; n <= range.last; ++n) {
      for (std::uint64_t offset = 0;;) {
        if (left == 0) return false;
        CULM_TRY(const ByteView part, transaction.read_payload(log, n, offset, left));
        if (part.empty()) break;
        if (std::ranges::find(part, '\n') != part.end()) return false;
        offset += part.size();
        left -= part.size();
      }
      --left;
    }
  }
  return true;
}

/// "4 $(seq 6 9)".
std::string shell_list(const RangeSet& seqnums) {
  std::string text;
  for (const auto& [first, last] : seqnums.ranges()) {
    if (!text.empty()) text += ' ';
    const std::string start = std::to_string(first);
    text += first == last ? start : "$(seq " + start + " " + std::to_string(last) + ")";
  }
  return text;
}

}  // namespace

Carried look_at_payloads(const store::Store& store, const LogKey& log, SeqRange range) {
  Carried carried{{range}};
  const auto look = [&]() -> Result<bool> {
    CULM_TRY(const auto transaction, store.read());
    CULM_TRY(const auto state, transaction.get_log(log));
    // Where none is there, `culm cat` says why.
    const RangeSet there = carried.seqnums & state->payloads;
    if (!there.empty()) carried.seqnums = there;
    return are_lines(transaction, *state, carried.seqnums);
  };
  carried.are_lines = look().value_or(false);
  return carried;
}

CarryWords carry_words(const Carried& carried, const std::string& cat, const std::string& append) {
  if (carried.are_lines) {
    return {"as text",
            "`" + cat + " --lines --range " + to_string(carried.seqnums) + " >branch.txt`",
            "`" + append + " --lines branch.txt`"};
  }
  const std::string each = "`for n in " + shell_list(carried.seqnums) + "; do ";
  return {"each by itself, as some may hold line ends",
          each + cat + " --range $n >branch.$n || break; done`",
          each + append + " branch.$n || break; done`"};
}

RangeSet fit_in_command(const RangeSet& set, std::size_t characters_max) {
  RangeSet first;
  std::size_t characters = 0;
  for (const SeqRange range : set.ranges()) {
    characters += to_string(RangeSet{range}).size() + (first.empty() ? 0 : 1);
    if (characters > characters_max) break;
    first.insert(range);
  }
  return first;
}

std::string then_others(const RangeSet& set, std::size_t characters_max) {
  return fit_in_command(set, characters_max) == set ? "" : ", and the same of the others";
}

std::string import_command(const std::string& log) {
  return "`culm --store BACKUP export " + log + " --jsonl | culm import --jsonl -`";
}

std::string take_back_deleted(const LogKey& log, const RangeSet& deleted, const RangeSet& missing,
                              bool may_be_at_peer) {
  const std::string name = name_of_one(log);
  const auto range = [](const RangeSet& set) {
    return " --range " + to_string(fit_in_command(set));
  };
  const std::string import = "`culm --store BACKUP export " + name + " --jsonl" + range(deleted) +
                             " | culm import --jsonl - --undelete`";
  if (!may_be_at_peer) {
    return "no peer is known that could have it: " + import +
           " takes back what was deleted here from a backup that has it";
  }
  return "`culm sync HOST:PORT " + name + range(missing) +
         " --undelete` takes back what was deleted here, from a peer that has it; " + import +
         " from a backup";
}

std::string append_command(const std::string& key, const LogKey& log) {
  std::string text = "culm append --key " + (key.empty() ? "KEY" : shell_word(key));
  if (log.log_id != LogId{0}) text += " --log-id " + std::to_string(to_integer(log.log_id));
  return text;
}

}  // namespace culm::tools
