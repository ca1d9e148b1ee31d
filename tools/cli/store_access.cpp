#include "tools/cli/store_access.hpp"

#include <string>
#include <utility>

#include "culm/core/random.hpp"
#include "culm/store/lmdb_kv.hpp"

#include "tools/cli/files.hpp"

namespace culm::tools {
namespace {

Result<std::unique_ptr<store::Store>> open_store(const std::string& directory,
                                                 const store::LmdbOptions& options) {
  CULM_TRY(auto kv, store::LmdbKv::open(directory, options));
  SystemRandom random;
  return store::Store::open(std::move(kv), random);
}

}  // namespace

std::string named(const Context& context) { return "store " + shown(context.store_directory); }

Failure locked(const Context& context) {
  Failure failure(Error{Errc::kStoreLocked});
  if (const auto holder = store::lock_holder(context.store_directory)) {
    failure.message += " (pid " + std::to_string(*holder) + ")";
    failure.fields["pid"] = *holder;
  }
  return std::move(failure).about(named(context));
}

Outcome<std::unique_ptr<store::Store>> open_for_reading(const Context& context) {
  store::LmdbOptions options;
  options.read_only = true;
  return about(named(context), open_store(context.store_directory, options));
}

Outcome<StoreAccess> StoreAccess::open(const Context& context, IfMissing if_missing,
                                       SignatureVerifier& verifier, const AcceptOptions& options) {
  store::LmdbOptions lmdb;
  lmdb.create = if_missing == IfMissing::kCreate;
  auto opened = open_store(context.store_directory, lmdb);
  if (opened) {
    auto writer =
        std::make_unique<host::SharingWriter>(context.store_directory, **opened, verifier, options);
    return StoreAccess(*std::move(opened), std::move(writer), false);
  }
  if (opened.error().code != Errc::kStoreLocked) {
    return fail_with(Failure(opened.error()).about(named(context)));
  }
  auto writer = host::NodeClient::connect(context.store_directory);
  if (!writer) {
    return fail_with(
        locked(context).next("wait until it has ended; verbs that only read work meanwhile"));
  }
  CULM_TOOLS_TRY(auto store, open_for_reading(context));
  return StoreAccess(std::move(store), std::move(writer), true);
}

}  // namespace culm::tools
