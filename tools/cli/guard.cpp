#include "tools/cli/guard.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "culm/store/lmdb_kv.hpp"
#include "culm/store/salvage.hpp"

#include "tools/cli/commands.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"

namespace culm::tools {
namespace {

/// That does the work of this process.
std::atomic<pid_t> worker = 0;

constexpr std::string_view kDate = "YYYY-mm-ddTHH:MM:SS.000Z";

/// Now, over what has the form of `kDate`; may be called when a signal has come.
void fill_in_date(char* out) {
  using std::chrono::floor;
  const auto now = std::chrono::system_clock::now();
  const auto day = floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(floor<std::chrono::milliseconds>(now - day));
  const auto put = [&](std::size_t end, std::int64_t number, std::size_t digits) {
    for (; digits > 0; --digits, number /= 10) {
      out[--end] = static_cast<char>('0' + number % 10);
    }
  };
  put(4, int{date.year()}, 4);
  put(7, unsigned{date.month()}, 2);
  put(10, unsigned{date.day()}, 2);
  put(13, time.hours().count(), 2);
  put(16, time.minutes().count(), 2);
  put(19, time.seconds().count(), 2);
  put(23, time.subseconds().count(), 3);
}

/// What is left to be said when a signal has come; nothing is made then.
struct LastWords {
  std::array<char, 8192> text{};
  std::size_t size = 0;
  std::size_t date_at = kNoDate;

  static constexpr std::size_t kNoDate = SIZE_MAX;

  void set(const Context& context, Failure failure) {
    const Failure whole = std::move(failure).about(named(context));
    put(context.json ? to_json_line(whole, "") : to_text(whole, ""));
  }
  void set_as_log_line(const Context& context, Failure failure, bool json) {
    const std::string name = named(context);
    const std::string_view level = "error";
    std::string line(kDate);
    line.append(" error   ").append(name).append(": ").append(failure.message);
    line.append("; next: ").append(failure.step).append("\n");
    line = commands().complete(line);
    if (json) {
      line = to_json_line(std::move(failure).about(name), "");
      line.insert(line.size() - 2, ",\"time\":\"" + std::string(kDate) + "\",\"level\":\"" +
                                       std::string(level) + "\"");
    }
    date_at = line.find(kDate);
    put(line);
  }
  void put(const std::string& line) { size = line.copy(text.data(), text.size()); }
  [[noreturn]] void say() {
    if (date_at < size) fill_in_date(text.data() + date_at);
    static_cast<void>(!::write(STDERR_FILENO, text.data(), size));
    ::_exit(static_cast<int>(Exit::kStore));
  }
};
LastWords damaged;
LastWords lost;
LastWords full;
std::array<char, 512> directory{};

/// Looks in a child, which may make things, and hang.
bool is_lost() {
  constexpr unsigned kSecondsMax = 10;
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int number : {SIGSEGV, SIGBUS, SIGABRT, SIGALRM}) std::signal(number, SIG_DFL);
    ::alarm(kSecondsMax);
    ::_exit(store::can_salvage(directory.data()) ? 0 : 1);
  }
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/// Where a fault was: what was touched, and by which instruction.
struct Fault {
  std::uintptr_t address;
  std::uintptr_t instruction;
};

/// In a mapped file of a store, or in LMDB, which damaged pages lead astray.
bool is_of_store(std::string_view mapping, const Fault& fault) {
  constexpr int kHex = 16;
  std::uintptr_t first = 0;
  std::uintptr_t end = 0;
  const char* const stop = mapping.data() + mapping.size();
  const auto begun = std::from_chars(mapping.data(), stop, first, kHex);
  if (begun.ec != std::errc{} || begun.ptr == stop) return false;
  if (std::from_chars(begun.ptr + 1, stop, end, kHex).ec != std::errc{}) return false;
  const auto holds = [&](std::uintptr_t place, std::string_view name) {
    return first <= place && place < end && mapping.find(name) != std::string_view::npos;
  };
  return holds(fault.address, ".mdb") || holds(fault.instruction, "/liblmdb");
}

/// 0 where it is not known.
std::uintptr_t instruction_of([[maybe_unused]] const void* context) {
#if defined(__x86_64__)
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  return static_cast<std::uintptr_t>(registers[REG_RIP]);
#elif defined(__aarch64__)
  return static_cast<const ucontext_t*>(context)->uc_mcontext.pc;
#else
  return 0;
#endif
}

/// Whether the store is to blame; also where that cannot be found out. For a handler of signals.
bool is_in_store(const siginfo_t& signal, const void* context) {
  if (signal.si_code <= 0) return false;  // somebody has sent it
  const Fault fault{reinterpret_cast<std::uintptr_t>(signal.si_addr), instruction_of(context)};
  const int file = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0 || fault.instruction == 0) return true;
  static std::array<char, 16384> text;
  std::size_t size = 0;
  bool is_found = false;
  while (!is_found) {
    const ssize_t got = ::read(file, text.data() + size, text.size() - size);
    if (got <= 0) break;
    std::string_view rest(text.data(), size + static_cast<std::size_t>(got));
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      is_found = is_found || is_of_store(rest.substr(0, end), fault);
      rest.remove_prefix(end + 1);
    }
    size = rest.size();
    std::memmove(text.data(), rest.data(), size);
  }
  ::close(file);
  return is_found;
}

/// Of a process and the one that waits for it.
struct Blame {
  std::atomic<bool> is_fault_ours = false;
  std::atomic<bool> is_abort_of_store = false;
};
Blame* blame = nullptr;

/// Where another process waits for this one, it says that, or goes on without.
[[noreturn]] void say_damaged() {
  if (blame == nullptr) (is_lost() ? lost : damaged).say();
  blame->is_abort_of_store = true;
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

/// Of others, before any of ours.
struct sigaction before_segv {};
struct sigaction before_bus {};
bool are_before_known = false;

/// Lets a fault that is none of the store's end the process as it would have. One in reading a row
/// is an error of that, and does not come back.
bool is_ours(int number, const siginfo_t& signal, const void* context) {
  if (signal.si_code > 0) store::leave_read();
  if (is_in_store(signal, context)) return false;
  if (blame != nullptr) blame->is_fault_ours = true;
  ::sigaction(number, number == SIGBUS ? &before_bus : &before_segv, nullptr);
  if (signal.si_code <= 0) ::raise(number);
  return true;
}

void handle_faults(void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction action {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  ::sigaction(SIGSEGV, &action, are_before_known ? nullptr : &before_segv);
  ::sigaction(SIGBUS, &action, are_before_known ? nullptr : &before_bus);
  are_before_known = true;
}

/// Who waits says what it was.
void end_reading(int number, siginfo_t* signal, void* context) {
  if (is_ours(number, *signal, context)) return;
  std::signal(number, SIG_DFL);
  ::raise(number);
}

/// A page of a file that is mapped is damaged, has no room on the disk, or is not in the file.
void end_writing(int number, siginfo_t* signal, void* context) {
  if (is_ours(number, *signal, context)) return;
  if (number != SIGBUS) say_damaged();
  struct statvfs disk {};
  const bool is_known = ::statvfs(directory.data(), &disk) == 0;
  const auto left = ::geteuid() == 0 ? disk.f_bfree : disk.f_bavail;
  if (is_known && left == 0) full.say();
  say_damaged();
}

}  // namespace

std::string_view step_of_damage(const Context& context) {
  static const Failure damage(Error{Errc::kStoreDamaged});
  return store::can_salvage(context.store_directory) ? std::string_view(damage.step) : kStoreIsLost;
}

Outcome<void> guard_reading(const Context& context) {
  const std::string name = named(context);
  const pid_t parent = ::getpid();
  // One that comes until each knows what to do with it is kept.
  sigset_t signals;
  sigset_t before;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, &before);
  void* const shared =
      ::mmap(nullptr, sizeof(Blame), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared != MAP_FAILED) blame = new (shared) Blame;
  const pid_t child = ::fork();
  if (child <= 0) ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) return about(name, Result<void>(fail(error_system(Errc::kStoreIo, errno))));
  if (child == 0) {
    // A signal for the parent is meant for this one.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(static_cast<int>(Exit::kInternal));
    if (blame != nullptr) handle_faults(end_reading);
    // What LMDB says before it aborts is no word for the screen; the parent says what it means.
    store::set_abort_handler([](const char* /*directory*/, const char* /*assertion*/) {
      if (blame != nullptr) blame->is_abort_of_store = true;
      std::signal(SIGABRT, SIG_DFL);
      std::abort();
    });
    return {};
  }
  // Ctrl-C reaches both, another signal perhaps this one alone; who works says what is done.
  worker = child;
  for (const int number : {SIGINT, SIGTERM}) {
    std::signal(number, [](int sent) { ::kill(worker, sent); });
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) std::_Exit(WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  const bool is_fault = number == SIGSEGV || number == SIGBUS;
  const bool is_of_store = blame == nullptr || (is_fault && !blame->is_fault_ours) ||
                           (number == SIGABRT && blame->is_abort_of_store);
  if (!is_of_store || (!is_fault && number != SIGABRT)) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  take_signals();  // who is ended passes none on
  return fail_with(Failure(Error{Errc::kStoreDamaged}).about(name).next(step_of_damage(context)));
}

void guard_writing(const Context& context) {
  damaged.set(context, Error{Errc::kStoreDamaged});
  lost.set(context, Failure(Error{Errc::kStoreDamaged}).next(kStoreIsLost));
  full.set(context, Error{Errc::kStoreFull});
  context.store_directory.copy(directory.data(), directory.size() - 1);
  store::set_abort_handler(
      [](const char* /*directory*/, const char* /*assertion*/) { say_damaged(); });
  handle_faults(end_writing);
}

void end_with_log_line(const Context& context, bool json) {
  damaged.set_as_log_line(context, Error{Errc::kStoreDamaged}, json);
  lost.set_as_log_line(context, Failure(Error{Errc::kStoreDamaged}).next(kStoreIsLost), json);
  full.set_as_log_line(context, Error{Errc::kStoreFull}, json);
}

}  // namespace culm::tools
