#include "culm/feed/defect.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/held_log.hpp"
#include "tests/support/vectors.hpp"

namespace culm::test {
namespace {

class DeriveDefect : public ::testing::Test {
 protected:
  DeriveDefect() { alice.append_many(9); }

  Result<Defect> derive(const std::vector<EntryView>& entries) {
    return derive_defect(alice.log(), make_evidence(entries), verifier);
  }

  void expect_refused(const Evidence& evidence, Error error) {
    const auto defect = derive_defect(alice.log(), evidence, verifier);
    ASSERT_FALSE(defect);
    EXPECT_EQ(defect.error(), error);
  }

  static Evidence swapped(Evidence evidence) {
    std::swap(evidence.entries.at(0), evidence.entries.at(1));
    return evidence;
  }

  LogBuilder alice{"alice"};
  LogBuilder other = LogBuilder("alice").append_many(4).append("fork").append_many(4);
  CountingVerifier verifier;
};

TEST_F(DeriveDefect, FindsAForkWhateverTheOrderGiven) {
  const Defect fork{DefectKind::kFork, 5};
  EXPECT_EQ(derive({alice.entry(5), other.entry(5)}), fork);
  EXPECT_EQ(derive({other.entry(5), alice.entry(5)}), fork);
  EXPECT_EQ(make_evidence(std::array{alice.entry(5), other.entry(5)}),
            make_evidence(std::array{other.entry(5), alice.entry(5)}));
}

TEST_F(DeriveDefect, FindsAForkByEitherLink) {
  EXPECT_EQ(derive({other.entry(6), alice.entry(5)}), (Defect{DefectKind::kForkByLink, 5}));
  const LogBuilder late = alice.fork(8).append_many(4);
  EXPECT_EQ(derive({late.entry(12), alice.entry(8)}), (Defect{DefectKind::kForkByLink, 8}));
}

TEST_F(DeriveDefect, TakesExactlyTwo) {
  expect_refused(make_evidence(std::array{alice.entry(6), other.entry(6), alice.entry(5)}),
                 {Errc::kEvidence});
  expect_refused(make_evidence(std::array{other.entry(5), other.entry(6), alice.entry(5)}),
                 {Errc::kEvidence});
}

TEST_F(DeriveDefect, TakesNoBadlySignedEntryThoughAnAuthenticOneNamesIt) {
  const EntryBuffer bad = signed_badly(other.entry(5));
  expect_refused(make_evidence(std::array{alice.entry(5), bad.view()}),
                 error_for(Errc::kEvidence, 5));
}

TEST_F(DeriveDefect, TakesNoForgedEntryForTheOneThatALinkMeans) {
  const EntryBuffer five = alice.forged(5);
  expect_refused(make_evidence(std::array{five.view(), alice.entry(6)}),
                 error_for(Errc::kEvidence, 5));
}

TEST_F(DeriveDefect, RefusesWhatProvesNothing) {
  expect_refused({}, {Errc::kEvidence});
  expect_refused(make_evidence(std::array{alice.entry(5)}), {Errc::kEvidence});
  expect_refused(make_evidence(std::array{alice.entry(4), alice.entry(5)}), {Errc::kEvidence});
  expect_refused(make_evidence(std::array{alice.entry(5), alice.entry(5)}),
                 error_for(Errc::kEvidence, 5));
  const EntryBuffer forged = alice.forged(5);
  expect_refused(make_evidence(std::array{alice.entry(5), forged.view()}),
                 error_for(Errc::kEvidence, 5));
}

TEST_F(DeriveDefect, RefusesAnotherOrderOfTheBytes) {
  expect_refused(swapped(make_evidence(std::array{alice.entry(5), other.entry(5)})),
                 error_for(Errc::kEvidence, 5));
  expect_refused(swapped(make_evidence(std::array{alice.entry(5), other.entry(6)})),
                 error_for(Errc::kEvidence, 5));
}

TEST_F(DeriveDefect, RefusesEntriesOfOtherLogs) {
  LogBuilder bob("bob");
  bob.append_many(5);
  LogBuilder ninth("alice", LogId{9});
  ninth.append_many(5);
  for (const EntryView& foreign : {bob.entry(5), ninth.entry(5)}) {
    expect_refused(make_evidence(std::array{alice.entry(5), foreign}),
                   error_for(Errc::kEvidence, 5));
  }
}

TEST_F(DeriveDefect, RefusesTooManyEntriesAndBytesThatAreNone) {
  Evidence evidence = make_evidence(std::array{alice.entry(5), other.entry(5)});
  evidence.entries[0].pop_back();
  EXPECT_EQ(derive_defect(alice.log(), evidence, verifier).error().code, Errc::kEntryTruncated);
  evidence.entries.assign(limits::kEvidenceEntriesMax + 1, Bytes());
  expect_refused(evidence, {Errc::kLimit});
  EXPECT_EQ(verifier.checks, 0U);
}

TEST_F(DeriveDefect, ExplainsWhatItFound) {
  const auto explained = [this](const std::vector<EntryView>& entries) {
    return explain(*derive(entries), make_evidence(entries));
  };
  EXPECT_EQ(explained({alice.entry(5), other.entry(5)}),
            "the author signed both, and they differ from the field payload_size on");
  EXPECT_EQ(explained({other.entry(6), alice.entry(5)}),
            "the author signed both, and b has a link to another entry than a");
}

TEST(DefectKind, HasStableNames) {
  EXPECT_EQ(name(DefectKind::kFork), "fork");
  EXPECT_EQ(name(DefectKind::kForkByLink), "fork_by_link");
}

TEST(DefectKind, TheTableOfTheSpecificationListsThoseOfTheCode) {
  std::ifstream page(std::string(CULM_SOURCE_DIR) + "/spec/verification.md");
  std::string line;
  while (std::getline(page, line) && line != "## Defects") {
  }
  std::vector<std::string> kinds;
  while (std::getline(page, line) && !line.starts_with("#")) {
    if (!line.starts_with("| `")) continue;
    kinds.push_back(line.substr(3, line.find('`', 3) - 3));
    const auto kind = find_defect_kind(kinds.back());
    ASSERT_TRUE(kind) << kinds.back();
    EXPECT_EQ(static_cast<std::size_t>(*kind), kinds.size()) << "in the order of precedence";
    EXPECT_EQ(name(*kind), kinds.back());
    EXPECT_FALSE(describe(*kind).empty());
  }
  EXPECT_EQ(kinds.size(), 2U);
  EXPECT_FALSE(find_defect_kind("none"));
}

TEST(EvidenceVectors, AgreeWithTheReference) {
  ASSERT_TRUE(initialize_crypto());
  CULM_VECTORS_OR_SKIP(vectors, spec_vectors("log.json"));
  CountingVerifier verifier;
  std::size_t cases = 0;
  for (const auto& test : vectors["cases"]) {
    if (test["type"] != "evidence") continue;
    SCOPED_TRACE(test["id"].get<std::string>());
    std::vector<Bytes> bytes;
    for (const auto& entry : test["entries"]) bytes.push_back(hex(entry));
    std::vector<EntryView> entries;
    for (const Bytes& entry : bytes) entries.push_back(*EntryView::parse(entry));
    const LogKey log = entries.at(0).log();
    const auto defect = derive_defect(log, make_evidence(entries), verifier);
    ASSERT_EQ(defect.has_value(), !test.contains("error"));
    if (defect) {
      EXPECT_EQ(name(defect->kind), test["kind"].get<std::string>());
      EXPECT_EQ(defect->at, test["at"].get<SeqNum>());
    } else {
      EXPECT_EQ(name(defect.error().code), test["error"].get<std::string>());
    }
    ++cases;
  }
  EXPECT_GT(cases, 10U);
}

}  // namespace
}  // namespace culm::test
