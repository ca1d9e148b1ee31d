#include "tools/cli/failure.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "tools/cli/escape.hpp"

namespace culm::tools {
namespace {

Exit exit_of_file(const Error& error) {
  if (error.detail_kind != ErrorDetail::kSystem) return Exit::kStore;
  switch (error.detail) {
    case ENOENT:
    case ENOTDIR:
      return Exit::kNotFound;
    case EPIPE:
      return Exit::kReaderGone;
    case EISDIR:
    case EACCES:
    case EPERM:
    case EBADF:
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
      return Exit::kUsage;
    default:
      return Exit::kStore;
  }
}

constexpr std::string_view kTakeBack =
    "the store is older than the log: take the log back from a peer (culm sync) before "
    "appending, or the log forks";
constexpr std::string_view kFetchAgain =
    "`culm verify` says which logs are affected; fetch them again from a peer";

struct Step {
  Errc code{};
  std::string_view text;
};

constexpr Step kSteps[] = {
    {Errc::kStoreNotFound,
     "name one with --store DIR or CULM_STORE; or begin a log (`culm keygen me.key`, then `culm "
     "append --key me.key FILE`), or fetch one (`culm sync HOST:PORT AUTHOR`), which makes a "
     "store"},
    {Errc::kStoreFull,
     "free space on the disk, then repeat; nothing that was acknowledged is lost"},
    {Errc::kStoreDamaged, kFetchAgain},
    {Errc::kStoreFormat,
     "another version wrote it, or a faulty one; it is left as it is: fetch the log into another "
     "store"},
    {Errc::kLogUnknown, "`culm ls` lists the logs of the store"},
    {Errc::kAuthorMarkBehind, kTakeBack},
    {Errc::kAuthorMarkFork, kTakeBack},
    {Errc::kAuthorMarkFormat,
     "restore the mark beside the key file; without it a fork cannot be ruled out"},
    {Errc::kAuthorMarkLocked, "wait for the other process, or end it"},
    {Errc::kNodeSilent,
     "it was stopped, or it hangs: let it go on (kill -CONT) or end it; then look whether this was "
     "done, it may still do it"},
    {Errc::kLogEnded, "start another log with --log-id"},
    {Errc::kFileExists, "name a file that does not exist yet"},
    {Errc::kKeyFileMissing, "`culm keygen FILE` makes one"},
    {Errc::kKeyFileLink, "name the file itself"},
    {Errc::kKeyFileShared, "chmod 600 the file"},
};

std::string_view next_step(Errc code) {
  const auto* const found = std::ranges::find(kSteps, code, &Step::code);
  return found == std::end(kSteps) ? std::string_view() : found->text;
}

}  // namespace

Exit exit_of(const Error& error) {
  switch (error.code) {
    case Errc::kFileIo:
      return exit_of_file(error);
    case Errc::kStoreNotFound:
      return Exit::kNotFound;
    case Errc::kStoreLocked:
    case Errc::kAuthorMarkLocked:
    case Errc::kNodeSilent:
      return Exit::kLocked;
    case Errc::kAuthorMarkBehind:
    case Errc::kAuthorMarkFork:
    case Errc::kAuthorMarkFormat:
      return Exit::kFork;
    // Here a command line led to them, not a peer.
    case Errc::kRange:
    case Errc::kRangesTooMany:
    case Errc::kPayloadTooLarge:
    case Errc::kLimit:
      return Exit::kUsage;
    default:
      break;
  }
  switch (fault(error.code)) {
    case Fault::kCaller:
      return Exit::kUsage;
    case Fault::kAuthor:
      return Exit::kFork;
    case Fault::kOwnStore:
      return Exit::kStore;
    case Fault::kNobody:
      if (ends(error.code) == Scope::kUnit) return Exit::kNotFound;
      break;
    case Fault::kPeer:
      break;
  }
  // Entries and what they are made of fail alike in a file and from a peer.
  const bool is_of_input = error.code < Errc::kFrameLength;
  const bool is_of_session = ends(error.code) == Scope::kSession && !is_of_input;
  return is_of_session ? Exit::kNetwork : Exit::kVerification;
}

Failure::Failure(const Error& error)
    : exit(exit_of(error)),
      code(error.code),
      message(culm::message(error)),
      step(next_step(error.code)),
      fields(Json::object()) {
  if (error.detail_kind == ErrorDetail::kOffset) fields["offset"] = error.detail;
  if (error.detail_kind == ErrorDetail::kSeqnum) fields["seqnum"] = error.detail;
}

Failure::Failure(Exit exit_status, Errc errc, std::string text)
    : exit(exit_status), code(errc), message(std::move(text)), fields(Json::object()) {}

Failure&& Failure::about(std::string_view subject) && {
  if (what.empty()) what = subject;
  return std::move(*this);
}

Failure&& Failure::next(std::string_view next_step_text) && {
  step = next_step_text;
  return std::move(*this);
}

Failure&& Failure::as(Exit status) && {
  exit = status;
  return std::move(*this);
}

tl::unexpected<Failure> usage(std::string message) {
  return fail_with(Failure(Exit::kUsage, Errc::kUsage, std::move(message)));
}

Failure why_lost(const Error& error, std::string_view text, bool has_answered) {
  Failure failure(error);
  if (failure.exit == Exit::kUsage) failure.exit = Exit::kNetwork;
  if (error.code == Errc::kNetwork && error.detail == ECONNREFUSED) {
    failure.message = "nobody listens there (connection refused)";
  } else if (error.code == Errc::kFrameTruncated) {
    failure.message = has_answered
                          ? "went away"
                          : "hung up on the handshake: full, another network key, or no culm peer";
  } else if (error.code == Errc::kPeerUnexpected) {
    failure.message = "is not the peer that --peer names";
  } else if (!text.empty()) {
    failure.message += ": \"" + preview(as_bytes(text), 200) + "\"";
  }
  return failure;
}

std::string why_denied(replication::DenyReason reason, bool is_offer) {
  switch (reason) {
    case replication::DenyReason::kBusy:
      return is_offer ? "cannot take this log for now" : "is busy; try again later";
    case replication::DenyReason::kCapped:
      return "knows of a fork of this log";
    case replication::DenyReason::kUnanchored:
      return "sent what proves nothing here";
    case replication::DenyReason::kNotServed:
    case replication::DenyReason::kNotWanted:
      break;
  }
  return is_offer ? "does not take this log" : "does not serve this log";
}

}  // namespace culm::tools
