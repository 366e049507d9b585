// taper train DATA: trains a model and writes a run folder, from which it can also go on.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <functional>
#include <iostream>
#include <memory>

#include <taper/core/parse_fields.h>
#include <taper/core/threads.h>
#include <taper/io/files.h>
#include <taper/ops/random/generator.h>
#include <taper/train/board.h>
#include <taper/train/checkpoint.h>
#include <taper/train/models.h>
#include <taper/train/report.h>
#include <taper/train/run.h>
#include <taper/train/run_folder.h>
#include <taper/train/trainer.h>

#include "commands.h"
#include "datasets.h"
#include "interrupted.h"

namespace taper::cli {
namespace {

namespace fs = std::filesystem;

/// What the run is: kept in its manifest.
struct TrainOptions {
  std::string data = {};
  std::string model = "convnet";
  int64_t batch_size = 64;
  double lr = 1e-3;
  std::string optimizer = "Adam";
  int64_t seed = 0;
  double validation_split = 0;
};

struct TrainArguments {
  TrainOptions run;
  int64_t epochs = 15;
  std::string data_folder = {};
  std::string out = {};
  bool resume = false;
  bool overwrite = false;
  double checkpoint_seconds = 10;
};

/// The manifest's entry with the layers, besides the options.
constexpr const char* layers_name = "layers";

/// Commits the beginning of the training to the run's manifest, and counts its steps.
class RunKeeper final : public Callback {
 public:
  RunKeeper(RunFolder& folder, std::function<void()> begin)
      : folder_(folder), begin_(std::move(begin)) {}
  void on_train_begin(Trainer&) override { begin_(); }
  void on_batch_end(Trainer&, const Logs& logs) override { step_ = logs.total_step; }
  void on_train_end(Trainer&) override {
    if (stop_signal() != 0) folder_.stopped();
  }
  CallbackState state() const override { return {.values = {{"step", Value(step_)}}}; }
  void load_state(const CallbackState& state) override {
    const int64_t* step = state.values.empty() ? nullptr : state.values[0].second.get_if<int64_t>();
    if (step != nullptr) step_ = *step;
  }
  int64_t step() const { return step_; }

 private:
  RunFolder& folder_;
  std::function<void()> begin_;
  int64_t step_ = 0;
};

bool is_model_file(const std::string& model) {
  return model.ends_with(".json") || model.find('/') != model.npos;
}

/// The model's name in a folder's name and in reports.
std::string name_of_model(const std::string& model) {
  if (!is_model_file(model)) return model;
  const fs::path path = model;
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

/// `a/../b/` is `b`: then nothing is made on the way.
fs::path plain(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

/// The folder that was asked for, else one behind the last number (another process may take one,
/// too), or the last to go on with.
std::unique_ptr<RunFolder> take_folder(const TrainArguments& arguments) {
  const RunFolderUse use = arguments.resume      ? RunFolderUse::resume
                           : arguments.overwrite ? RunFolderUse::replace
                                                 : RunFolderUse::fresh;
  if (!arguments.out.empty()) return std::make_unique<RunFolder>(plain(arguments.out), use);
  const std::string prefix =
      fmt::format("{}-{}-", arguments.run.data, name_of_model(arguments.run.model));
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

/// The registered name, in capitals or not.
std::string optimizer_name(const std::string& name) {
  for (const optim::OptimizerFactory* entry : optim::OptimizerFactory::all()) {
    if (lower(std::string(entry->name)) == lower(name)) return std::string(entry->name);
  }
  return name;
}

std::shared_ptr<optim::Optimizer> make_optimizer(const TrainOptions& run) {
  return optim::OptimizerFactory::get(run.optimizer, "optimizer").make({{"lr", Value(run.lr)}});
}

nn::AnyModule make_model(const TrainOptions& run) {
  manual_seed(static_cast<uint64_t>(run.seed));
  if (is_model_file(run.model)) return load_architecture(run.model);
  return LibraryModel::get(run.model)();
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
  const TrainOptions& run = arguments.run;
  const int64_t examples = data.train.size();
  const int64_t steps = (examples - 1) / run.batch_size + 1;
  std::cout << fmt::format("data      {}: {} training and {} test examples {}, {} classes\n",
                           run.data, examples, data.test.size(), to_string(data.train.specs()[0]),
                           data.train.class_names().size())
            << fmt::format("model     {}: {} parameters\n", run.model, model.num_parameters())
            << fmt::format(
                   "training  {} epochs of {} steps, batch {}, {} lr {} falling at the end, seed "
                   "{}, {}\n",
                   arguments.epochs, steps, run.batch_size, optimizer.type(), run.lr, run.seed,
                   threads() == 1 ? "1 thread" : fmt::format("{} threads", threads()))
            << fmt::format("out       {}\n", out.string()) << std::flush;
}

RunReport make_report(const TrainOptions& run, const nn::Module& model, const History& history,
                      const Evaluation& test) {
  return {.test_accuracy = test["accuracy"],
          .test_loss = test.loss,
          .macro_f1 = test.confusion ? test.confusion->macro_average().f1 : 0,
          .epoch_seconds = history["epoch_seconds"],
          .peak_memory_mb = peak_memory_mb(),
          .epochs = static_cast<int64_t>(history.epochs()),
          .batch_size = run.batch_size,
          .lr = run.lr,
          .seed = run.seed,
          .model = run.model,
          .data = run.data,
          .threads = threads(),
          .parameters = model.num_parameters()};
}

FitOptions fit_options(const TrainArguments& arguments, RunFolder& folder,
                       std::shared_ptr<Callback> keeper) {
  return {.epochs = arguments.epochs,
          .batch_size = arguments.run.batch_size,
          .seed = static_cast<uint64_t>(arguments.run.seed),
          .validation_split = arguments.run.validation_split,
          .callbacks = {std::move(keeper), std::make_shared<TensorBoard>(TensorBoardOptions{
                                               .log_dir = (folder.path() / "logs").string(),
                                               .histograms = 1,
                                               .images = 1})},
          .schedule = hold_then_fall(arguments.epochs),
          .checkpoint = CheckpointOptions{.folder = folder.path() / "checkpoints",
                                          .seconds = arguments.checkpoint_seconds,
                                          .resume = arguments.resume,
                                          .on_warning =
                                              [](const std::string& text) {
                                                std::cerr << "taper: " << printable(text)
                                                          << std::endl;
                                              },
                                          .on_save = [&folder] { folder.saved(); }},
          .interrupted = [] { return stop_signal() != 0; }};
}

/// The training is saved by now: a report that fails must not make it a failure.
void tell_people(RunFolder& folder, const ReportInput& input) {
  try {
    WrittenReport report = write_report(folder.path(), input);
    if (report.remark.empty()) {
      folder.reported(std::move(report.files));
    } else {
      std::cerr << "taper: " << printable(report.remark) << std::endl;
    }
    std::cout << "report " << (folder.path() / "report.html").string() << std::endl;
  } catch (const Error& error) {
    std::cerr << "taper: no report was written: " << printable(error.what()) << std::endl;
  }
}

void save_results(const TrainOptions& run, const NamedDataset& source, const data::TrainTest& data,
                  const Trainer& trainer, const History& history, int64_t step, RunFolder& folder) {
  const Evaluation test = trainer.evaluate(data.test);
  stop_if_asked();
  const nn::AnyModule& model = trainer.model();
  const ModelInfo info{.name = run.model,
                       .data = run.data,
                       .input_shape = data.train.specs()[0].shape.to_vector(),
                       .input_scale = source.input_scale,
                       .class_names = test.class_names};
  const RunReport report = make_report(run, model, history, test);
  save_run(folder.path(), model, info, history, report, test);
  folder.exported(static_cast<int64_t>(history.epochs()), step);
  std::cout << fmt::format("\ntest accuracy {:.4f}  loss {:.4f}\n", test["accuracy"], test.loss)
            << class_table(test)
            << fmt::format("\nwrote {}/{{model.safetensors,model.json,history.json,report.json}}",
                           folder.path().string())
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
  std::cout << fmt::format("\nsaved {}; --resume --out {} goes on from there\n",
                           (folder / "checkpoints").string(), folder.string())
            << std::flush;
  throw Interrupted{stop_signal()};
}

// ---------------------------------------------------------------------------------- going on

/// Whether an option of this name was given on the command line.
using Given = std::function<bool(const std::string& name)>;

/// Takes the options of the run that goes on; those that were given too must be the same.
void take_options(TrainArguments& arguments, const RunManifest& manifest, const Given& given,
                  const fs::path& folder) {
  const auto differs = [&](const std::string& name, const Value& was, const Value& is) {
    fail(ErrorKind::value, fmt::format("cannot go on with {}: `{}` was {}, is {}", folder.string(),
                                       name, was.print(), is.print()));
  };
  Fields saved;
  const Value* layers = nullptr;
  for (const auto& field : manifest.options) {
    if (field.first == layers_name) {
      layers = &field.second;
    } else {
      saved.push_back(field);
    }
  }
  const auto then = parse_fields<TrainOptions>("run.json", saved);
  const Fields was = to_fields(then);
  const Fields is = to_fields(arguments.run);
  for (size_t i = 0; i < was.size(); ++i) {
    const std::string& name = was[i].first;
    if (name == "model" || !given(name) || was[i].second == is[i].second) continue;
    differs(name, was[i].second, is[i].second);
  }
  if (given("model") && layers != nullptr && make_model(arguments.run).config() != *layers) {
    differs("model", Value(then.model), Value(name_of_model(arguments.run.model)));
  }
  arguments.run = then;
  if (!given("epochs")) arguments.epochs = manifest.epochs;
  if (arguments.epochs < manifest.exported_epoch) {
    fail(ErrorKind::value, fmt::format("cannot go on with {}: `epochs` is {}, but it has had {}",
                                       folder.string(), arguments.epochs, manifest.exported_epoch));
  }
}

nn::AnyModule model_of_run(const TrainArguments& arguments, const RunManifest& manifest) {
  for (const auto& [name, layers] : manifest.options) {
    if (name != layers_name || layers.is_none()) continue;
    manual_seed(static_cast<uint64_t>(arguments.run.seed));
    return nn::module_from_config(layers);
  }
  return make_model(arguments.run);
}

/// True if there is nothing to do. Throws value if what there is to do cannot be done.
bool is_done(const TrainArguments& arguments, const RunFolder& folder) {
  const RunManifest& run = folder.manifest();
  if (run.state != RunState::finished) return false;
  const bool more = arguments.epochs > run.epochs;
  if (!more && folder.is_whole()) {
    std::cout << fmt::format("{} is finished: {} epochs; more --epochs go on\n",
                             folder.path().string(), run.exported_epoch);
    return true;
  }
  if (!CheckpointFolder(folder.path() / "checkpoints").empty()) return false;
  fail(ErrorKind::value,
       fmt::format("{} is finished after {} epochs{} and has no checkpoint to go on from; "
                   "--overwrite trains anew",
                   folder.path().string(), run.exported_epoch,
                   more ? "" : ", its files are not whole"));
}

void check_usage(TrainArguments& arguments, const Given& given) {
  if (arguments.run.data.empty() && !(arguments.resume && !arguments.out.empty())) {
    throw UsageError("DATA is required, unless --resume --out names a run");
  }
  if (given("data")) find_named([&]() -> auto& { return find_dataset(arguments.run.data); });
  if (!is_model_file(arguments.run.model)) {
    find_named([&] { LibraryModel::get(arguments.run.model); });
  }
  arguments.run.optimizer = optimizer_name(arguments.run.optimizer);
  find_named([&] { return make_optimizer(arguments.run); });
}

Fields options_of(const TrainOptions& run, const nn::AnyModule& model) {
  Fields options = to_fields(run);
  options.emplace_back(layers_name, model.is_described() ? model.config() : Value());
  return options;
}

void train(TrainArguments arguments, const Given& given) {
  check_usage(arguments, given);
  catch_signals();
  const bool reads_model = !arguments.resume || given("model");
  if (reads_model) make_model(arguments.run);  // before a folder is made for it
  const std::unique_ptr<RunFolder> out = take_folder(arguments);
  const RunManifest found = out->manifest();
  if (!found.options.empty()) {
    take_options(arguments, found, given, out->path());
  } else {
    if (arguments.run.data.empty()) throw UsageError("DATA is required: the run has not begun");
    if (!reads_model) make_model(arguments.run);
  }
  const nn::AnyModule model = model_of_run(arguments, found);
  arguments.run.model = name_of_model(arguments.run.model);
  const auto optimizer = make_optimizer(arguments.run);
  const NamedDataset& source = find_dataset(arguments.run.data);
  const data::TrainTest data = source.load(arguments.data_folder);
  const std::string digest = data.train.digest();
  if (!found.data_digest.empty() && found.data_digest != digest) {
    fail(ErrorKind::value, "cannot go on with " + out->path().string() +
                               ": the training data are not those that it began with");
  }
  if (is_done(arguments, *out)) return;
  stop_if_asked();
  describe(arguments, *optimizer, data, model, out->path());

  Trainer trainer(
      model, {.loss = nn::CrossEntropyLoss(), .optimizer = optimizer, .metrics = {"accuracy"}});
  const auto keeper = std::make_shared<RunKeeper>(
      *out, [&] { out->begin(arguments.epochs, options_of(arguments.run, model), digest); });
  const History history = trainer.fit(data.train, fit_options(arguments, *out, keeper));
  if (stop_signal() != 0) report_interruption(out->path());
  save_results(arguments.run, source, data, trainer, history, keeper->step(), *out);
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
  command->add_option("DATA", arguments->run.data, "The dataset: " + dataset_names());
  command
      ->add_option("--model", arguments->run.model,
                   "The model: " + model_names() + ", or a JSON file that describes one")
      ->check(some_text())
      ->capture_default_str();
  command->add_option("--epochs", arguments->epochs, "Passes over the training data")
      ->check(whole_number(1))
      ->capture_default_str();
  command->add_option("--batch-size", arguments->run.batch_size, "Examples in a step")
      ->check(whole_number(1))
      ->capture_default_str();
  command
      ->add_option("--lr", arguments->run.lr,
                   "The learning rate; it falls over the last two fifths of the epochs")
      ->check(positive_number())
      ->capture_default_str();
  command
      ->add_option("--optimizer", arguments->run.optimizer, "The optimizer: " + optimizer_names())
      ->check(some_text())
      ->capture_default_str();
  command->add_option("--seed", arguments->run.seed, "Of the initial values, the order and dropout")
      ->check(whole_number(0))
      ->capture_default_str();
  command->add_option("--data-dir", arguments->data_folder, "Where the dataset's files are")
      ->check(some_text());
  command
      ->add_option("--out", arguments->out,
                   "The run folder; the next free runs/DATA-MODEL-N if not given")
      ->check(some_text());
  command
      ->add_option("--validation-split", arguments->run.validation_split,
                   "The part of the training data, the last of it, to validate on each epoch")
      ->check(part_of_one())
      ->capture_default_str();
  add_checkpoint_options(*command, *arguments);
  command->callback([arguments, command] {
    train(*arguments, [&](const std::string& name) {
      std::string option = name == "data" ? "DATA" : "--" + name;
      std::ranges::replace(option, '_', '-');
      return command->get_option(option)->count() > 0;
    });
  });
}

}  // namespace taper::cli
