// taper evaluate DIR: rebuilds the model of a run folder and tests it.

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include <taper/core/parse_fields.h>

#include "commands.h"
#include "recipe.h"
#include "tested_run.h"

namespace taper::cli {
namespace {

struct EvaluateArguments {
  std::string folder;
  std::string data;
  std::string data_folder;
  bool json = false;
};

Value to_value(const Evaluation& found, const std::string& data, const ModelInfo& info) {
  Fields numbers{
      {"data", Value(data)}, {"examples", Value(found.examples)}, {"loss", Value(found.loss)}};
  if (const auto error = error_in_own_scale(info, found.loss)) {
    numbers.emplace_back("rmse", Value(*error));
  }
  for (const auto& [name, value] : found.metrics) numbers.emplace_back(name, Value(value));
  Value::List classes;
  const auto scores = found.confusion ? found.confusion->scores() : std::vector<ClassScores>();
  for (size_t i = 0; i < scores.size(); ++i) {
    Fields one{{"name", Value(class_name(found, i))}};
    for (auto& field : to_fields(scores[i])) one.push_back(std::move(field));
    classes.push_back(Value(std::move(one)));
  }
  if (found.confusion) numbers.emplace_back("classes", Value(std::move(classes)));
  return Value(std::move(numbers));
}

void evaluate(const EvaluateArguments& arguments) {
  const TestedRun run =
      load_tested_run(arguments.folder, arguments.data, {.folder = arguments.data_folder});
  if (!arguments.json) {
    std::cout << fmt::format("model  {}: {} parameters, from {}\n", printable(run.saved.info.name),
                             run.saved.model.num_parameters(), printable(arguments.folder))
              << fmt::format("data   {}: {} examples\n", printable(run.data_name), run.data->size())
              << std::flush;
  }
  const Evaluation found = run.trainer.evaluate(run.data);
  if (arguments.json) {
    std::cout << to_json(to_value(found, run.data_name, run.saved.info)) << std::endl;
  } else {
    std::cout << found << loss_in_own_scale(run.saved.info, found.loss) << std::endl;
  }
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* command = app.add_subcommand("evaluate", "Test the model of a run folder");
  offer_run_folders(command->add_option("DIR", arguments->folder, "The run folder")
                        ->required()
                        ->check(some_text()));
  command
      ->add_option("DATA", arguments->data,
                   "New data of the kind that it was trained on; what the run was measured on if "
                   "not given")
      ->check(file_name());
  command
      ->add_option("--data-dir", arguments->data_folder,
                   "Where the files of a named dataset are now, if they were moved")
      ->check(some_text());
  command->add_flag("--json", arguments->json, "Print an object for programs");
  command->callback([arguments] { evaluate(*arguments); });
}

}  // namespace taper::cli
