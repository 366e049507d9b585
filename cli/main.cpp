#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <new>
#include <string_view>
#include <vector>

#include <taper/core/registry.h>

#include "commands.h"

namespace taper::cli {
namespace {

template <class T>
bool parse(const std::string& text, T& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

/// Throws UsageError if the first argument is meant to be a command and is none.
void check_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0].starts_with('-')) return;
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == arguments[0]) return;
    names.push_back(command->get_name());
  }
  std::sort(names.begin(), names.end());
  const std::vector<std::string_view> views(names.begin(), names.end());
  find_named([&]() -> void { detail::fail_unknown("command", arguments[0], views); });
}

/// What to say about an argument that CLI11 could not place.
std::string unexpected(const CLI::App& command) {
  const std::vector<std::string> rest = command.remaining(true);
  if (rest.empty()) return "unexpected argument";
  if (!rest[0].starts_with('-')) return "unexpected argument `" + rest[0] + "`";
  std::vector<std::string> texts;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) texts.push_back("--" + name);
  }
  const std::vector<std::string_view> names(texts.begin(), texts.end());
  try {
    detail::fail_unknown("option", rest[0], names);
  } catch (const Error& error) {
    return error.what();
  }
}

int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const CLI::App& command = chosen.empty() ? app : *chosen.front();
  const bool extra = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  const std::string name = chosen.empty() ? "taper" : "taper " + command.get_name();
  std::cerr << "taper: " << (extra ? unexpected(command) : error.what()) << "\n"
            << "See `" << name << " --help`.\n";
  return 2;
}

int parse_and_run(CLI::App& app, const std::vector<std::string>& arguments) {
  check_command(app, arguments);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    return report_usage(app, error);
  }
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  CLI::App app{"Trains, evaluates and measures deep-learning models.", "taper"};
  app.set_version_flag("--version", "taper " TAPER_VERSION, "Print the version and stop");
  app.set_help_flag("-h,--help", "Print this help and stop");
  app.require_subcommand(1);
  add_train(app);
  add_evaluate(app);
  add_ops(app);
  add_devices(app);
  add_bench(app);
  if (arguments.empty()) {
    std::cerr << app.help();
    return 2;
  }
  return parse_and_run(app, arguments);
}

int report(int code, const std::string& text) {
  std::cout << std::flush;
  std::cerr << "taper: " << text << std::endl;
  return code;
}

}  // namespace

CLI::Validator whole_number(int64_t least) {
  return CLI::Validator(
      [least](std::string& text) {
        int64_t number = 0;
        if (parse(text, number) && number >= least) return std::string();
        return "must be a whole number of at least " + std::to_string(least) + ", got `" + text +
               "`";
      },
      "");
}

CLI::Validator positive_number() {
  return CLI::Validator(
      [](std::string& text) {
        double number = 0;
        if (parse(text, number) && number > 0 && std::isfinite(number)) return std::string();
        return "must be a finite number above 0, got `" + text + "`";
      },
      "");
}

}  // namespace taper::cli

int main(int argc, char** argv) {
  using namespace taper::cli;
  try {
    return run({argv + 1, argv + argc});
  } catch (const UsageError& error) {
    return report(2, error.what());
  } catch (const Interrupted&) {
    return report(130, "interrupted");
  } catch (const std::bad_alloc&) {
    return report(1, "out of memory");
  } catch (const std::exception& error) {
    return report(1, error.what());
  }
}
