// A run folder: what a training leaves behind, and what a model is rebuilt from.
//
//   run.json            the manifest: what the folder holds, see taper/train/runs/run_folder.h
//   model.safetensors   the parameters and buffers
//   model.json          the layers, the classes' names and what data the model takes
//   history.json        the numbers of each epoch
//   report.json         how it was trained and what came of it
//   checkpoints/        the last two states of the training, from which it can go on
//   logs/               TensorBoard's event files
//   report.html         the report for people, its pictures also in figures/
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/value.h>
#include <taper/data/source.h>
#include <taper/nn/any_module.h>
#include <taper/train/metrics/evaluation.h>
#include <taper/train/metrics/history.h>

namespace taper {

/// Replaces or creates a safetensors file with all parameters and buffers. Throws io.
TAPER_API void save(const nn::Module& module, const std::filesystem::path& path);

/// Reads parameters and buffers into the module. Throws io for a bad file, not_found, shape or
/// dtype (naming the file) if it does not fit; the module is then unchanged.
TAPER_API void load(nn::Module module, const std::filesystem::path& path);

/// One input of a model.
struct ModelInput {
  std::string name = {};            ///< of the operand, see nn::AnyModule::operands
  std::vector<int64_t> shape = {};  ///< of one example
  DType dtype = DType::f32;         ///< of the data; floating ones are cast to the model's
};

/// What is known of a saved model besides its layers.
struct ModelInfo {
  std::string name;                           ///< the library's name for it; may be empty
  std::string data;                           ///< the dataset that it was trained on; may be empty
  std::vector<ModelInput> inputs = {};        ///< one for each operand that it must have
  double input_scale = 1;                     ///< what stored numbers are multiplied by
  std::vector<std::string> class_names = {};  ///< in the order of the outputs; may be empty
  std::string loss = {};                      ///< the registered name; empty for one's own
  Fields loss_options = {};
  OutputMeaning outputs = {Task::classes, OutputScale::logits};
  data::DataForm form = {};  ///< how new data become inputs; without a source if that is not known

  /// Of the first input, empty if none is known.
  std::vector<int64_t> input_shape() const {
    return inputs.empty() ? std::vector<int64_t>() : inputs[0].shape;
  }
};

struct SavedModel {
  nn::AnyModule model;  ///< in evaluation mode
  ModelInfo info;
};

/// How a run was made.
struct RunOrigin {
  std::string date = {};  ///< when it was finished, in UTC: "2026-01-31 12:00:00"
  std::string machine = {};
  std::string made_by = {};  ///< Taper's version, compiler and oneDNN
  Fields options = {};
  int64_t training_examples = 0;
  int64_t validation_examples = 0;
  int64_t test_examples = 0;
  std::vector<double> first_epoch_at = {};    ///< parts of the first epoch, from 0 to 1
  std::vector<double> first_epoch_loss = {};  ///< its mean loss until there
};

/// What `report.json` says; the fields are its keys.
struct RunReport {
  std::string part = "test";  ///< what the run was measured on: "test", "validation", "training"
  double loss = 0;            ///< there
  std::optional<double> test_accuracy = {};  ///< on test data with classes
  std::optional<double> test_loss = {};      ///< on test data
  std::optional<double> macro_f1 = {};       ///< of the test data's classes, from 0 to 1
  std::vector<double> epoch_seconds = {};
  double peak_memory_mb = 0;  ///< of the process
  int64_t epochs = 0;
  int64_t batch_size = 0;
  double lr = 0;
  std::optional<int64_t> seed = 0;  ///< none if it is above 2^63 - 1; `made` has it as a text
  std::string model = {};
  std::string data = {};
  int64_t threads = 0;
  int64_t parameters = 0;
  Fields made = {};  ///< a `RunOrigin`
};

/// The root mean square error in the target's own scale for a loss that is MSELoss of standardised
/// numbers; nothing for another model.
TAPER_API std::optional<double> error_in_own_scale(const ModelInfo& info, double loss);

/// The files that `save_run` writes.
inline constexpr std::array<std::string_view, 4> run_files{"model.safetensors", "model.json",
                                                           "history.json", "report.json"};

/// Throws value unless all that is known of the model beforehand can be written: names that are not
/// UTF-8 and numbers that are not finite cannot.
TAPER_API void check_can_be_saved(const nn::AnyModule& model, const ModelInfo& info);

/// Writes the four files, each atomically and only when all of them could be written; those that
/// are there already are replaced. Of a module that no registry knows only the values are saved,
/// and model.json says so. `test` adds the scores of each class to the report. Throws io, and
/// then leaves the folder as it was.
TAPER_API void save_run(const std::filesystem::path& folder, const nn::AnyModule& model,
                        const ModelInfo& info, const History& history, const RunReport& report,
                        const Evaluation& test);

/// The numbers of each epoch of a run. Throws io or value naming the file.
TAPER_API History read_history(const std::filesystem::path& folder);

/// What the report.json of a run says. Throws io or value naming the file.
TAPER_API RunReport read_run_report(const std::filesystem::path& folder);

/// A new model, with initial values, of the layers that a JSON file describes: a module's
/// {"type": ..., ...} or the model.json of a run. Throws io, value or not_found naming the file.
TAPER_API nn::AnyModule load_architecture(const std::filesystem::path& path);

/// Rebuilds the model of a run folder. Everything is checked; errors name the file. Throws io for a
/// damaged file or one that is not the run's (see taper/train/runs/run_folder.h), value or
/// not_found for a model that cannot be made, shape if the values do not fit; unsupported for a
/// model of which only the values were saved.
TAPER_API SavedModel load_model(const std::filesystem::path& folder);

/// The largest memory that this process ever had, in MB (2^20 bytes).
TAPER_API double peak_memory_mb();

}  // namespace taper
