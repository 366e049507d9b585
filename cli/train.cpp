// taper train DATA: trains a model of the library and writes a run folder.

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <memory>

#include <taper/core/threads.h>
#include <taper/ops/random/generator.h>
#include <taper/train/models.h>
#include <taper/train/run.h>
#include <taper/train/trainer.h>

#include "commands.h"
#include "datasets.h"

namespace taper::cli {
namespace {

namespace fs = std::filesystem;

struct TrainArguments {
  std::string data;
  std::string model = "convnet";
  int64_t epochs = 15;
  int64_t batch_size = 64;
  double lr = 1e-3;
  int64_t seed = 0;
  std::string data_folder = {};
  std::string out = {};
};

volatile std::sig_atomic_t stop_asked = 0;

void ask_to_stop(int) { stop_asked = 1; }

/// From here on Ctrl-C ends the command in good order, at the next `stop_if_asked`.
void catch_signals() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    // What the caller made this process ignore, as nohup does, stays ignored.
    if (std::signal(signal, &ask_to_stop) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe ends the report, not the training
}

void stop_if_asked() {
  if (stop_asked != 0) throw Interrupted();
}

class StopOnSignal final : public Callback {
 public:
  void on_batch_end(Trainer&, const Logs&) override { stop_if_asked(); }
};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

/// The folder of the run: what was made of it goes away again unless the run is saved.
class RunFolder {
 public:
  explicit RunFolder(fs::path path) : path_(std::move(path)) {
    for (fs::path at = fs::absolute(path_); !is_there(at) && at.has_relative_path();
         at = at.parent_path()) {
      made_.push_back(at);
    }
    try {
      is_new_ = prepare_run_folder(path_);
      if (!is_new_) made_.clear();
    } catch (...) {
      remove_made();
      throw;
    }
  }
  ~RunFolder() {
    if (!kept_) remove_made();
  }
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const fs::path& path() const { return path_; }
  /// False if the folder was there, perhaps since a moment ago.
  bool is_new() const { return is_new_; }
  void keep() { kept_ = true; }

 private:
  /// Folders that are not empty stay.
  void remove_made() const {
    std::error_code ignored;
    for (const fs::path& folder : made_) fs::remove(folder, ignored);
  }

  fs::path path_;
  std::vector<fs::path> made_;  // innermost first
  bool is_new_ = false;
  bool kept_ = false;
};

/// `a/../b/` is `b`: then nothing is made on the way.
fs::path plain(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

/// The folder that was asked for, else the next free one: another process may take one, too.
std::unique_ptr<RunFolder> take_folder(const TrainArguments& arguments) {
  if (!arguments.out.empty()) return std::make_unique<RunFolder>(plain(arguments.out));
  for (int number = 1;; ++number) {
    const fs::path path = fmt::format("runs/{}-{}-{}", arguments.data, arguments.model, number);
    if (is_there(path)) continue;
    auto folder = std::make_unique<RunFolder>(path);
    if (folder->is_new()) return folder;
  }
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

void describe(const TrainArguments& arguments, const data::TrainTest& data, const nn::Module& model,
              const fs::path& out) {
  const int64_t examples = data.train.size();
  const int64_t steps = (examples - 1) / arguments.batch_size + 1;
  std::cout
      << fmt::format("data      {}: {} training and {} test examples {}, {} classes\n",
                     arguments.data, examples, data.test.size(), to_string(data.train.specs()[0]),
                     data.train.class_names().size())
      << fmt::format("model     {}: {} parameters\n", arguments.model, model.num_parameters())
      << fmt::format(
             "training  {} epochs of {} steps, batch {}, Adam lr {} falling at the end, seed {}, "
             "{}\n",
             arguments.epochs, steps, arguments.batch_size, arguments.lr, arguments.seed,
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
          .epochs = arguments.epochs,
          .batch_size = arguments.batch_size,
          .lr = arguments.lr,
          .seed = arguments.seed,
          .model = arguments.model,
          .data = arguments.data,
          .threads = threads(),
          .parameters = model.num_parameters()};
}

void train(const TrainArguments& arguments) {
  const NamedDataset& source = find_named([&]() -> auto& { return find_dataset(arguments.data); });
  const LibraryModel& entry =
      find_named([&]() -> auto& { return LibraryModel::get(arguments.model); });
  catch_signals();
  const std::unique_ptr<RunFolder> out = take_folder(arguments);
  const data::TrainTest data = source.load(arguments.data_folder);
  stop_if_asked();
  manual_seed(static_cast<uint64_t>(arguments.seed));
  nn::Sequential model = entry();
  describe(arguments, data, model, out->path());

  Trainer trainer(model, {.loss = nn::CrossEntropyLoss(),
                          .optimizer = optim::Adam({.lr = arguments.lr}),
                          .metrics = {"accuracy"}});
  const History history = trainer.fit(data.train, {.epochs = arguments.epochs,
                                                   .batch_size = arguments.batch_size,
                                                   .seed = static_cast<uint64_t>(arguments.seed),
                                                   .callbacks = {std::make_shared<StopOnSignal>()},
                                                   .schedule = hold_then_fall(arguments.epochs)});
  const Evaluation test = trainer.evaluate(data.test);
  stop_if_asked();
  const ModelInfo info{.name = arguments.model,
                       .data = arguments.data,
                       .input_shape = data.train.specs()[0].shape.to_vector(),
                       .input_scale = source.input_scale,
                       .class_names = test.class_names};
  save_run(out->path(), model, info, history, make_report(arguments, model, history, test), test);
  out->keep();
  std::cout << fmt::format("\ntest accuracy {:.4f}  loss {:.4f}\n", test["accuracy"], test.loss)
            << class_table(test)
            << fmt::format("\nwrote {}/{{model.safetensors,model.json,history.json,report.json}}",
                           out->path().string())
            << std::endl;
}

std::string model_names() {
  std::string text;
  for (const LibraryModel* model : LibraryModel::all()) {
    text += (text.empty() ? "" : ", ") + std::string(model->name);
  }
  return text;
}

}  // namespace

void add_train(CLI::App& app) {
  auto arguments = std::make_shared<TrainArguments>();
  CLI::App* command = app.add_subcommand("train", "Train a model and write a run folder");
  command->add_option("DATA", arguments->data, "The dataset: " + dataset_names())->required();
  command->add_option("--model", arguments->model, "The model: " + model_names())
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
                   "The learning rate of Adam; it falls over the last two fifths of the epochs")
      ->check(positive_number())
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
  command->callback([arguments] { train(*arguments); });
}

}  // namespace taper::cli
