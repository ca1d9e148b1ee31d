#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "culm/replication/host/json.hpp"

/// Words for people, and the commands in them. All of them go through here: `Output::say` and
/// `Output::write_json`, `tell`, and what is made of a `Failure`.
namespace culm::tools {

class CommandTree;

/// What one command line said of where it works. A command that is printed has to say the same, or
/// it would do to another store, or ask in another network, what was printed of this one.
class Commands {
 public:
  Commands() = default;
  /// Of `arguments`, the program's name not among them.
  Commands(const CommandTree& tree, const std::vector<std::string>& arguments);

  /// `words` with the store in each command "`culm VERB ..`" that goes to it, and the network in
  /// each that connects to peers, where they were named; left alone where it says its own, or is
  /// meant for another machine: "`culm relay`", "`culm ls` there".
  [[nodiscard]] std::string complete(std::string_view words) const;

 private:
  /// An option of the command line, and how it stands in a command.
  struct Given {
    std::string name;
    std::string text;
  };

  std::string store_;
  std::map<std::string, std::vector<Given>, std::less<>> of_peers_;  ///< by verb
};

/// What stands where a verb should; nothing if there is no argument but options.
[[nodiscard]] std::string first_without_dash(const std::vector<std::string>& arguments);

/// Those of the command line that this process runs; none before they are set.
[[nodiscard]] Commands& commands();

/// `line` with its words completed: its members "message", "next" and "risk".
[[nodiscard]] Json completed(Json line);

/// A line on stderr, in one piece, so that lines of several processes do not mix.
void tell(std::string_view words);
void tell_json(Json line);

}  // namespace culm::tools
