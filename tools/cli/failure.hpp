#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "culm/core/result.hpp"
#include "culm/replication/host/json.hpp"
#include "culm/replication/message.hpp"

namespace culm::tools {

/// What the process tells its caller.
enum class Exit : int {
  kOk = 0,
  kInternal = 1,       ///< a bug, or no memory
  kUsage = 2,          ///< the command line asks for what cannot be
  kNotFound = 3,       ///< no such store, log, entry, payload or file
  kVerification = 4,   ///< the input is not what it should be
  kStore = 5,          ///< store or disk
  kNetwork = 6,        ///< a peer
  kFork = 7,           ///< the author broke the log, or the signer's state forbids to go on
  kLocked = 8,         ///< another process writes, or has the author mark
  kInterrupted = 130,  ///< by Ctrl-C
  kReaderGone = 141,   ///< who read the output has closed it; nothing is said
  kTerminated = 143,   ///< by SIGTERM
};

[[nodiscard]] Exit exit_of(const Error& error);

/// Why a verb did not do what it was asked: for a person, a program and the shell at once.
struct Failure {
  // Implicit: an error from below becomes a failure wherever a verb passes it on.
  Failure(const Error& error);
  Failure(Exit exit, Errc code, std::string message);

  Failure&& about(std::string_view what) &&;
  Failure&& next(std::string_view step) &&;
  Failure&& as(Exit status) &&;

  Exit exit;
  Errc code;
  std::string what;     ///< what the message is about, "" for the verb as a whole
  std::string message;  ///< one line, without its full stop
  std::string step;     ///< what to do next, "" when there is nothing to say
  Json fields;          ///< more for programs, an object
};

/// "culm: ls: store x: there is no store", and on a second line what to do next. `verb` is "" where
/// none was named.
[[nodiscard]] std::string to_text(const Failure& failure, const std::string& verb);
/// The same for programs: one line. Spec: cli.md#failures
[[nodiscard]] std::string to_json_line(const Failure& failure, const std::string& verb);

template <class T>
using Outcome = tl::expected<T, Failure>;

[[nodiscard]] inline tl::unexpected<Failure> fail_with(Failure failure) {
  return tl::unexpected<Failure>(std::move(failure));
}

/// A command line that cannot be meant so.
[[nodiscard]] tl::unexpected<Failure> usage(std::string message);

/// What to do next where a sync did not come to its end.
inline constexpr std::string_view kGoOn = "run the same again to go on; what came is kept";

/// What to do next where damage took something; another way where nobody has it follows.
inline constexpr std::string_view kTakeLostAgain =
    "where a peer has what is lost: `culm repair --from HOST:PORT`";

/// Why a peer was lost or not reached; `text`: what it said at that.
[[nodiscard]] Failure why_lost(const Error& error, std::string_view text);
/// What to say of a peer that declined a want or an offer, behind its name.
[[nodiscard]] std::string why_denied(replication::DenyReason reason, bool is_offer);

/// Says what an error is about, unless it is known already.
template <class T>
[[nodiscard]] Outcome<T> about(std::string_view what, Result<T> result) {
  if (result) return Outcome<T>(std::move(result).value());
  return fail_with(Failure(result.error()).about(what));
}
[[nodiscard]] inline Outcome<void> about(std::string_view what, const Result<void>& result) {
  if (result) return {};
  return fail_with(Failure(result.error()).about(what));
}

}  // namespace culm::tools

#define CULM_TOOLS_TRY_NAMED(holder, declaration, expression)                           \
  auto holder = (expression);                                                           \
  if (!holder) return ::culm::tools::fail_with(::culm::tools::Failure(holder.error())); \
  declaration = *std::move(holder)

/// `CULM_TRY` for functions that return an `Outcome`, over an `Outcome` or a `Result`.
#define CULM_TOOLS_TRY(declaration, expression) \
  CULM_TOOLS_TRY_NAMED(CULM_CONCAT(culm_try_, __LINE__), declaration, expression)

/// `CULM_CHECK` likewise.
#define CULM_TOOLS_CHECK(expression)                                               \
  do {                                                                             \
    if (auto culm_check = (expression); !culm_check) {                             \
      return ::culm::tools::fail_with(::culm::tools::Failure(culm_check.error())); \
    }                                                                              \
  } while (false)
