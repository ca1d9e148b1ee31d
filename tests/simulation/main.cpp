#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "culm/core/assert.hpp"
#include "culm/core/random.hpp"
#include "culm/core/signing.hpp"

#include "tests/simulation/simulation.hpp"

namespace culm::simulation {
namespace {

constexpr std::string_view kUsage =
    "usage: culm_sim [--first] [--runs N] [--seconds S] [--seed N] [BOUNDS]\n"
    "  --first      end with the first violation, and show it as it is\n"
    "  --runs N     make N runs (default: as many as there is time for)\n"
    "  --seconds S  begin no run after so many seconds (default: 60, or no limit with --runs)\n"
    "  --seed N     one run, of this seed; with --runs or --seconds the first of them\n"
    "BOUNDS, as a violation is shown with:\n"
    "  --faults MASK  let only those faults fire whose bit is set, in the order of the list below\n"
    "  --relays N, --authors N, --readers N  at most so many\n"
    "  --faulty S   things go wrong for so many simulated seconds (default: 300)\n"
    "Runs whole nodes over a simulated network, each run from one seed, and checks what must "
    "hold.\n"
    "Ends with 1 when something did not, and says how to see it again.\n";

struct Options {
  bool is_first_the_last = false;
  std::optional<std::uint64_t> runs;
  std::optional<std::uint64_t> seconds;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> faults;
  std::optional<std::uint64_t> relays;
  std::optional<std::uint64_t> authors;
  std::optional<std::uint64_t> readers;
  std::optional<std::uint64_t> faulty;

  [[nodiscard]] Bounds bounds() const {
    Bounds bounds;
    if (faults) bounds.faults = static_cast<std::uint32_t>(*faults);
    bounds.relays_max = relays.value_or(bounds.relays_max);
    bounds.authors_max = authors.value_or(bounds.authors_max);
    bounds.readers_max = readers.value_or(bounds.readers_max);
    if (faulty) bounds.faulty = std::chrono::seconds(*faulty);
    return bounds;
  }
};

std::optional<Options> parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view key = arguments[i];
    if (key == "--first") {
      options.is_first_the_last = true;
      continue;
    }
    if (++i == count) return std::nullopt;
    const std::string_view text = arguments[i];
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    auto* const target = key == "--runs"      ? &options.runs
                         : key == "--seconds" ? &options.seconds
                         : key == "--seed"    ? &options.seed
                         : key == "--faults"  ? &options.faults
                         : key == "--relays"  ? &options.relays
                         : key == "--authors" ? &options.authors
                         : key == "--readers" ? &options.readers
                         : key == "--faulty"  ? &options.faulty
                                              : nullptr;
    if (target == nullptr) return std::nullopt;
    *target = value;
  }
  if (options.seed && !options.runs && !options.seconds) options.runs = 1;
  if (!options.runs && !options.seconds) options.seconds = 60;
  return options;
}

/// What all runs together came to.
struct Totals {
  std::uint64_t runs = 0;
  Duration simulated{};
  std::uint64_t commits = 0;
  FaultCounts faults{};
  std::size_t nodes_min = SIZE_MAX;
  std::vector<Outcome> violations;

  void add(Outcome outcome) {
    ++runs;
    simulated += outcome.simulated;
    commits += outcome.commits;
    for (std::size_t i = 0; i < kFaultCount; ++i) faults[i] += outcome.faults[i];
    nodes_min = std::min(nodes_min, outcome.nodes);
    if (outcome.violated) violations.push_back(std::move(outcome));
  }
};

/// Of the run that this thread is in, for one that aborts.
thread_local std::uint64_t seed_of_thread = 0;

void tell_seed(int signal) {
  static_cast<void>(std::signal(signal, SIG_DFL));
  std::fprintf(stderr, "culm_sim: aborted in the run of seed %llu\n",
               static_cast<unsigned long long>(seed_of_thread));
}

Totals run_all(const Options& options) {
  const auto began = std::chrono::steady_clock::now();
  const auto is_time_up = [&] {
    return options.seconds &&
           std::chrono::steady_clock::now() - began >= std::chrono::seconds(*options.seconds);
  };
  SystemRandom system;
  std::uint64_t first = 0;
  if (options.seed) {
    first = *options.seed;
  } else {
    std::array<std::uint8_t, 4> bytes{};
    system.fill(bytes);
    for (const std::uint8_t byte : bytes) first = first << 8U | byte;
  }
  Totals totals;
  std::mutex mutex;
  std::atomic<std::uint64_t> next = 0;
  std::atomic<bool> is_over = false;
  const auto work = [&] {
    while (!is_time_up() && !is_over) {
      const std::uint64_t run = next++;
      if (options.runs && run >= *options.runs) return;
      seed_of_thread = first + run;
      Outcome outcome = simulate(first + run, options.bounds());
      const std::lock_guard lock(mutex);
      is_over = is_over || (options.is_first_the_last && outcome.violated);
      totals.add(std::move(outcome));
    }
  };
  std::vector<std::thread> threads;
  const unsigned count =
      options.runs == 1U ? 1U : std::max(1U, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < count; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  return totals;
}

/// What makes the runs worth their time.
bool are_worth_it(const Options& options, const Totals& totals) {
  constexpr std::uint64_t kRunsForAverages = 50;
  if (totals.runs < kRunsForAverages) return true;
  std::uint64_t faults = 0;
  for (const std::uint64_t one : totals.faults) faults += one;
  constexpr std::ptrdiff_t kKindsMin = 20;
  const auto kinds = std::ranges::count_if(totals.faults, [](auto count) { return count != 0; });
  if (!options.faults && kinds < kKindsMin) return false;
  return totals.nodes_min >= 3 && totals.commits >= 200 * totals.runs && faults >= 5 * totals.runs;
}

/// Which code it was.
std::string commit() {
  std::string text;
  if (std::FILE* const git =
          ::popen("git -C '" CULM_SOURCE_DIR "' describe --always --dirty", "r")) {
    for (int c = std::fgetc(git); c != EOF && c != '\n'; c = std::fgetc(git)) {
      text += static_cast<char>(c);
    }
    static_cast<void>(::pclose(git));
  }
  return text.empty() ? "unknown" : text;
}

int run(const Options& options) {
  const Totals totals = run_all(options);
  constexpr std::size_t kShownMax = 3;
  for (const Outcome& failed : totals.violations) {
    if (std::cmp_greater_equal(&failed - totals.violations.data(), kShownMax)) {
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(failed.seed),
                  failed.violated->c_str());
      continue;
    }
    const Bounds bounds =
        options.is_first_the_last ? options.bounds() : shrink(failed.seed, options.bounds());
    const Outcome again = simulate(failed.seed, bounds);
    std::fputs(report(again.violated ? again : failed, bounds).c_str(), stdout);
    std::printf("  of commit %s\n", commit().c_str());
  }
  std::size_t kinds = 0;
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    const auto count = static_cast<unsigned long long>(totals.faults[i]);
    if (count != 0) ++kinds;
    std::printf("%8llu  %s\n", count, std::string(name(static_cast<Fault>(i))).c_str());
  }
  const double hours = std::chrono::duration<double, std::ratio<3600>>(totals.simulated).count();
  std::printf("%.0f commits and at least %zu nodes a run\n",
              static_cast<double>(totals.commits) /
                  static_cast<double>(std::max<std::uint64_t>(totals.runs, 1)),
              totals.runs == 0 ? 0 : totals.nodes_min);
  std::printf("culm_sim: %llu runs, %.0f simulated hours, %zu fault kinds fired, %zu violations\n",
              static_cast<unsigned long long>(totals.runs), hours, kinds, totals.violations.size());
  if (!are_worth_it(options, totals)) {
    std::fputs("culm_sim: too little happens in a run\n", stderr);
    return 1;
  }
  return totals.violations.empty() ? 0 : 1;
}

}  // namespace
}  // namespace culm::simulation

int main(int count, char** arguments) {
  const auto options = culm::simulation::parse(count, arguments);
  if (!options) {
    std::fputs(std::string(culm::simulation::kUsage).c_str(), stderr);
    return 2;
  }
  CULM_ASSERT(culm::initialize_crypto());
  static_cast<void>(std::signal(SIGABRT, culm::simulation::tell_seed));
  static_cast<void>(std::signal(SIGSEGV, culm::simulation::tell_seed));
  return culm::simulation::run(*options);
}
