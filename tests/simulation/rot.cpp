#include "tests/simulation/rot.hpp"

#include "culm/store/detail/schema.hpp"

namespace culm::simulation {

bool rot(Peer& peer, const Logs& logs, store::MemoryImage& image, TestRandom& random) {
  const Log& log = *logs[random.below(logs.size())];
  const auto state = peer.node->state(log.known.log);
  if (state.held.empty()) return false;
  const SeqNum seqnum = state.held.smallest_from(random.between(1, state.held.max()));
  const bool is_entry = random.below(3) != 0;
  const auto table = is_entry ? store::Table::kEntries : store::Table::kPayloads;
  store::MemoryKv kv({}, image);
  {
    const auto transaction = *kv.begin_write();
    Bytes key;
    Bytes value;
    {
      const auto cursor = *transaction->cursor(table);
      const auto entry = store::detail::entry_row_key(state.number, seqnum);
      const auto part = store::detail::chunk_row_key(0, 0);
      const auto row = *cursor->seek(is_entry ? ByteView(entry) : ByteView(part));
      if (!row) return false;
      key.assign(row->key.begin(), row->key.end());
      value.assign(row->value.begin(), row->value.end());
    }
    value[random.below(value.size())] ^= 1U;
    CULM_ASSERT(transaction->put(table, key, value));
    CULM_ASSERT(transaction->commit());
  }
  image = kv.image();
  peer.is_rotten = true;
  if (is_entry) peer.rotten[log.known.log].insert({seqnum, seqnum});
  return true;
}

}  // namespace culm::simulation
