#include "tools/sync/sync_job.hpp"

#include <cerrno>
#include <memory>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "tools/cli/files.hpp"
#include "tools/sync/plan.hpp"
#include "tools/sync/report.hpp"

namespace culm::tools {
namespace {

/// All that a sync refers to, and what it prints, which is kept in memory.
struct Job {
  explicit Job(int output) : file(output) { context.out = Output(output); }

  Descriptor file;
  Context context;
  SyncOptions options;
  std::vector<LogSync> logs;
  std::optional<Sync> sync;
};

control::Response failed(const Failure& failure) {
  control::Response response;
  response.error = Error{failure.code};
  response.fields = {{"message", failure.message},
                     {"exit", static_cast<int>(failure.exit)},
                     {"about", failure.what},
                     {"next", failure.step},
                     {"fields", failure.fields}};
  return response;
}

control::Response end(Job& job, const store::Store& store, const Outcome<void>& synced) {
  Outcome<void> outcome =
      conclude(job.context, job.options, store, job.logs, job.sync->totals(), synced);
  if (auto flushed = job.context.out.flush(); outcome && !flushed) outcome = std::move(flushed);
  control::Response response;
  if (!outcome) response = failed(outcome.error());
  const off_t size = ::lseek(job.file.get(), 0, SEEK_END);
  const auto text = read_at(job.file, 0, static_cast<std::size_t>(std::max<off_t>(size, 0)));
  response.fields["output"] = text ? *text : "";
  return response;
}

Outcome<void> prepare(Job& job, const SyncPlace& place, const control::SyncRequest& request,
                      SyncTarget& target) {
  CULM_TOOLS_TRY(job.options, parse_sync_options(request.options));
  CULM_TOOLS_CHECK(check(job.options));
  CULM_TOOLS_TRY(target, parse_target(job.options));
  CULM_TOOLS_TRY(job.logs, plan(job.options, place.store));
  return {};
}

}  // namespace

Outcome<void> conclude(Context& context, const SyncOptions& options, const store::Store& store,
                       const std::vector<LogSync>& logs, const SyncTotals& totals,
                       const Outcome<void>& synced) {
  if (!synced && !totals.is_established()) return synced;  // nothing to tell of
  if (options.quote) {
    CULM_TOOLS_CHECK(print_quotes(context, logs));
  } else {
    CULM_TOOLS_CHECK(print_sync(context, options, store, logs, totals));
  }
  CULM_TOOLS_CHECK(synced);
  return judge_sync(options, store, logs);
}

void run_sync_job(const SyncPlace& place, const control::SyncRequest& request, bool may_push,
                  std::function<void(const control::Response&)> answer) {
  const int memory = ::memfd_create("culm sync", MFD_CLOEXEC);
  if (memory < 0) return answer(failed(Failure(error_system(Errc::kFileIo, errno))));
  const auto job = std::make_shared<Job>(memory);
  job->context.json = request.json;
  SyncTarget target;
  if (const auto prepared = prepare(*job, place, request, target); !prepared) {
    return answer(failed(prepared.error()));
  }
  if (job->options.push && !may_push) {
    return answer(
        failed(Failure(Exit::kLocked, Errc::kStoreLocked,
                       "`culm sync --live` runs on the store and serves its own logs alone")
                   .next("end it first, to push others")));
  }
  job->sync.emplace(job->context, job->options, place, job->logs);
  // The handler keeps the job, and goes when it was called.
  job->sync->begin(target, [job, &store = place.store, answer = std::move(answer)](
                               const Outcome<void>& synced) { answer(end(*job, store, synced)); });
}

Failure read_failure(const control::Response& response) {
  Failure failure(*response.error);
  const auto text = [&](const char* name) {
    const std::string* const value = response.fields.find_text(name);
    return value != nullptr ? *value : std::string();
  };
  const auto exit = response.fields.find_number("exit");
  if (!exit) return failure;
  failure.exit = static_cast<Exit>(*exit);
  failure.message = text("message");
  failure.what = text("about");
  failure.step = text("next");
  if (const Json* const fields = response.fields.find_object("fields")) failure.fields = *fields;
  return failure;
}

}  // namespace culm::tools
