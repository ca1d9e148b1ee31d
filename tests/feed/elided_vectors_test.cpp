#include <cstdlib>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "culm/core/varu64.hpp"
#include "culm/feed/elided.hpp"

#include "tests/support/vectors.hpp"

// spec/vectors/elided.json is written by this test when CULM_WRITE_VECTORS is set, from the logs
// in log.json, and read by tests/interop/elided.py.
namespace culm::test {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kDescription =
    "Elided form (elided.md) of entries of the logs in log.json. Ranges of seqnums are inclusive. "
    "`known` are held by the receiver with their hashes in that log. `entries` of the unit; "
    "`payloads` of them are in it whole; `links` says how the encoder wrote links. With `error`: "
    "refused, `offset` or `seqnum` says where.";

/// A whole log of log.json.
struct VectorLog {
  explicit VectorLog(const nlohmann::json& log) {
    for (const auto& item : log.at("entries")) {
      entries.push_back(hex(item.at("bytes")));
      payloads.push_back(hex(item.at("payload")));
    }
    key = EntryView::parse(entries.at(0))->log();
  }

  [[nodiscard]] EntryView entry(SeqNum n) const { return *EntryView::parse(entries.at(n - 1)); }

  LogKey key;
  std::vector<Bytes> entries;
  std::vector<Bytes> payloads;
};

class KnownHashes final : public LinkTargets {
 public:
  KnownHashes(const VectorLog& log, RangeSet known) : log_(log), known_(std::move(known)) {}

  Result<std::optional<Hash>> find(SeqNum seqnum) override {
    if (!known_.contains(seqnum)) return std::nullopt;
    return log_.entry(seqnum).hash();
  }

 private:
  const VectorLog& log_;
  RangeSet known_;
};

Json to_json(const RangeSet& set) {
  Json ranges = Json::array();
  for (const SeqRange range : set.ranges()) ranges.push_back({range.first, range.last});
  return ranges;
}

RangeSet to_ranges(const nlohmann::json& ranges) {
  RangeSet set;
  for (const auto& range : ranges) set.insert({range[0].get<SeqNum>(), range[1].get<SeqNum>()});
  return set;
}

class ElidedVectors : public ::testing::Test {
 protected:
  ElidedVectors() {
    const auto vectors = spec_vectors("log.json");
    if (!vectors) throw std::runtime_error("spec/vectors/log.json is missing");
    for (const auto& item : vectors->at("cases")) {
      if (item.at("type") == "log") logs_.emplace(item.at("id").get<std::string>(), item);
    }
  }

  const VectorLog& log(const nlohmann::json& id) const { return logs_.at(id.get<std::string>()); }

  struct Good {
    const char* id;
    const char* log;
    RangeSet known;
    RangeSet entries;
    RangeSet payloads;
    LinkForm links = LinkForm::kElided;
  };

  Json make_good(const Good& good) const {
    const VectorLog& log = logs_.at(good.log);
    Bytes elided;
    UnitEncoder encoder(elided, good.known, good.links);
    for (const SeqRange range : good.entries.ranges()) {
      for (SeqNum n = range.first; n <= range.last; ++n) {
        const bool has_payload = good.payloads.contains(n);
        encoder.add(log.entry(n),
                    has_payload ? std::optional<ByteView>(log.payloads.at(n - 1)) : std::nullopt);
      }
    }
    return {{"id", good.id},
            {"log", good.log},
            {"known", to_json(good.known)},
            {"links", good.links == LinkForm::kElided ? "elided" : "whole"},
            {"entries", to_json(good.entries)},
            {"payloads", to_json(good.payloads)},
            {"elided", to_hex(elided)}};
  }

  std::vector<Json> make_good_cases() const {
    const char* log = "log-of-20";
    const char* ended = "log-of-20-with-end";
    return {
        make_good({"example", log, {{1, 4}}, {{5, 5}, {8, 9}}, {{8, 8}}}),
        make_good({"first-entry", log, {}, {{1, 1}}, {{1, 1}}}),
        make_good({"first-entry-without-payload", log, {}, {{1, 1}}, {}}),
        make_good({"run", log, {}, {{1, 20}}, {{1, 20}}}),
        make_good({"run-without-payloads", log, {}, {{1, 20}}, {}}),
        make_good({"head-path", log, {}, {{1, 1}, {4, 4}, {13, 13}, {17, 17}, {20, 20}}, {}}),
        make_good({"tail-of-known", log, {{1, 13}}, {{14, 20}}, {{14, 16}, {20, 20}}}),
        make_good({"into-gaps", log, {{1, 1}, {4, 4}, {8, 8}}, {{2, 3}, {6, 7}, {9, 12}}, {}}),
        make_good({"whole-links", log, {{1, 13}}, {{14, 20}}, {{14, 20}}, LinkForm::kWhole}),
        make_good({"whole-links-of-a-run", log, {}, {{1, 4}}, {{1, 4}}, LinkForm::kWhole}),
        make_good({"nothing-known", log, {}, {{12, 12}}, {{12, 12}}}),
        make_good({"end-of-log", ended, {{1, 13}}, {{18, 20}}, {{18, 20}}}),
    };
  }

  static Json bad(const char* id, const Json& base, const Bytes& elided, const Error& error) {
    Json made{{"id", id},
              {"log", base.at("log")},
              {"known", base.at("known")},
              {"elided", to_hex(elided)},
              {"error", name(error.code)}};
    if (error.detail_kind == ErrorDetail::kOffset) made["offset"] = error.detail;
    if (error.detail_kind == ErrorDetail::kSeqnum) made["seqnum"] = error.detail;
    return made;
  }

  /// Damaged forms of "example", its bytes as in spec/elided.md, and of entry 1.
  std::vector<Json> make_bad_cases(const std::vector<Json>& good) const {
    const Json& base = good.at(0);
    const Bytes example = hex(base.at("elided"));
    const Json& first = good.at(1);
    const Bytes one = hex(first.at("elided"));
    const auto format = [](std::uint64_t offset) { return error_at(Errc::kElidedFormat, offset); };
    const auto with = [](Bytes bytes, std::size_t place, unsigned value) {
      bytes.at(place) = static_cast<std::uint8_t>(value);
      return bytes;
    };
    const auto cut = [](Bytes bytes, std::size_t size) {
      bytes.resize(size);
      return bytes;
    };
    Json unknown = base;
    unknown["known"] = Json::array({Json::array({1, 3})});
    Bytes two_gaps = one;
    two_gaps[0] |= 0x40U;
    two_gaps.insert(two_gaps.begin() + 1, 0);
    Bytes long_gap = one;
    long_gap[0] |= 0x40U;
    long_gap.insert(long_gap.begin() + 1, {0xf8, 0x01});
    Bytes beyond = one;
    beyond[0] |= 0x40U;
    beyond.insert(beyond.begin() + 1, 9, 0xff);
    Bytes large{0x20};
    varu64::append(large, limits::kPayloadInlineBytesMax + 1);
    return {
        bad("empty", base, {}, {Errc::kUnitEmpty}),
        bad("reserved-bit", base, with(example, 0, example[0] | 0x80U), format(0)),
        bad("backlink-form-3", base, with(example, 0, example[0] | 0x18U), format(2)),
        bad("left-out-target-is-not-there", base, with(cut(example, 2), 0, 0x48), format(2)),
        bad("lipmaalink-at-5", base, with(example, 0, example[0] | 0x02U), format(2)),
        bad("backlink-at-1", first, with(one, 0, one[0] | 0x08U), format(1)),
        bad("target-not-known", unknown, example, error_for(Errc::kElidedTarget, 4)),
        bad("other-target", base, with(example, 2, example[2] ^ 1U),
            error_for(Errc::kElidedTarget, 4)),
        bad("gap-0", first, two_gaps, format(2)),
        bad("gap-not-canonical", first, long_gap, format(1)),
        bad("gap-beyond-the-last-seqnum", first, beyond, format(10)),
        bad("cut-mask-only", first, cut(one, 1), format(1)),
        bad("cut-payload", first, cut(one, 2), format(2)),
        bad("cut-signature", first, cut(one, one.size() - 1), format(one.size() - 64)),
        bad("payload-too-large", first, large, {Errc::kLimit}),
    };
  }

  Json make_all() const {
    std::vector<Json> cases = make_good_cases();
    const std::vector<Json> bad_cases = make_bad_cases(cases);
    cases.insert(cases.end(), bad_cases.begin(), bad_cases.end());
    return {{"description", kDescription}, {"cases", cases}};
  }

  static void write(const Json& vectors) {
    std::ofstream file(CULM_SPEC_VECTORS "/elided.json");
    file << "{\n  \"description\": " << vectors["description"] << ",\n  \"cases\": [\n";
    const char* separator = "";
    for (const Json& item : vectors["cases"]) {
      file << separator << "    " << item;
      separator = ",\n";
    }
    file << "\n  ]\n}\n";
  }

  void check_good(const nlohmann::json& test, const CheckedUnit& unit) const {
    const VectorLog& expected = log(test["log"]);
    const RangeSet payloads = to_ranges(test["payloads"]);
    RangeSet seqnums;
    for (const UnitEntry& item : unit.entries()) {
      const SeqNum n = item.entry.seqnum();
      seqnums.insert(n);
      EXPECT_TRUE(equal(item.entry.bytes(), expected.entries.at(n - 1))) << n;
      EXPECT_EQ(item.hash, hash(expected.entries.at(n - 1))) << n;
      ASSERT_EQ(item.payload.has_value(), payloads.contains(n)) << n;
      if (item.payload) {
        EXPECT_TRUE(equal(*item.payload, expected.payloads.at(n - 1))) << n;
      }
    }
    EXPECT_EQ(seqnums, to_ranges(test["entries"]));
  }

 private:
  std::map<std::string, VectorLog> logs_;
};

TEST_F(ElidedVectors, AreWhatTheEncoderWrites) {
  const Json made = make_all();
  if (std::getenv("CULM_WRITE_VECTORS") != nullptr) write(made);
  const auto vectors = spec_vectors("elided.json");
  ASSERT_TRUE(vectors);
  EXPECT_EQ(*vectors, nlohmann::json(made));
}

TEST_F(ElidedVectors, AreRestoredOrRefused) {
  const auto vectors = spec_vectors("elided.json");
  ASSERT_TRUE(vectors);
  for (const auto& test : vectors->at("cases")) {
    SCOPED_TRACE(test["id"].get<std::string>());
    const VectorLog& source = log(test["log"]);
    KnownHashes known(source, to_ranges(test["known"]));
    const Bytes elided = hex(test["elided"]);
    const auto unit = restore_unit(source.key, elided, known);
    ASSERT_EQ(unit.has_value(), !test.contains("error"));
    if (unit) {
      check_good(test, *unit);
      continue;
    }
    EXPECT_EQ(name(unit.error().code), test["error"].get<std::string>());
    const char* place = unit.error().detail_kind == ErrorDetail::kSeqnum ? "seqnum" : "offset";
    EXPECT_EQ(unit.error().detail, test.value(place, std::uint64_t{0}));
  }
}

}  // namespace
}  // namespace culm::test
