#include "recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <taper/core/parse_fields.h>
#include <taper/io/files.h>
#include <taper/train/batch/class_weights.h>
#include <taper/train/callbacks/csv_logger.h>
#include <taper/train/callbacks/stopping.h>
#include <taper/train/callbacks/time_limit.h>

#include "augment.h"
#include "loss.h"
#include "part.h"
#include "schedule.h"

namespace taper::cli {
namespace {

namespace fs = std::filesystem;

using optim::OptimizerFactory;

constexpr const char* csv_file = "logs/epochs.csv";
constexpr const char* format_name = "recipe";  // of the entries that a manifest keeps
constexpr int64_t format_version = 1;
constexpr const char* optimizer_options_name = "optimizer_options";
constexpr size_t largest_config = size_t{16} << 20;

/// "mlp, convnet"
std::string listed(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

// ---------------------------------------------------------------------------------- callbacks

std::vector<std::shared_ptr<Callback>> make_callbacks(const Course& course,
                                                      const std::string& folder) {
  std::vector<std::shared_ptr<Callback>> all;
  // In front: those that put weights back have the last word.
  for (const std::string& text : course.callback) all.push_back(callback_flag.make(text));
  if (course.early_stop > 0) {
    all.push_back(
        std::make_shared<EarlyStopping>(EarlyStoppingOptions{.patience = course.early_stop}));
  }
  if (course.best) all.push_back(std::make_shared<BestWeights>());
  if (course.time_limit > 0) {
    all.push_back(std::make_shared<TimeLimit>(TimeLimitOptions{.seconds = course.time_limit}));
  }
  if (course.csv) {
    all.push_back(std::make_shared<CSVLogger>(CSVLoggerOptions{.path = folder + "/" + csv_file}));
  }
  return all;
}

// ---------------------------------------------------------------------------------- options

/// `weight_decay` is `--weight-decay`.
std::string option_name(std::string_view field) {
  std::string name = "--" + std::string(field);
  std::ranges::replace(name, '_', '-');
  return name;
}

/// An option for each field of any optimizer, but for the rate.
void add_optimizer_options(CLI::App& command, Recipe& recipe) {
  std::vector<std::pair<std::string, std::string>> fields;  // with what is said of them
  for (const OptimizerFactory* entry : OptimizerFactory::all()) {
    for (const FieldInfo& info : entry->options()) {
      if (info.name == "lr") continue;
      const std::string text = fmt::format("{} ({})", entry->name, info.default_value.print());
      const auto known =
          std::ranges::find(fields, info.name, [](const auto& field) { return field.first; });
      if (known == fields.end()) {
        fields.emplace_back(info.name, "Of " + text);
      } else {
        known->second += ", " + text;
      }
    }
  }
  for (const auto& [name, text] : fields) {
    command
        .add_option_function<std::string>(
            option_name(name),
            [&recipe, name = name](const std::string& given) {
              recipe.optimizer_options.emplace_back(name, value_of(given));
            },
            text)
        ->group("Options of optimizers");
  }
}

/// An option that takes several parts, with options of their own.
CLI::Option* add_parts(CLI::App& command, const char* flag, std::vector<std::string>& texts,
                       const char* about, std::vector<std::string> names) {
  CLI::Option* option = command.add_option(
      flag, texts,
      fmt::format("{}; one or more NAME:option=value,... of: {}", about, listed(names)));
  option->check(some_text());
  offer(option, std::move(names));
  return option;
}

void add_course_options(CLI::App& command, Course& course) {
  const std::string group = "The course of the training";
  offer(command
            .add_option(
                "--schedule", course.schedule,
                "How the learning rate goes, NAME:option=value,...: " + listed(schedule_names()))
            ->check(some_text())
            ->capture_default_str()
            ->group(group),
        schedule_names());
  command.add_option("--warmup", course.warmup, "Epochs in which the rate rises to its value")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--accumulate", course.accumulate, "Batches whose gradients make one update")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(group);
  command.add_option("--clip", course.clip, "The largest norm of the gradients together")
      ->check(positive_number())
      ->group(group);
  command
      .add_option("--early-stop", course.early_stop,
                  "End after so many epochs without a smaller validation loss")
      ->check(whole_number(1))
      ->group(group);
  command.add_flag("--best", course.best, "Keep the epoch with the smallest validation loss")
      ->group(group);
  command.add_option("--time-limit", course.time_limit, "End after so many seconds")
      ->check(positive_number())
      ->group(group);
  offer(command
            .add_option("--class-weights", course.class_weights,
                        "balanced: classes weigh as if they were of one size")
            ->check(some_text())
            ->capture_default_str()
            ->group(group),
        {"none", "balanced"});
  add_parts(command, "--augment", course.augment,
            "Change the pictures that are trained on at random, in turn", transform_names())
      ->group(group);
  add_parts(command, callback_flag.flag, course.callback, "What a training calls as it goes",
            callback_flag.names())
      ->group(group);
  command.add_flag("--csv", course.csv, "Write logs/epochs.csv")->group(group);
  command
      .add_flag("--detect-anomaly", course.detect_anomaly,
                "Look for NaN and infinity in every op: slow, for finding a fault")
      ->group(group);
  command.add_flag("--compile", course.compile, "Record the step once and replay it: same bits")
      ->group(group);
}

void check_names(const Recipe& recipe) {
  if (!recipe.subject.data.empty()) {
    find_named([&]() -> auto& { return data::DataSource::of(recipe.subject.data); });
  }
  if (!recipe.subject.loss.empty()) loss_flag.make(recipe.subject.loss);
  for (const std::string& metric : recipe.subject.metrics) metrics_flag.make(metric);
  for (const std::string& callback : recipe.course.callback) callback_flag.make(callback);
  check_augment(recipe.course.augment);
  const std::string& task = recipe.subject.task;
  if (!task.empty() && task != "classes" && task != "numbers") {
    throw UsageError("--task: must be classes or numbers, got `" + task + "`");
  }
  if (recipe.course.class_weights != "none" && recipe.course.class_weights != "balanced") {
    throw UsageError("--class-weights: must be none or balanced, got `" +
                     recipe.course.class_weights + "`");
  }
  make_optimizer(recipe);
}

/// What the command line checks of its options, for a file.
void check_ranges(const Recipe& recipe) {
  const Subject& subject = recipe.subject;
  const Course& course = recipe.course;
  const auto require = [](bool good, const char* rule) {
    if (!good) fail(ErrorKind::value, rule);
  };
  require(subject.batch_size >= 1, "`batch_size` must be at least 1");
  require(!subject.lr || (*subject.lr > 0 && std::isfinite(*subject.lr)), "`lr` must be above 0");
  require(subject.seed >= 0, "`seed` must be at least 0");
  require(subject.validation >= 0 && subject.validation < 1, "`validation` must be in [0, 1)");
  require(subject.picture_size >= 0, "`picture_size` must be at least 0");
  require(course.warmup >= 0, "`warmup` must be at least 0");
  require(course.accumulate >= 1, "`accumulate` must be at least 1");
  require(course.clip >= 0 && std::isfinite(course.clip), "`clip` must be at least 0");
  require(course.early_stop >= 0, "`early_stop` must be at least 0");
  require(course.time_limit >= 0 && std::isfinite(course.time_limit),
          "`time_limit` must be at least 0");
}

bool is_optimizer_option(const std::string& name) {
  if (name == "lr") return false;
  return std::ranges::any_of(OptimizerFactory::all(), [&](const OptimizerFactory* entry) {
    const std::vector<FieldInfo> fields = entry->options();
    return std::ranges::find(fields, name, &FieldInfo::name) != fields.end();
  });
}

[[noreturn]] void fail_option(const std::string& name) {
  std::vector<std::string_view> names{"epochs", "out", "threads", "checkpoint_seconds"};
  for (const FieldInfo& info : describe_fields<Subject>()) names.push_back(info.name);
  for (const FieldInfo& info : describe_fields<Course>()) names.push_back(info.name);
  for (const OptimizerFactory* entry : OptimizerFactory::all()) {
    for (const FieldInfo& info : entry->options()) {
      if (std::ranges::find(names, info.name) == names.end()) names.push_back(info.name);
    }
  }
  detail::fail_unknown("option", name, names);
}

/// What is not of the recipe. Throws value for what cannot be; true if it was such an entry.
bool take_other(const std::string& name, const Value& value, Config& config) {
  const auto count = [&](int64_t least) {
    const int64_t* number = value.get_if<int64_t>();
    if (number != nullptr && *number >= least && *number <= INT32_MAX) return *number;
    fail(ErrorKind::value,
         "`" + name + "` must be at least " + std::to_string(least) + ", got " + value.print());
  };
  if (name == "epochs") {
    config.epochs = count(1);
  } else if (name == "threads") {
    config.threads = static_cast<int>(count(1));
  } else if (name == "checkpoint_seconds") {
    const int64_t* whole = value.get_if<int64_t>();
    const double* real = value.get_if<double>();
    const double seconds = whole != nullptr  ? static_cast<double>(*whole)
                           : real != nullptr ? *real
                                             : 0;
    if (!(seconds > 0 && std::isfinite(seconds))) {
      fail(ErrorKind::value, "`checkpoint_seconds` must be above 0, got " + value.print());
    }
    config.checkpoint_seconds = seconds;
  } else if (name == "out") {
    const std::string* path = value.get_if<std::string>();
    if (path == nullptr || path->empty()) fail(ErrorKind::value, "`out` must be a path");
    config.out = *path;
  } else {
    return false;
  }
  return true;
}

}  // namespace

Fields to_fields(const Recipe& recipe) {
  Fields fields{{format_name, Value(format_version)}};
  for (auto& field : taper::to_fields(recipe.subject)) fields.push_back(std::move(field));
  for (auto& field : taper::to_fields(recipe.course)) fields.push_back(std::move(field));
  fields.emplace_back(optimizer_options_name, Value(recipe.optimizer_options));
  return fields;
}

bool is_recipe(const Fields& fields) {
  return std::ranges::any_of(fields, [](const auto& field) { return field.first == format_name; });
}

void separate_options(Fields& entries) {
  const auto find = [&](std::string_view name) {
    return std::ranges::find(entries, name, [](const auto& entry) -> auto& { return entry.first; });
  };
  const auto optimizer = find("optimizer");
  const std::string* text =
      optimizer != entries.end() ? optimizer->second.get_if<std::string>() : nullptr;
  if (text == nullptr) return;
  Part part = optimizer_flag.parse(*text);
  optimizer->second = Value(part.name);
  Fields options;
  for (auto& option : part.options) {
    if (option.first != "lr") {
      options.push_back(std::move(option));
    } else if (find("lr") == entries.end()) {
      entries.push_back(std::move(option));
    } else {
      throw UsageError("--optimizer: `lr` is given by --lr, too");
    }
  }
  if (options.empty()) return;
  const auto others = find(optimizer_options_name);
  if (others == entries.end()) {
    entries.emplace_back(optimizer_options_name, Value(std::move(options)));
  } else if (const Fields* more = others->second.get_if<Fields>()) {
    options.insert(options.end(), more->begin(), more->end());
    others->second = Value(std::move(options));
  }
}

Recipe recipe_from(const Fields& fields) {
  Recipe recipe;
  Fields subject;
  Fields course;
  const auto has = [](const std::vector<FieldInfo>& known, const std::string& name) {
    return std::ranges::find(known, name, &FieldInfo::name) != known.end();
  };
  for (const auto& field : fields) {
    if (field.first == format_name) continue;
    if (field.first == optimizer_options_name) {
      const Fields* options = field.second.get_if<Fields>();
      if (options == nullptr) fail(ErrorKind::value, "`optimizer_options` must be an object");
      for (const auto& option : *options) recipe.optimizer_options.push_back(option);
    } else if (has(describe_fields<Course>(), field.first)) {
      course.push_back(field);
    } else if (has(describe_fields<Subject>(), field.first)) {
      subject.push_back(field);
    } else {
      fail_option(field.first);
    }
  }
  recipe.subject = parse_fields<Subject>("options", subject);
  recipe.course = parse_fields<Course>("options", course);
  check_ranges(recipe);
  return recipe;
}

Config read_config(const std::string& path) {
  const std::string text = read_file(path, largest_config);
  try {
    const Value content = parse_json(text);
    const Value* options = content.find("options");  // of a run.json
    Config config;
    const Fields* entries = (options != nullptr ? *options : content).get_if<Fields>();
    if (entries == nullptr) fail(ErrorKind::value, "must hold an object");
    Fields optimizer_options;
    for (auto [name, value] : *entries) {
      std::ranges::replace(name, '-', '_');  // as on the command line
      const Fields* given = value.get_if<Fields>();
      if (is_optimizer_option(name)) {
        optimizer_options.emplace_back(name, value);
      } else if (name == optimizer_options_name && given != nullptr) {
        for (const auto& option : *given) optimizer_options.push_back(option);
      } else if (name != format_name && !take_other(name, value, config)) {
        config.entries.emplace_back(name, value);
      }
    }
    if (!optimizer_options.empty()) {
      config.entries.emplace_back(optimizer_options_name, Value(std::move(optimizer_options)));
    }
    if (const Value* layers = content.find("layers")) config.layers = *layers;
    // Those of a run.json stand beside its options.
    const Value* epochs = options != nullptr ? content.find("epochs") : nullptr;
    if (epochs != nullptr) take_other("epochs", *epochs, config);
    recipe_from(config.entries);
    return config;
  } catch (const Error& error) {
    throw Error(error.kind(), path + ": " + error.what());
  }
}

void add_recipe_options(CLI::App& command, Recipe& recipe) {
  Subject& subject = recipe.subject;
  command.add_option("--batch-size", subject.batch_size, "Examples in a step")
      ->check(whole_number(1))
      ->capture_default_str();
  command
      .add_option("--lr", subject.lr, "The learning rate, the optimizer's own if it is not given")
      ->check(positive_number());
  const auto named = [&](const char* option, auto& value, const char* text,
                         std::vector<std::string> names) {
    CLI::Option* made = command.add_option(option, value, text + listed(names));
    made->check(some_text())->capture_default_str();
    offer(made, std::move(names));
    return made;
  };
  named(optimizer_flag.flag, subject.optimizer,
        "The optimizer, with options as --momentum or NAME:option=value,...: ",
        optimizer_flag.names());
  named(loss_flag.flag, subject.loss, "The loss, NAME:option=value,...: ", loss_flag.names());
  add_parts(command, metrics_flag.flag, subject.metrics, "What is measured besides the loss",
            metrics_flag.names());
  command.add_option("--seed", subject.seed, "Of the initial values, the order and dropout")
      ->check(whole_number(0))
      ->capture_default_str();
  command
      .add_option("--validation", subject.validation,
                  "The part of the training data, the last of it, to validate on each epoch; 0.2 "
                  "of one's own data if not given")
      ->check(part_of_one())
      ->capture_default_str();
  command.add_option("--data-dir", subject.data_dir, "Where the files of a named dataset are")
      ->check(some_text());
  command.add_option("--target", subject.target, "The column of a table that is to be predicted")
      ->check(some_text());
  offer(command
            .add_option("--task", subject.task,
                        "What a table's target holds: classes or numbers; by its values if not "
                        "given")
            ->check(some_text()),
        {"classes", "numbers"});
  command.add_option("--drop", subject.drop, "Columns of a table to leave out")
      ->delimiter(',')
      ->check(some_text());
  command
      .add_option("--picture-size", subject.picture_size,
                  "Height and width of pictures; theirs if they are small, else 64")
      ->check(whole_number(1));
  add_course_options(command, recipe.course);
  add_optimizer_options(command, recipe);
}

void normalise(Recipe& recipe) {
  Subject& subject = recipe.subject;
  subject.optimizer = optimizer_flag.parse(subject.optimizer).name;
  if (!subject.loss.empty()) subject.loss = to_text(loss_flag.parse(subject.loss));
  subject.metrics = metrics_flag.normal(subject.metrics);
  recipe.course.schedule = normal_schedule(recipe.course.schedule);
  recipe.course.augment = normal_augment(recipe.course.augment);
  recipe.course.callback = callback_flag.normal(recipe.course.callback);
  std::error_code ignored;
  const data::DataSource* named = Registry<data::DataSource>::find(subject.data);
  if ((named == nullptr || !named->is_named()) && fs::exists(subject.data, ignored)) {
    const fs::path path = fs::absolute(subject.data).lexically_normal();
    subject.data = (path.has_filename() ? path : path.parent_path()).string();
  }
  if (!subject.data_dir.empty()) {
    subject.data_dir = fs::absolute(subject.data_dir).lexically_normal().string();
  }
}

void check_recipe(const Recipe& recipe) {
  check_names(recipe);
  const bool validates = recipe.subject.validation > 0;
  if (recipe.course.early_stop > 0 && !validates) {
    throw UsageError("--early-stop looks at the validation loss: give --validation, too");
  }
  if (recipe.course.best && !validates) {
    throw UsageError("--best looks at the validation loss: give --validation, too");
  }
  if (make_schedule(recipe, recipe.course.warmup + 1)->watches() && !validates) {
    throw UsageError("--schedule " + recipe.course.schedule +
                     " looks at the validation loss: give --validation, too");
  }
}

data::Examples load_examples(const Recipe& recipe) {
  const Subject& subject = recipe.subject;
  return data::DataSource::of(subject.data)
      .load(subject.data, {.folder = subject.data_dir,
                           .target = subject.target,
                           .drop = subject.drop,
                           .task = task_for(recipe),
                           .validation = subject.validation,
                           .picture_size = subject.picture_size});
}

void complete_recipe(Recipe& recipe, const data::Examples& examples) {
  Subject& subject = recipe.subject;
  const bool for_tables = !subject.target.empty() || !subject.drop.empty() || !subject.task.empty();
  if (examples.form.columns.empty() && for_tables) {
    throw UsageError("--target, --drop and --task are for tables, " + data_name(subject.data) +
                     " is none");
  }
  if (!subject.data_dir.empty() && !data::DataSource::of(subject.data).is_named()) {
    throw UsageError("--data-dir is for named datasets, " + data_name(subject.data) + " is none");
  }
  if (examples.validation && !examples.was_split) subject.validation = 0;
  if (!examples.form.columns.empty() && subject.task.empty() && !subject.target.empty()) {
    subject.task = examples.has_classes ? "classes" : "numbers";
  }
  if (!subject.lr) {
    const auto fields = OptimizerFactory::get(subject.optimizer, "optimizer").options();
    const auto lr = std::ranges::find(fields, "lr", &FieldInfo::name);
    const double* value = lr != fields.end() ? lr->default_value.get_if<double>() : nullptr;
    if (value == nullptr)
      throw UsageError("--lr: " + subject.optimizer + " has no rate of its own");
    subject.lr = *value;
  }
  complete_loss(recipe, examples);
}

std::string data_name(const std::string& data) {
  const fs::path path = data;
  const bool is_file = data::has_ending(path, ".csv") || data::has_ending(path, ".tsv") ||
                       data::has_ending(path, ".npz");
  return is_file ? path.stem().string() : path.filename().string();
}

std::shared_ptr<optim::Optimizer> make_optimizer(const Recipe& recipe) {
  Fields options;
  if (recipe.subject.lr) options.emplace_back("lr", Value(*recipe.subject.lr));
  for (const auto& field : recipe.optimizer_options) options.push_back(field);
  return optimizer_flag.make(Part{recipe.subject.optimizer, std::move(options)});
}

Trainer make_trainer(const Recipe& recipe, const nn::AnyModule& model,
                     std::shared_ptr<optim::Optimizer> optimizer) {
  std::vector<AnyMetric> metrics;
  for (const std::string& text : recipe.subject.metrics) {
    const Part part = metrics_flag.parse(text);
    metrics.emplace_back(part.name, part.options);
  }
  return {model,
          {.loss = make_loss(recipe),
           .optimizer = std::move(optimizer),
           .metrics = std::move(metrics)}};
}

FitOptions fit_options(const Recipe& recipe, int64_t epochs, const data::Examples& examples,
                       const std::string& folder) {
  const bool balanced = recipe.course.class_weights == "balanced";
  return {
      .epochs = epochs,
      .batch_size = recipe.subject.batch_size,
      .seed = static_cast<uint64_t>(recipe.subject.seed),
      .validation_split = examples.validation ? 0 : recipe.subject.validation,
      .validation_data = examples.validation,
      .transforms = make_transforms(recipe.course.augment, examples),
      .callbacks = make_callbacks(recipe.course, folder),
      .schedule = make_schedule(recipe, epochs),
      .accumulate = recipe.course.accumulate,
      .clip_norm = recipe.course.clip,
      .class_weight = balanced ? balanced_class_weights(*examples.train) : std::vector<double>(),
      .detect_anomaly = recipe.course.detect_anomaly,
      .compile = recipe.course.compile,
      .run_details = {.data = recipe.subject.data,
                      .test_data = examples.test,
                      .form = examples.form,
                      .options = to_fields(recipe),
                      .files = recipe.course.csv ? std::vector<std::string>{csv_file}
                                                 : std::vector<std::string>()}};
}

std::string loss_in_own_scale(const ModelInfo& info, double loss) {
  if (info.form.target.empty() || !info.form.class_names.empty()) return {};
  const std::optional<double> error = error_in_own_scale(info, loss);
  return " of the standardised target" +
         (error ? fmt::format(", root mean square error {:.4g} in its own scale", *error) : "");
}

}  // namespace taper::cli
