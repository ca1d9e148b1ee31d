#include "culm/replication/host/json.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace culm {
namespace {

TEST(Json, MembersStandInTheOrderInWhichTheyWereAdded) {
  Json line = {{"z", 1}, {"a", "x"}, {"m", nullptr}};
  line["a"] = true;
  EXPECT_EQ(to_line(line), R"({"z":1,"a":true,"m":null})");
  line.update(Json{{"m", 2.5}, {"b", -3}});
  EXPECT_EQ(to_line(line), R"({"z":1,"a":true,"m":2.5,"b":-3})");
}

TEST(Json, NumbersOf64BitsKeepEveryDigit) {
  const Json line = {{"most", std::numeric_limits<std::uint64_t>::max()},
                     {"least", std::numeric_limits<std::int64_t>::min()}};
  const std::string text = R"({"most":18446744073709551615,"least":-9223372036854775808})";
  EXPECT_EQ(to_line(line), text);
  const auto back = parse_json_object(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->find_number("most"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(to_line(*back), text);
}

TEST(Json, ListsAndObjectsNest) {
  Json list = Json::array();
  list.push_back(Json{{"n", 1}});
  list.push_back("x");
  const Json line = {{"list", list},
                     {"texts", std::vector<std::string>{"a", "b"}},
                     {"numbers", std::vector<std::uint64_t>{1, 2}},
                     {"none", Json::object()}};
  const std::string text = R"({"list":[{"n":1},"x"],"texts":["a","b"],"numbers":[1,2],"none":{}})";
  EXPECT_EQ(to_line(line), text);
  EXPECT_EQ(to_line(*parse_json_object(text)), text);
}

TEST(Json, TextThatIsNotUtf8IsReplaced) {
  EXPECT_EQ(to_line(Json{{"a", "x\xFFy"}}), "{\"a\":\"x\xEF\xBF\xBDy\"}");
}

TEST(Json, AMemberOfAnotherKindIsNotFound) {
  const auto line =
      parse_json_object(R"({"t":"x","b":true,"n":5,"m":-5,"r":0.5,"o":{},"l":["a"]})");
  ASSERT_TRUE(line);
  EXPECT_EQ(*line->find_text("t"), "x");
  EXPECT_EQ(line->find_bool("b"), true);
  EXPECT_EQ(line->find_number("n"), 5U);
  EXPECT_EQ(line->find_real("n"), 5.0);
  EXPECT_EQ(line->find_real("m"), -5.0);
  EXPECT_EQ(line->find_real("r"), 0.5);
  EXPECT_NE(line->find_object("o"), nullptr);
  EXPECT_EQ(line->find_texts("l"), std::vector<std::string>{"a"});

  for (const char* key : {"b", "n", "m", "r", "o", "l", "none"}) {
    EXPECT_EQ(line->find_text(key), nullptr) << key;
  }
  for (const char* key : {"t", "b", "m", "r", "o", "l", "none"}) {
    EXPECT_FALSE(line->find_number(key)) << key;
  }
  for (const char* key : {"t", "b", "o", "l", "none"}) EXPECT_FALSE(line->find_real(key)) << key;
  EXPECT_FALSE(line->find_bool("n"));
  EXPECT_EQ(line->find_object("l"), nullptr);
  EXPECT_FALSE(line->find_texts("o"));
  EXPECT_FALSE(parse_json_object(R"({"l":["a",1]})")->find_texts("l"));
}

TEST(Json, WhatIsNoObjectIsRefused) {
  for (const char* text : {"", "[]", "1", "{", "{} x", "nonsense", R"({"a":})"}) {
    EXPECT_FALSE(parse_json_object(text)) << text;
  }
}

TEST(Json, NestingHasALimitAndCostsNoStack) {
  const auto nested = [](int depth) {
    const auto count = static_cast<std::size_t>(depth);
    return R"({"a":)" + std::string(count - 1, '[') + std::string(count - 1, ']') + "}";
  };
  EXPECT_TRUE(parse_json_object(nested(kJsonDepthMax)));
  EXPECT_FALSE(parse_json_object(nested(kJsonDepthMax + 2)));
  EXPECT_FALSE(parse_json_object(nested(1'000'000)));
}

}  // namespace
}  // namespace culm
