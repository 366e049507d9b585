// taper completion SHELL: a script that completes commands and options, made from the command
// line's own description.

#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "commands.h"

namespace taper::cli {
namespace {

struct Offer {
  std::vector<std::string> words = {};
  bool run_folders = false;
};

std::map<const CLI::Option*, Offer>& offers() {
  static std::map<const CLI::Option*, Offer> all;
  return all;
}

const Offer* offer_of(const CLI::Option* option) {
  const auto found = offers().find(option);
  return found == offers().end() ? nullptr : &found->second;
}

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

/// What stands for a positional: words, or the folders of `runs`, which the shell lists by
/// `folders`.
std::string positionals(const CLI::App& command, const std::string& folders) {
  std::string text;
  for (const CLI::Option* option : command.get_options()) {
    const Offer* offer = option->get_positional() ? offer_of(option) : nullptr;
    if (offer == nullptr) continue;
    text += " " + (offer->run_folders ? folders : joined(offer->words));
  }
  return text;
}

std::string names_of_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands_of(app)) names.push_back(command->get_name());
  std::ranges::sort(names);
  return joined(names);
}

/// Calls `visit(command, option, words)` for each option that takes a value; without words for it
/// the shell offers files.
template <class Visit>
void for_each_valued(const CLI::App& app, const std::string& folders, Visit&& visit) {
  for (const CLI::App* command : commands_of(app)) {
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_positional() || option->get_items_expected_max() == 0) continue;
      const Offer* offer = offer_of(option);
      const std::string words = offer == nullptr     ? ""
                                : offer->run_folders ? folders
                                                     : joined(offer->words);
      visit(command->get_name(), option, words);
    }
  }
}

/// A branch for each option that takes a value, and then for each command its options and
/// positionals. A branch looks at "COMMAND LAST-WORD".
std::string branches(const CLI::App& app, const std::string& folders, const std::string& before,
                     const std::string& after) {
  std::string text;
  for_each_valued(
      app, folders,
      [&](const std::string& command, const CLI::Option* option, const std::string& words) {
        for (const std::string& name : option->get_lnames()) {
          text += "    \"" + command + " --" + name + "\") " + before + words + after + " ;;\n";
        }
      });
  for (const CLI::App* command : commands_of(app)) {
    text += "    \"" + command->get_name() + " \"*) " + before + joined(options_of(*command)) +
            positionals(*command, folders) + after + " ;;\n";
  }
  return text;
}

/// "train --metrics", "train --augment" ...: the options that take several values.
std::string lists(const CLI::App& app) {
  std::string text;
  for_each_valued(app, "", [&](const std::string& command, const CLI::Option* option, const auto&) {
    if (option->get_items_expected_max() < 2) return;
    for (const std::string& name : option->get_lnames()) text += " " + command + " --" + name;
  });
  return text + " ";
}

/// Files complete where nothing else can stand. Behind an option of several values `last` is that
/// option, whatever stands in between.
std::string bash(const CLI::App& app) {
  return "_taper() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local at=$COMP_CWORD\n"
         "  while ((at > 2)) && [[ ${COMP_WORDS[at-1]} != -* ]]; do ((at--)); done\n"
         "  [[ $word == -* || \"" +
         lists(app) +
         "\" != *\" ${COMP_WORDS[1]} ${COMP_WORDS[at-1]} \"* ]] || last=${COMP_WORDS[at-1]}\n"
         "  local words=\"" +
         names_of_commands(app) + " " + joined(options_of(app)) +
         "\"\n"
         "  [ \"$COMP_CWORD\" -eq 1 ] || case \"${COMP_WORDS[1]} $last\" in\n" +
         branches(app, "$(compgen -G 'runs/*')", "words=\"", "\"") +
         "    *) words= ;;\n"
         "  esac\n"
         "  local kept= each\n"
         "  for each in $words; do [[ $each == -* ]] || kept+=\" $each\"; done\n"
         "  [[ $word == -* || -z $kept ]] || words=$kept\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "}\n"
         "complete -o default -F _taper taper\n";
}

/// Both a script to evaluate and a file that zsh loads when the command is first completed.
std::string zsh(const CLI::App& app) {
  return "#compdef taper\n"
         "_taper() {\n"
         "  local -a words_here\n"
         "  if (( CURRENT == 2 )); then\n"
         "    compadd -- " +
         names_of_commands(app) + " " + joined(options_of(app)) +
         "\n"
         "    return\n"
         "  fi\n"
         "  case \"$words[2] $words[CURRENT-1]\" in\n" +
         branches(app, "runs/*(N/)", "words_here=(", ")") +
         "  esac\n"
         "  if [[ $PREFIX == -* ]]; then compadd -- $words_here\n"
         "  else compadd -- ${words_here:#-*}; _files; fi\n"
         "}\n"
         "if [[ $funcstack[1] == _taper ]]; then _taper \"$@\"; else compdef _taper taper; fi\n";
}

constexpr const char* fish_folders = "(printf '%s\\n' runs/*)";

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
        const Offer* offer = offer_of(option);
        text += "complete -c taper -n '__fish_seen_subcommand_from " + command->get_name() +
                "' -l " + name + " -d " + quoted(option->get_description()) +
                (offer == nullptr ? ""
                                  : " -x -a " + quoted(offer->run_folders ? fish_folders
                                                                          : joined(offer->words))) +
                "\n";
      }
    }
    const std::string words = positionals(*command, fish_folders);
    if (words.empty()) continue;
    text += "complete -c taper -n '__fish_seen_subcommand_from " + command->get_name() + "' -a " +
            quoted(words) + "\n";
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

void offer(const CLI::Option* option, std::vector<std::string> words) {
  offers()[option].words = std::move(words);
}

void offer_run_folders(const CLI::Option* option) { offers()[option].run_folders = true; }

void add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("completion", "Print a script that completes this command in a shell");
  offer(command->add_option("SHELL", *shell, "bash, zsh or fish")->required()->check(some_text()),
        {"bash", "fish", "zsh"});
  command->callback([&app, shell] { completion(app, *shell); });
}

}  // namespace taper::cli
