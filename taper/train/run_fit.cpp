#include <taper/train/run_fit.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <utility>

#include <taper/core/parse_fields.h>
#include <taper/core/threads.h>
#include <taper/core/warning.h>
#include <taper/io/files.h>
#include <taper/io/sha256.h>
#include <taper/train/callbacks/board.h>
#include <taper/train/fit/fit_run.h>
#include <taper/train/report/report.h>
#include <taper/train/runs/checkpoint.h>
#include <taper/train/runs/run.h>

namespace taper {
namespace {

namespace fs = std::filesystem;

constexpr int64_t points_of_first_epoch = 40;

/// Commits the beginning of the training to the run's manifest, counts its steps, and remembers how
/// the first epoch went.
class RunKeeper final : public Callback {
 public:
  explicit RunKeeper(std::function<void()> begin) : begin_(std::move(begin)) {}
  void on_train_begin(Trainer&) override { begin_(); }
  void on_batch_end(Trainer&, const Logs& logs) override {
    memory_.step = logs.total_step;
    const int64_t every = std::max<int64_t>(1, logs.steps / points_of_first_epoch);
    if (logs.epoch > 0 || logs.step % every != 0) return;
    memory_.first_epoch_at.push_back(static_cast<double>(logs.step) /
                                     static_cast<double>(logs.steps));
    memory_.first_epoch_loss.push_back(logs.loss);
  }
  CallbackState state() const override { return {.values = to_fields(memory_)}; }
  void load_state(const CallbackState& state) override {
    memory_ = parse_fields<Memory>("run", state.values);
  }
  int64_t step() const { return memory_.step; }
  const std::vector<double>& first_epoch_at() const { return memory_.first_epoch_at; }
  const std::vector<double>& first_epoch_loss() const { return memory_.first_epoch_loss; }

 private:
  struct Memory {
    int64_t step = 0;
    std::vector<double> first_epoch_at = {};
    std::vector<double> first_epoch_loss = {};
  };
  std::function<void()> begin_;
  Memory memory_;
};

/// "2026-01-31 12:00:00" in UTC.
std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", parts);
}

fs::path checkpoints_of(const RunFolder& folder) { return folder.path() / "checkpoints"; }

constexpr const char* board_kind = "taper::TensorBoard";

/// Stands for TensorBoard where a complete run is only looked at, so that the callbacks are as
/// many.
class NoBoard final : public Callback {
 public:
  std::string kind() const override { return board_kind; }
};

/// The options of a fit in the folder: `options` with what the folder adds. Of a complete run
/// nothing is written.
FitOptions with_folder(FitOptions options, RunFolder& folder, std::shared_ptr<Callback> keeper,
                       bool complete) {
  options.run.clear();
  CheckpointOptions checkpoint = options.checkpoint.value_or(CheckpointOptions{});
  checkpoint.folder = checkpoints_of(folder);
  checkpoint.resume = folder.goes_on();
  checkpoint.on_save = [&folder, on_save = std::move(checkpoint.on_save)] {
    folder.saved();
    if (on_save) on_save();
  };
  options.checkpoint = std::move(checkpoint);
  // In front, so that a run goes on with more callbacks of its owner behind.
  std::shared_ptr<Callback> board = std::make_shared<NoBoard>();
  if (!complete) {
    board = std::make_shared<TensorBoard>(TensorBoardOptions{
        .log_dir = (folder.path() / "logs").string(), .histograms = 1, .images = 1});
  }
  options.callbacks.insert(options.callbacks.begin(), {std::move(keeper), std::move(board)});
  return options;
}

/// As a number of JSON; nothing for one beyond 2^63 - 1.
std::optional<int64_t> seed_of(const FitOptions& options) {
  if (options.seed > static_cast<uint64_t>(INT64_MAX)) return {};
  return static_cast<int64_t>(options.seed);
}

/// How the run is made, where its maker does not say it.
Fields options_of(const Trainer& trainer, const FitOptions& options) {
  const std::optional<int64_t> seed = seed_of(options);
  return {{"loss", Value(trainer.loss().type())},
          {"optimizer", Value(trainer.optimizer()->type())},
          {"optimizer_options", Value(trainer.optimizer()->group_options(0))},
          {"batch_size", Value(options.batch_size)},
          {"seed", seed ? Value(*seed) : Value(std::to_string(options.seed))},
          {"validation_split", Value(options.validation_split)},
          {"transforms", texts_of(options.transforms)}};
}

std::vector<ModelInput> inputs_of(const nn::AnyModule& model, const std::vector<Spec>& specs) {
  const nn::Operands operands = model.operands();
  std::vector<ModelInput> inputs;
  // With too few fields the fit says so.
  const size_t count = std::min({model.required_operands(), specs.size(), operands.names.size()});
  for (size_t i = 0; i < count; ++i) {
    inputs.push_back({operands.names[i], specs[i].shape.to_vector(), specs[i].dtype});
  }
  return inputs;
}

/// What is known of the model before the training.
ModelInfo info_of(const Trainer& trainer, const data::Dataset& dataset, const RunDetails& details) {
  return {.name = details.model,
          .data = details.data,
          .inputs = inputs_of(trainer.model(), dataset.specs()),
          .input_scale = dataset.input_scale(),
          .class_names = dataset.class_names(),
          .loss = std::string(trainer.loss().type()),
          .loss_options = trainer.loss().options(),
          .form = details.form};
}

RunReport make_report(const Trainer& trainer, const FitOptions& options, const History& history,
                      const Evaluation& found, const std::string& part) {
  const optim::Optimizer& optimizer = *trainer.optimizer();
  RunReport report{.part = part,
                   .loss = found.loss,
                   .epoch_seconds = history["epoch_seconds"],
                   .peak_memory_mb = peak_memory_mb(),
                   .epochs = static_cast<int64_t>(history.epochs()),
                   .batch_size = options.batch_size,
                   .lr = optimizer.first_lr(),
                   .seed = seed_of(options),
                   .model = options.run_details.model,
                   .data = options.run_details.data,
                   .threads = threads(),
                   .parameters = trainer.model().num_parameters()};
  if (part != "test") return report;
  report.test_loss = found.loss;
  if (!found.confusion) return report;
  report.test_accuracy = found.confusion->accuracy();
  report.macro_f1 = found.confusion->macro_average().f1;
  return report;
}

/// The report for people. The training is saved by now: one that fails must not make it a failure.
std::string write_report_of(RunFolder& folder, const ReportInput& input) {
  try {
    WrittenReport report = write_report(folder.path(), input, folder.reports());
    const bool whole = report.remark.empty();
    for (const std::string& file : report.files) folder.owns(file);
    folder.reported(whole ? std::move(report.files) : std::vector<std::string>());
    return report.remark;
  } catch (const Error& error) {
    return std::string("no report was written: ") + error.what();
  }
}

}  // namespace

std::string run_digest(const data::Dataset& train,
                       const std::optional<data::AnyDataset>& validation,
                       const std::optional<data::AnyDataset>& test, const data::DataForm& form) {
  if (!validation && !test && form.source.empty()) return train.digest();
  std::string all = train.digest();
  for (const auto& part : {validation, test}) all += "\n" + (part ? (*part)->digest() : "none");
  if (!form.source.empty()) all += "\n" + to_json(Value(to_fields(form)));
  return sha256(all);
}

MeasuredPart measured_part(const data::AnyDataset& train,
                           const std::optional<data::AnyDataset>& validation,
                           const std::optional<data::AnyDataset>& test, double validation_split) {
  if (test) return {"test", *test};
  if (validation) return {"validation", *validation};
  if (validation_split == 0) return {"training", train};
  return {"validation", data::split(train, validation_split).validation};
}

ExampleCounts count_examples(const data::AnyDataset& train,
                             const std::optional<data::AnyDataset>& validation,
                             const std::optional<data::AnyDataset>& test, double validation_split) {
  ExampleCounts counts{.training = train->size()};
  if (validation) {
    counts.validation = (*validation)->size();
  } else if (validation_split > 0) {
    counts.training = data::split(train, validation_split).train.size();
    counts.validation = train->size() - counts.training;
  }
  if (test) counts.test = (*test)->size();
  return counts;
}

bool is_complete(const RunFolder& folder, int64_t epochs, const std::string& data_digest) {
  const RunManifest& run = folder.manifest();
  const std::string name = folder.path().string();
  if (!folder.goes_on()) return false;
  if (!run.data_digest.empty() && run.data_digest != data_digest) {
    fail(ErrorKind::value,
         "cannot go on with " + name + ": the data are not those that it began with");
  }
  if (epochs < run.exported_epoch) {
    fail(ErrorKind::value, "cannot go on with " + name + ": `epochs` is " + std::to_string(epochs) +
                               ", but it has had " + std::to_string(run.exported_epoch));
  }
  if (run.state != RunState::finished) return false;
  const bool more = epochs > run.epochs;
  if (!more && folder.is_whole()) return true;
  if (!CheckpointFolder(checkpoints_of(folder)).empty()) return false;
  fail(ErrorKind::value, name + " is finished after " + std::to_string(run.exported_epoch) +
                             " epochs" + (more ? "" : ", its files are not whole") +
                             " and has no checkpoint to go on from; --overwrite trains anew");
}

namespace {

/// The trainer as it was at the end of a run that is complete.
History bring_back(RunFolder& folder, Trainer& trainer, const data::AnyDataset& dataset,
                   const FitOptions& options) {
  if (!CheckpointFolder(checkpoints_of(folder)).empty()) {
    const auto keeper = std::make_shared<RunKeeper>([] {});
    return trainer.fit(dataset, with_folder(options, folder, keeper, true));
  }
  const nn::AnyModule& model = trainer.model();
  if (model.is_described() && model.config() != folder.manifest().layers) {
    fail(ErrorKind::value, "cannot go on with " + folder.path().string() +
                               ": the model's layers are not those of the run");
  }
  // Without a checkpoint the manifest is all that tells how the run was made.
  const Fields now = options.run_details.options.empty() ? options_of(trainer, options)
                                                         : options.run_details.options;
  for (const auto& [name, value] : folder.manifest().options) {
    const auto same = [&](const auto& entry) { return entry.first == name; };
    const auto is = std::ranges::find_if(now, same);
    if (is == now.end() || is->second.print() == value.print()) continue;
    fail(ErrorKind::value, "cannot go on with " + folder.path().string() + ": `" + name + "` was " +
                               value.print() + ", is " + is->second.print());
  }
  load(model, folder.path() / "model.safetensors");
  return read_history(folder.path());
}

/// The epoch whose weights the model has.
int64_t weights_epoch(const FitOptions& options, int64_t epochs) {
  for (auto callback = options.callbacks.rbegin(); callback != options.callbacks.rend();
       ++callback) {
    if (const auto epoch = (*callback)->restored_epoch()) return *epoch + 1;
  }
  return epochs;
}

}  // namespace

namespace {

/// On the part, else on the training data: the training is done, and what is wrong with other data
/// must not make the run one that can never end. `why` then says it.
Evaluation evaluate_or_else(const Trainer& trainer, const data::AnyDataset& dataset,
                            MeasuredPart& part, std::string& why) {
  try {
    return trainer.evaluate(part.data);
  } catch (const Error& error) {
    if (part.name == "training" || error.kind() == ErrorKind::internal) throw;
    why = "the " + part.name + " data cannot be measured, the training data are: " + error.what();
  }
  part = {"training", dataset};
  return trainer.evaluate(part.data);
}

}  // namespace

RunResult fit_into(RunFolder& folder, Trainer& trainer, const data::AnyDataset& dataset,
                   FitOptions options) {
  const std::string digest = run_digest(*dataset, options.validation_data,
                                        options.run_details.test_data, options.run_details.form);
  const bool complete = is_complete(folder, options.epochs, digest);
  if (complete) return {bring_back(folder, trainer, dataset, options)};
  if (options.run_details.options.empty()) {
    options.run_details.options = options_of(trainer, options);
  }
  bool asked = false;  // `interrupted` need not say it twice
  options.interrupted = [&asked, ask = std::move(options.interrupted)] {
    if (!asked && ask) asked = ask();
    return asked;
  };
  for (const std::string& file : options.run_details.files) folder.owns(file);
  ModelInfo info = info_of(trainer, *dataset, options.run_details);
  try {
    check_can_be_saved(trainer.model(), info);
  } catch (const Error& error) {
    fail(error.kind(),
         std::string("fit: what the run is told of model and data cannot be saved: ") +
             error.what());
  }
  const auto keeper = std::make_shared<RunKeeper>([&] {
    const nn::AnyModule& model = trainer.model();
    folder.begin(options.epochs, options.run_details.options,
                 model.is_described() ? model.config() : Value(), digest);
  });
  RunResult result{.history = trainer.fit(dataset, with_folder(options, folder, keeper, false))};
  if (options.interrupted()) {
    folder.stopped();
    return result;
  }

  MeasuredPart part = measured_part(dataset, options.validation_data, options.run_details.test_data,
                                    options.validation_split);
  std::string unmeasured;
  Evaluation found = evaluate_or_else(trainer, dataset, part, unmeasured);
  if (options.interrupted()) {
    folder.stopped();
    return result;
  }
  // What is measured may have no names.
  if (found.confusion) info.class_names = names_of_classes(*dataset, found.confusion->classes());
  found.class_names = info.class_names;
  info.outputs = found.outputs;
  RunReport report = make_report(trainer, options, result.history, found, part.name);
  const Environment here = this_environment();
  const ExampleCounts counts = count_examples(
      dataset, options.validation_data, options.run_details.test_data, options.validation_split);
  report.made = to_fields(RunOrigin{.date = now(),
                                    .machine = here.cpu,
                                    .made_by = here.build,
                                    .options = options.run_details.options,
                                    .training_examples = counts.training,
                                    .validation_examples = counts.validation,
                                    .test_examples = counts.test,
                                    .first_epoch_at = keeper->first_epoch_at(),
                                    .first_epoch_loss = keeper->first_epoch_loss()});
  save_run(folder.path(), trainer.model(), info, result.history, report, found);
  folder.exported(report.epochs, keeper->step(), weights_epoch(options, report.epochs));
  result.remark = write_report_of(folder, {.model = trainer.model(),
                                           .info = info,
                                           .history = result.history,
                                           .run = report,
                                           .test = found,
                                           .data = part.data});
  if (!unmeasured.empty()) {
    result.remark = unmeasured + (result.remark.empty() ? "" : "; " + result.remark);
  }
  result.part = part.name;
  result.evaluation = std::move(found);
  return result;
}

// Here, and not with the rest of Trainer: only this floor knows of both fits and run folders.
History Trainer::fit(const data::AnyDataset& dataset, const FitOptions& options) {
  if (options.run.empty()) return fit_here(dataset, options);
  check_fit(dataset, options);
  // Absolute, since a callback may change the current folder.
  RunFolder folder(std::filesystem::absolute(options.run), options.run_details.use);
  RunResult result = fit_into(folder, *this, dataset, options);
  if (!result.remark.empty()) warn(options.run.string() + ": " + result.remark);
  return std::move(result.history);
}

}  // namespace taper
