// taper train DATA: trains a model of the library and writes a run folder.

#include <fmt/format.h>

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
  int64_t epochs = 16;
  int64_t batch_size = 64;
  double lr = 1e-3;
  int64_t seed = 0;
  std::string data_folder = {};
  std::string out = {};
};

volatile std::sig_atomic_t stop_asked = 0;

void ask_to_stop(int) { stop_asked = 1; }

/// Ends the training in good order when the user presses Ctrl-C.
class StopOnSignal final : public Callback {
 public:
  void on_train_begin(Trainer&) override {
    std::signal(SIGINT, &ask_to_stop);
    std::signal(SIGTERM, &ask_to_stop);
    std::signal(SIGPIPE, SIG_IGN);  // a closed pipe ends the report, not the training
  }
  void on_batch_end(Trainer&, const Logs&) override {
    if (stop_asked != 0) throw Interrupted();
  }
};

/// The folder of the run: what was made of it goes away again unless the run is saved.
class RunFolder {
 public:
  explicit RunFolder(fs::path path) : path_(std::move(path)) {
    for (fs::path at = fs::absolute(path_).lexically_normal(); !exists(at); at = at.parent_path()) {
      if (!at.filename().empty()) made_.push_back(at);
    }
    try {
      prepare_run_folder(path_);
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
  void keep() { kept_ = true; }

 private:
  static bool exists(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(fs::symlink_status(path, ignored)) || path == path.parent_path();
  }
  /// Folders that are not empty stay.
  void remove_made() const {
    std::error_code ignored;
    for (const fs::path& folder : made_) fs::remove(folder, ignored);
  }

  fs::path path_;
  std::vector<fs::path> made_;  // innermost first
  bool kept_ = false;
};

fs::path next_free_folder(const std::string& data, const std::string& model) {
  for (int number = 1;; ++number) {
    const fs::path path = fmt::format("runs/{}-{}-{}", data, model, number);
    std::error_code ignored;
    if (!fs::exists(fs::symlink_status(path, ignored))) return path;
  }
}

void describe(const TrainArguments& arguments, const data::TrainTest& data, const nn::Module& model,
              const fs::path& out) {
  const int64_t examples = data.train.size();
  const int64_t steps = (examples + arguments.batch_size - 1) / arguments.batch_size;
  std::cout
      << fmt::format("data      {}: {} training and {} test examples {}, {} classes\n",
                     arguments.data, examples, data.test.size(), to_string(data.train.specs()[0]),
                     data.train.class_names().size())
      << fmt::format("model     {}: {} parameters\n", arguments.model, model.num_parameters())
      << fmt::format(
             "training  {} epochs of {} steps, batch {}, Adam lr {} falling as a cosine, seed {}, "
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
  RunFolder out(arguments.out.empty() ? next_free_folder(arguments.data, arguments.model)
                                      : fs::path(arguments.out));
  const data::TrainTest data = source.load(arguments.data_folder);
  manual_seed(static_cast<uint64_t>(arguments.seed));
  nn::Sequential model = entry();
  describe(arguments, data, model, out.path());

  Trainer trainer(model, {.loss = nn::CrossEntropyLoss(),
                          .optimizer = optim::Adam({.lr = arguments.lr}),
                          .metrics = {"accuracy"}});
  const History history =
      trainer.fit(data.train, {.epochs = arguments.epochs,
                               .batch_size = arguments.batch_size,
                               .seed = static_cast<uint64_t>(arguments.seed),
                               .callbacks = {std::make_shared<StopOnSignal>()},
                               .schedule = std::make_shared<optim::CosineAnnealingLR>(
                                   optim::CosineAnnealingLROptions{arguments.epochs})});
  const Evaluation test = trainer.evaluate(data.test);
  const ModelInfo info{.name = arguments.model,
                       .data = arguments.data,
                       .input_shape = data.train.specs()[0].shape.to_vector(),
                       .input_scale = source.input_scale,
                       .class_names = test.class_names};
  save_run(out.path(), model, info, history, make_report(arguments, model, history, test), test);
  out.keep();
  std::cout << fmt::format("\ntest accuracy {:.4f}  loss {:.4f}\n", test["accuracy"], test.loss)
            << class_table(test)
            << fmt::format("\nwrote {}/{{model.safetensors,model.json,history.json,report.json}}",
                           out.path().string())
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
      ->capture_default_str();
  command->add_option("--epochs", arguments->epochs, "Passes over the training data")
      ->check(whole_number(1))
      ->capture_default_str();
  command->add_option("--batch-size", arguments->batch_size, "Examples in a step")
      ->check(whole_number(1))
      ->capture_default_str();
  command
      ->add_option("--lr", arguments->lr,
                   "The first learning rate of Adam; it falls as half a cosine over the epochs")
      ->check(positive_number())
      ->capture_default_str();
  command->add_option("--seed", arguments->seed, "Of the initial values, the order and dropout")
      ->check(whole_number(0))
      ->capture_default_str();
  command->add_option("--data-dir", arguments->data_folder, "Where the dataset's files are");
  command->add_option("--out", arguments->out,
                      "The run folder; the next free runs/DATA-MODEL-N if not given");
  command->callback([arguments] { train(*arguments); });
}

}  // namespace taper::cli
