#include "culm/store/detail/rows.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "culm/core/varu64.hpp"
#include "culm/store/detail/schema.hpp"

#include "tests/support/log_builder.hpp"
#include "tests/support/prng.hpp"
#include "tests/support/vectors.hpp"

namespace culm::test {
namespace {

using nlohmann::json;
using store::LogState;
using store::Table;
namespace detail = store::detail;

RangeSet ranges_in(const json& list) {
  std::vector<SeqRange> ranges;
  for (const json& pair : list) {
    ranges.push_back({pair[0].get<SeqNum>(), pair[1].get<SeqNum>()});
  }
  return *RangeSet::from_canonical(std::move(ranges));
}

std::uint64_t number_in(const json& object, const char* name) {
  return object.at(name).get<std::uint64_t>();
}

LogState state_in(const LogKey& log, const json& object) {
  LogState state;
  state.log = log;
  state.number = number_in(object, "number");
  state.change = number_in(object, "change");
  state.cap = number_in(object, "cap");
  state.end_of_log = number_in(object, "end_of_log");
  state.payload_bytes = number_in(object, "payload_bytes");
  state.interest.entries.newest = number_in(object, "newest");
  state.interest.payloads = object.at("payloads_wanted").get<bool>();
  state.held = ranges_in(object.at("held"));
  state.payloads = ranges_in(object.at("payloads"));
  state.verified = ranges_in(object.at("verified"));
  state.deleted = ranges_in(object.at("deleted"));
  state.interest.entries.ranges = ranges_in(object.at("interest"));
  return state;
}

/// Key and content of a vector's row, as our own codec makes them; and that reading gives them
/// back.
struct Row {
  Bytes key;
  Bytes value;
};

template <class Key>
Row sealed(Table table, const Key& key, Bytes content) {
  detail::seal(content, table, key);
  return {Bytes(key.begin(), key.end()), std::move(content)};
}

Row make_stage_row(const json& vector) {
  Bytes out;
  const std::uint64_t number = number_in(vector, "number");
  const SeqNum seqnum = number_in(vector, "seqnum");
  const std::uint64_t stage = number_in(vector, "stage");
  const Bytes key = hex(vector.at("key"));
  const Bytes value = hex(vector.at("value"));
  const auto read = detail::open_stage({key, value});
  EXPECT_TRUE(read && read->stage == (store::Stage{number, seqnum, stage}));
  const std::string names[] = {"arriving", "payload", "going"};
  EXPECT_EQ(names[static_cast<std::size_t>(read->state)], vector.at("state").get<std::string>());
  EXPECT_EQ(read->size_bytes, number_in(vector, "size_bytes"));
  EXPECT_EQ(read->bearer.peer.has_value(), vector.contains("peer"));
  if (read->bearer.peer) {
    EXPECT_EQ(to_hex(read->bearer.peer->bytes), vector.at("peer").get<std::string>());
    EXPECT_EQ(read->bearer.is_alone, vector.at("alone").get<bool>());
  }
  detail::encode_stage(out, *read);
  return sealed(Table::kStages, detail::stage_row_key(number, seqnum, stage), out);
}

Row make_forgotten_row(const json& vector, ByteView body) {
  const std::uint64_t number = number_in(vector, "number");
  EXPECT_TRUE(body.empty());
  EXPECT_EQ(detail::parse_forgotten_row_key(hex(vector.at("key"))), number);
  Bytes out;
  detail::encode_forgotten(out);
  return sealed(Table::kMeta, detail::forgotten_row_key(number), out);
}

std::vector<store::KnownPeer> peers_in(const json& vector, bool has_keys) {
  std::vector<store::KnownPeer> peers;
  for (const json& address : vector.at("addresses")) {
    peers.push_back({address.get<std::string>()});
    if (!has_keys) continue;
    for (const json& key : vector.at("peer_keys").at(peers.size() - 1)) {
      peers.back().keys.push_back({hex_as<sealing::Key>(key)});
    }
  }
  return peers;
}

Row make_peers_row(const json& vector, ByteView body) {
  const auto peers = peers_in(vector, false);
  EXPECT_EQ(detail::decode_peers(body), peers);
  Bytes out;
  detail::encode_peers(out, peers);
  return sealed(Table::kMeta, detail::peers_row_key(), out);
}

Row make_peer_keys_row(const json& vector, ByteView body) {
  const auto peers = peers_in(vector, true);
  auto read = peers_in(vector, false);
  EXPECT_TRUE(detail::decode_peer_keys(body, read));
  EXPECT_EQ(read, peers);
  // An older program may have forgotten an address, and leaves its keys.
  read = {{peers.front().address}};
  EXPECT_TRUE(detail::decode_peer_keys(body, read));
  EXPECT_EQ(read, std::vector{peers.front()});
  Bytes out;
  detail::encode_peer_keys(out, peers);
  return sealed(Table::kMeta, detail::peer_keys_row_key(), out);
}

Row make_lost_row(const json& vector, ByteView body) {
  const store::Lost lost{ranges_in(vector.at("lost")), ranges_in(vector.at("payloads_lost")),
                         ranges_in(vector.at("untold"))};
  EXPECT_EQ(detail::decode_lost(body), lost);
  Bytes out;
  detail::encode_lost(out, lost);
  return sealed(Table::kMeta, hex(vector.at("key")), out);
}

Row make_block_row(const json& vector, ByteView body) {
  const std::string names[] = {"held", "payloads", "verified", "deleted", "interest"};
  const auto name = std::ranges::find(names, vector.at("set").get<std::string>());
  const auto set = static_cast<std::size_t>(name - std::begin(names));
  const std::uint64_t number = number_in(vector, "number");
  const SeqNum first = number_in(vector, "first");
  const RangeSet ranges = ranges_in(vector.at("ranges"));
  std::vector<SeqRange> read;
  EXPECT_TRUE(detail::decode_block(read, first, body));
  EXPECT_EQ(RangeSet::from_canonical(std::move(read)), ranges);
  const auto place = detail::parse_set_place(hex(vector.at("key")));
  EXPECT_TRUE(place && place->number == number && place->set == set && place->first == first);
  Bytes out;
  detail::encode_block(out, first, ranges.ranges());
  return sealed(Table::kSets, detail::set_row_key(number, set, first), out);
}

/// What of a state is in its row.
LogState in_row(LogState state, const detail::LogBlocks& blocks) {
  const auto sets = detail::sets_of(state);
  for (std::size_t i = 0; i < detail::kSetCount; ++i) {
    if (blocks[i].count != 0) *sets[i] = {};
  }
  return state;
}

Row make_row(const json& vector, ByteView body) {
  const std::string table = vector.at("table").get<std::string>();
  Bytes out;
  if (table == "meta" && vector.contains("number")) return make_forgotten_row(vector, body);
  if (vector.contains("peer_keys")) return make_peer_keys_row(vector, body);
  if (vector.contains("addresses")) return make_peers_row(vector, body);
  if (vector.contains("lost")) return make_lost_row(vector, body);
  if (table == "meta") {
    const detail::StoreMeta meta{hex_as<store::StoreId>(vector.at("store_id")),
                                 number_in(vector, "log_count"), number_in(vector, "last_change"),
                                 number_in(vector, "last_stage"), number_in(vector, "forgotten")};
    const auto read = detail::decode_meta(body);
    EXPECT_TRUE(read && read->id == meta.id && read->log_count == meta.log_count &&
                read->last_change == meta.last_change && read->last_stage == meta.last_stage &&
                read->forgotten == meta.forgotten);
    detail::encode_meta(out, meta);
    return sealed(Table::kMeta, detail::meta_row_key(), out);
  }
  if (table == "logs") {
    const LogKey log = *detail::parse_log_row_key(hex(vector.at("key")));
    const LogState state = state_in(log, vector.at("state"));
    const auto read = detail::decode_log(log, body);
    EXPECT_TRUE(read);
    EXPECT_EQ(in_row(state, read->blocks), read->state);
    const auto sets = detail::sets_of(state);
    for (std::size_t i = 0; i < detail::kSetCount; ++i) {
      if (read->blocks[i].count == 0) continue;
      EXPECT_EQ(read->blocks[i].ranges, sets[i]->ranges().size());
    }
    detail::encode_log(out, state, read->blocks);
    return sealed(Table::kLogs, detail::log_row_key(log), out);
  }
  if (table == "entries") {
    const Bytes entry = hex(vector.at("entry"));
    const Bytes payload = hex(vector.at("payload"));
    const auto read = detail::decode_entry(body);
    EXPECT_TRUE(read && equal(read->entry.bytes(), entry) && equal(read->payload, payload));
    detail::encode_entry(out, entry, payload);
    return sealed(Table::kEntries,
                  detail::entry_row_key(number_in(vector, "number"), number_in(vector, "seqnum")),
                  out);
  }
  if (table == "payloads") {
    EXPECT_TRUE(equal(body, hex(vector.at("chunk"))));
    detail::encode_chunk(out, hex(vector.at("chunk")));
    return sealed(
        Table::kPayloads,
        detail::chunk_row_key(number_in(vector, "stage"), vector.at("index").get<std::uint32_t>()),
        out);
  }
  if (table == "changes") {
    const LogKey log{{hex_as<decltype(Author::bytes)>(vector.at("author"))},
                     LogId{number_in(vector, "log_id")}};
    EXPECT_EQ(detail::decode_change(body), log);
    detail::encode_change(out, log);
    return sealed(Table::kChanges, detail::change_row_key(number_in(vector, "change")), out);
  }
  if (table == "stages") return make_stage_row(vector);
  if (table == "sets") return make_block_row(vector, body);
  EXPECT_EQ(table, "evidence");
  Evidence evidence;
  for (const json& entry : vector.at("entries")) evidence.entries.push_back(hex(entry));
  EXPECT_EQ(detail::decode_evidence(body), evidence);
  detail::encode_evidence(out, evidence);
  return sealed(Table::kEvidence,
                detail::entry_row_key(number_in(vector, "number"), number_in(vector, "at")), out);
}

Table table_of(const json& vector) {
  const std::string names[] = {"meta",    "logs",     "entries", "payloads",
                               "changes", "evidence", "stages",  "sets"};
  const auto found = std::ranges::find(names, vector.at("table").get<std::string>());
  return static_cast<Table>(found - std::begin(names));
}

TEST(RowVectors, AreWrittenAndReadAsSpecified) {
  CULM_VECTORS_OR_SKIP(vectors, spec_vectors("store_rows.json"));
  for (const json& vector : vectors.at("cases")) {
    SCOPED_TRACE(vector.at("id").get<std::string>());
    const Bytes key = hex(vector.at("key"));
    const Bytes value = hex(vector.at("value"));
    const auto body = detail::unseal(table_of(vector), key, value);
    ASSERT_TRUE(body);
    const Row row = make_row(vector, *body);
    EXPECT_EQ(to_hex(row.key), to_hex(key));
    EXPECT_EQ(to_hex(row.value), to_hex(value));
  }
}

TEST(RowSeal, BindsAValueToItsTableAndKey) {
  const Bytes key{1, 2, 3};
  Bytes value{detail::kFormatVersion, 5, 6};
  detail::seal(value, Table::kEntries, key);
  ASSERT_TRUE(detail::unseal(Table::kEntries, key, value));
  EXPECT_EQ(detail::unseal(Table::kPayloads, key, value).error().code, Errc::kStoreDamaged);
  EXPECT_EQ(detail::unseal(Table::kEntries, Bytes{1, 2, 4}, value).error().code,
            Errc::kStoreDamaged);
  for (std::size_t size = 0; size < value.size(); ++size) {
    EXPECT_FALSE(detail::unseal(Table::kEntries, key, ByteView(value).first(size)));
  }
  for (std::size_t bit = 0; bit < 8 * value.size(); ++bit) {
    Bytes flipped = value;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_EQ(detail::unseal(Table::kEntries, key, flipped).error().code, Errc::kStoreDamaged);
  }
}

TEST(RowSeal, TellsAnotherVersionFromDamage) {
  Bytes value{detail::kFormatVersion + 1, 5, 6};
  detail::seal(value, Table::kMeta, detail::meta_row_key());
  EXPECT_EQ(detail::unseal(Table::kMeta, detail::meta_row_key(), value).error().code,
            Errc::kStoreVersion);
}

TEST(RowKeys, SortAsTheirNumbers) {
  const std::uint64_t numbers[] = {0, 1, 255, 256, 1ULL << 32U, UINT64_MAX};
  for (const std::uint64_t a : numbers) {
    for (const std::uint64_t b : numbers) {
      EXPECT_EQ(a < b, detail::entry_row_key(a, 9) < detail::entry_row_key(b, 1));
      EXPECT_EQ(a < b, detail::entry_row_key(7, a) < detail::entry_row_key(7, b));
      EXPECT_EQ(a < b, detail::change_row_key(a) < detail::change_row_key(b));
    }
    const auto place = *detail::parse_row_place(detail::stage_row_key(a, 5, a));
    EXPECT_TRUE(place.number == a && place.seqnum == 5 && place.stage == a);
    const auto chunk = *detail::parse_chunk_place(detail::chunk_row_key(a, 0xFFFFFFFFU));
    EXPECT_TRUE(chunk.stage == a && chunk.index == 0xFFFFFFFFU);
  }
  EXPECT_FALSE(detail::parse_row_place(Bytes(17)));
  EXPECT_FALSE(detail::parse_chunk_place(Bytes(13)));
  EXPECT_FALSE(detail::parse_set_place(Bytes(16)));
  EXPECT_FALSE(detail::parse_log_row_key(Bytes(39)));
}

RangeSet random_set(TestRandom& random) {
  RangeSet set;
  for (std::uint64_t i = random.below(6); i > 0; --i) {
    const SeqNum first = random.between(1, 1000);
    set.insert(SeqRange{first, first + random.below(40)});
  }
  if (random.below(4) == 0) set.insert(SeqRange{kSeqnumMax - random.below(9), kSeqnumMax});
  return set;
}

TEST(RowLog, RandomStatesComeBackAndNoPartOfThemIsAState) {
  TestRandom random(11);
  CULM_TRACE_SEED(random);
  const LogKey log = LogBuilder().log();
  for (int round = 0; round < 300; ++round) {
    LogState state;
    state.log = log;
    state.number = random.next() >> random.below(64);
    state.change = random.next() >> random.below(64);
    state.cap = random.next() >> random.below(64);
    state.interest.payloads = random.below(2) == 0;
    for (RangeSet* set : {&state.held, &state.payloads, &state.verified, &state.deleted,
                          &state.interest.entries.ranges}) {
      *set = random_set(random);
    }
    detail::LogBlocks blocks{};
    if (random.below(2) == 0) {
      blocks[random.below(detail::kSetCount)] = {random.between(129, 1000), 2, random.next()};
      state = in_row(state, blocks);
    }
    Bytes row;
    detail::encode_log(row, state, blocks);
    const ByteView body = ByteView(row).subspan(1);
    const auto read = detail::decode_log(log, body);
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->state == state && read->blocks == blocks);
    for (std::size_t size = 0; size < body.size(); ++size) {
      const auto cut = detail::decode_log(log, body.first(size));
      ASSERT_FALSE(cut);
      EXPECT_EQ(cut.error().code, Errc::kStoreFormat);
    }
    row.push_back(0);
    EXPECT_FALSE(detail::decode_log(log, ByteView(row).subspan(1)));
    // Whatever else is decoded is a state with one encoding, or refused.
    row.pop_back();
    row[1 + random.below(row.size() - 1)] ^= static_cast<std::uint8_t>(1U << random.below(8));
    const auto changed = detail::decode_log(log, ByteView(row).subspan(1));
    if (!changed) continue;
    Bytes again;
    detail::encode_log(again, changed->state, changed->blocks);
    EXPECT_EQ(again, row);
  }
}

TEST(RowLog, RefusesSetsThatAreNone) {
  const LogKey log = LogBuilder().log();
  const Bytes head{1, 1, 0, 0, 0, 0, 0};
  const auto decoded = [&](const Bytes& held) {
    Bytes body = head;
    append_bytes(body, held);
    append_bytes(body, Bytes{0, 0, 0, 0});
    return detail::decode_log(log, body);
  };
  EXPECT_TRUE(decoded({0}));
  EXPECT_EQ(decoded({1, 5, 2})->state.held, (RangeSet{{5, 7}}));
  EXPECT_EQ(decoded({2, 5, 2, 2, 0})->state.held, (RangeSet{{5, 7}, {9, 9}}));
  const Bytes sum(8, 7);
  const auto in_blocks = [&](std::uint64_t ranges, std::uint8_t blocks) {
    Bytes held;
    varu64::append(held, ranges);
    held.push_back(blocks);
    append_bytes(held, sum);
    return decoded(held).has_value();
  };
  EXPECT_TRUE(in_blocks(129, 1));
  EXPECT_TRUE(in_blocks(limits::kRangesPerBlockMax, 1));
  EXPECT_FALSE(in_blocks(128, 1)) << "fits into the row";
  EXPECT_FALSE(in_blocks(limits::kRangesPerBlockMax + 1, 1)) << "too many for its blocks";
  EXPECT_FALSE(in_blocks(129, 130)) << "more blocks than ranges";
  EXPECT_FALSE(in_blocks(129, 0)) << "no blocks";
  EXPECT_FALSE(decoded({1, 0, 2})) << "seqnum 0";
  EXPECT_FALSE(decoded({2, 5, 2, 1, 0})) << "adjacent";
  EXPECT_FALSE(decoded({2, 5, 2, 0, 0})) << "overlapping";
  EXPECT_FALSE(decoded({1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1}))
      << "beyond the last seqnum";
  EXPECT_FALSE(decoded({0xFB, 0xFF, 0xFF, 0xFF, 0xFF})) << "more ranges than bytes";
}

TEST(RowBlock, RefusesWhatIsNone) {
  const auto decoded = [](const Bytes& body) {
    std::vector<SeqRange> ranges;
    return detail::decode_block(ranges, 5, body).has_value();
  };
  EXPECT_TRUE(decoded({0, 2, 2, 0}));
  EXPECT_FALSE(decoded({})) << "no range";
  EXPECT_FALSE(decoded({1, 0})) << "does not begin where its key says";
  EXPECT_FALSE(decoded({0, 2, 2})) << "half a range";
  EXPECT_FALSE(decoded({0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}))
      << "beyond the last seqnum";
  Bytes body{0, 0};
  for (std::size_t i = 1; i < limits::kRangesPerBlockMax; ++i) append_bytes(body, Bytes{2, 0});
  EXPECT_TRUE(decoded(body));
  append_bytes(body, Bytes{2, 0});
  EXPECT_FALSE(decoded(body)) << "too many";
}

TEST(RowEntry, RefusesWhatIsNotAnEntryAndItsPayload) {
  const auto log = LogBuilder().append("payload");
  Bytes row;
  detail::encode_entry(row, log.bytes(1), log.payload(1));
  const ByteView body = ByteView(row).subspan(1);
  ASSERT_TRUE(detail::decode_entry(body));
  const std::size_t without = body.size() - log.payload(1).size();
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_EQ(detail::decode_entry(body.first(size)).has_value(), size == without) << size;
  }
  row.push_back(0);
  EXPECT_FALSE(detail::decode_entry(ByteView(row).subspan(1)));
}

TEST(RowEvidence, RefusesPartsAndTooMany) {
  Evidence evidence;
  evidence.entries = {Bytes{1, 2, 3}, Bytes{4}};
  Bytes row;
  detail::encode_evidence(row, evidence);
  const ByteView body = ByteView(row).subspan(1);
  ASSERT_EQ(detail::decode_evidence(body), evidence);
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(detail::decode_evidence(body.first(size)));
  }
  evidence.entries.resize(limits::kEvidenceEntriesMax + 1);
  detail::encode_evidence(row, evidence);
  EXPECT_FALSE(detail::decode_evidence(ByteView(row).subspan(1)));
}

}  // namespace
}  // namespace culm::test
