#include "tools/relay/host.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <sys/resource.h>
#include <unistd.h>

#include "culm/store/author_mark_place.hpp"

#include "tools/cli/arguments.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"
#include "tools/cli/interrupt.hpp"
#include "tools/cli/store_access.hpp"
#include "tools/relay/unmade_kv.hpp"

namespace culm::tools {
namespace {

/// Each connection takes a descriptor.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Only what makes a directory there tells whether one can be made.
Result<void> check_can_be_made(const std::string& directory) {
  std::error_code error;
  auto there = std::filesystem::absolute(directory, error);
  while (!std::filesystem::exists(there, error) && there != there.parent_path()) {
    there = there.parent_path();
  }
  std::string probe = (there / ".culm-XXXXXX").string();
  if (::mkdtemp(probe.data()) == nullptr) return fail(error_system(Errc::kStoreIo, errno));
  ::rmdir(probe.c_str());
  return {};
}

/// Where the store itself may not be written to, its key is not the cause.
Failure no_place_for_key(const Error& error, const Context& context, const HostOptions& options,
                         const HostKey& key) {
  const bool is_of_key = !options.peer_key_file.empty();
  for (const int number : {EACCES, EPERM, EROFS}) {
    if (is_of_key || error != error_system(Errc::kFileIo, number)) continue;
    return Failure(error_system(Errc::kStoreIo, number)).about(named(context));
  }
  return Failure(error).about(shown(key.path));
}

}  // namespace

std::string damage_text(const Context& context, const LogKey& log, const RangeSet& seqnums) {
  const std::string what = named(context) + ": log " + to_string(log);
  if (seqnums.empty()) {
    return what +
           ": some or all of it cannot be served, the store is damaged; next: end this process, "
           "then " +
           std::string(step_of_damage(context));
  }
  return what + ": damaged at " + to_string(seqnums) +
         "; what is lost of it counts as not held and is taken again from a peer that offers it; "
         "`culm repair --from HOST:PORT` asks one for it";
}

Host::Host() : signals_(io_, SIGINT, SIGTERM), minute_(io_) {
  struct sigaction before {};
  ::sigaction(SIGHUP, nullptr, &before);
  if (before.sa_handler != SIG_IGN) signals_.add(SIGHUP);
}

Outcome<std::unique_ptr<Host>> Host::open(const Context& context, const HostOptions& options,
                                          replication::Policy& policy, MakeStore make) {
  CULM_TOOLS_TRY(const AcceptOptions accept, parse_verification(options));
  CULM_TOOLS_TRY(const auto network_key, read_network_key(options));
  std::unique_ptr<Host> host(new Host());
  host->directory_ = context.store_directory;
  // Before there is a store, so that none is made where it cannot be read.
  CULM_TOOLS_TRY(host->key_, read_host_key(context.store_directory, options));
  const std::string name = named(context);
  guard_writing(context);
  const auto opened = host->open_store(make);
  // The other, which has the lock, has found it.
  if (!opened && host->store_is_ == StoreIs::kMade) tell_made(context);
  if (!opened && opened.error().code == Errc::kStoreLocked) {
    return fail_with(Failure(opened.error())
                         .about(name)
                         .next("end it if it is a node, else wait for it; append, delete, import "
                               "and sync work beside a "
                               "node"));
  }
  if (!opened && opened.error().code == Errc::kStoreDamaged) {
    return fail_with(Failure(opened.error()).about(name).next(step_of_damage(context)));
  }
  CULM_TOOLS_CHECK(about(name, opened));
  if (host->store_is_ != StoreIs::kMissing) {
    const auto kept = keep(*host->key_);
    if (!kept) return fail_with(no_place_for_key(kept.error(), context, options, *host->key_));
  }
  node::NodeOptions node = make_node_options(options, host->key_->pair, network_key);
  allow_many_descriptors();
  host->peer_ = node.identity.public_key();
  std::optional<host::OwnLogs> own;
  if (const auto marks = store::find_marks_directory()) {
    own.emplace(
        host::OwnLogs{*host->store_, context.store_directory, *marks, to_replica_options(options)});
  }
  host->node_.emplace(
      host->io_, *host->store_, policy,
      host::StoreNodeOptions{
          .node = std::move(node),
          .accept = accept,
          .verify_threads = options.verify_threads.value_or(host::VerifierPool::count_cores()),
          .own = std::move(own),
          .found_unasked = [&told = host->when_unasked_](const auto& found) {
            if (told) told(found);
          }});
  return host;
}

Result<void> Host::open_store(MakeStore make) {
  auto kv = open_kv(false);
  bool is_missing = !kv && kv.error().code == Errc::kStoreNotFound;
  if (kv && make == MakeStore::kWhenWritten) {
    // Another process has begun to make it: who has the lock then, makes it.
    CULM_TRY(is_missing, is_empty(**kv));
  }
  if (is_missing) kv_ = nullptr;
  if (is_missing && make == MakeStore::kNow) {
    kv = open_kv(true);
  } else if (is_missing) {
    CULM_CHECK(check_can_be_made(directory_));
    kv = std::make_unique<UnmadeKv>([this](store::Kv& memory) { return make_kv(memory); });
    store_is_ = StoreIs::kMissing;
  }
  if (!kv) return fail(kv.error());
  SystemRandom random;
  CULM_TRY(store_, store::Store::open(*std::move(kv), random));
  if (kv_ == nullptr) return {};
  if (store_->was_made()) store_is_ = StoreIs::kMade;
  CULM_TRY(auto lock, kv_.load()->lock_for_node());
  lock_.emplace(std::move(lock));
  return {};
}

Result<std::unique_ptr<store::Kv>> Host::open_kv(bool create) {
  CULM_TRY(auto kv, store::LmdbKv::open(directory_, {.create = create}));
  kv_ = kv.get();
  return kv;
}

Result<std::unique_ptr<store::Kv>> Host::make_kv(store::Kv& memory) {
  CULM_TRY(auto kv, store::LmdbKv::open(directory_));
  CULM_TRY(auto lock, kv->lock_for_node());
  CULM_TRY(const bool is_new, is_empty(*kv));
  CULM_CHECK(keep(*key_));
  if (is_new) CULM_CHECK(copy(memory, *kv));
  // From here on nothing fails: the lock is outlived by what it locks.
  lock_.emplace(std::move(lock));
  kv_ = kv.get();
  asio::post(io_, [this, is_new] {
    store_is_ = is_new ? StoreIs::kMade : StoreIs::kThere;
    if (when_there_) when_there_();
  });
  return kv;
}

Outcome<void> Host::serve_requests(bool serves_every_log) {
  const auto served = node_->serve_requests(directory_, serves_every_log);
  if (!served) {
    return fail_with(
        Failure(served.error()).about("socket in " + shown(directory_)).as(Exit::kStore));
  }
  node_->verify_in_background();
  return {};
}

node::SyncReport Host::sync(const node::SyncRequest& request,
                            std::function<bool(const node::SyncEvent&)> told) {
  node::SyncReport report;
  const auto sync = node_->sync(request, std::move(told), [&](const node::SyncReport& all) {
    report = all;
    stop();
  });
  run([&](int number) {
    // One that goes on until somebody ends it ends well by it.
    if (number == SIGTERM && !request.live) note_interrupt(number);
    node().end_sync(sync);
  });
  return report;
}

void Host::run(std::function<void(int)> interrupted, std::function<void()> hung_up) {
  interrupted_ = std::move(interrupted);
  hung_up_ = std::move(hung_up);
  wait_signal();
  wait_minute();
  io_.run();
}

void Host::stop() {
  if (stopping_) return;
  stopping_ = true;
  node_->stop([this] {
    ErrorCode ignored;
    signals_.cancel(ignored);
    minute_.cancel();
  });
}

void Host::wait_signal() {
  signals_.async_wait([this](const ErrorCode& code, int number) {
    if (code) return;
    if (number == SIGHUP && hung_up_) {
      hung_up_();
      return wait_signal();
    }
    if (std::exchange(interrupted_once_, true)) {
      // The signal itself ends the process, so that who waits for it sees why.
      ErrorCode ignored;
      signals_.clear(ignored);
      std::signal(number, SIG_DFL);
      std::raise(number);
    }
    if (number == SIGINT) note_interrupt(number);
    interrupted_(number);
    wait_signal();
  });
}

void Host::wait_minute() {
  minute_.expires_after(std::chrono::minutes(1));
  minute_.async_wait([this](const ErrorCode& code) {
    if (code || stopping_) return;
    if (store::LmdbKv* const kv = kv_) kv->check_readers();
    wait_minute();
  });
}

}  // namespace culm::tools
