// taper evaluate DIR: rebuilds the model of a run folder and tests it.

#include <fmt/format.h>

#include <iostream>
#include <memory>

#include <taper/train/run.h>
#include <taper/train/trainer.h>

#include "commands.h"
#include "datasets.h"

namespace taper::cli {
namespace {

void check_input(const SavedModel& saved, const std::filesystem::path& folder,
                 const data::Dataset& dataset) {
  const Shape wanted(saved.info.input_shape);
  const Shape given = dataset.specs()[0].shape;
  if (wanted == given) return;
  fail(ErrorKind::shape, (folder / "model.json").string() + ": the model takes inputs " +
                             to_string(wanted) + ", " + saved.info.data + " has " +
                             to_string(given));
}

void evaluate(const std::filesystem::path& folder, const std::string& data_folder) {
  const SavedModel saved = load_model(folder);
  if (saved.info.data.empty()) {
    fail(ErrorKind::value, (folder / "model.json").string() + ": `data` names no dataset");
  }
  const data::TrainTest data = find_dataset(saved.info.data).load(data_folder);
  check_input(saved, folder, data.test);
  std::cout << fmt::format("model  {}: {} parameters, from {}\n", saved.info.name,
                           saved.model.num_parameters(), folder.string())
            << fmt::format("data   {}: {} test examples\n", saved.info.data, data.test.size())
            << std::flush;
  const Trainer trainer(
      saved.model,
      {.loss = nn::CrossEntropyLoss(), .optimizer = optim::SGD(), .metrics = {"accuracy"}});
  std::cout << trainer.evaluate(data.test) << std::endl;
}

}  // namespace

void add_evaluate(CLI::App& app) {
  struct Arguments {
    std::string folder;
    std::string data_folder;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("evaluate", "Test the model of a run folder");
  command->add_option("DIR", arguments->folder, "The run folder")->required();
  command->add_option("--data-dir", arguments->data_folder, "Where the dataset's files are");
  command->callback([arguments] { evaluate(arguments->folder, arguments->data_folder); });
}

}  // namespace taper::cli
