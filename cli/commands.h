// The commands of `taper`, one file each.
#pragma once

#include <CLI/CLI.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include <taper/core/error.h>

namespace taper::cli {

/// The command line asks for something that there is not: exit code 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Runs a look-up by name; an unknown name is wrong usage.
template <class Find>
decltype(auto) find_named(Find&& find) {
  try {
    return find();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) throw UsageError(error.what());
    throw;
  }
}

/// A whole number of at least `least`.
CLI::Validator whole_number(int64_t least);
/// A finite number above zero.
CLI::Validator positive_number();
/// A number from 0 to below 1.
CLI::Validator part_of_one();
/// A text that is not empty and does not begin like an option, which would be a forgotten value.
CLI::Validator some_text();
/// A file's name: not empty. One that begins like an option comes behind `--`.
CLI::Validator file_name();

/// The words that a shell offers for an option, or the folders in `runs`; without a call it offers
/// files.
void offer(const CLI::Option* option, std::vector<std::string> words);
void offer_run_folders(const CLI::Option* option);

/// The text on one line for a terminal: without control characters and not longer than a page.
std::string printable(const std::string& text);

void add_train(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_predict(CLI::App& app);
void add_report(CLI::App& app);
void add_summary(CLI::App& app);
void add_ops(CLI::App& app);
void add_devices(CLI::App& app);
void add_bench(CLI::App& app);
/// After all others, which it describes.
void add_completion(CLI::App& app);

}  // namespace taper::cli
