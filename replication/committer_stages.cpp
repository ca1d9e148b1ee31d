// What becomes of payloads of which only parts have come.
#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/committer.hpp"

namespace culm::replication {

/// In place of what came of that payload before, or of the payload of the want that moved longest
/// ago if there are too many.
void Committer::begin_arrival(const Work& work, SeqNum seqnum) {
  const auto [first, last] = arrivals_.equal_range(work.session);
  auto replaced =
      std::find_if(first, last, [&](const auto& row) { return row.second->seqnum == seqnum; });
  if (replaced == last && std::distance(first, last) == kPayloadsPerWantMax) {
    replaced = std::min_element(first, last, [](const auto& a, const auto& b) {
      return a.second->moved < b.second->moved;
    });
  }
  if (replaced != last) {
    past_.push_back(replaced->second);
    arrivals_.erase(replaced);
  }
  arrivals_.emplace(work.session, std::make_shared<Arrival>(Arrival{work.log, seqnum}));
}

/// What an attempt did to stages, once it is committed.
void Committer::keep(const Stages& stages) {
  for (const auto& [arrival, stage] : stages.begun) arrival->stage = stage;
  for (Arrival* const arrival : stages.ended) arrival->is_over = true;
  for (Arrival* const arrival : stages.held) {
    arrival->stage.reset();
    // The others need not go on.
    for (const auto& [session, other] : arrivals_) {
      const bool is_same = other->log == arrival->log && other->seqnum == arrival->seqnum;
      if (is_same) other->is_over = true;
    }
  }
}

/// Lets go of arrivals that nothing more comes of.
void Committer::sweep() {
  const auto drop = [this](const Arrival& arrival) {
    if (arrival.stage) dropped_.push_back(*arrival.stage);
  };
  for (const auto& arrival : std::exchange(past_, {})) drop(*arrival);
  std::erase_if(arrivals_, [&](const auto& row) {
    const bool is_over = row.second->is_over || row.first.expired();
    if (is_over) drop(*row.second);
    return is_over;
  });
  while (arrivals_.size() > stages_max_) {
    const auto oldest =
        std::ranges::min_element(arrivals_, {}, [](const auto& row) { return row.second->moved; });
    drop(*oldest->second);
    arrivals_.erase(oldest);
  }
}

/// What an earlier process left, and not what arrives now.
void Committer::find_left() {
  constexpr std::size_t kStagesPerLook = 2 * limits::kStagesMax;
  const auto transaction = store_.read();
  if (!transaction) return;
  const auto found = transaction->unfinished_stages(kStagesPerLook);
  if (!found) return;
  has_looked_ = found->size() < kStagesPerLook;
  for (const store::UnfinishedStage& left : *found) {
    const auto arrives = [&](const auto& row) { return row.second->stage == left.stage; };
    if (std::ranges::none_of(arrivals_, arrives)) dropped_.push_back(left.stage);
  }
}

bool Committer::tidy() {
  constexpr std::size_t kRowsPerStep = 512;
  sweep();
  if (dropped_.empty() && !has_looked_) find_left();
  if (dropped_.empty()) return false;
  std::vector<store::Stage> left;
  const auto done = store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    left = dropped_;
    for (std::size_t rows_left = kRowsPerStep; !left.empty();) {
      CULM_TRY(const bool is_gone, transaction.drop_stage(left.back(), rows_left));
      if (!is_gone) break;
      left.pop_back();
    }
    return {};
  });
  if (!done) return false;  // another time
  dropped_ = std::move(left);
  return !dropped_.empty();
}

}  // namespace culm::replication
