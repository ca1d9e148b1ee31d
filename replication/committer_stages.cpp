// What becomes of payloads of which only parts have come.
#include <algorithm>
#include <utility>

#include "culm/core/limits.hpp"
#include "culm/replication/committer.hpp"

namespace culm::replication {
namespace {

bool are_of_one_entry(const store::Stage& a, const store::Stage& b) {
  return a.number == b.number && a.seqnum == b.seqnum;
}

}  // namespace

/// In place of what came of that payload before, or of the payload of the want that moved longest
/// ago if there are too many.
void Committer::begin_arrival(const Work& work, const PayloadWork& payload) {
  const auto [first, last] = arrivals_.equal_range(work.session);
  auto replaced = std::find_if(
      first, last, [&](const auto& row) { return row.second->seqnum == payload.seqnum; });
  if (replaced == last && std::cmp_equal(std::distance(first, last), kPayloadsPerWantMax)) {
    replaced = std::min_element(first, last, [](const auto& a, const auto& b) {
      return a.second->moved < b.second->moved;
    });
  }
  if (replaced != last) {
    replaced->second->is_futile = true;  // who begins ever more payloads leaves nothing behind
    past_.push_back(replaced->second);
    arrivals_.erase(replaced);
  }
  const auto arrival = std::make_shared<Arrival>(Arrival{work.log, payload.seqnum});
  arrival->bearer = {work.peer, work.peer && payload.is_alone};
  arrivals_.emplace(work.session, arrival);
}

/// Null where that stage is not there any more.
std::shared_ptr<Committer::Arrival> Committer::resume(const Work& work,
                                                      const PayloadWork& payload) {
  if (!payload.resumes) return nullptr;
  if (!has_looked_) find_left();
  std::shared_ptr<Arrival> arrival;
  // Of a want that has ended, some may still have come meanwhile.
  const auto moving = std::ranges::find_if(
      arrivals_, [&](const auto& row) { return row.second->stage == payload.resumes; });
  const auto left = std::ranges::find(left_, *payload.resumes, &store::UnfinishedStage::stage);
  if (moving != arrivals_.end()) {
    arrival = moving->second;
    arrivals_.erase(moving);
  } else if (left != left_.end()) {
    arrival = std::make_shared<Arrival>(Arrival{work.log, payload.seqnum, left->stage});
    arrival->offset = arrival->put = left->size_bytes;
    arrival->bearer = left->bearer;
    arrival->is_resumed = true;
    left_.erase(left);
  } else {
    return nullptr;
  }
  if (arrival->bearer.peer != work.peer) arrival->bearer = {};
  arrivals_.emplace(work.session, arrival);
  return arrival;
}

/// What an attempt did to stages, once it is committed.
void Committer::keep(const Stages& stages) {
  for (const auto& [arrival, stage] : stages.begun) arrival->stage = stage;
  for (const auto& [arrival, bytes] : stages.put) arrival->put = bytes;
  for (Arrival* const arrival : stages.ended) arrival->is_over = true;
  for (Arrival* const arrival : stages.futile) arrival->is_futile = true;
  for (Arrival* const arrival : stages.held) became_held(*arrival);
}

/// The others need not go on.
void Committer::became_held(Arrival& arrival) {
  const store::Stage stage = *std::exchange(arrival.stage, std::nullopt);
  const auto end = [&](Arrival& other) {
    const bool is_same = other.log == arrival.log && other.seqnum == arrival.seqnum;
    if (is_same) other.is_over = other.is_futile = true;
  };
  for (const auto& [session, other] : arrivals_) end(*other);
  for (const Due& due : due_) end(*due.arrival);
  std::erase_if(left_, [&](const store::UnfinishedStage& left) {
    if (!are_of_one_entry(left.stage, stage)) return false;
    dropped_.push_back(left.stage);
    return true;
  });
}

/// About `bytes_left` more of what is there; whether that is all.
Result<bool> Committer::hash_rows(Arrival& arrival, std::uint64_t& bytes_left) const {
  CULM_TRY(const auto transaction, store_.read());
  while (arrival.hashed < arrival.put && bytes_left != 0) {
    CULM_TRY(const ByteView part, transaction.read_part(*arrival.stage, arrival.hashed));
    if (part.empty() || part.size() > arrival.put - arrival.hashed) {
      return fail(error_for(Errc::kStoreDamaged, arrival.seqnum));
    }
    arrival.hasher.update(part);
    arrival.hashed += part.size();
    bytes_left -= std::min<std::uint64_t>(bytes_left, part.size());
  }
  return arrival.hashed == arrival.put;
}

/// Of a resumed payload: hashes on, and once its last part is there and all is hashed, decides.
/// Whether there is nothing more to be done for this part.
bool Committer::complete(Arrival& arrival, bool is_last, std::uint64_t& bytes_left,
                         Outcome& outcome) {
  if (!outcome || arrival.is_futile || !arrival.stage) return true;
  const auto hashed = hash_rows(arrival, bytes_left);
  if (!is_last) return true;  // what cannot be read is met again
  if (hashed && !*hashed) return false;
  Result<bool> finished = false;
  if (hashed || store::damaged_entry(hashed.error()) != 0) {
    // What cannot be read fits no better than what is wrong, unless it was let go meanwhile.
    const Hash payload_hash = hashed ? arrival.hasher.finish() : Hash{};
    const auto done = store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
      transaction.undelete_as_taken(arrival.undeletes);
      finished = finish(transaction, arrival.log, *arrival.stage, payload_hash);
      return !finished && ends(finished.error().code) == Scope::kStore ? fail(finished.error())
                                                                       : Result<void>();
    });
    if (!done) finished = fail(done.error());
  } else {
    finished = fail(hashed.error());
  }
  if (!finished) {
    outcome = fail(finished.error());
    arrival.is_futile = ends(finished.error().code) != Scope::kStore;
  } else if (*finished) {
    outcome->payloads_added.insert(arrival.seqnum);
    outcome->payload_bytes_added = arrival.put;
    became_held(arrival);
  } else {
    arrival.is_futile = true;
  }
  return true;
}

/// In the order in which their last parts came.
std::vector<WorkReport> Committer::complete_due(std::uint64_t& bytes_left) {
  std::vector<WorkReport> reports;
  while (!due_.empty()) {
    Due& due = due_.front();
    if (!complete(*due.arrival, true, bytes_left, due.report.outcome)) break;
    reports.push_back(std::move(due.report));
    past_.push_back(std::move(due.arrival));
    due_.pop_front();
  }
  return reports;
}

std::vector<WorkReport> Committer::hash_on() {
  std::uint64_t hash_bytes = hash_bytes_max_;
  return complete_due(hash_bytes);
}

Result<bool> Committer::finish(store::WriteTransaction& transaction, const LogKey& log,
                               const store::Stage& stage, const Hash& payload_hash) {
  auto finished = transaction.finish_stage(log, stage, payload_hash);
  if (finished || ends(finished.error().code) == Scope::kStore) return finished;
  std::size_t no_rows = 0;
  CULM_CHECK(transaction.drop_stage(stage, no_rows));
  return finished;
}

void Committer::leave(const Arrival& arrival) {
  if (!arrival.stage) return;
  if (arrival.is_futile || arrival.put == 0) {
    dropped_.push_back(*arrival.stage);
  } else {
    leave({*arrival.stage, arrival.put, arrival.bearer});
  }
}

void Committer::leave(const store::UnfinishedStage& left) {
  const auto same = std::ranges::find_if(left_, [&](const store::UnfinishedStage& other) {
    return are_of_one_entry(other.stage, left.stage) && other.bearer.peer == left.bearer.peer;
  });
  if (same != left_.end()) {
    if (same->stage == left.stage) return;
    // One that nobody else may go on with outlives one that others may have spoilt.
    const bool is_better = std::pair(left.bearer.is_alone, left.size_bytes) >
                           std::pair(same->bearer.is_alone, same->size_bytes);
    dropped_.push_back(is_better ? same->stage : left.stage);
    if (!is_better) return;
    left_.erase(same);
  }
  left_.push_back(left);
  std::uint64_t bytes = 0;
  for (const store::UnfinishedStage& one : left_) bytes += one.size_bytes;
  while (left_.size() > kStagesLeftMax || (bytes > kBytesLeftMax && left_.size() > 1)) {
    // To drive out what has cost much, many have to cost as much.
    const auto victim =
        left_.size() > kStagesLeftMax
            ? std::ranges::min_element(left_, {}, &store::UnfinishedStage::size_bytes)
            : left_.begin();
    bytes -= victim->size_bytes;
    dropped_.push_back(victim->stage);
    left_.erase(victim);
  }
}

/// Lets go of arrivals that nothing more comes of.
void Committer::sweep() {
  for (const auto& arrival : std::exchange(past_, {})) leave(*arrival);
  std::erase_if(arrivals_, [&](const auto& row) {
    const bool is_over = row.second->is_over || row.first.expired();
    if (is_over) leave(*row.second);
    return is_over;
  });
  while (arrivals_.size() > stages_max_) {
    const auto oldest =
        std::ranges::min_element(arrivals_, {}, [](const auto& row) { return row.second->moved; });
    leave(*oldest->second);
    arrivals_.erase(oldest);
  }
}

/// What an earlier process left, and what was damaged; not what arrives now.
void Committer::find_left() {
  constexpr std::size_t kStagesPerLook = 2 * limits::kStagesMax;
  const auto transaction = store_.read();
  if (!transaction) return;
  const auto found = transaction->unfinished_stages(kStagesPerLook);
  if (!found) return;
  has_looked_ = found->size() < kStagesPerLook;
  const auto is_among = [](const auto& stages, const store::Stage& stage) {
    return std::ranges::find(stages, stage, &store::UnfinishedStage::stage) != stages.end();
  };
  std::erase_if(left_,
                [&](const auto& left) { return has_looked_ && !is_among(*found, left.stage); });
  for (const store::UnfinishedStage& stage : *found) {
    const auto arrives = [&](const auto& row) { return row.second->stage == stage.stage; };
    const auto is_due = [&](const Due& due) { return due.arrival->stage == stage.stage; };
    if (std::ranges::any_of(arrivals_, arrives) || std::ranges::any_of(due_, is_due)) continue;
    const bool is_futile = !stage.takes_parts || stage.size_bytes == 0;
    if (!is_futile && !is_among(left_, stage.stage)) leave(stage);
    if (!is_futile) continue;
    std::erase_if(left_, [&](const auto& left) { return left.stage == stage.stage; });
    dropped_.push_back(stage.stage);
  }
}

/// Entries from `cap` on are no longer valid.
void Committer::forget_capped(const LogKey& log, SeqNum cap) {
  if (left_.empty()) return;
  const auto transaction = store_.read();
  const auto state = transaction ? transaction->find_log(log) : fail(transaction.error());
  if (!state || !*state) return;
  std::erase_if(left_, [&](const store::UnfinishedStage& left) {
    if (left.stage.number != (*state)->number || left.stage.seqnum < cap) return false;
    dropped_.push_back(left.stage);
    return true;
  });
}

bool Committer::tidy() {
  constexpr std::size_t kRowsPerStep = 512;
  sweep();
  if (dropped_.empty() && !has_looked_) find_left();
  if (dropped_.empty()) return false;
  std::vector<store::Stage> left;
  const auto done = store_.update([&](store::WriteTransaction& transaction) -> Result<void> {
    left = dropped_;
    for (std::size_t i = marked_; i < left.size(); ++i) {
      std::size_t no_rows = 0;  // nobody is to go on with it while it waits
      CULM_CHECK(transaction.drop_stage(left[i], no_rows));
    }
    for (std::size_t rows_left = kRowsPerStep; !left.empty();) {
      CULM_TRY(const bool is_gone, transaction.drop_stage(left.back(), rows_left));
      if (!is_gone) break;
      left.pop_back();
    }
    return {};
  });
  if (!done) return false;  // another time
  dropped_ = std::move(left);
  marked_ = dropped_.size();
  return !dropped_.empty();
}

}  // namespace culm::replication
