#include "tools/cli/arguments.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "culm/replication/host/verifier_pool.hpp"

#include "tools/cli/escape.hpp"

namespace culm::tools {
namespace {

constexpr std::size_t kShownColumns = 60;

std::string quoted(std::string_view text) {
  std::string quoted = preview(as_bytes(text), kShownColumns);
  quoted.insert(0, 1, '"');
  return quoted + '"';
}

tl::unexpected<Failure> bad_name(std::string_view text) {
  return usage(quoted(text) + " names no log: give an author's 64 hex digits, or at least " +
               std::to_string(kNameDigitsMin) + " of them, and .LOG_ID where it is not 0");
}

tl::unexpected<Failure> ambiguous(std::string_view text, const std::vector<LogKey>& logs) {
  std::string message = quoted(text) + " fits several logs:";
  constexpr std::size_t kListed = 4;
  for (std::size_t i = 0; i < std::min(kListed, logs.size()); ++i) {
    message += "\n  " + to_string(logs[i]);
  }
  if (logs.size() > kListed) message += "\n  ...";
  return usage(std::move(message));
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

}  // namespace

Outcome<std::uint64_t> parse_number(std::string_view what, std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) {
    return usage(std::string(what) + " " + quoted(text) + " is not a number from 0 to 2^64 - 1");
  }
  return value;
}

Outcome<SeqNum> parse_seqnum(std::string_view what, std::string_view text) {
  CULM_TOOLS_TRY(const SeqNum seqnum, parse_number(what, text));
  if (seqnum == 0) return usage(std::string(what) + " is 0, but seqnums start at 1");
  return seqnum;
}

Outcome<std::size_t> parse_verify_threads(std::string_view what, std::string_view text) {
  CULM_TOOLS_TRY(const std::uint64_t count, parse_number(what, text));
  if (count >= 1 && count <= host::VerifierPool::kThreadsMax) {
    return static_cast<std::size_t>(count);
  }
  return usage(std::string(what) + " " + std::to_string(count) + " is not from 1 to " +
               std::to_string(host::VerifierPool::kThreadsMax));
}

Outcome<RangeSet> parse_range_option(std::string_view what, std::string_view text) {
  auto ranges = parse_ranges(text);
  if (!ranges) {
    return usage(std::string(what) + " " + quoted(text) +
                 " is not like 5-9,20,30-, with seqnums from 1 to " +
                 "2^64 - 1 and no range that ends before it starts: look at character " +
                 std::to_string(ranges.error().detail + 1));
  }
  return *std::move(ranges);
}

Outcome<LogKey> find_log_named(const store::ReadTransaction& transaction, std::string_view text) {
  const auto dot = text.find('.');
  std::string digits(text.substr(0, dot));
  std::ranges::transform(digits, digits.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  });
  constexpr std::size_t kDigits = 64;
  if (!is_hex(digits) || digits.size() < kNameDigitsMin || digits.size() > kDigits) {
    return bad_name(text);
  }
  std::optional<LogId> log_id;
  if (dot != std::string_view::npos) {
    CULM_TOOLS_TRY(const std::uint64_t number, parse_number("log_id", text.substr(dot + 1)));
    log_id = LogId{number};
  }
  if (digits.size() == kDigits) {
    CULM_TOOLS_TRY(LogKey log, parse_log_key(digits));
    log.log_id = log_id.value_or(LogId{});
    return log;
  }

  constexpr std::size_t kCandidatesMax = 10'000;
  CULM_TOOLS_TRY(std::vector<LogKey> logs, transaction.list_logs(digits, kCandidatesMax));
  if (!log_id) {
    const bool is_one_author = std::ranges::all_of(
        logs, [&logs](const LogKey& log) { return log.author == logs.front().author; });
    const bool has_log_0 = std::ranges::count(logs, LogId{}, &LogKey::log_id) > 0;
    if (is_one_author && has_log_0) log_id = LogId{};
  }
  if (log_id) std::erase_if(logs, [&](const LogKey& log) { return log.log_id != *log_id; });
  if (logs.empty()) return fail_with(Failure(Error{Errc::kLogUnknown}).about(quoted(text)));
  if (logs.size() > 1) return ambiguous(text, logs);
  return logs.front();
}

Outcome<std::vector<LogKey>> find_logs_named(const store::ReadTransaction& transaction,
                                             const std::vector<std::string>& names) {
  if (names.empty()) {
    CULM_TOOLS_TRY(auto logs, transaction.list_logs());
    return logs;
  }
  std::vector<LogKey> logs;
  for (const std::string& name : names) {
    CULM_TOOLS_TRY(const LogKey log, find_log_named(transaction, name));
    logs.push_back(log);
  }
  return logs;
}

Outcome<store::LogState> get_log_named(const store::ReadTransaction& transaction,
                                       std::string_view text) {
  CULM_TOOLS_TRY(const LogKey log, find_log_named(transaction, text));
  CULM_TOOLS_TRY(const auto state, about(short_name(log), transaction.get_log(log)));
  return *state;
}

Outcome<store::LogState> read_log_named(const store::Store& store, std::string_view text) {
  CULM_TOOLS_TRY(const auto transaction, store.read());
  return get_log_named(transaction, text);
}

std::string short_name(const LogKey& log, std::size_t digits) {
  std::string text = to_hex(log.author.bytes).substr(0, digits);
  if (log.log_id != LogId{}) text.append(".").append(std::to_string(to_integer(log.log_id)));
  return text;
}

std::string short_name(const sealing::PeerKey& peer) { return to_hex(peer.bytes).substr(0, 12); }

RangeSet last_of(const RangeSet& set, std::uint64_t count) {
  RangeSet last;
  const auto ranges = set.ranges();
  for (auto range_at = ranges.rbegin(); range_at != ranges.rend() && count > 0; ++range_at) {
    const SeqRange& range = *range_at;
    const std::uint64_t more = std::min(count - 1, range.last - range.first);
    last.insert({range.last - more, range.last});
    count -= more + 1;
  }
  return last;
}

}  // namespace culm::tools
