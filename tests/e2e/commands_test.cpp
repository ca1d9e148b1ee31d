#include "tools/cli/commands.hpp"

#include <gtest/gtest.h>

#include "tools/cli/verbs.hpp"

namespace culm::tools {
namespace {

Commands commands_of(const std::vector<std::string>& arguments) {
  CommandTree tree;
  add_verbs(tree);
  return {tree, arguments};
}

TEST(Commands, NameTheStoreWhereTheyGoToOne) {
  const Commands commands = commands_of({"ls", "--store", "my store"});
  EXPECT_EQ(commands.complete("`culm sync HOST:PORT a --range 2` fetches it"),
            "`culm --store 'my store' sync HOST:PORT a --range 2` fetches it");
  EXPECT_EQ(commands.complete("`culm keygen k`, then `culm append --key k`; `culm ls`"),
            "`culm keygen k`, then `culm --store 'my store' append --key k`; "
            "`culm --store 'my store' ls`");
  EXPECT_EQ(commands.complete("`for n in 1; do culm cat a --range $n; done`"),
            "`for n in 1; do culm --store 'my store' cat a --range $n; done`");
  EXPECT_EQ(commands.complete("`echo a | culm append --key k`"),
            "`echo a | culm --store 'my store' append --key k`");
  EXPECT_EQ(commands.complete("culm: `culm repair --dry-run\n"),
            "culm: `culm --store 'my store' repair --dry-run\n");
}

TEST(Commands, AreLeftAloneWhereTheyAreMeantOtherwise) {
  const Commands commands = commands_of({"--store=x", "sync", "--network=n"});
  for (const char* other :
       {"what answers is no culm peer", "`culm relay` there", "culm --help",
        "`culm repair --from HOST:PORT` there says what is damaged", "`culm ls --store y --full`",
        "`culm ls --store=y`", "`culm --store y sync HOST:PORT`", "`culm sync --help`",
        "do culm ls"}) {
    EXPECT_EQ(commands.complete(other), other);
  }
  EXPECT_EQ(commands_of({"ls"}).complete("`culm ls`, `culm sync`"), "`culm ls`, `culm sync`");
}

TEST(Commands, NameTheNetworkWhereTheyConnect) {
  const Commands commands =
      commands_of({"sync", "h:1", "--network-key", "a key", "--network=n", "--", "--store", "y"});
  constexpr std::string_view kGiven = "--network n --network-key 'a key'";
  const auto with = [&](std::string before, std::string_view after) {
    return before.append(kGiven).append(after);
  };
  EXPECT_EQ(commands.complete("`culm sync h:1 a`; `culm sync`"),
            with("`culm sync ", " h:1 a`; ") + with("`culm sync ", "`"));
  EXPECT_EQ(commands.complete("`culm append --key k`"), with("`culm append ", " --key k`"));
  EXPECT_EQ(commands.complete("`culm repair`, `culm repair --from h:1`"),
            with("`culm repair`, `culm repair ", " --from h:1`"));
  EXPECT_EQ(commands.complete("`culm sync h:1 --network m`"),
            "`culm sync --network-key 'a key' h:1 --network m`");
  EXPECT_EQ(commands.complete("`culm ls`, `culm relay`"), "`culm ls`, `culm relay`");
}

TEST(Commands, OfARelayLeaveItsNetworkOutWhereItDoesTheSync) {
  const Commands commands = commands_of({"--store", "x", "relay", "--network", "n"});
  EXPECT_EQ(commands.complete("`culm sync h:1 --push`, `culm repair --from h:1`"),
            "`culm --store x sync h:1 --push`, `culm --store x repair --network n --from h:1`");
}

TEST(Commands, ThatAPeerSaysAreNone) {
  const std::string said = why_lost({Errc::kPeerClosed}, "run `culm forget a`").message;
  EXPECT_NE(said.find("run 'culm forget a'"), said.npos) << said;
  EXPECT_EQ(commands_of({"--store", "x", "sync"}).complete(said), said);
}

TEST(Commands, AreCompletedOnce) {
  const Commands commands = commands_of({"sync", "--store", "x", "--peer-key", "k"});
  const std::string once = commands.complete("`culm sync`");
  EXPECT_EQ(once, "`culm --store x sync --peer-key k`");
  EXPECT_EQ(commands.complete(once), once);
}

}  // namespace
}  // namespace culm::tools
