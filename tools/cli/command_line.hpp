#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tools/cli/context.hpp"

/// The verbs of `culm` as data, and the reading of a command line by them. No header of the parser
/// shows here: it is large, and a verb needs none of it.
namespace culm::tools {

/// An option, a flag, or an argument that is known by its place: what it is called, where its value
/// goes, what the help says of it.
class Option {
 public:
  /// A value of some kind: what stands for it in the help, "RANGES", and what reads it once the
  /// whole command line is understood, before the verb does anything. See arguments.hpp.
  struct Value {
    const char* kind;
    std::function<Outcome<void>(const std::string& name, const std::string& text)> read;
    std::string now{};  ///< the default, where it can be shown
  };
  /// A flag, one text, texts that may be given several times, or a value. Outlives the tree.
  using Target = std::variant<bool*, std::string*, std::vector<std::string>*, Value>;

  Option(const char* name, Target target, const char* help);

  /// What stands for the value in the help: "FILE".
  Option& type_name(const char* text);
  Option& required();
  /// Several values may follow it at once.
  Option& takes_several();
  /// Shows the value that the target has now as the default.
  Option& show_default();
  /// Of the same verb, and added to it before.
  Option& needs(const Option& other);
  Option& excludes(const Option& other);

  /// "--range", "-o,--output"; "LOG" where the place says what it is.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool is_positional() const noexcept { return !name_.starts_with('-'); }
  /// Names of their own: {"-o", "--output"}.
  [[nodiscard]] std::vector<std::string> spellings() const;
  [[nodiscard]] bool is_flag() const noexcept { return std::holds_alternative<bool*>(target_); }
  [[nodiscard]] bool is_repeatable() const noexcept {
    return std::holds_alternative<std::vector<std::string>*>(target_);
  }
  [[nodiscard]] bool is_required() const noexcept { return is_required_; }
  /// Whether several values may stand in a row: "LOG...".
  [[nodiscard]] bool is_list() const noexcept {
    return is_repeatable() && (is_positional() || takes_several_);
  }
  /// "FILE"; nothing for a flag.
  [[nodiscard]] const std::string& value_name() const noexcept { return type_name_; }
  /// What the help says, with what goes with it and the default.
  [[nodiscard]] std::string explanation() const;
  /// Reads the value that was given, if it is one and was.
  [[nodiscard]] Outcome<void> read() const;

 private:
  friend class CommandLineParser;
  void restore_given() const;

  std::string name_;
  Target target_;
  std::shared_ptr<std::string> given_ = std::make_shared<std::string>();  ///< for a value
  std::string help_;
  std::string type_name_;
  bool is_required_ = false;
  bool takes_several_ = false;
  std::string default_;  ///< "" for one that is not shown
  const Option* needs_ = nullptr;
  const Option* excludes_ = nullptr;
};

/// What verbs are for: `culm --help` lists them by it, in this order.
enum class VerbGroup { kKeep, kRead, kExchange, kMend, kLetGo, kExplore, kHelp, kOther };

inline constexpr VerbGroup kVerbGroups[] = {
    VerbGroup::kKeep,  VerbGroup::kRead,    VerbGroup::kExchange, VerbGroup::kMend,
    VerbGroup::kLetGo, VerbGroup::kExplore, VerbGroup::kHelp,     VerbGroup::kOther};

/// The heading of a group: "Read".
[[nodiscard]] std::string_view title_of(VerbGroup group);

/// One verb: its name, what it takes, and what it does.
class Verb {
 public:
  using Run = std::function<Outcome<void>(Context&)>;

  Verb(const char* name, const char* description, const char* example, Run run);

  Option& add_option(const char* name, Option::Target target, const char* help);
  Option& add_flag(const char* name, bool& target, const char* help);
  /// What the verb is for; until it is said, kOther.
  Verb& group(VerbGroup group);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] VerbGroup group() const noexcept { return group_; }
  /// Paragraphs, whose line ends count for nothing, and terms: "  term  what it means".
  [[nodiscard]] const std::string& description() const noexcept { return description_; }
  /// The first sentence of it, without its full stop.
  [[nodiscard]] std::string summary() const;
  /// Command lines, one a line.
  [[nodiscard]] const std::string& example() const noexcept { return example_; }
  [[nodiscard]] const std::deque<Option>& options() const noexcept { return options_; }
  [[nodiscard]] Outcome<void> run(Context& context) const;

 private:
  friend class CommandLineParser;

  std::string name_;
  std::string description_;
  std::string example_;
  VerbGroup group_ = VerbGroup::kOther;
  Run run_;
  std::deque<Option> options_;  // their addresses stay
};

/// All verbs, in the order of the help.
class CommandTree {
 public:
  CommandTree();
  ~CommandTree();

  /// Adds a verb that reads its command line into `options` and is done by `run`. The first
  /// sentence of `description` stands in the list of verbs, `example` at the end of its own help.
  template <class Options>
  Verb& add_verb(const char* name, const char* description, const char* example,
                 std::shared_ptr<Options> options, Outcome<void> (*run)(Context&, const Options&)) {
    return add(name, description, example, [options = std::move(options), run](Context& context) {
      return run(context, *options);
    });
  }

  [[nodiscard]] const std::deque<Verb>& verbs() const noexcept { return verbs_; }

 private:
  Verb& add(const char* name, const char* description, const char* example, Verb::Run run);

  std::deque<Verb> verbs_;  // their addresses stay
};

/// Fails with exit 2, and the names that are near, where there is none.
[[nodiscard]] Outcome<const Verb*> find_verb(const CommandTree& tree, std::string_view name);

/// The same command line with `more` besides: "`culm delete alice --range 1 --payloads`".
[[nodiscard]] std::string again_with(const std::vector<std::string>& arguments,
                                     std::string_view more);
/// A command line that lacks an option which `verb` cannot do without.
[[nodiscard]] tl::unexpected<Failure> usage_without(const Context& context, std::string_view option,
                                                    std::string message);

/// What every verb takes.
struct CommonOption {
  std::string_view names;  ///< as `Option::name`
  std::string_view value;  ///< "DIR"; nothing for a flag
  std::string_view help;
};
inline constexpr CommonOption kCommonOptions[] = {
    {"--store", "DIR", "Directory of the store (default ./culm-store, or what CULM_STORE says)"},
    {"--json", "", "Print JSON, one object a line; help is one with its text"},
    {"-h,--help", "", "Print this help and exit"},
    {"-V,--version", "", "Print the version and exit"}};

/// A command line that names no verb to run: help was asked for, or it is not understood.
struct Ending {
  int status = 0;
  std::string out;  ///< for standard output
  std::string err;  ///< for standard error
};

/// Reads `arguments`, the program's name not among them, into the options of `context` and of the
/// verb that they name.
[[nodiscard]] tl::expected<const Verb*, Ending> parse_command_line(
    const CommandTree& tree, const std::vector<std::string>& arguments, Context& context);

}  // namespace culm::tools
