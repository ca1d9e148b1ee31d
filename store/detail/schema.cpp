#include "culm/store/detail/schema.hpp"

#include <algorithm>
#include <string_view>

#include <xxhash.h>

namespace culm::store::detail {
namespace {

constexpr std::string_view kForgotten = "forgotten";
constexpr std::string_view kLost = "lost";
static_assert(sizeof(ForgottenRowKey) == kForgotten.size() + 8);
static_assert(sizeof(LostRowKey) == kLost.size() + 8);

void write(std::uint8_t* out, std::uint64_t value) noexcept {
  const auto bytes = to_big_endian(value);
  std::ranges::copy(bytes, out);
}

}  // namespace

ByteView meta_row_key() noexcept { return as_bytes("store"); }
ByteView peers_row_key() noexcept { return as_bytes("peers"); }
ByteView peer_keys_row_key() noexcept { return as_bytes("peer_keys"); }

ForgottenRowKey forgotten_row_key(std::uint64_t number) noexcept {
  ForgottenRowKey key;
  std::ranges::copy(as_bytes(kForgotten), key.begin());
  write(key.data() + kForgotten.size(), number);
  return key;
}

std::uint64_t parse_forgotten_row_key(ByteView key) noexcept {
  const bool is_one = key.size() == sizeof(ForgottenRowKey) &&
                      equal(key.first(kForgotten.size()), as_bytes(kForgotten));
  return is_one ? from_big_endian(key.subspan(kForgotten.size())) : 0;
}

LogRowKey log_row_key(const LogKey& log) noexcept {
  LogRowKey key;
  std::ranges::copy(log.author.bytes, key.begin());
  write(key.data() + log.author.bytes.size(), to_integer(log.log_id));
  return key;
}

EntryRowKey entry_row_key(std::uint64_t number, SeqNum seqnum) noexcept {
  EntryRowKey key;
  write(key.data(), number);
  write(key.data() + 8, seqnum);
  return key;
}

ChunkRowKey chunk_row_key(std::uint64_t stage, std::uint32_t index) noexcept {
  ChunkRowKey key;
  write(key.data(), stage);
  const auto bytes = to_big_endian(index);
  std::copy(bytes.begin() + 4, bytes.end(), key.begin() + 8);
  return key;
}

StageRowKey stage_row_key(std::uint64_t number, SeqNum seqnum, std::uint64_t stage) noexcept {
  StageRowKey key;
  write(key.data(), number);
  write(key.data() + 8, seqnum);
  write(key.data() + 16, stage);
  return key;
}

ChangeRowKey change_row_key(std::uint64_t change) noexcept { return to_big_endian(change); }

SetRowKey set_row_key(std::uint64_t number, std::size_t set, SeqNum first) noexcept {
  SetRowKey key;
  write(key.data(), number);
  key[8] = static_cast<std::uint8_t>(set);
  write(key.data() + 9, first);
  return key;
}

LostRowKey lost_row_key(std::uint64_t number) noexcept {
  LostRowKey key;
  std::ranges::copy(as_bytes(kLost), key.begin());
  write(key.data() + kLost.size(), number);
  return key;
}

std::uint64_t parse_lost_row_key(ByteView key) noexcept {
  const bool is_one =
      key.size() == sizeof(LostRowKey) && equal(key.first(kLost.size()), as_bytes(kLost));
  return is_one ? from_big_endian(key.subspan(kLost.size())) : 0;
}

Result<LogKey> parse_log_row_key(ByteView key) {
  if (key.size() != sizeof(LogRowKey)) return fail(Errc::kStoreDamaged);
  LogKey log;
  std::ranges::copy(key.first(log.author.bytes.size()), log.author.bytes.begin());
  log.log_id = LogId{from_big_endian(key.subspan(log.author.bytes.size()))};
  return log;
}

Result<RowPlace> parse_row_place(ByteView key) {
  const bool is_stage = key.size() == sizeof(StageRowKey);
  if (!is_stage && key.size() != sizeof(EntryRowKey)) return fail(Errc::kStoreDamaged);
  RowPlace place{from_big_endian(key), from_big_endian(key.subspan(8)), 0};
  if (is_stage) place.stage = from_big_endian(key.subspan(16));
  return place;
}

Result<ChunkPlace> parse_chunk_place(ByteView key) {
  if (key.size() != sizeof(ChunkRowKey)) return fail(Errc::kStoreDamaged);
  ChunkPlace place{from_big_endian(key), 0};
  for (const std::uint8_t byte : key.subspan(8)) place.index = place.index << 8U | byte;
  return place;
}

Result<SetPlace> parse_set_place(ByteView key) {
  if (key.size() != sizeof(SetRowKey)) return fail(Errc::kStoreDamaged);
  return SetPlace{from_big_endian(key), key[8], from_big_endian(key.subspan(9))};
}

std::uint64_t checksum(std::uint64_t space, ByteView key, ByteView content) noexcept {
  return XXH64(content.data(), content.size(), XXH64(key.data(), key.size(), space));
}

std::uint64_t seal(Bytes& value, Table table, ByteView key) {
  const std::uint64_t sum = checksum(static_cast<std::uint64_t>(table), key, value);
  append_bytes(value, to_big_endian(sum));
  return sum;
}

Result<ByteView> unseal(Table table, ByteView key, ByteView value) {
  if (value.size() < 1 + kChecksumSizeBytes) return fail(Errc::kStoreDamaged);
  const ByteView content = value.first(value.size() - kChecksumSizeBytes);
  if (checksum(static_cast<std::uint64_t>(table), key, content) !=
      from_big_endian(value.subspan(content.size()))) {
    return fail(Errc::kStoreDamaged);
  }
  if (content[0] != kFormatVersion) return fail(Errc::kStoreVersion);
  return content.subspan(1);
}

}  // namespace culm::store::detail
