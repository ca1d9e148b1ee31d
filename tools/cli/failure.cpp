#include "tools/cli/failure.hpp"

#include <cerrno>

namespace culm::tools {
namespace {

Exit exit_of_file(const Error& error) {
  if (error.detail_kind != ErrorDetail::kSystem) return Exit::kStore;
  switch (error.detail) {
    case ENOENT:
    case ENOTDIR:
      return Exit::kNotFound;
    case EPIPE:
      return Exit::kNetwork;
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

std::string_view next_step(Errc code) {
  switch (code) {
    case Errc::kStoreNotFound:
      return "name a store with --store DIR or CULM_STORE; append, import and sync make one";
    case Errc::kStoreFull:
      return "free space on the disk, then repeat; nothing that was acknowledged is lost";
    case Errc::kStoreDamaged:
    case Errc::kStoreFormat:
      return "`culm verify` says which logs are affected; fetch them again from a peer";
    case Errc::kLogUnknown:
      return "`culm ls` lists the logs of the store";
    case Errc::kAuthorMarkBehind:
    case Errc::kAuthorMarkFork:
      return "the store is older than the log: take the own log back from a peer (culm sync) "
             "before appending, or the log forks";
    case Errc::kAuthorMarkFormat:
      return "restore the mark beside the key file; without it a fork cannot be ruled out";
    case Errc::kAuthorMarkLocked:
      return "wait for the other process, or end it";
    case Errc::kLogEnded:
      return "start another log with --log-id";
    case Errc::kFileExists:
      return "name a file that does not exist yet";
    default:
      return "";
  }
}

}  // namespace

Exit exit_of(const Error& error) {
  switch (error.code) {
    case Errc::kFileIo:
      return exit_of_file(error);
    case Errc::kUsage:
    case Errc::kRange:
    case Errc::kRangeOrder:
    case Errc::kRangesTooMany:
    case Errc::kHexFormat:
    case Errc::kFileExists:
    case Errc::kPayloadTooLarge:
    case Errc::kLimit:
    case Errc::kAddress:
      return Exit::kUsage;
    case Errc::kStoreNotFound:
    case Errc::kLogUnknown:
    case Errc::kEntryNotHeld:
    case Errc::kPayloadNotHeld:
    case Errc::kPayloadDeleted:
      return Exit::kNotFound;
    case Errc::kStoreIo:
    case Errc::kStoreFull:
    case Errc::kStoreDamaged:
    case Errc::kStoreVersion:
    case Errc::kStoreReadOnly:
    case Errc::kStoreFormat:
      return Exit::kStore;
    case Errc::kStoreLocked:
    case Errc::kAuthorMarkLocked:
      return Exit::kLocked;
    case Errc::kFork:
    case Errc::kLogCapped:
    case Errc::kLogEnded:
    case Errc::kSeqnumEnd:
    case Errc::kAuthorMarkBehind:
    case Errc::kAuthorMarkFork:
    case Errc::kAuthorMarkFormat:
      return Exit::kFork;
    default:
      break;
  }
  const auto number = static_cast<int>(error.code);
  const bool is_network = (number >= 300 && number < 400) || error.code == Errc::kNetwork ||
                          error.code == Errc::kTimeout;
  return is_network ? Exit::kNetwork : Exit::kVerification;
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

}  // namespace culm::tools
