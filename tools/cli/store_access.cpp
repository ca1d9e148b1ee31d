#include "tools/cli/store_access.hpp"

#include <string>
#include <utility>

#include "culm/store/lmdb_kv.hpp"

#include "tools/cli/files.hpp"
#include "tools/cli/guard.hpp"

namespace culm::tools {

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
  return about(named(context), host::open_to_read(context.store_directory));
}

Outcome<host::WritableStore> open_for_writing(const Context& context, IfMissing if_missing,
                                              SignatureVerifier& verifier,
                                              const AcceptOptions& options, Duration wait_max) {
  guard_writing(context);
  auto opened = host::open_to_write(context.store_directory, if_missing == IfMissing::kCreate,
                                    verifier, options, wait_max);
  if (!opened && opened.error().code == Errc::kStoreLocked) {
    return fail_with(
        locked(context).next("wait until it has ended; verbs that only read work meanwhile"));
  }
  return about(named(context), std::move(opened));
}

}  // namespace culm::tools
