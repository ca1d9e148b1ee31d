#include "culm/replication/node/dial_plan.hpp"

#include <algorithm>
#include <array>

#include "culm/core/assert.hpp"
#include "culm/core/bytes.hpp"
#include "culm/core/limits.hpp"

namespace culm::node {

using Milliseconds = std::chrono::milliseconds;

void DialPlan::add(DialId dial, bool reconnects) {
  dials_[dial] = Dial{reconnects, State::kHeld, {}, limits::kRedialDelayMsMin};
}

void DialPlan::release(DialId dial, Instant now) {
  const auto found = dials_.find(dial);
  if (found == dials_.end() || found->second.state != State::kHeld) return;
  found->second.state = State::kWaiting;
  found->second.at = now;
}

std::vector<DialId> DialPlan::take_due(Instant now) {
  std::vector<DialId> due;
  for (auto& [id, dial] : dials_) {
    if (dial.state != State::kWaiting || dial.at > now) continue;
    dial.state = State::kCalling;
    dial.at = now + Milliseconds(limits::kConnectTimeoutMs);
    due.push_back(id);
  }
  return due;
}

std::vector<DialId> DialPlan::late(Instant now) const {
  std::vector<DialId> out;
  for (const auto& [id, dial] : dials_) {
    if (dial.state == State::kCalling && dial.at <= now) out.push_back(id);
  }
  return out;
}

void DialPlan::extend(DialId dial, Instant end) {
  if (is_calling(dial)) dials_.at(dial).at = end;
}

void DialPlan::connected(DialId dial) {
  CULM_ASSERT(is_calling(dial));
  dials_.at(dial).state = State::kInSession;
}

bool DialPlan::over(DialId dial, Duration lasted, Instant now) {
  const auto found = dials_.find(dial);
  if (found == dials_.end()) return false;
  Dial& plan = found->second;
  if (!plan.reconnects) {
    dials_.erase(found);
    return false;
  }
  if (lasted >= Milliseconds(limits::kRedialDelayMsMax)) {
    plan.delay_ms_max = limits::kRedialDelayMsMin;
  }
  plan.state = State::kWaiting;
  plan.at = now + next_delay(plan);
  return true;
}

bool DialPlan::is_calling(DialId dial) const {
  const auto found = dials_.find(dial);
  return found != dials_.end() && found->second.state == State::kCalling;
}

std::optional<Instant> DialPlan::next_deadline() const {
  std::optional<Instant> next;
  for (const auto& [id, dial] : dials_) {
    if (dial.state != State::kWaiting && dial.state != State::kCalling) continue;
    if (!next || dial.at < *next) next = dial.at;
  }
  return next;
}

Duration DialPlan::next_delay(Dial& dial) {
  std::array<std::uint8_t, 8> bytes{};
  random_.fill(bytes);
  const std::uint64_t half = dial.delay_ms_max / 2;
  const std::uint64_t delay_ms = half + from_big_endian(bytes) % (dial.delay_ms_max - half + 1);
  dial.delay_ms_max = std::min(dial.delay_ms_max * 2, limits::kRedialDelayMsMax);
  return Milliseconds(delay_ms);
}

}  // namespace culm::node
