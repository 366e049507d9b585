// taper completion SHELL: a script that completes commands and options, made from the command
// line's own description.

#include <algorithm>
#include <iostream>
#include <memory>

#include "commands.h"

namespace taper::cli {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

/// `--epochs` and the like, of one command.
std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string names_of_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands_of(app)) names.push_back(command->get_name());
  std::ranges::sort(names);
  return joined(names);
}

/// A branch for each command that puts its options between `before` and `after`.
std::string branches(const CLI::App& app, const std::string& before, const std::string& after) {
  std::string text;
  for (const CLI::App* command : commands_of(app)) {
    text += "    " + command->get_name() + ") " + before + joined(options_of(*command)) + after +
            " ;;\n";
  }
  return text;
}

/// Files complete where neither a command nor an option can stand.
std::string bash(const CLI::App& app) {
  return "_taper() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} words=\"" +
         names_of_commands(app) + " " + joined(options_of(app)) +
         "\"\n"
         "  [ \"$COMP_CWORD\" -eq 1 ] || case ${COMP_WORDS[1]} in\n" +
         branches(app, "words=\"", "\"") +
         "    *) words= ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "}\n"
         "complete -o default -F _taper taper\n";
}

/// Both a script to evaluate and a file that zsh loads when the command is first completed.
std::string zsh(const CLI::App& app) {
  return "#compdef taper\n"
         "_taper() {\n"
         "  local -a options\n"
         "  if (( CURRENT == 2 )); then\n"
         "    compadd -- " +
         names_of_commands(app) + " " + joined(options_of(app)) +
         "\n"
         "    return\n"
         "  fi\n"
         "  case $words[2] in\n" +
         branches(app, "options=(", ")") +
         "  esac\n"
         "  if [[ $PREFIX == -* ]]; then compadd -- $options; else _files; fi\n"
         "}\n"
         "if [[ $funcstack[1] == _taper ]]; then _taper \"$@\"; else compdef _taper taper; fi\n";
}

/// In single quotes for fish.
std::string quoted(const std::string& text) {
  std::string safe = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') safe += '\\';
    safe += c;
  }
  return safe + "'";
}

std::string fish(const CLI::App& app) {
  std::string text = "complete -c taper -n __fish_use_subcommand -f\n";
  for (const CLI::App* command : commands_of(app)) {
    text += "complete -c taper -n __fish_use_subcommand -a " + command->get_name() + " -d " +
            quoted(command->get_description()) + "\n";
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        text += "complete -c taper -n '__fish_seen_subcommand_from " + command->get_name() +
                "' -l " + name + " -d " + quoted(option->get_description()) + "\n";
      }
    }
  }
  return text;
}

void completion(const CLI::App& app, const std::string& shell) {
  if (shell == "bash") {
    std::cout << bash(app);
  } else if (shell == "zsh") {
    std::cout << zsh(app);
  } else if (shell == "fish") {
    std::cout << fish(app);
  } else {
    throw UsageError("unknown shell `" + printable(shell) + "`; there are: bash, fish, zsh");
  }
}

}  // namespace

void add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("completion", "Print a script that completes this command in a shell");
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(some_text());
  command->callback([&app, shell] { completion(app, *shell); });
}

}  // namespace taper::cli
