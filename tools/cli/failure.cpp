#include "tools/cli/failure.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "culm/core/limits.hpp"

#include "tools/cli/commands.hpp"
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

constexpr std::string_view kKeyIsLost =
    "name a file that `culm keygen` made; if this is one, restore it from a copy: without one its "
    "logs cannot go on, so begin others with another key (`culm keygen FILE`)";
constexpr std::string_view kTakeBack =
    "name the store that holds them with --store DIR, if it is another one. If this one lacks "
    "entries that were published, as after a restore or a forget: take the log back from the "
    "newest backup, or from a peer (`culm sync HOST:PORT LOG`), before appending, or it forks; "
    "where no peer has it, begin another one with --log-id";
constexpr std::string_view kRepair =
    "`culm repair --dry-run` says what is damaged; `culm repair --from HOST:PORT` mends what can "
    "be, "
    "and takes what is lost again from a peer that has it; behind `culm repair` a backup gives it "
    "too: `culm --store BACKUP export LOG --jsonl | culm import --jsonl -`";
constexpr std::string_view kAllow =
    "let this user write there (to read is enough for verbs that only read), or name another store "
    "with --store";
constexpr std::string_view kLetHave =
    "let this process have more memory and open files (`ulimit -v`, `ulimit -n`)";
constexpr std::string_view kNoWay = "check the address and the network of this machine";
static_assert(limits::kConnectTimeoutMs == 10'000 && limits::kHandshakeTimeoutMs == 10'000,
              "the words below say so");

/// What to do about an error, and what is said of it where a peer is lost and `describe` says too
/// little. This is all that is said of errors in a terminal besides `describe`.
struct Row {
  Errc code{};
  std::string_view step;
  std::string_view of_peer{};
  int system = 0;  ///< of this number of the system alone; such rows come first
};

constexpr Row kRows[] = {
    // The store and files.
    {Errc::kStoreNotFound,
     "name one with --store DIR or CULM_STORE; or begin a log (`culm keygen me.key`, then `culm "
     "append --key me.key FILE`), or fetch one (`culm sync HOST:PORT AUTHOR`), which makes a "
     "store"},
    {Errc::kStoreFull,
     "free space on the disk, then repeat; nothing that was acknowledged is lost"},
    {Errc::kStoreIo, kAllow, {}, EACCES},
    {Errc::kStoreIo, kAllow, {}, EPERM},
    {Errc::kStoreIo,
     "the file system is mounted to be read only: mount it for writing, or name another store with "
     "--store; verbs that only read work there",
     {},
     EROFS},
    {Errc::kStoreIo, "name a directory with --store DIR", {}, ENOTDIR},
    {Errc::kStoreIo,
     "name a directory elsewhere with --store DIR: there none can be made",
     {},
     ENOENT},
    {Errc::kStoreIo, "keep the store on a disk of this machine", {}, EREMOTE},
    {Errc::kStoreIo, kLetHave, {}, ENOMEM},
    {Errc::kStoreIo, kLetHave, {}, EMFILE},
    {Errc::kStoreVersion,
     "with the version of culm that made it export its logs (`culm export LOG --jsonl -o FILE`), "
     "and import the files into a new store"},
    {Errc::kStoreBusy, "end some of the processes that read the store, then run the same again"},
    {Errc::kBusy, "run the same again"},
    {Errc::kLogFragmented,
     "hold fewer separate ranges of it: fetch what lies between them, or `culm forget` the log and "
     "fetch it again"},
    {Errc::kPayloadNotHeld, "`culm ls --json` says of which entries payloads are missing"},
    {Errc::kStoreLocked,
     "run the same again; who may write lock.mdb in the store reads beside those that write",
     {},
     EACCES},
    {Errc::kStoreLocked, "run the same again when the other process has ended"},
    {Errc::kStoreDamaged, kRepair},
    {Errc::kStoreFormat,
     "another version wrote it, or a faulty one; it is left as it is: fetch the log into another "
     "store"},
    {Errc::kLogUnknown, "`culm ls` lists the logs of the store"},
    {Errc::kEntryNotHeld, "`culm ls --json` says which entries are held"},
    {Errc::kAuthorMarkBehind, kTakeBack},
    {Errc::kAuthorMarkFork, kTakeBack},
    {Errc::kAuthorMarkFormat,
     "restore the mark from a copy (`culm mark --import FILE`); without it a fork cannot be ruled "
     "out"},
    {Errc::kAuthorMarkLocked, "wait for the other process, or end it"},
    {Errc::kAuthorHeadUnknown,
     "sync with a peer that holds the log, or let appending go on without one (--gate ask)"},
    {Errc::kNodeSilent,
     "it was stopped, or it hangs: let it go on (kill -CONT) or end it; then look whether this was "
     "done, it may still do it"},
    {Errc::kLogEnded, "start another log with --log-id"},
    {Errc::kFileIo, "check the name of the file", {}, ENOENT},
    {Errc::kFileIo, "check the name: a directory on the way to the file is none", {}, ENOTDIR},
    {Errc::kFileIo, "name a file in place of the directory", {}, EISDIR},
    {Errc::kFileIo, "let this user have the file, or name another one", {}, EACCES},
    {Errc::kFileIo,
     "the file system is mounted to be read only: mount it for writing, or name a file elsewhere",
     {},
     EROFS},
    {Errc::kFileIo, "free space on the disk, then repeat", {}, ENOSPC},
    {Errc::kFileIo,
     "what lies where a directory has to be is none, as a link that leads nowhere: move it, or "
     "name "
     "another place",
     {},
     EEXIST},
    {Errc::kFileIo, kLetHave, {}, ENOMEM},
    {Errc::kFileIo, kLetHave, {}, EMFILE},
    {Errc::kFileExists, "name a file that does not exist yet"},
    {Errc::kKeyFileMissing,
     "name the key file; a log goes on with its own key alone, so restore a copy of that if it is "
     "lost. `culm keygen FILE` makes a key for another log"},
    {Errc::kKeyFileLink, "name the file itself"},
    {Errc::kKeyFileOwner, "name a file of your own, and for a sync a store of your own"},
    {Errc::kKeyFileFormat, kKeyIsLost},
    {Errc::kKeyFileKind, "name a file that `culm keygen` made"},
    {Errc::kKeyFileVersion, "use the version of culm that made it, or a newer one"},
    {Errc::kKeyFileMismatch, kKeyIsLost},
    {Errc::kKeyFileShared, "if it is your key, chmod 600 the file"},

    // Where a peer is, or this side is to be.
    {Errc::kAddress, "check the name and the port; HOST:PORT is where `culm relay` listens",
     "no address is known for the name"},
    {Errc::kTimeout, "check the address, that the host is up, and that no firewall is in the way",
     "no answer to the connection within 10 seconds"},
    {Errc::kNetwork, "start `culm relay` there, or check the address and the port",
     "nobody listens there (connection refused)", ECONNREFUSED},
    {Errc::kNetwork, kNoWay, {}, ENETUNREACH},
    {Errc::kNetwork, kNoWay, {}, EHOSTUNREACH},
    {Errc::kNetwork,
     "another program, perhaps another relay, listens there: end it, or listen at another port",
     {},
     EADDRINUSE},
    {Errc::kNetwork,
     "listen at an address of this machine; 0.0.0.0 and [::] are all of them",
     {},
     EADDRNOTAVAIL},
    {Errc::kNetwork, "listen at a port from 1024 on", {}, EACCES},

    // Who answers, or does not.
    {Errc::kPeerFull,
     "try again later, or at another peer; its `culm relay` takes more with "
     "--sessions and --sessions-per-address"},
    {Errc::kPeerStoreFull,
     "who runs the peer must free space there; then run the same again, or try another peer",
     "the disk of the peer or its quota is full: it takes nothing more"},
    {Errc::kPeerStore,
     "who runs the peer must look at its log, which says why and what to do; try again then, or "
     "another peer",
     "the store of the peer fails"},
    {Errc::kPeerForeign, "check the address and the port",
     "what answers there is no culm peer, or a proxy without one behind it"},
    {Errc::kPeerNetwork,
     "give both sides the same --network, or neither of them any, and the same version of culm",
     "the peer is of another network (--network), or of another version of the protocol"},
    {Errc::kPeerHungUp,
     "check that `culm relay` runs behind that address, and --network and --network-key of both "
     "sides",
     "the connection was taken and closed without an answer: by a proxy with nothing behind it, by "
     "what is no culm peer, or by a peer of another network (--network, --network-key)"},
    {Errc::kPeerRefused,
     "check --network and --network-key of both sides; if they are the same, try again",
     "the peer answered and hung up: it is of another network (--network, --network-key), or it "
     "ended just then"},
    {Errc::kHandshake, "check that `culm relay` runs behind that address, and try again",
     "no handshake within 10 seconds: what listens there hangs, or is no culm peer, such as a web "
     "server that waits for a request"},
    {Errc::kPeerUnexpected, "compare --peer with what `culm relay` prints there",
     "who answers is not the peer that --peer names"},
    {Errc::kPeerSelf,
     "it is this store or a copy of it; delete peer.key in the copy, and another is made",
     "the peer has the same peer key as this store"},
    {Errc::kProtocolVersion, "use the same version of culm on both sides"},
    {Errc::kFrameTruncated, kGoOn, "the peer went away"},
    {Errc::kPeerClosed, kGoOn},
    {Errc::kPeerSilent, kGoOn},
    {Errc::kPeerSlow, kGoOn},
    {Errc::kPeerStalled, kGoOn},
    {Errc::kDecrypt, "the connection is not to be trusted; try again, or another way to the peer"},
};

const Row* find_row(const Error& error) {
  const auto* const found = std::ranges::find_if(kRows, [&](const Row& row) {
    const bool is_of_system =
        error.detail_kind == ErrorDetail::kSystem && std::cmp_equal(error.detail, row.system);
    return row.code == error.code && (row.system == 0 || is_of_system);
  });
  return found == std::end(kRows) ? nullptr : found;
}

std::string_view next_step(const Error& error) {
  const Row* const row = find_row(error);
  return row == nullptr ? std::string_view() : row->step;
}

bool is_no_directory(const Error& store_error) {
  return store_error == error_system(Errc::kStoreIo, ENOTDIR);
}

std::string next_of(const Failure& failure, const std::string& verb) {
  if (!failure.step.empty() || failure.code != Errc::kUsage) return failure.step;
  return "culm" + (verb.empty() ? "" : " " + verb) + " --help";
}

}  // namespace

Exit exit_of(const Error& error) {
  switch (error.code) {
    case Errc::kFileIo:
      return exit_of_file(error);
    case Errc::kStoreNotFound:
      return Exit::kNotFound;
    case Errc::kStoreIo:
      return is_no_directory(error) ? Exit::kUsage : Exit::kStore;
    case Errc::kStoreLocked:
    case Errc::kAuthorMarkLocked:
    case Errc::kNodeSilent:
      return Exit::kLocked;
    case Errc::kAuthorMarkBehind:
    case Errc::kAuthorMarkFork:
    case Errc::kAuthorMarkFormat:
    case Errc::kAuthorHeadUnknown:
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
      message(is_no_directory(error)
                  ? "a store is a directory, and this is a file or lies below one"
                  : culm::message(error)),
      step(next_step(error)),
      fields(Json::object()) {
  if (error.detail_kind == ErrorDetail::kOffset) fields["offset"] = error.detail;
  if (error.detail_kind == ErrorDetail::kSeqnum) fields["seqnum"] = error.detail;
}

Failure::Failure(Exit exit_status, Errc errc, std::string text)
    : exit(exit_status), code(errc), message(std::move(text)), fields(Json::object()) {}

std::string to_text(const Failure& failure, const std::string& verb) {
  std::string text = "culm: ";
  if (!verb.empty()) text += verb + ": ";
  if (!failure.what.empty()) text += failure.what + ": ";
  text += failure.message + "\n";
  const std::string step = next_of(failure, verb);
  if (!step.empty()) text += "  next: " + step + "\n";
  return commands().complete(text);
}

std::string to_json_line(const Failure& failure, const std::string& verb) {
  const std::string step = next_of(failure, verb);
  Json line = {{"type", "failure"},
               {"error", name(failure.code)},
               {"exit", static_cast<int>(failure.exit)},
               {"message", failure.message},
               {"about", failure.what.empty() ? Json() : Json(failure.what)},
               {"next", step.empty() ? Json() : Json(step)}};
  line.update(failure.fields);
  return to_line(completed(std::move(line))) + "\n";
}

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

Failure why_lost(const Error& error, std::string_view text) {
  Failure failure(error);
  if (failure.exit == Exit::kUsage) failure.exit = Exit::kNetwork;
  const Row* const row = find_row(error);
  if (row != nullptr && !row->of_peer.empty()) failure.message = row->of_peer;
  // What a full peer says is the same in other words.
  const bool is_said = error.code == Errc::kPeerFull || error.code == Errc::kPeerStoreFull;
  if (!text.empty() && !is_said) {
    failure.message += ": \"" + said_by_peer(text, 200) + "\"";
  }
  return failure;
}

std::string why_denied(replication::DenyReason reason, bool is_offer) {
  switch (reason) {
    case replication::DenyReason::kBusy:
      return std::string(is_offer ? "cannot take" : "cannot serve") +
             " this log now: it has too much to do, or its store fails";
    case replication::DenyReason::kDamaged:
      return std::string(is_offer ? "cannot take" : "cannot serve") +
             " this log: its store is damaged";
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
