#include "tested_run.h"

#include <algorithm>

#include <taper/optim/optimizers.h>
#include <taper/train/run_fit.h>

#include "recipe.h"

namespace taper::cli {
namespace {

namespace fs = std::filesystem;

/// The recipe of the run, with the data where they are now. A run of an older Taper has none: its
/// data is a named dataset.
Recipe recipe_of(const std::optional<RunManifest>& run, const ModelInfo& info,
                 const std::string& file, const DataPlace& place) {
  Recipe recipe;
  if (run && is_recipe(run->options)) recipe = recipe_from(run->options);
  if (recipe.subject.data.empty()) recipe.subject.data = info.data;
  if (!place.data.empty()) recipe.subject.data = place.data;
  if (!place.folder.empty()) recipe.subject.data_dir = place.folder;
  if (recipe.subject.data.empty()) fail(ErrorKind::value, file + ": `data` names no dataset");
  try {
    data::DataSource::of(recipe.subject.data);
  } catch (const Error& error) {
    throw Error(error.kind(), file + ": " + error.what());
  }
  return recipe;
}

[[noreturn]] void fail_other_data(const fs::path& folder, const std::string& data) {
  fail(ErrorKind::value, data + ": is not the data that " + folder.string() +
                             " was trained on; `taper evaluate DIR DATA` tests on other data");
}

/// What a run that a program made was measured on, if its data are a dataset that is known by name:
/// with its test part or without.
data::AnyDataset data_of_program(const fs::path& folder, const RunManifest& run,
                                 const data::Examples& examples, const std::string& data) {
  const auto digest = [&](const auto& test) {
    return run_digest(*examples.train, examples.validation, test);
  };
  if (examples.test && digest(examples.test) == run.data_digest) return *examples.test;
  if (digest(std::optional<data::AnyDataset>()) != run.data_digest) fail_other_data(folder, data);
  double split = 0;
  for (const auto& [name, value] : run.options) {
    const double* real = value.get_if<double>();
    if (name == "validation_split" && real != nullptr) split = *real;
  }
  return measured_part(examples.train, examples.validation, {}, split).data;
}

/// What the run was measured on. Throws value for data that have changed since, or that a program
/// made.
data::AnyDataset data_of_run(const fs::path& folder, const ModelInfo& info, const std::string& file,
                             const DataPlace& place) {
  const std::optional<RunManifest> run = read_run_manifest(folder);
  const Recipe recipe = recipe_of(run, info, file, place);
  const std::string& data = recipe.subject.data;
  const bool of_program = run && !is_recipe(run->options);
  if (of_program && !data::DataSource::of(data).is_named()) {
    fail(ErrorKind::unsupported, folder.string() +
                                     ": a program made it from data of its own; `taper evaluate "
                                     "DIR DATA` tests on data of their kind");
  }
  const data::Examples examples = load_examples(recipe);
  if (of_program) return data_of_program(folder, *run, examples, data);
  const std::string digest =
      run_digest(*examples.train, examples.validation, examples.test, examples.form);
  if (run && run->data_digest != digest) fail_other_data(folder, data);
  return measured_part(examples.train, examples.validation, examples.test,
                       recipe.subject.validation)
      .data;
}

/// Throws unless the dataset, of which `data` is the name, is what the model was trained for.
void check_input(const ModelInfo& info, const std::string& file, const data::Dataset& dataset,
                 const std::string& data) {
  const std::vector<Spec> specs = dataset.specs();
  for (size_t i = 0; i < info.inputs.size(); ++i) {
    const Shape wanted(info.inputs[i].shape);
    if (i < specs.size() && wanted == specs[i].shape) continue;
    fail(ErrorKind::shape, file + ": the model takes inputs " + to_string(wanted) + ", " + data +
                               " has " +
                               (i < specs.size() ? to_string(specs[i].shape) : "none of them"));
  }
  const double scale = dataset.input_scale();
  if (static_cast<float>(info.input_scale) != static_cast<float>(scale)) {
    fail(ErrorKind::value, file + ": the model takes inputs multiplied by " +
                               print_real(info.input_scale) + ", those of " + data + " are by " +
                               print_real(scale));
  }
  // A model may have more outputs than there are classes.
  const std::vector<std::string> names = dataset.class_names();
  const size_t common = std::min(names.size(), info.class_names.size());
  if (!std::equal(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(common),
                  info.class_names.begin())) {
    fail(ErrorKind::value, file + ": `class_names` are not those of " + data);
  }
}

nn::AnyLoss loss_of(const ModelInfo& info, const std::string& file) {
  if (info.loss.empty()) {
    fail(ErrorKind::unsupported, file + ": the model was trained with a loss of its author's own");
  }
  try {
    return nn::LossFactory::get(info.loss, "loss").make(info.loss_options);
  } catch (const Error& error) {
    throw Error(error.kind(), file + ": " + error.what());
  }
}

/// Those that there are for the task.
std::vector<AnyMetric> metrics_of(Task task) {
  const bool has_classes = task == Task::classes || task == Task::binary;
  return has_classes ? std::vector<AnyMetric>{"accuracy"} : std::vector<AnyMetric>();
}

}  // namespace

TestedRun load_tested_run(const fs::path& folder, const std::string& new_data,
                          const DataPlace& place) {
  SavedModel saved = load_model(folder);
  const ModelInfo& info = saved.info;
  const std::string file = (folder / "model.json").string();
  if (!new_data.empty() && info.form.source.empty()) {
    fail(ErrorKind::unsupported, file + ": does not say how new data become inputs");
  }
  const data::AnyDataset examples =
      new_data.empty() ? data_of_run(folder, info, file, place)
                       : data::DataSource::get(info.form.source).read(new_data, info.form);
  check_input(info, file, *examples, new_data.empty() ? info.data : new_data);
  Trainer trainer(saved.model, {.loss = loss_of(info, file),
                                .optimizer = optim::SGD(),
                                .metrics = metrics_of(info.outputs.task),
                                .task = info.outputs.task});
  std::string name = data_name(new_data.empty() ? info.data : new_data);
  return {std::move(saved), examples, std::move(name), std::move(trainer)};
}

}  // namespace taper::cli
