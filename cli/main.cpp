#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <new>
#include <string_view>
#include <vector>

#include <taper/core/registry.h>

#include "commands.h"
#include "interrupted.h"

namespace taper::cli {
namespace {

template <class T>
std::errc parse(const std::string& text, T& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return stop == end ? error : std::errc::invalid_argument;
}

[[noreturn]] void fail_option(const CLI::App& command, const std::string& given) {
  std::vector<std::string> texts;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) texts.push_back("--" + name);
  }
  const std::vector<std::string_view> names(texts.begin(), texts.end());
  detail::fail_unknown("option", given, names);
}

/// Throws UsageError unless the first argument is a command or an option of `taper` itself.
void check_first(const CLI::App& app, const std::vector<std::string>& arguments) {
  if (arguments.empty() || app.get_option_no_throw(arguments[0]) != nullptr) return;
  if (arguments[0].starts_with('-')) {
    find_named([&]() -> void { fail_option(app, arguments[0]); });
  }
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
  try {
    fail_option(command, rest[0]);
  } catch (const Error& error) {
    return error.what();
  }
}

/// What CLI11 found wrong, in plain words.
std::string explain(const CLI::App& command, const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) return unexpected(command);
  std::string text = error.what();
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr) return text;
  const bool missing = text.ends_with("missing");
  return text.substr(0, text.find(':')) +
         (missing ? ": the value is missing" : ": given more than once");
}

int report_usage(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const CLI::App& command = chosen.empty() ? app : *chosen.front();
  const std::string name = chosen.empty() ? "taper" : "taper " + command.get_name();
  std::cerr << "taper: " << printable(explain(command, error)) << "\n"
            << "See `" << name << " --help`.\n";
  return 2;
}

int parse_and_run(CLI::App& app, const std::vector<std::string>& arguments) {
  check_first(app, arguments);
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
  add_predict(app);
  add_report(app);
  add_summary(app);
  add_ops(app);
  add_devices(app);
  add_bench(app);
  add_completion(app);
  if (arguments.empty()) {
    std::cerr << app.help();
    return 2;
  }
  return parse_and_run(app, arguments);
}

int report(int code, const std::string& text) {
  std::cout << std::flush;
  std::cerr << "taper: " << printable(text) << std::endl;
  return code;
}

/// A file must not get the number of a standard stream that is closed, and with it the output.
void open_standard_streams() {
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) == -1) open("/dev/null", O_RDWR);
  }
}

/// False if what was printed got lost; a reader that left, such as `head`, has had enough.
bool output_arrived() {
  std::cout << std::flush;
  pollfd reader{STDOUT_FILENO, POLLOUT, 0};
  return std::cout.good() || (poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR) != 0);
}

}  // namespace

CLI::Validator whole_number(int64_t least) {
  return CLI::Validator(
      [least](std::string& text) {
        int64_t number = 0;
        const std::errc result = parse(text, number);
        if (result == std::errc() && number >= least) return std::string();
        const bool too_large = result == std::errc::result_out_of_range && text[0] != '-';
        return "must be a whole number of at least " + std::to_string(least) +
               (too_large ? " and below 2^63" : "") + ", got `" + text + "`";
      },
      "");
}

CLI::Validator positive_number() {
  return CLI::Validator(
      [](std::string& text) {
        double number = 0;
        const bool is_number = parse(text, number) == std::errc();
        if (is_number && number > 0 && std::isfinite(number)) return std::string();
        return "must be a finite number above 0, got `" + text + "`";
      },
      "");
}

CLI::Validator part_of_one() {
  return CLI::Validator(
      [](std::string& text) {
        double number = 0;
        if (parse(text, number) == std::errc() && number >= 0 && number < 1) return std::string();
        return "must be a number from 0 to below 1, got `" + text + "`";
      },
      "");
}

CLI::Validator some_text() {
  return CLI::Validator(
      [](std::string& text) {
        if (text.empty()) return std::string("must not be empty");
        if (!text.starts_with('-')) return std::string();
        return "the value is missing before `" + text + "`";
      },
      "");
}

CLI::Validator file_name() {
  return CLI::Validator(
      [](std::string& text) {
        return text.empty() ? std::string("must not be empty") : std::string();
      },
      "");
}

std::string printable(const std::string& text) {
  constexpr size_t longest = 4000;
  std::string shown;
  for (char c : text.substr(0, longest)) {
    const auto code = static_cast<unsigned char>(c);
    shown += code < ' ' || code == 0x7f ? fmt::format("\\x{:02x}", code) : std::string(1, c);
  }
  return text.size() > longest ? shown + "..." : shown;
}

}  // namespace taper::cli

int main(int argc, char** argv) {
  using namespace taper::cli;
  open_standard_streams();
  try {
    const int code = run({argv + 1, argv + argc});
    return output_arrived() ? code : report(1, "the standard output cannot be written");
  } catch (const UsageError& error) {
    return report(2, error.what());
  } catch (const Interrupted& interrupted) {
    return report(128 + interrupted.signal, "interrupted");
  } catch (const std::bad_alloc&) {
    return report(1, "out of memory");
  } catch (const std::exception& error) {
    return report(1, error.what());
  }
}
