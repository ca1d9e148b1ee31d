#include "tools/relay/host.hpp"

#include <csignal>

#include <sys/resource.h>

#include "tools/cli/arguments.hpp"
#include "tools/cli/files.hpp"
#include "tools/cli/store_access.hpp"

namespace culm::tools {
namespace {

/// Each connection takes a descriptor.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Failure locked(const std::string& directory) {
  Failure failure(Error{Errc::kStoreLocked});
  if (const auto holder = store::lock_holder(directory)) {
    failure.message += " (pid " + std::to_string(*holder) + ")";
    failure.fields["pid"] = *holder;
  }
  return std::move(failure).next(
      "end that process first; append, delete, import and sync work beside a node");
}

}  // namespace

Host::Host(std::size_t verify_threads)
    : pool_(verifier_, verify_threads), signals_(io_, SIGINT, SIGTERM, SIGHUP), minute_(io_) {}

Outcome<std::unique_ptr<Host>> Host::open(const Context& context, const HostOptions& options,
                                          replication::Policy& policy) {
  CULM_TOOLS_TRY(const std::size_t threads, parse_verify_threads(options.verify_threads));
  CULM_TOOLS_TRY(const AcceptOptions accept, parse_verification(options));
  std::unique_ptr<Host> host(new Host(threads));
  host->directory_ = context.store_directory;
  const std::string name = "store " + shown(context.store_directory);
  const auto opened = host->open_store();
  if (!opened && opened.error().code == Errc::kStoreLocked) {
    return fail_with(locked(context.store_directory).about(name));
  }
  CULM_TOOLS_CHECK(about(name, opened));
  CULM_TOOLS_TRY(node::NodeOptions node, make_node_options(context.store_directory, options));
  allow_many_descriptors();
  host->peer_ = node.identity.public_key();
  host->writer_.emplace(
      *host->store_, host->pool_, accept,
      [&io = host->io_](std::function<void()> task) { asio::post(io, std::move(task)); });
  host->node_.emplace(host->io_, *host->store_, policy, host->pool_, host->random_, *host->writer_,
                      std::move(node));
  return host;
}

Result<void> Host::open_store() {
  CULM_TRY(auto kv, store::LmdbKv::open(directory_));
  kv_ = kv.get();
  CULM_TRY(store_, store::Store::open(std::move(kv), random_));
  CULM_TRY(auto lock, kv_->lock_for_node());
  lock_.emplace(std::move(lock));
  return {};
}

Outcome<void> Host::serve_requests(bool serves_every_log) {
  auto opened =
      host::ControlServer::open(io_, directory_, *store_, *node_, pool_, serves_every_log);
  if (!opened) {
    return fail_with(
        Failure(opened.error()).about("socket in " + shown(directory_)).as(Exit::kStore));
  }
  control_ = *std::move(opened);
  return {};
}

void Host::verify_in_background() {
  background_.emplace(*store_, verifier_, [this](store::Store::Body body, auto handler) {
    asio::post(io_, [this, body = std::move(body), handler = std::move(handler)] {
      node_->update(body, [handler](const Result<void>& /*outcome*/) { handler(); });
    });
  });
  transport::NodeObserver observer;
  observer.log_changed = [this](const LogKey& /*log*/) {
    if (background_) background_->wake();
  };
  node_->observe(std::move(observer));
}

void Host::run(std::function<void()> interrupted) {
  interrupted_ = std::move(interrupted);
  wait_signal();
  wait_minute();
  io_.run();
}

void Host::stop() {
  if (stopping_) return;
  stopping_ = true;
  background_.reset();
  if (control_) control_->close();
  node_->stop([this] {
    ErrorCode ignored;
    signals_.cancel(ignored);
    minute_.cancel();
  });
}

void Host::wait_signal() {
  signals_.async_wait([this](const ErrorCode& code, int number) {
    if (code) return;
    if (std::exchange(interrupted_once_, true)) {
      // The signal itself ends the process, so that who waits for it sees why.
      ErrorCode ignored;
      signals_.clear(ignored);
      std::signal(number, SIG_DFL);
      std::raise(number);
    }
    if (interrupted_) {
      interrupted_();
    } else {
      stop();
    }
    wait_signal();
  });
}

void Host::wait_minute() {
  minute_.expires_after(std::chrono::minutes(1));
  minute_.async_wait([this](const ErrorCode& code) {
    if (code || stopping_) return;
    kv_->check_readers();
    wait_minute();
  });
}

}  // namespace culm::tools
