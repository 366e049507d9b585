#include <taper/train/run_fit.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <utility>

#include <taper/core/parse_fields.h>
#include <taper/core/threads.h>
#include <taper/io/files.h>
#include <taper/io/sha256.h>
#include <taper/train/board.h>
#include <taper/train/checkpoint.h>
#include <taper/train/report.h>
#include <taper/train/run.h>

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
    memory_.first_epoch_loss.push_back(logs.values[0].second);
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

/// Stands for TensorBoard where a complete run is only looked at, so that the callbacks are as
/// many.
class NoBoard final : public Callback {};

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

/// How the run is made, where its maker does not say it.
Fields options_of(const Trainer& trainer, const FitOptions& options) {
  return {{"loss", Value(trainer.loss().type())},
          {"optimizer", Value(trainer.optimizer()->type())},
          {"optimizer_options", Value(trainer.optimizer()->options())},
          {"batch_size", Value(options.batch_size)},
          {"seed", Value(std::to_string(options.seed))},
          {"validation_split", Value(options.validation_split)}};
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
                   .seed = static_cast<int64_t>(options.seed),
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
    WrittenReport report = write_report(folder.path(), input);
    if (report.remark.empty()) folder.reported(std::move(report.files));
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
  const auto keeper = std::make_shared<RunKeeper>([&] {
    const nn::AnyModule& model = trainer.model();
    for (const auto& name : trainer.recorded_names()) folder.owns(curve_file(name));
    folder.begin(options.epochs, options.run_details.options,
                 model.is_described() ? model.config() : Value(), digest);
  });
  RunResult result{.history = trainer.fit(dataset, with_folder(options, folder, keeper, false))};
  if (options.interrupted()) {
    folder.stopped();
    return result;
  }

  const MeasuredPart part = measured_part(dataset, options.validation_data,
                                          options.run_details.test_data, options.validation_split);
  Evaluation found = trainer.evaluate(part.data);
  if (options.interrupted()) {
    folder.stopped();
    return result;
  }
  const ModelInfo info{.name = options.run_details.model,
                       .data = options.run_details.data,
                       .input_shape = dataset->specs()[0].shape.to_vector(),
                       .input_scale = dataset->input_scale(),
                       .class_names = found.class_names,
                       .loss = std::string(trainer.loss().type()),
                       .outputs = found.outputs,
                       .form = options.run_details.form};
  RunReport report = make_report(trainer, options, result.history, found, part.name);
  const Environment here = this_environment();
  report.made = to_fields(RunOrigin{.date = now(),
                                    .machine = here.cpu,
                                    .made_by = here.build,
                                    .options = options.run_details.options,
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
  result.part = part.name;
  result.evaluation = std::move(found);
  return result;
}

}  // namespace taper
