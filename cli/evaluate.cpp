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

const NamedDataset& dataset_of(const ModelInfo& info, const std::string& file) {
  if (info.data.empty()) fail(ErrorKind::value, file + ": `data` names no dataset");
  try {
    return find_dataset(info.data);
  } catch (const Error& error) {
    throw Error(error.kind(), file + ": " + error.what());
  }
}

/// Throws unless the dataset is what the model was trained for.
void check_input(const ModelInfo& info, const std::string& file, const NamedDataset& source,
                 const data::Dataset& dataset) {
  const Shape wanted(info.input_shape);
  const Shape given = dataset.specs()[0].shape;
  if (wanted != given) {
    fail(ErrorKind::shape, file + ": the model takes inputs " + to_string(wanted) + ", " +
                               info.data + " has " + to_string(given));
  }
  if (info.input_scale != source.input_scale) {
    fail(ErrorKind::value, file + ": the model takes inputs multiplied by " +
                               print_real(info.input_scale) + ", those of " + info.data +
                               " are by " + print_real(source.input_scale));
  }
  if (!info.class_names.empty() && info.class_names != dataset.class_names()) {
    fail(ErrorKind::value, file + ": `class_names` are not those of " + info.data);
  }
}

void evaluate(const std::filesystem::path& folder, const std::string& data_folder) {
  const SavedModel saved = load_model(folder);
  const std::string file = (folder / "model.json").string();
  const NamedDataset& source = dataset_of(saved.info, file);
  const data::TrainTest data = source.load(data_folder);
  check_input(saved.info, file, source, data.test);
  std::cout << fmt::format("model  {}: {} parameters, from {}\n", printable(saved.info.name),
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
  command->add_option("DIR", arguments->folder, "The run folder")->required()->check(some_text());
  command->add_option("--data-dir", arguments->data_folder, "Where the dataset's files are")
      ->check(some_text());
  command->callback([arguments] { evaluate(arguments->folder, arguments->data_folder); });
}

}  // namespace taper::cli
