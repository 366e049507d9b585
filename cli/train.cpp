// taper train DATA: trains a model and writes a run folder, from which it can also go on.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <iostream>
#include <memory>

#include <taper/core/threads.h>
#include <taper/ops/random/generator.h>
#include <taper/train/board.h>
#include <taper/train/checkpoint.h>
#include <taper/train/models.h>
#include <taper/train/report.h>
#include <taper/train/run.h>
#include <taper/train/trainer.h>

#include "commands.h"
#include "datasets.h"
#include "interrupted.h"
#include "run_folder.h"

namespace taper::cli {
namespace {

namespace fs = std::filesystem;

struct TrainArguments {
  std::string data;
  std::string model = "convnet";
  int64_t epochs = 15;
  int64_t batch_size = 64;
  double lr = 1e-3;
  std::string optimizer = "Adam";
  int64_t seed = 0;
  std::string data_folder = {};
  std::string out = {};
  bool resume = false;
  bool overwrite = false;
  double checkpoint_seconds = 10;
  double validation_split = 0;
};

/// What the run is, kept in its checkpoints; another one does not go on from them.
class RunIdentity final : public Callback {
 public:
  explicit RunIdentity(const TrainArguments& arguments) : data_(arguments.data) {}
  void on_batch_end(Trainer&, const Logs&) override { has_trained_ = true; }
  CallbackState state() const override { return {.values = {{"data", Value(data_)}}}; }
  void load_state(const CallbackState& state) override {
    if (!state.values.empty() && state.values[0].second == Value(data_)) return;
    fail(ErrorKind::value, "the run was trained on other data than " + data_);
  }
  /// False if the run was complete already: there was no step to do.
  bool has_trained() const { return has_trained_; }

 private:
  std::string data_;
  bool has_trained_ = false;
};

bool is_model_file(const std::string& model) {
  return model.ends_with(".json") || model.find('/') != model.npos;
}

/// The model's name in a folder's name and in reports.
std::string name_of_model(const TrainArguments& arguments) {
  if (!is_model_file(arguments.model)) return arguments.model;
  const fs::path path = arguments.model;
  return path.stem() == "model" && path.has_parent_path() && !path.parent_path().filename().empty()
             ? path.parent_path().filename().string()
             : path.stem().string();
}

/// The largest N of the names PREFIX-N in `runs`, also of such as other processes make meanwhile; 0
/// if there is none.
int64_t last_number(const std::string& prefix) {
  int64_t last = 0;
  std::error_code none;  // no folder `runs` yet
  for (fs::directory_iterator at("runs", none), end; !none && at != end; at.increment(none)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    int64_t number = 0;
    const char* first = name.data() + prefix.size();
    const char* stop = name.data() + name.size();
    const auto [parsed, error] = std::from_chars(first, stop, number);
    if (error == std::errc() && parsed == stop) last = std::max(last, number);
  }
  return last;
}

/// The folder that was asked for, else one behind the last number (another process may take one,
/// too), or the last to go on with.
std::unique_ptr<RunFolder> take_folder(const TrainArguments& arguments) {
  const RunFolderUse use = arguments.resume      ? RunFolderUse::resume
                           : arguments.overwrite ? RunFolderUse::replace
                                                 : RunFolderUse::fresh;
  if (!arguments.out.empty()) return std::make_unique<RunFolder>(plain(arguments.out), use);
  const std::string prefix = fmt::format("{}-{}-", arguments.data, name_of_model(arguments));
  int64_t number = last_number(prefix);
  const auto path = [&] { return fs::path("runs") / (prefix + std::to_string(number)); };
  if (arguments.resume && number > 0) return std::make_unique<RunFolder>(path(), use);
  for (;;) {
    ++number;
    if (is_there(path())) continue;
    try {
      return std::make_unique<RunFolder>(path(), use, true);
    } catch (const FolderTaken&) {  // NOLINT(bugprone-empty-catch): another process was faster
    }
  }
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// By its registered name, in capitals or not.
std::shared_ptr<optim::Optimizer> make_optimizer(const TrainArguments& arguments) {
  std::string name = arguments.optimizer;
  for (const optim::OptimizerFactory* entry : optim::OptimizerFactory::all()) {
    if (lower(std::string(entry->name)) == lower(name)) name = entry->name;
  }
  return optim::OptimizerFactory::get(name, "optimizer").make({{"lr", Value(arguments.lr)}});
}

nn::AnyModule make_model(const TrainArguments& arguments) {
  manual_seed(static_cast<uint64_t>(arguments.seed));
  if (is_model_file(arguments.model)) return load_architecture(arguments.model);
  return LibraryModel::get(arguments.model)();
}

/// The full rate finds a good region, and the falling one settles in it: by measurement better
/// than half a cosine over the same epochs.
std::shared_ptr<optim::Schedule> hold_then_fall(int64_t epochs) {
  const int64_t falling = std::max<int64_t>(1, epochs / 5 * 2 + epochs % 5 * 2 / 5);
  const auto hold = std::make_shared<optim::LinearLR>(optim::LinearLROptions{.start_factor = 1});
  const auto fall = std::make_shared<optim::LinearLR>(
      optim::LinearLROptions{.start_factor = 1, .end_factor = 0, .total_iters = falling});
  return std::make_shared<optim::SequentialLR>(
      std::vector<std::shared_ptr<optim::Schedule>>{hold, fall},
      std::vector<int64_t>{epochs - falling});
}

void describe(const TrainArguments& arguments, const optim::Optimizer& optimizer,
              const data::TrainTest& data, const nn::Module& model, const fs::path& out) {
  const int64_t examples = data.train.size();
  const int64_t steps = (examples - 1) / arguments.batch_size + 1;
  std::cout << fmt::format("data      {}: {} training and {} test examples {}, {} classes\n",
                           arguments.data, examples, data.test.size(),
                           to_string(data.train.specs()[0]), data.train.class_names().size())
            << fmt::format("model     {}: {} parameters\n", name_of_model(arguments),
                           model.num_parameters())
            << fmt::format(
                   "training  {} epochs of {} steps, batch {}, {} lr {} falling at the end, seed "
                   "{}, {}\n",
                   arguments.epochs, steps, arguments.batch_size, optimizer.type(), arguments.lr,
                   arguments.seed,
                   threads() == 1 ? "1 thread" : fmt::format("{} threads", threads()))
            << fmt::format("out       {}\n", out.string()) << std::flush;
}

RunReport make_report(const TrainArguments& arguments, const nn::Module& model,
                      const History& history, const Evaluation& test) {
  return {.test_accuracy = test["accuracy"],
          .test_loss = test.loss,
          .macro_f1 = test.confusion ? test.confusion->macro_average().f1 : 0,
          .epoch_seconds = history["epoch_seconds"],
          .peak_memory_mb = peak_memory_mb(),
          .epochs = static_cast<int64_t>(history.epochs()),
          .batch_size = arguments.batch_size,
          .lr = arguments.lr,
          .seed = arguments.seed,
          .model = name_of_model(arguments),
          .data = arguments.data,
          .threads = threads(),
          .parameters = model.num_parameters()};
}

FitOptions fit_options(const TrainArguments& arguments, const fs::path& folder,
                       std::shared_ptr<Callback> identity) {
  return {.epochs = arguments.epochs,
          .batch_size = arguments.batch_size,
          .seed = static_cast<uint64_t>(arguments.seed),
          .validation_split = arguments.validation_split,
          .callbacks = {std::move(identity),
                        std::make_shared<TensorBoard>(TensorBoardOptions{
                            .log_dir = (folder / "logs").string(), .histograms = 1, .images = 1})},
          .schedule = hold_then_fall(arguments.epochs),
          .checkpoint = CheckpointOptions{.folder = folder / "checkpoints",
                                          .seconds = arguments.checkpoint_seconds,
                                          .resume = arguments.resume,
                                          .on_warning =
                                              [](const std::string& text) {
                                                std::cerr << "taper: " << printable(text)
                                                          << std::endl;
                                              }},
          .interrupted = [] { return stop_signal() != 0; }};
}

/// The training is saved by now: a report that fails must not make it a failure.
void tell_people(const fs::path& folder, const ReportInput& input) {
  try {
    const std::string remark = write_report(folder, input);
    if (!remark.empty()) std::cerr << "taper: " << printable(remark) << std::endl;
    std::cout << "report " << (folder / "report.html").string() << std::endl;
  } catch (const Error& error) {
    std::cerr << "taper: no report was written: " << printable(error.what()) << std::endl;
  }
}

void save_results(const TrainArguments& arguments, const NamedDataset& source,
                  const data::TrainTest& data, const Trainer& trainer, const History& history,
                  const fs::path& folder) {
  const Evaluation test = trainer.evaluate(data.test);
  stop_if_asked();
  const nn::AnyModule& model = trainer.model();
  const ModelInfo info{.name = name_of_model(arguments),
                       .data = arguments.data,
                       .input_shape = data.train.specs()[0].shape.to_vector(),
                       .input_scale = source.input_scale,
                       .class_names = test.class_names};
  const RunReport report = make_report(arguments, model, history, test);
  save_run(folder, model, info, history, report, test);
  std::cout << fmt::format("\ntest accuracy {:.4f}  loss {:.4f}\n", test["accuracy"], test.loss)
            << class_table(test)
            << fmt::format("\nwrote {}/{{model.safetensors,model.json,history.json,report.json}}",
                           folder.string())
            << std::endl;
  tell_people(folder, {.model = model,
                       .info = info,
                       .history = history,
                       .run = report,
                       .test = test,
                       .data = data.test});
}

/// Says where the run stands and ends the command.
[[noreturn]] void report_interruption(const fs::path& folder) {
  std::cout << fmt::format("\nsaved {}; the same command with --resume goes on from there\n",
                           (folder / "checkpoints").string())
            << std::flush;
  throw Interrupted{stop_signal()};
}

/// True if the folder holds a run that is finished and has no checkpoints any more, of as many
/// epochs as are asked for. Throws value if there are more to do: they cannot be done.
bool is_finished_without_checkpoints(const TrainArguments& arguments, const fs::path& folder) {
  if (!arguments.resume || !holds_finished_run(folder)) return false;
  if (!CheckpointFolder(folder / "checkpoints").empty()) return false;
  const int64_t done = epochs_of_run(folder);
  if (arguments.epochs > done) {
    fail(ErrorKind::value, folder.string() + " is finished after " + std::to_string(done) +
                               " epochs and has no checkpoint to go on from; --overwrite trains "
                               "anew");
  }
  std::cout << fmt::format("{} is finished: {} epochs\n", folder.string(), done);
  return true;
}

void train(const TrainArguments& arguments) {
  const NamedDataset& source = find_named([&]() -> auto& { return find_dataset(arguments.data); });
  if (!is_model_file(arguments.model)) {
    find_named([&] { LibraryModel::get(arguments.model); });
  }
  const auto optimizer = find_named([&] { return make_optimizer(arguments); });
  catch_signals();
  nn::AnyModule model = make_model(arguments);
  const std::unique_ptr<RunFolder> out = take_folder(arguments);
  if (is_finished_without_checkpoints(arguments, out->path())) return;
  const data::TrainTest data = source.load(arguments.data_folder);
  stop_if_asked();
  describe(arguments, *optimizer, data, model, out->path());

  Trainer trainer(
      model, {.loss = nn::CrossEntropyLoss(), .optimizer = optimizer, .metrics = {"accuracy"}});
  const auto identity = std::make_shared<RunIdentity>(arguments);
  const History history = trainer.fit(data.train, fit_options(arguments, out->path(), identity));
  if (stop_signal() != 0) report_interruption(out->path());
  const bool is_whole = holds_finished_run(out->path()) && is_there(out->path() / "report.html");
  if (!identity->has_trained() && is_whole) {
    std::cout << fmt::format("{} is finished: {} epochs; more --epochs go on\n",
                             out->path().string(), history.epochs());
    return;
  }
  save_results(arguments, source, data, trainer, history, out->path());
}

std::string model_names() {
  std::string text;
  for (const LibraryModel* model : LibraryModel::all()) {
    text += (text.empty() ? "" : ", ") + std::string(model->name);
  }
  return text;
}

std::string optimizer_names() {
  std::string text;
  for (const optim::OptimizerFactory* optimizer : optim::OptimizerFactory::all()) {
    text += (text.empty() ? "" : ", ") + std::string(optimizer->name);
  }
  return text;
}

void add_checkpoint_options(CLI::App& command, TrainArguments& arguments) {
  CLI::Option* resume = command.add_flag(
      "--resume", arguments.resume,
      "Go on with the run in the folder; start it if there is nothing to go on from");
  command.add_flag("--overwrite", arguments.overwrite, "Replace the run that the folder holds")
      ->excludes(resume);
  command
      .add_option("--checkpoint-seconds", arguments.checkpoint_seconds,
                  "Save the training's state this often")
      ->check(positive_number())
      ->capture_default_str();
}

}  // namespace

void add_train(CLI::App& app) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = app.add_subcommand("train", "Train a model and write a run folder");
  command->add_option("DATA", arguments->data, "The dataset: " + dataset_names())->required();
  command
      ->add_option("--model", arguments->model,
                   "The model: " + model_names() + ", or a JSON file that describes one")
      ->check(some_text())
      ->capture_default_str();
  command->add_option("--epochs", arguments->epochs, "Passes over the training data")
      ->check(whole_number(1))
      ->capture_default_str();
  command->add_option("--batch-size", arguments->batch_size, "Examples in a step")
      ->check(whole_number(1))
      ->capture_default_str();
  command
      ->add_option("--lr", arguments->lr,
                   "The learning rate; it falls over the last two fifths of the epochs")
      ->check(positive_number())
      ->capture_default_str();
  command->add_option("--optimizer", arguments->optimizer, "The optimizer: " + optimizer_names())
      ->check(some_text())
      ->capture_default_str();
  command->add_option("--seed", arguments->seed, "Of the initial values, the order and dropout")
      ->check(whole_number(0))
      ->capture_default_str();
  command->add_option("--data-dir", arguments->data_folder, "Where the dataset's files are")
      ->check(some_text());
  command
      ->add_option("--out", arguments->out,
                   "The run folder; the next free runs/DATA-MODEL-N if not given")
      ->check(some_text());
  command
      ->add_option("--validation-split", arguments->validation_split,
                   "The part of the training data, the last of it, to validate on each epoch")
      ->check(part_of_one())
      ->capture_default_str();
  add_checkpoint_options(*command, *arguments);
  command->callback([arguments] { train(*arguments); });
}

}  // namespace taper::cli
