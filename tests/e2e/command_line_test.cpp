#include <algorithm>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/cli/arguments.hpp"
#include "tools/cli/help.hpp"
#include "tools/cli/manuals.hpp"
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

TEST_F(CommandLine, EveryVerbStandsInAGroupUnderItsHeading) {
  const std::string help = ending({"--help"}).out;
  for (const Verb& verb : tree_.verbs()) {
    EXPECT_NE(verb.group(), VerbGroup::kOther) << verb.name();
    const auto heading = help.find("\n" + std::string(title_of(verb.group())) + ":\n");
    ASSERT_NE(heading, std::string::npos) << verb.name();
    EXPECT_LT(heading, help.find("\n  " + verb.name())) << verb.name();
    EXPECT_GT(help.find("\n\n", heading), help.find("\n  " + verb.name() + " ")) << verb.name();
  }
}

TEST_F(CommandLine, HelpFitsTheTerminal) {
  const auto expect_fit = [](const std::string& help, std::size_t columns) {
    std::istringstream lines(help.substr(0, help.find("\nExample:")));
    for (std::string line; std::getline(lines, line);) {
      // A word by itself cannot be broken.
      const auto text = line.find_first_not_of(' ');
      const bool is_word = line.find(' ', text) == std::string::npos;
      EXPECT_TRUE(line.size() <= columns || is_word) << columns << ": " << line;
    }
  };
  for (const std::size_t columns : {40U, 63U, 64U, 80U, 100U}) {
    expect_fit(overview(tree_, columns), columns);
    for (const Verb& verb : tree_.verbs()) expect_fit(help_of(verb, columns), columns);
  }
}

TEST_F(CommandLine, HelpOfAVerbIsGivenByHelpToo) {
  const auto verb = parse_command_line(tree_, {"help", "sync"}, context_);
  ASSERT_TRUE(verb);
  EXPECT_EQ((*verb)->name(), "help");
  EXPECT_EQ(ending({"sync", "-h"}).out, help_of(**find_verb(tree_, "sync"), help_columns()));
}

std::string in_roff(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '-' ? std::string("\\-") : std::string(1, c);
  return out;
}

/// What stands in `script` from `start` to `end`.
std::string part(const std::string& script, const std::string& start, const std::string& end) {
  const auto at = script.find(start);
  return at == std::string::npos ? "" : script.substr(at, script.find(end, at) - at);
}

TEST_F(CommandLine, ManPagesHaveEveryVerbAndOption) {
  const std::string all = man_page(tree_);
  for (const Verb& verb : tree_.verbs()) {
    const std::string page = man_page(verb);
    EXPECT_THAT(page, HasSubstr(".SH NAME\nculm\\-" + verb.name() + " \\- "));
    EXPECT_THAT(all, HasSubstr(".B " + verb.name() + "\n"));
    EXPECT_THAT(all, HasSubstr("culm\\-" + verb.name() + "(1)"));
    for (const Option& option : verb.options()) {
      for (const std::string& name : option.spellings()) {
        EXPECT_THAT(page, HasSubstr(in_roff(name))) << verb.name();
      }
    }
  }
}

TEST_F(CommandLine, CompletionsHaveEveryVerbAndOption) {
  const std::string bash = bash_completion(tree_);
  const std::string zsh = zsh_completion(tree_);
  const std::string fish = fish_completion(tree_);
  for (const Verb& verb : tree_.verbs()) {
    const std::string in_bash = part(bash, "\n    " + verb.name() + ")\n", "fi ;;");
    const std::string in_zsh = part(zsh, "\n        " + verb.name() + ")\n", " ;;");
    EXPECT_THAT(fish, HasSubstr(" -a " + verb.name() + " -d "));
    EXPECT_THAT(zsh, HasSubstr("'" + verb.name() + ":"));
    for (const Option& option : verb.options()) {
      if (option.is_positional()) continue;
      const std::string in_fish = "__culm_is " + verb.name() + "'";
      for (const std::string& name : option.spellings()) {
        EXPECT_THAT(in_bash, testing::ContainsRegex("[ ']" + name + "[ ']")) << verb.name();
        EXPECT_THAT(in_zsh, testing::ContainsRegex(name + "[=+]?\\[")) << verb.name();
        const bool is_long = name.starts_with("--");
        const std::string flag = is_long ? " -l " + name.substr(2) : " -s " + name.substr(1);
        EXPECT_THAT(fish, testing::ContainsRegex(in_fish + "[^\n]*" + flag + " ")) << name;
      }
    }
  }
}

TEST_F(CommandLine, TheVersionHasAShortName) {
  EXPECT_EQ(ending({"-V"}).out, ending({"--version"}).out);
  EXPECT_EQ(ending({"ls", "-V"}).status, 0);
}

TEST_F(CommandLine, AMissingArgumentIsNamedAsInTheHelpWithAnExample) {
  const Ending refused = ending({"sync"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_EQ(refused.err,
            "culm: sync: HOST:PORT is missing\n"
            "  next: like `culm sync 127.0.0.1:7474 AUTHOR --newest 100`; or `culm sync --help`\n");
  EXPECT_THAT(ending({"append", "--key"}).err, HasSubstr("--key needs a value: FILE"));
  EXPECT_THAT(ending({"lipmaa", "1", "2"}).err, HasSubstr("one argument too many: 2"));
  EXPECT_THAT(ending({"lipmaa", "1", "-5"}).err, HasSubstr("one argument too many: -5"));
  EXPECT_THAT(ending({"verify", "--loose"}).err,
              HasSubstr("--loose needs --jsonl\n  next: `culm verify --loose --jsonl FILE`; or"));
}

TEST_F(CommandLine, NearMissesAreSuggested) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases = {
      {{"synk"}, "did you mean sync?"},
      {{"apend", "--key", "x"}, "did you mean append?"},
      {{"exprot"}, "did you mean export?"},
      {{"ver"}, "did you mean verify?"},
      {{"ls", "--jsno"}, "there is no option --jsno; did you mean --json?"},
      {{"--jsno", "ls"}, "did you mean --json?"},
      {{"log", "x", "--newst=3"}, "did you mean --newest?"},
      {{"sync", "a:1", "--new", "3"}, "did you mean --newest or --newest-first?"},
      {{"log", "x", "--push"}, "there is no option --push here; sync has it"}};
  for (const auto& [arguments, suggestion] : cases) {
    EXPECT_THAT(ending(arguments).err, HasSubstr(suggestion));
  }
  for (const char* const far : {"frobnicate", "nope", "-", "x", "\x1b[2J"}) {
    EXPECT_THAT(ending({far}).err, testing::Not(HasSubstr("did you mean"))) << far;
  }
}

TEST_F(CommandLine, WhatCountsFromTheEndIsNoOption) {
  const auto verb = parse_command_line(tree_, {"inspect", "x", "-10"}, context_);
  ASSERT_TRUE(verb) << verb.error().err;
  EXPECT_TRUE(parse_command_line(tree_, {"log", "x", "--range", "-10-"}, context_));
}

TEST_F(CommandLine, WhatOtherProgramsCallAVerbIsKnown) {
  for (const auto& [typed, verb] :
       std::initializer_list<std::pair<const char*, const char*>>{{"list", "ls"},
                                                                  {"status", "ls"},
                                                                  {"show", "cat"},
                                                                  {"read", "cat"},
                                                                  {"tail", "follow"},
                                                                  {"pull", "sync"},
                                                                  {"push", "sync --push"},
                                                                  {"init", "keygen"},
                                                                  {"stat", "ls"},
                                                                  {"rm", "delete"}}) {
    EXPECT_THAT(ending({typed}).err, HasSubstr("did you mean " + std::string(verb) + "?")) << typed;
  }
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
  std::vector<std::string> also;
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
  verb.add_option("--seconds", time_of(wishes->seconds), "Seconds").show_default();

  EXPECT_THAT(ending({"try", "--help"}).out, HasSubstr("1.5s"));
  EXPECT_THAT(ending({"try", "a", "--loud"}).err, HasSubstr("--name"));
  EXPECT_THAT(ending({"try"}).err, HasSubstr("FILE"));
  const auto wrong = parse_command_line(tree_, {"try", "a", "--seconds", "soon"}, context_);
  ASSERT_TRUE(wrong) << wrong.error().err;
  EXPECT_THAT((*wrong)->run(context_).error().message, HasSubstr("--seconds"));

  const auto parsed = parse_command_line(
      tree_, {"try", "a", "b", "--name", "x", "--loud", "--seconds", "250ms"}, context_);
  ASSERT_TRUE(parsed) << parsed.error().err;
  EXPECT_TRUE(wishes->loud);
  EXPECT_EQ(wishes->files, (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE((*parsed)->run(context_));
  EXPECT_EQ(wishes->seconds, 0.25);
  EXPECT_EQ(context_.store_directory, "x2");
}

TEST_F(CommandLine, AnOptionTakesOneValueEachTimeAndLeavesTheArguments) {
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{"try", "--also", "x", "a", "--also", "y", "b"},
                                             {"try", "a", "--also=x", "b", "--also", "y"}}) {
    const auto wishes = std::make_shared<Wishes>();
    CommandTree tree;
    Verb& verb = tree.add_verb("try", "Tries.", "culm try", wishes, run_wishes);
    verb.add_option("FILE", &wishes->files, "Files").required();
    verb.add_option("--also", &wishes->also, "Also");
    ASSERT_TRUE(parse_command_line(tree, arguments, context_));
    EXPECT_EQ(wishes->files, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(wishes->also, (std::vector<std::string>{"x", "y"}));
  }
}

}  // namespace
}  // namespace culm::tools
