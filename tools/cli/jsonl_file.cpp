#include "tools/cli/jsonl_file.hpp"

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
  failure.fields = {{"line", fault.line}, {"seqnum", nullptr}, {"reason", name(error.code)}};
  if (fault.seqnum) failure.fields["seqnum"] = *fault.seqnum;
  if (fault.kind) failure.fields["kind"] = name(*fault.kind);
  if (!fault.seqnum && error.detail_kind == ErrorDetail::kOffset) {
    failure.message += " (at byte " + std::to_string(error.detail) + " of the entry)";
    failure.fields["offset"] = error.detail;
  }
  if (!fault.missing.empty()) {
    const std::string missing = to_string(fault.missing);
    failure.fields["missing"] = missing;
    failure.step = "entries that would prove it: " + missing;
  }
  return std::move(failure).about(what);
}

}  // namespace

Failure explain(const std::string& path, const host::JsonlFault& fault) {
  if (fault.line != 0) return explain_line(path, fault);
  Failure failure(fault.error);
  if (fault.log) {
    failure.fields["reason"] = name(fault.error.code);
    return std::move(failure).about("log " + to_string(*fault.log));
  }
  if (fault.error.code == Errc::kFileFormat) {
    failure.message = "the file changed while it was being read";
  }
  return std::move(failure).about(shown(path));
}

Outcome<host::JsonlFile> read_jsonl(const std::string& path, SignatureVerifier& verifier) {
  auto file = open_input(path);
  if (!file) return fail_with(std::move(file.error()).about(shown(path)));
  Progress progress("checking", check_input(path).value_or(0), Progress::Unit::kBytes);
  auto read = host::JsonlFile::read(*std::move(file), verifier,
                                    [&](std::uint64_t bytes) { progress.show(bytes); });
  if (!read) return fail_with(explain(path, read.error()));
  return *std::move(read);
}

}  // namespace culm::tools
