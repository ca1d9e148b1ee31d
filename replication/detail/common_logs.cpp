#include "culm/replication/detail/common_logs.hpp"

namespace culm::replication {
namespace {

Result<void> limit_unless(bool is_within) {
  if (!is_within) return fail(Errc::kLimit);
  return {};
}

}  // namespace

void CommonLogs::name(const LogKey& log) {
  if (named_.size() < limits::kLogsNamedPerSessionMax) named_.insert(log);
}

void CommonLogs::share(const LogKey& log) {
  if (shared_.size() < limits::kLogsNamedPerSessionMax) shared_.insert(log);
}

void CommonLogs::await_news(const LogKey& log, bool is_denied) {
  if (is_denied && awaited_.contains(log)) return;
  std::set<LogKey>& logs = is_denied ? denied_ : awaited_;
  const std::size_t max = is_denied ? limits::kWantsPerSessionMax : limits::kLogsNamedPerSessionMax;
  if (logs.size() < max) logs.insert(log);
  if (awaited_.contains(log)) denied_.erase(log);
}

void CommonLogs::news_told(const LogKey& log) {
  awaited_.erase(log);
  denied_.erase(log);
}

void CommonLogs::offer_sent(const LogKey& log) {
  ++offers_sent_;
  offered_.insert(log);
  name(log);
}

Result<void> CommonLogs::offer_received() {
  return limit_unless(++offers_received_ <= limits::kOffersPerSessionMax);
}

Result<void> CommonLogs::deny_received(std::uint64_t wants_sent) {
  const std::uint64_t due = wants_received_ + wants_sent + offers_sent_;
  return limit_unless(++denies_received_ <= due + limits::kSpareDeniesPerSessionMax);
}

bool CommonLogs::tell_cap(const LogKey& log, SeqNum cap) {
  const auto told = caps_told_.find(log);
  if (told != caps_told_.end() && told->second <= cap) return false;
  if (defects_sent_ == limits::kDefectsPerSessionMax) return false;
  ++defects_sent_;
  caps_told_[log] = cap;
  return true;
}

Result<void> CommonLogs::defect_received() {
  return limit_unless(++defects_received_ <= limits::kDefectsPerSessionMax);
}

}  // namespace culm::replication
