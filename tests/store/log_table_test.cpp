#include "tests/store/leaving_reads.hpp"
#include "tests/store/salvaged_store.hpp"

/// What reads as if no log were there, and is damage.
namespace culm::test {
namespace {

class LogTable : public SalvagedStore {
 protected:
  void expect_damaged(const std::string& content) {
    const LeavingReads guard;
    std::ofstream(path, std::ios::binary) << content;
    open();
    const LogBuilder other("carol", LogId{3});
    {
      const auto transaction = *store->read();
      for (const LogKey& log : {alice.log(), bob.log(), other.log()}) {
        const auto found = transaction.find_log(log);
        ASSERT_FALSE(found);
        EXPECT_EQ(found.error().code, Errc::kStoreDamaged);
        EXPECT_FALSE(transaction.find_outline(log));
      }
      EXPECT_FALSE(transaction.list_logs());
    }
    const auto added = store::ingest(*store, alice.log(), alice.unit({{1, 3}}, true), verifier);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, Errc::kStoreDamaged);
    store.reset();
  }
};

TEST_F(LogTable, WithTheRootOfAnotherIsDamaged) {
  const std::string whole = close();
  for (const std::string& row : {changes.at(0), entries.at(0)}) {
    std::string content = whole;
    lead(content, "logs", page_of(whole, row) / kPage);
    expect_damaged(content);
  }
}

TEST_F(LogTable, WithASoundPageOfAnotherIsDamaged) {
  const std::string whole = close();
  for (const std::string& row : {changes.at(0), entries.at(0)}) {
    std::string content = whole;
    put_page(content, page_of(whole, logs.at(0)), whole.substr(page_of(whole, row), kPage));
    expect_damaged(content);
  }
}

TEST_F(LogTable, WithoutARootIsDamagedWhereLogsAreCounted) {
  std::string content = close();
  lead(content, "logs", UINT64_MAX);
  expect_damaged(content);
}

TEST_F(LogTable, WhereAllLogsWereForgottenIsSoundAndTakesThemAgain) {
  ASSERT_TRUE(store->update([&](WriteTransaction& transaction) -> Result<void> {
    CULM_CHECK(transaction.forget(alice.log()));
    CULM_CHECK(transaction.forget(bob.log()));
    CULM_TRY(const auto found, transaction.find_log(LogBuilder("carol").log()));
    EXPECT_EQ(found, nullptr);
    return {};
  }));
  EXPECT_TRUE(known().empty());
  EXPECT_EQ(store->read()->find_log(alice.log()).value(), nullptr);
  add(alice, up_to(20));
  EXPECT_EQ(known(), std::vector{alice.log()});
}

}  // namespace
}  // namespace culm::test
