#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

using testing::HasSubstr;

class CommandLine : public testing::Test {
 protected:
  CommandLine() { add_verbs(tree_); }

  /// What is printed instead of running a verb.
  Ending ending(const std::vector<std::string>& arguments) {
    const auto verb = parse_command_line(tree_, arguments, context_);
    if (verb) ADD_FAILURE() << (*verb)->name() << " would run";
    return verb ? Ending{-1, {}, {}} : verb.error();
  }

  CommandTree tree_;
  Context context_;
};

TEST_F(CommandLine, EveryVerbExplainsItselfAndAllThatItTakes) {
  ASSERT_GE(tree_.verbs().size(), 16U);
  for (const Verb& verb : tree_.verbs()) {
    const Ending help = ending({verb.name(), "--help"});
    EXPECT_EQ(help.status, 0) << verb.name();
    EXPECT_EQ(help.err, "");
    EXPECT_THAT(help.out, HasSubstr("Usage: culm " + verb.name()));
    EXPECT_THAT(help.out, HasSubstr("Example:\n  culm "));
    for (const Option& option : verb.options()) {
      EXPECT_THAT(help.out, HasSubstr("\n  " + option.name())) << verb.name();
    }
  }
}

TEST_F(CommandLine, NoNameIsGivenTwice) {
  std::set<std::string> verbs;
  for (const Verb& verb : tree_.verbs()) {
    EXPECT_TRUE(verbs.insert(verb.name()).second) << verb.name();
    std::set<std::string> options;
    for (const Option& option : verb.options()) {
      EXPECT_TRUE(options.insert(option.name()).second) << verb.name() << " " << option.name();
    }
  }
}

TEST_F(CommandLine, TheOverviewNamesEveryVerb) {
  const Ending help = ending({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const Verb& verb : tree_.verbs()) EXPECT_THAT(help.out, HasSubstr("\n  " + verb.name()));
}

TEST_F(CommandLine, AMissingArgumentIsNamedAsInTheHelp) {
  const Ending refused = ending({"sync"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_EQ(refused.err, "culm: sync: HOST:PORT is required\n  next: culm sync --help\n");
}

TEST_F(CommandLine, WhatIsNoVerbIsNamed) {
  EXPECT_THAT(ending({"--store", "x", "synk"}).err, HasSubstr("there is no verb \"synk\""));
  EXPECT_EQ(ending({"ls", ""}).status, 2);
}

TEST_F(CommandLine, OptionsStandBeforeOrAfterTheVerb) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--store", "x", "--json", "ls"}, {"ls", "--store=x", "--json"}}) {
    Context context;
    const auto verb = parse_command_line(tree_, arguments, context);
    ASSERT_TRUE(verb) << verb.error().err;
    EXPECT_EQ((*verb)->name(), "ls");
    EXPECT_EQ(context.store_directory, "x");
    EXPECT_TRUE(context.json);
  }
}

struct Wishes {
  bool loud = false;
  double seconds = 1.5;
  std::string name;
  std::vector<std::string> files;
};

Outcome<void> run_wishes(Context& context, const Wishes& wishes) {
  context.store_directory = wishes.name + std::to_string(wishes.files.size());
  return {};
}

TEST_F(CommandLine, ValuesArriveAndTheVerbRunsWithThem) {
  const auto wishes = std::make_shared<Wishes>();
  Verb& verb = tree_.add_verb("try", "Tries.", "culm try", wishes, run_wishes);
  verb.add_option("FILE", &wishes->files, "Files").required();
  const Option& name = verb.add_option("--name", &wishes->name, "Name").type_name("N");
  verb.add_flag("--loud", wishes->loud, "Loud").needs(name);
  verb.add_option("--seconds", &wishes->seconds, "Seconds").show_default();

  EXPECT_THAT(ending({"try", "--help"}).out, HasSubstr("1.5"));
  EXPECT_THAT(ending({"try", "a", "--loud"}).err, HasSubstr("--name"));
  EXPECT_THAT(ending({"try"}).err, HasSubstr("FILE"));
  EXPECT_THAT(ending({"try", "a", "--seconds", "soon"}).err, HasSubstr("--seconds"));

  const auto parsed = parse_command_line(
      tree_, {"try", "a", "b", "--name", "x", "--loud", "--seconds", "0.25"}, context_);
  ASSERT_TRUE(parsed) << parsed.error().err;
  EXPECT_TRUE(wishes->loud);
  EXPECT_EQ(wishes->seconds, 0.25);
  EXPECT_EQ(wishes->files, (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE((*parsed)->run(context_));
  EXPECT_EQ(context_.store_directory, "x2");
}

}  // namespace
}  // namespace culm::tools
