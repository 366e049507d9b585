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
#include <taper/nn/models.h>
#include <taper/ops/random/generator.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/run_fit.h>
#include <taper/train/runs/run.h>

#include "augment.h"
#include "commands.h"
#include "interrupted.h"
#include "loss.h"
#include "recipe.h"
#include "schedule.h"

namespace taper::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t largest_report = size_t{16} << 20;

struct TrainArguments {
  Recipe recipe;
  int64_t epochs = 15;
  std::string config = {};
  std::string out = {};
  bool resume = false;
  bool overwrite = false;
  double checkpoint_seconds = 10;
  int threads = 0;  // 0: as many as there are
  bool json = false;
};

/// "1 epoch", "2 epochs"
std::string counted(int64_t count, const char* noun, const char* ending = "s") {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : ending);
}

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
    constexpr int64_t most = 1'000'000'000;  // what is beyond was named so by somebody
    if (error == std::errc() && parsed == stop && number < most) last = std::max(last, number);
  }
  return last;
}

/// The run in `runs` whose manifest was written last: what its user was last at. Throws UsageError
/// if there is none.
fs::path last_run() {
  fs::path last;
  fs::file_time_type written;
  std::error_code none;  // no folder `runs`
  for (fs::directory_iterator at("runs", none), end; !none && at != end; at.increment(none)) {
    std::error_code no_run;
    const auto time = fs::last_write_time(at->path() / "run.json", no_run);
    if (no_run || (!last.empty() && time <= written) || !is_run_folder(at->path())) continue;
    last = at->path();
    written = time;
  }
  if (last.empty()) throw UsageError("DATA is required: there is no run in `runs` to go on with");
  // Of the same data and model the last number, as with DATA.
  const std::string name = last.filename().string();
  const std::string prefix = name.substr(0, name.find_last_not_of("0123456789") + 1);
  const int64_t number = prefix.ends_with('-') ? last_number(prefix) : 0;
  const fs::path highest = fs::path("runs") / (prefix + std::to_string(number));
  return number > 0 && is_run_folder(highest) ? highest : last;
}

/// `a/../b/` is `b`: then nothing is made on the way.
fs::path plain(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

/// The folder that was asked for, else one behind the last number (another process may take one,
/// too), or the last to go on with: of these data and this model, without data of all.
std::unique_ptr<RunFolder> take_folder(const TrainArguments& arguments) {
  const RunFolderUse use = arguments.resume      ? RunFolderUse::resume
                           : arguments.overwrite ? RunFolderUse::replace
                                                 : RunFolderUse::fresh;
  if (!arguments.out.empty()) return std::make_unique<RunFolder>(plain(arguments.out), use);
  const Subject& subject = arguments.recipe.subject;
  if (subject.data.empty()) return std::make_unique<RunFolder>(last_run(), use);
  const std::string prefix =
      fmt::format("{}-{}-", data_name(subject.data), name_of_model(subject.model));
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

nn::AnyModule make_model(const Recipe& recipe, const data::Examples& examples) {
  manual_seed(static_cast<uint64_t>(recipe.subject.seed));
  if (is_model_file(recipe.subject.model)) return load_architecture(recipe.subject.model);
  int64_t outputs = examples.has_classes ? std::ssize(examples.form.class_names) : int64_t{1};
  // A loss of targets 0 and 1 takes one output for two classes.
  if (outputs == 2 && !takes_class_numbers(recipe)) outputs = 1;
  return LibraryModel::get(recipe.subject.model)(examples.train->specs()[0].shape, outputs);
}

void describe(const Recipe& recipe, int64_t epochs, const data::Examples& examples,
              const nn::Module& model, const fs::path& out) {
  const Subject& run = recipe.subject;
  const ExampleCounts counts =
      count_examples(examples.train, examples.validation, examples.test, run.validation);
  std::string parts = fmt::format("{} training", counts.training);
  if (counts.validation > 0) parts += fmt::format(", {} validation", counts.validation);
  if (counts.test > 0) parts += fmt::format(" and {} test", counts.test);
  std::cout << fmt::format("data      {}: {} examples {}, {}\n", printable(data_name(run.data)),
                           parts, to_string(examples.train->specs()[0]),
                           examples.has_classes
                               ? counted(std::ssize(examples.form.class_names), "class", "es")
                               : "numbers to predict")
            << fmt::format("model     {}: {} parameters\n", run.model, model.num_parameters())
            << fmt::format("training  {} of {}, batch {}, {} lr {} {}, seed {}, {}\n",
                           counted(epochs, "epoch"),
                           counted((counts.training - 1) / run.batch_size + 1, "step"),
                           run.batch_size, run.optimizer, run.lr.value(),
                           schedule_text(recipe, epochs), run.seed, counted(threads(), "thread"))
            << (recipe.course.augment.empty()
                    ? ""
                    : fmt::format("augment   {}\n", fmt::join(recipe.course.augment, " ")))
            << (recipe.course.callback.empty()
                    ? ""
                    : fmt::format("callback  {}\n", fmt::join(recipe.course.callback, " ")))
            << fmt::format("out       {}\n", printable(out.string())) << std::flush;
}

FitOptions options_of_fit(const TrainArguments& arguments, const data::Examples& examples,
                          const fs::path& out) {
  FitOptions options = fit_options(arguments.recipe, arguments.epochs, examples, out.string());
  options.checkpoint = CheckpointOptions{.seconds = arguments.checkpoint_seconds,
                                         .on_warning = [](const std::string& text) {
                                           std::cerr << "taper: " << printable(text) << std::endl;
                                         }};
  options.run_details.model = name_of_model(arguments.recipe.subject.model);
  options.interrupted = [] { return stop_signal() != 0; };
  options.verbose = !arguments.json;
  return options;
}

void tell(const RunResult& result, const Recipe& recipe, const data::DataForm& form,
          const fs::path& folder) {
  const Evaluation& test = *result.evaluation;
  ModelInfo info;
  const nn::AnyLoss loss = make_loss(recipe);
  info.loss = loss.type();
  info.loss_options = loss.options();
  info.form = form;
  const std::string scale = loss_in_own_scale(info, test.loss);
  std::cout << '\n' << result.part;
  for (const auto& [name, value] : test.metrics) {
    std::cout << fmt::format(" {} {:.4f} ", name, value);
  }
  std::cout << fmt::format(" loss {:.4f}{}\n", test.loss, scale) << class_table(test)
            << fmt::format("\nwrote {}/{{model.safetensors,model.json,history.json,report.json}}\n",
                           printable(folder.string()));
  if (is_there(folder / "report.html")) {
    std::cout << "report " << printable((folder / "report.html").string()) << std::endl;
  }
}

/// For programs: where the run is and how far, and what its report.json says once it is finished.
void tell_json(const RunFolder& folder, int64_t epochs) {
  const bool finished = folder.manifest().state == RunState::finished;
  Fields all{{"out", Value(folder.path().string())},
             {"state", Value(finished ? "finished" : "stopped")}};
  if (finished) {
    const Value report = parse_json(read_file(folder.path() / "report.json", largest_report));
    for (const auto& field : *report.get_if<Fields>()) all.push_back(field);
  } else {
    all.emplace_back("epochs", Value(epochs));
  }
  std::cout << to_json(Value(std::move(all))) << std::endl;
}

void tell_interruption(const fs::path& folder) {
  std::cout << fmt::format("\nsaved {}; --resume --out {} goes on from there\n",
                           printable((folder / "checkpoints").string()), printable(folder.string()))
            << std::flush;
}

// ---------------------------------------------------------------------------------- going on

const Value* find_entry(const Fields& entries, std::string_view name) {
  for (const auto& [known, value] : entries) {
    if (known == name) return &value;
  }
  return nullptr;
}

/// Whether an option of this name was given on the command line.
using Given = std::function<bool(const std::string& name)>;

/// What was asked for in so many words: the entries of --config, and over them those of the command
/// line.
Fields wanted_entries(TrainArguments& arguments, const Given& given, std::optional<int64_t>& epochs,
                      Value& layers) {
  Fields wanted;
  if (!arguments.config.empty()) {
    Config config = read_config(arguments.config);
    wanted = std::move(config.entries);
    epochs = config.epochs;
    if (config.threads && !given("threads")) arguments.threads = *config.threads;
    if (!config.out.empty() && !given("out")) arguments.out = config.out;
    if (config.checkpoint_seconds && !given("checkpoint_seconds")) {
      arguments.checkpoint_seconds = *config.checkpoint_seconds;
    }
    if (!given("model")) layers = std::move(config.layers);
  }
  for (auto& [name, value] : to_fields(arguments.recipe)) {
    if (name == "recipe") continue;
    if (const Fields* here = value.get_if<Fields>()) {
      if (here->empty()) continue;
      Fields all = *here;
      const Value* before = find_entry(wanted, name);
      for (const auto& option : before != nullptr ? *before->get_if<Fields>() : Fields()) {
        if (find_entry(all, option.first) == nullptr) all.push_back(option);
      }
      value = Value(std::move(all));
    } else if (!given(name)) {
      continue;
    }
    std::erase_if(wanted, [&](const auto& entry) { return entry.first == name; });
    wanted.emplace_back(name, value);
  }
  if (given("epochs")) epochs = arguments.epochs;
  separate_options(wanted);
  return wanted;
}

[[noreturn]] void fail_differs(const fs::path& folder, const std::string& name, const Value& was,
                               const Value& is) {
  fail(ErrorKind::value, fmt::format("cannot go on with {}: `{}` was {}, is {}", folder.string(),
                                     name, was.print(), is.print()));
}

/// Throws value for an entry that is not what the run has. The model is compared by its layers, and
/// the data by their digest: they may have been moved.
void check_same(const Fields& wanted, const Fields& then, const fs::path& folder) {
  for (const auto& [name, value] : wanted) {
    if (name == "model" || name == "data" || name == "data_dir") continue;
    if (name == "compile") continue;  // the same bits either way
    const Value* was = find_entry(then, name);
    const bool is_same = was != nullptr && was->print() == value.print();
    if (!is_same) fail_differs(folder, name, was != nullptr ? *was : Value(), value);
  }
}

/// The recipe of the run that goes on. Throws value for what was asked for otherwise.
Recipe recipe_of_run(const RunManifest& manifest, const Recipe& asked, const Fields& wanted,
                     const fs::path& folder) {
  Recipe then = recipe_from(manifest.options);
  Fields others = wanted;
  std::erase_if(others, [](const auto& entry) { return entry.second.template get_if<Fields>(); });
  check_same(others, to_fields(then), folder);
  Recipe with_asked = then;
  for (const auto& option : asked.optimizer_options) {
    std::erase_if(with_asked.optimizer_options,
                  [&](const auto& entry) { return entry.first == option.first; });
    with_asked.optimizer_options.push_back(option);
  }
  check_same(make_optimizer(with_asked)->group_options(0), make_optimizer(then)->group_options(0),
             folder);
  if (asked.course.compile) then.course.compile = true;
  if (!asked.subject.data.empty()) then.subject.data = asked.subject.data;
  if (!asked.subject.data_dir.empty()) then.subject.data_dir = asked.subject.data_dir;
  return then;
}

/// The model of the run that goes on, else a new one. Throws value for a model that was asked for
/// and has other layers.
nn::AnyModule model_of_run(const Recipe& recipe, const Value& layers, const Fields& wanted,
                           const data::Examples& examples, const fs::path& folder) {
  if (layers.is_none()) return make_model(recipe, examples);
  const Value* model = find_entry(wanted, "model");
  if (model != nullptr && *model != Value(recipe.subject.model)) {
    Recipe now = recipe;
    now.subject.model = *model->get_if<std::string>();
    if (make_model(now, examples).config() != layers) {
      fail(ErrorKind::value, "cannot go on with " + folder.string() + ": the layers of " +
                                 now.subject.model + " are not those of the run");
    }
  }
  manual_seed(static_cast<uint64_t>(recipe.subject.seed));
  return nn::module_from_config(layers);
}

/// The names and paths of what is wanted in their full form; defaults that need no data. Throws
/// UsageError.
void check_usage(TrainArguments& arguments, Fields& wanted, const Value& layers) {
  Recipe& recipe = arguments.recipe;
  Subject& subject = recipe.subject;
  if (subject.data.empty() && !arguments.resume) {
    const bool lists = !subject.metrics.empty() || !recipe.course.augment.empty() ||
                       !recipe.course.callback.empty() || !subject.drop.empty();
    throw UsageError(std::string("DATA is required, unless --resume goes on with a run") +
                     (lists ? "; it stands before options that take several values" : ""));
  }
  normalise(recipe);
  const Fields normal = to_fields(recipe);
  for (auto& [name, value] : wanted) value = *find_entry(normal, name);
  if (layers.is_none() && !subject.model.empty() && !is_model_file(subject.model)) {
    find_named([&] { LibraryModel::get(subject.model); });
  }
  if (subject.data.empty()) return;
  const data::DataSource& source =
      find_named([&]() -> auto& { return data::DataSource::of(subject.data); });
  if (subject.model.empty()) subject.model = source.usual_model;
  if (!source.is_named() && find_entry(wanted, "validation") == nullptr) subject.validation = 0.2;
  if (!arguments.resume) check_recipe(recipe);
}

/// The recipe and the epochs of the run in the folder, if it has begun; those that were asked for
/// else. Throws UsageError and value for what was asked for otherwise.
void take_over(TrainArguments& arguments, const RunFolder& folder, const Fields& wanted,
               bool epochs_wanted) {
  Recipe& recipe = arguments.recipe;
  const RunManifest& run = folder.manifest();
  if (run.options.empty()) {
    if (recipe.subject.data.empty()) throw UsageError("DATA is required: the run has not begun");
    check_recipe(recipe);
    return;
  }
  if (!is_recipe(run.options)) {
    fail(ErrorKind::unsupported, "cannot go on with " + folder.path().string() +
                                     ": a program made it, which can go on with it");
  }
  recipe = recipe_of_run(run, recipe, wanted, folder.path());
  if (!epochs_wanted) arguments.epochs = run.epochs;
  if (run.state != RunState::finished && arguments.epochs < run.epochs) {
    fail_differs(folder.path(), "epochs", Value(run.epochs), Value(arguments.epochs));
  }
}

/// Throws UsageError for options that were asked for and mean nothing for these data and epochs.
void check_options_fit(const Recipe& recipe, const Fields& wanted, int64_t epochs,
                       const data::Examples& examples) {
  const std::string name = data_name(recipe.subject.data);
  const Value* validation = find_entry(wanted, "validation");
  if (validation != nullptr && *validation != Value(0.0) && examples.validation &&
      !examples.was_split && recipe.subject.validation > 0) {
    throw UsageError("--validation: " + name + " has validation data of its own");
  }
  if (recipe.subject.picture_size > 0 && examples.form.source != "pictures") {
    throw UsageError("--picture-size is for folders of pictures, " + name + " is none");
  }
  make_transforms(recipe.course.augment, examples);
  if (recipe.course.warmup >= epochs) {
    throw UsageError(fmt::format("--warmup: {} epochs of {} leave none for the training",
                                 recipe.course.warmup, epochs));
  }
}

void tell_finished(const RunFolder& folder, bool json) {
  const RunManifest& run = folder.manifest();
  if (json) return tell_json(folder, run.exported_epoch);
  const bool early = run.exported_epoch < run.epochs;
  std::cout << fmt::format(
      "{} is finished: {}; {} go on\n", printable(folder.path().string()),
      early ? fmt::format("it ended early, after {} of {} epochs", run.exported_epoch, run.epochs)
            : counted(run.exported_epoch, "epoch"),
      early ? "more --epochs than those" : "more --epochs");
}

void train_into(RunFolder& folder, const TrainArguments& arguments, const data::Examples& examples,
                const nn::AnyModule& model) {
  const Recipe& recipe = arguments.recipe;
  const fs::path& path = folder.path();
  if (!arguments.json) describe(recipe, arguments.epochs, examples, model, path);
  Trainer trainer = make_trainer(recipe, model, make_optimizer(recipe));
  const RunResult result =
      fit_into(folder, trainer, examples.train, options_of_fit(arguments, examples, path));
  if (!result.remark.empty()) std::cerr << "taper: " << printable(result.remark) << std::endl;
  if (arguments.json) {
    tell_json(folder, static_cast<int64_t>(result.history.epochs()));
  } else if (result.evaluation) {
    tell(result, recipe, examples.form, path);
  } else {
    tell_interruption(path);
  }
  if (!result.evaluation) throw Interrupted{stop_signal()};
}

void train(TrainArguments arguments, const Given& given) {
  std::optional<int64_t> epochs;
  Value layers;  // of a --config that is a run's
  Fields wanted = wanted_entries(arguments, given, epochs, layers);
  if (arguments.threads > 0) set_threads(arguments.threads);
  if (epochs) arguments.epochs = *epochs;
  Recipe& recipe = arguments.recipe;
  recipe = recipe_from(wanted);
  check_usage(arguments, wanted, layers);
  catch_signals();
  std::unique_ptr<RunFolder> out;
  if (arguments.resume) {
    out = take_folder(arguments);
    take_over(arguments, *out, wanted, epochs.has_value());
    if (!out->manifest().layers.is_none()) layers = out->manifest().layers;
  }
  const data::Examples examples = load_examples(recipe);
  check_options_fit(recipe, wanted, arguments.epochs, examples);
  complete_recipe(recipe, examples);
  const nn::AnyModule model =
      model_of_run(recipe, layers, wanted, examples, out ? out->path() : fs::path());
  recipe.subject.model = name_of_model(recipe.subject.model);
  if (!out) out = take_folder(arguments);
  const std::string digest =
      run_digest(*examples.train, examples.validation, examples.test, examples.form);
  if (is_complete(*out, arguments.epochs, digest)) {
    if (out->manifest().options != to_fields(recipe)) out->relabel(to_fields(recipe));  // moved
    return tell_finished(*out, arguments.json);
  }
  stop_if_asked();
  out->plan(arguments.epochs, to_fields(recipe), model.config());
  train_into(*out, arguments, examples, model);
}

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const LibraryModel* model : LibraryModel::all()) names.emplace_back(model->name);
  return names;
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
  for (const data::DataSource* source : data::DataSource::all()) {
    if (source->is_named()) names.emplace_back(source->name);
  }
  return names;
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
  Subject& subject = arguments->recipe.subject;
  const std::vector<std::string> datasets = dataset_names();
  offer(command->add_option("DATA", subject.data,
                            fmt::format("{}; a folder with one folder of pictures for each class; "
                                        "a CSV file (with --target); an .npz file with x and y",
                                        fmt::join(datasets, ", "))),
        datasets);
  offer(command
            ->add_option("--model", subject.model,
                         fmt::format("The model: {}, or a JSON file that describes one; by the "
                                     "data if not given",
                                     fmt::join(model_names(), ", ")))
            ->check(some_text()),
        model_names());
  command->add_option("--epochs", arguments->epochs, "Passes over the training data")
      ->check(whole_number(1))
      ->capture_default_str();
  add_recipe_options(*command, arguments->recipe);
  command
      ->add_option("--config", arguments->config,
                   "A JSON file with any of these options, such as the run.json of a run")
      ->check(some_text());
  offer_run_folders(command
                        ->add_option("--out", arguments->out,
                                     "The run folder; the next free runs/DATA-MODEL-N if not given")
                        ->check(some_text()));
  command->add_option("--threads", arguments->threads, "Threads; as many as there are if not given")
      ->check(whole_number(1));
  add_checkpoint_options(*command, *arguments);
  command->add_flag("--json", arguments->json,
                    "Print nothing but an object for programs, at the end");
  command->callback([arguments, command] {
    train(*arguments, [&](const std::string& name) {
      std::string option = name == "data" ? "DATA" : "--" + name;
      std::ranges::replace(option, '_', '-');
      return command->get_option(option)->count() > 0;
    });
  });
}

}  // namespace taper::cli
