#include "culm/store/backup.hpp"

#include <filesystem>

#include "tests/store/store_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace culm::test {
namespace {

constexpr store::LmdbOptions kSmall{.map_size_bytes = std::size_t{1} << 24};

std::unique_ptr<Store> open_store(const std::string& directory, store::LmdbKv** lmdb = nullptr) {
  auto kv = store::LmdbKv::open(directory, kSmall).value();
  if (lmdb != nullptr) *lmdb = kv.get();
  SystemRandom random;
  return Store::open(std::move(kv), random).value();
}

class Backup : public testing::Test {
 protected:
  void SetUp() override {
    const auto added = store::ingest(*whole, log.log(), log.unit(up_to(20), true), verifier);
    ASSERT_TRUE(added) << message(added.error());
  }

  Result<std::uint64_t> back_up(const std::string& name) {
    SystemRandom random;
    return store::back_up(*kv, temp.path(name), random);
  }

  TempDir temp;
  store::LmdbKv* kv = nullptr;
  std::unique_ptr<Store> whole = open_store(temp.path("store"), &kv);
  CountingVerifier verifier;
  LogBuilder log = LogBuilder("alice").append_many(19).append(
      long_text(limits::kPayloadInlineBytesMax + 60'000));
};

TEST_F(Backup, HoldsWhatTheStoreHeldAndIsAnotherStore) {
  ASSERT_TRUE(back_up("one"));
  const auto before = **whole->read()->get_log(log.log());
  log.append_many(1);
  ASSERT_TRUE(store::ingest(*whole, log.log(), log.unit(up_to(21), true), verifier));
  ASSERT_TRUE(back_up("two"));
  const auto one = open_store(temp.path("one"));
  const auto two = open_store(temp.path("two"));
  EXPECT_NE(one->id(), whole->id());
  EXPECT_NE(two->id(), whole->id());
  EXPECT_NE(two->id(), one->id());
  EXPECT_TRUE(store::is_backup_of(one->id(), whole->id()));
  EXPECT_TRUE(store::is_backup_of(two->id(), whole->id()));
  EXPECT_FALSE(store::is_backup_of(two->id(), one->id()));
  EXPECT_FALSE(store::is_backup_of(whole->id(), one->id()));
  // BLAKE2b-512 of 16 bytes of 1 and 8 bytes of 2.
  const auto said =
      hash(Bytes({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2}));
  store::StoreId of, id;
  of.fill(1);
  id.fill(2);
  std::copy_n(said.bytes.begin(), 8, id.begin() + 8);
  EXPECT_TRUE(store::is_backup_of(id, of));
  const auto transaction = *one->read();
  const auto state = **transaction.get_log(log.log());
  EXPECT_EQ(state, before);
  const auto payload = payload_of(transaction, state, 20);
  ASSERT_TRUE(payload) << message(payload.error());
  EXPECT_TRUE(equal(*payload, log.payload(20)));
  EXPECT_EQ((*two->read()->get_log(log.log()))->head(), 21U);
}

TEST_F(Backup, LeavesAPlaceThatIsNotEmptyAsItIs) {
  namespace fs = std::filesystem;
  ASSERT_TRUE(back_up("one"));
  const auto written = fs::last_write_time(temp.path("one/data.mdb"));
  EXPECT_EQ(code_of(back_up("one")), Errc::kFileExists);
  EXPECT_EQ(fs::last_write_time(temp.path("one/data.mdb")), written);
  EXPECT_EQ(code_of(back_up("store")), Errc::kFileExists);
}

}  // namespace
}  // namespace culm::test
