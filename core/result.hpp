#pragma once

#include <utility>

#include <tl/expected.hpp>

#include "culm/core/error.hpp"

namespace culm {

/// A value or the reason why there is none.
template <class T>
using Result = tl::expected<T, Error>;

/// The failing half of a `Result`.
[[nodiscard]] inline tl::unexpected<Error> fail(Errc code) { return tl::unexpected(Error{code}); }
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected(error); }

}  // namespace culm

#define CULM_CONCAT_INNER(a, b) a##b
#define CULM_CONCAT(a, b) CULM_CONCAT_INNER(a, b)
#define CULM_TRY_NAMED(holder, declaration, expression)                \
  auto holder = (expression);                                          \
  if (!holder) return ::tl::unexpected(::culm::Error{holder.error()}); \
  declaration = *std::move(holder)

/// `CULM_TRY(const auto entry, EntryView::parse(bytes));` declares `entry`, or returns the error.
#define CULM_TRY(declaration, expression) \
  CULM_TRY_NAMED(CULM_CONCAT(culm_try_, __LINE__), declaration, expression)

/// Returns the error of a `Result<void>`, or goes on.
#define CULM_CHECK(expression)                                                                \
  do {                                                                                        \
    if (auto culm_check = (expression); !culm_check) return ::culm::fail(culm_check.error()); \
  } while (false)
