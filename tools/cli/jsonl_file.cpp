#include "tools/cli/jsonl_file.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tools/cli/files.hpp"
#include "tools/cli/progress.hpp"

namespace culm::tools {
namespace {

Failure explain_line(const std::string& path, const host::JsonlFault& fault) {
  const Error& error = fault.error;
  std::string what = shown(path) + ":" + std::to_string(fault.line);
  if (fault.seqnum) what += ": seqnum " + std::to_string(*fault.seqnum);
  Failure failure(error.code == Errc::kFork ? Exit::kFork : Exit::kVerification, error.code,
                  std::string(name(error.code)) + ": " +
                      std::string(fault.kind ? describe(*fault.kind) : describe(error.code)));
  failure.fields = {{"line", fault.line}, {"seqnum", nullptr}, {"error", name(error.code)}};
  if (fault.seqnum) failure.fields["seqnum"] = *fault.seqnum;
  if (fault.kind) failure.fields["kind"] = name(*fault.kind);
  if (!fault.seqnum && error.detail_kind == ErrorDetail::kOffset) {
    failure.message += " (at byte " + std::to_string(error.detail) + " of the entry)";
    failure.fields["offset"] = error.detail;
  }
  if (failure.exit == Exit::kVerification) {
    failure.step = "the file is not as it was written: get it again from where it comes from";
  }
  if (error.code == Errc::kFork) {
    failure.message += "; forked: " + human_forks(fault.forks);
    failure.fields["forks"] = to_json(fault.forks);
    failure.step = "leave out these logs from there on";
  }
  if (error.code == Errc::kFileFormat) {
    failure.step = "make the file where the log is: `culm export LOG --jsonl -o FILE` there";
  }
  if (fault.is_cut) {
    failure.message =
        std::string(name(error.code)) + ": the file ends within line " + std::to_string(fault.line);
    failure.step = "get it again from where it comes from: the rest is missing";
  }
  if (!fault.missing.empty()) {
    const std::string missing = to_string(fault.missing);
    failure.fields["missing"] = missing;
    failure.step = "entries that would prove it: " + missing;
  }
  return std::move(failure).about(what);
}

/// Only the copy is written to.
bool is_full_disk(const Error& error) {
  return error.detail_kind == ErrorDetail::kSystem &&
         (error.detail == ENOSPC || error.detail == EDQUOT || error.detail == EFBIG);
}

}  // namespace

Json to_json(const std::vector<host::JsonlFork>& forks) {
  Json list = Json::array();
  for (const auto& [log, at, dropped, payloads] : forks) {
    list.push_back({{"log", to_string(log)},
                    {"at", at},
                    {"dropped", to_string(dropped)},
                    {"payloads_dropped", to_string(payloads)}});
  }
  return list;
}

std::string human_forks(const std::vector<host::JsonlFork>& forks) {
  constexpr std::size_t kNamed = 10;
  std::string text;
  for (std::size_t i = 0; i < std::min(forks.size(), kNamed); ++i) {
    text += (i == 0 ? "log " : ", log ") + to_string(forks[i].log) + " at " +
            std::to_string(forks[i].at);
  }
  if (forks.size() > kNamed) text += " and " + human_count(forks.size() - kNamed) + " more";
  return text;
}

Failure explain(const std::string& path, const host::JsonlFault& fault) {
  if (fault.line != 0) return explain_line(path, fault);
  Failure failure(fault.error);
  if (fault.log) {
    failure.fields["error"] = name(fault.error.code);
    return std::move(failure).about("log " + to_string(*fault.log));
  }
  if (fault.error.code == Errc::kFileFormat) {
    failure.message = "the file changed while it was being read";
  }
  return std::move(failure).about(shown(path));
}

Outcome<host::JsonlFile> read_jsonl(const std::string& path, SignatureVerifier& verifier,
                                    host::JsonlFile::Signatures signatures,
                                    const std::string& copy_directory) {
  auto file = open_input(path);
  if (!file) return fail_with(std::move(file.error()).about(shown(path)));
  Descriptor copy;
  const bool is_copied = !copy_directory.empty() && !can_be_read_again(*file);
  const std::string copied = "copy of " + shown(path) + " in " + shown(copy_directory);
  if (is_copied) {
    auto made = make_nameless_file(copy_directory);
    if (!made) return fail_with(std::move(made.error()).about(copied));
    copy = *std::move(made);
  }
  Progress progress("checking", check_input(path).value_or(0), Progress::Unit::kBytes);
  auto read = host::JsonlFile::read(
      *std::move(file), verifier, signatures, [&](std::uint64_t bytes) { progress.show(bytes); },
      std::move(copy));
  if (!read && is_copied && is_full_disk(read.error().error)) {
    return fail_with(Failure(read.error().error)
                         .about(copied)
                         .next("free space there, or import from a file in place of a pipe"));
  }
  if (!read) return fail_with(explain(path, read.error()));
  return *std::move(read);
}

}  // namespace culm::tools
