#include <fstream>
#include <sstream>
#include <string>

#include "culm/store/salvage.hpp"

#include "tests/store/salvaged_store.hpp"

// The pages that lead to all others: one wrong bit must not lead to what the store was before.
namespace culm::test {
namespace {

constexpr std::size_t kPageBytesAt = 40;
constexpr std::size_t kFreeFlagsAt = 44;
constexpr std::size_t kMainFlagsAt = 92;
constexpr std::size_t kLastPageAt = 136;
constexpr std::size_t kNumberAt = 144;

class MetaPages : public SalvagedStore {
 protected:
  /// The file as it is, closed. Its last commit has made the head 21.
  std::string written() {
    alice.append_many(1);
    add(alice, {{21, 21}});
    return content();
  }
  std::string content() {
    store.reset();
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return std::move(bytes).str();
  }
  static std::uint64_t number_of(const std::string& content, std::size_t page) {
    std::uint64_t number = 0;
    std::memcpy(&number, content.data() + page * kPage + kNumberAt, sizeof(number));
    return number;
  }
  static std::size_t newest(const std::string& content) {
    return number_of(content, 0) > number_of(content, 1) ? 0 : 1;
  }
  static std::string flipped(std::string content, std::size_t at, unsigned int bit) {
    content[at + bit / 8] = static_cast<char>(content[at + bit / 8] ^ (1 << bit % 8));
    return content;
  }
  void expect_refused() {
    store::LmdbOptions reader = kSmall;
    reader.read_only = true;
    for (const auto& options : {reader, kSmall}) {
      EXPECT_EQ(code_of(store::LmdbKv::open(directory, options)), Errc::kStoreDamaged);
    }
    EXPECT_EQ(store::count_damaged_pages(directory).value(), 1U);
  }
  /// All of it is there again, and nothing else is said.
  void expect_mended(const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    expect_refused();
    mend();
  }
  void mend() {
    {
      auto made = store::Salvage::begin(directory, random);
      ASSERT_TRUE(made) << message(made.error());
      EXPECT_FALSE(made->may_be_older());
      EXPECT_EQ(made->lost_entries(), 0U);
      ASSERT_TRUE(std::move(*made).finish());
    }
    open();
    EXPECT_EQ(state(alice).head(), 21U);
    EXPECT_EQ(known().size(), 2U);
    expect_sound();
    store.reset();
  }
  void expect_numbers_mended(const std::string& content,
                             const std::vector<unsigned int>& bits = {0, 1, 2, 10, 40, 63}) {
    for (const std::size_t page : {0U, 1U}) {
      for (const unsigned int bit : bits) {
        SCOPED_TRACE(testing::Message() << "page " << page << ", bit " << bit);
        expect_mended(flipped(content, page * kPage + kNumberAt, bit));
      }
    }
  }
};

TEST_F(MetaPages, LeadToTheLastCommitWhateverBitOfANumberIsWrong) {
  expect_numbers_mended(written());
}

TEST_F(MetaPages, LeadThereAlsoBehindACompaction) {
  ASSERT_TRUE(store->compact());
  expect_numbers_mended(written());
}

TEST_F(MetaPages, BothLeadToTheSameOfACompactFile) {
  alice.append_many(1);
  add(alice, {{21, 21}});
  ASSERT_TRUE(store->compact());
  expect_numbers_mended(content(), {0, 2, 10, 40, 63});  // two more may fit as well
}

TEST_F(MetaPages, AreReadWhereTheirFirstBytesAloneAreDamaged) {
  const std::string good = written();
  for (const std::size_t at : {0U, 10U, 16U}) {
    SCOPED_TRACE(at);
    expect_mended(flipped(good, newest(good) * kPage + at, 3));
  }
}

TEST_F(MetaPages, LoseNoPageBehindTheLastOfWhichTheNewerTells) {
  const std::string good = written();
  const std::size_t at = newest(good) * kPage + kLastPageAt;
  for (const int last : {0, 2, 5}) {
    SCOPED_TRACE(last);
    ASSERT_LT(last, good[at]);
    std::string content = good;
    content[at] = static_cast<char>(last);
    expect_mended(content);
  }
}

TEST_F(MetaPages, AreReadWhateverTheySayOfTheSizeOfAPage) {
  const std::string good = written();
  for (const std::size_t page : {0U, 1U}) {
    for (const unsigned int bit : {0U, 12U, 31U}) {
      SCOPED_TRACE(testing::Message() << "page " << page << ", bit " << bit);
      expect_mended(flipped(good, page * kPage + kPageBytesAt, bit));
    }
  }
}

TEST_F(MetaPages, AreDamagedWhereTheyTellLmdbOfAnotherOrderOfKeys) {
  const std::string good = written();
  for (const std::size_t at : {kFreeFlagsAt, kMainFlagsAt}) {
    for (const unsigned int bit : {1U, 2U, 3U}) {
      SCOPED_TRACE(testing::Message() << "at " << at << ", bit " << bit);
      expect_mended(flipped(good, newest(good) * kPage + at, bit));
    }
  }
}

TEST_F(MetaPages, AreBothMissedByNothing) {
  const std::string good = written();
  for (const std::size_t page : {0U, 1U}) {
    std::string content = good;
    lose_page(content, page * kPage);
    expect_mended(content);
  }
}

TEST_F(MetaPages, AreDamagedWhereTheNewerLeadsToTheRootOfTheOlder) {
  std::string bytes = written();
  const std::size_t page = newest(bytes) * kPage;
  constexpr std::size_t kRootAt = 128;
  bytes.replace(page + kRootAt, 8, bytes, kPage - page + kRootAt, 8);
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(store::count_damaged_pages(directory).value(), 1U);
  mend();
}

}  // namespace
}  // namespace culm::test
