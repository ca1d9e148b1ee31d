#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace culm::tools {

/// Lists verbs with the first sentence of what each says of itself.
class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() {
    label("SUBCOMMAND", "VERB");
    label("Positionals", "Arguments");
    label("TEXT", "");
    column_width(28);
  }

  [[nodiscard]] std::string make_description(const CLI::App* app) const override {
    return app->get_description() + "\n\n";
  }

  [[nodiscard]] std::string make_subcommand(const CLI::App* verb) const override {
    std::string sentence = verb->get_description();
    for (char& c : sentence) c = c == '\n' ? ' ' : c;
    sentence = sentence.substr(0, sentence.find(". "));
    if (sentence.ends_with('.')) sentence.pop_back();
    std::string line = "  " + verb->get_name();
    line.resize(12, ' ');
    return line + sentence + "\n";
  }
};

}  // namespace culm::tools
