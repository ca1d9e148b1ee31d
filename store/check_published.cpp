#include "culm/store/check_published.hpp"

namespace culm::store {

Result<void> check_published(const ReadTransaction& transaction, const LogOutline& known,
                             const Published& published) {
  const SeqNum n = published.seqnum;
  if (n != 0) {
    CULM_TRY(const auto there, transaction.find_entry(known, n));
    if (!there) return fail(error_for(Errc::kAuthorMarkBehind, n));
    if (there->hash() != published.hash) return fail(error_for(Errc::kAuthorMarkFork, n));
  }
  // The entry of a mark whose writing did not end was committed before.
  const SeqNum tail = known.held.empty() ? 0 : known.held.max();
  if (published.is_overtaken && tail <= n) return fail(Errc::kAuthorMarkFormat);
  return {};
}

Result<bool> holds_branch(const ReadTransaction& transaction, const LogOutline& known,
                          const Published& published) {
  const SeqNum at = published.branch_at();
  if (at == 0) return false;
  CULM_TRY(const auto there, transaction.find_entry(known, at));
  return there && branch_store(there->hash(), at - published.seqnum - 1) == published.store;
}

}  // namespace culm::store
