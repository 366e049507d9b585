// taper predict DIR FILE...: what a run's model makes of pictures, or of the rows of tables.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <iterator>
#include <memory>
#include <numeric>

#include <taper/autograd/autograd.h>
#include <taper/data/source.h>
#include <taper/io/files.h>
#include <taper/io/images.h>
#include <taper/ops/ops.h>
#include <taper/train/metrics/outputs.h>
#include <taper/train/runs/run.h>

#include "commands.h"

namespace taper::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t largest_table = size_t{1} << 30;

struct PredictArguments {
  std::string folder;
  std::vector<std::string> files;
  bool invert = false;
  int64_t top = 3;
  bool json = false;
};

struct Guess {
  std::string name;
  double probability;
};

/// The picture as the model was trained on pictures: its size, its channels, its scale.
Tensor to_input(const Tensor& picture, const ModelInfo& info, bool invert) {
  Tensor values = astype(data::fit_picture(picture, info.input_shape()), DType::f32);
  if (invert) values = 255 - values;
  return expand_dims(values * info.input_scale, 0);
}

/// The best classes or labels of one example's outputs, and their probabilities.
std::vector<Guess> guesses(const ModelInfo& info, const std::string& file, const Tensor& output,
                           int64_t top) {
  const Tensor each = class_probabilities(info.outputs, output);
  if (each.rank() != 2) {
    fail(ErrorKind::unsupported,
         "the model gives " + to_string(output.spec()) + ", no scores of classes");
  }
  if (!info.class_names.empty() && std::ssize(info.class_names) != each.size(1)) {
    fail(ErrorKind::value, fmt::format("{}: `class_names` holds {} names, the model gives {}", file,
                                       info.class_names.size(), to_string(output.spec())));
  }
  const auto probabilities = each.to_vector<double>();
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return probabilities[i]; });
  order.resize(std::min(order.size(), static_cast<size_t>(top)));
  std::vector<Guess> best;
  for (const size_t i : order) {
    best.push_back(
        {i < info.class_names.size() ? info.class_names[i] : std::to_string(i), probabilities[i]});
  }
  return best;
}

/// What is said of one example: guesses, or the outputs themselves of a regression.
struct Prediction {
  std::vector<Guess> best = {};
  std::vector<double> values = {};
};

/// Of one input [1,...]; `name` is the example's. Throws value for outputs that are no numbers.
Prediction predict_one(const SavedModel& saved, const std::string& folder, const std::string& name,
                       const Tensor& input, int64_t top) {
  const no_grad off;
  const Tensor output = saved.model(input);
  auto values = output.to_vector<double>();
  for (const double value : values) {
    if (std::isfinite(value)) continue;
    fail(ErrorKind::value, name + ": the model's output is " + print_real(value));
  }
  if (saved.info.outputs.task != Task::regression) {
    const std::string file = (fs::path(folder) / "model.json").string();
    return {.best = guesses(saved.info, file, output, top)};
  }
  const data::DataForm& form = saved.info.form;
  for (double& value : values) value = value * form.target_deviation + form.target_mean;
  return {.values = std::move(values)};
}

void print(const std::string& file, const Prediction& prediction) {
  std::cout << printable(file);
  for (const Guess& guess : prediction.best) {
    std::cout << fmt::format("  {} {:.4f}", printable(guess.name), guess.probability);
  }
  for (const double value : prediction.values) std::cout << "  " << print_real(value);
  std::cout << '\n' << std::flush;
}

/// `kind` names the guesses: "classes" or "labels".
Value to_value(const char* noun, const std::string& name, const char* kind,
               const Prediction& prediction) {
  if (!prediction.values.empty()) {
    return Value(Fields{{noun, Value(name)}, {"values", Value(prediction.values)}});
  }
  Value::List guessed;
  for (const Guess& guess : prediction.best) {
    guessed.push_back(
        Value(Fields{{"name", Value(guess.name)}, {"probability", Value(guess.probability)}}));
  }
  return Value(Fields{{noun, Value(name)}, {kind, Value(std::move(guessed))}});
}

void check_pictures(const ModelInfo& info, const std::string& folder) {
  const auto shape = info.input_shape();
  if (shape.size() == 3 && (shape[0] == 1 || shape[0] == 3) && shape[1] > 0 && shape[2] > 0) return;
  fail(ErrorKind::unsupported, folder + ": the model takes inputs " + Value(shape).print() +
                                   ", no pictures of one or three channels");
}

/// Says what is predicted, line by line or at the end as a list.
class Output {
 public:
  Output(bool json, Task task) : json_(json), kind_(task == Task::labels ? "labels" : "classes") {}
  void add(const char* noun, const std::string& name, const Prediction& prediction) {
    any_ = true;
    if (json_) {
      all_.push_back(to_value(noun, name, kind_, prediction));
    } else {
      print(name, prediction);
    }
  }
  void list() {
    if (json_) std::cout << to_json(Value(std::move(all_))) << std::endl;
  }
  /// The same. Throws value if there was nothing.
  void end() {
    list();
    if (!any_) fail(ErrorKind::value, "there is nothing to predict");
  }

 private:
  bool json_;
  bool any_ = false;
  const char* kind_;
  Value::List all_;
};

std::string standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

/// The paths on the standard input, one a line.
std::vector<std::string> paths_of_input() {
  std::vector<std::string> paths;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) paths.push_back(line);
  }
  return paths;
}

/// A bad picture is named and the others are looked at; then the command has failed.
void predict_pictures(const SavedModel& saved, const PredictArguments& arguments, Output& output) {
  check_pictures(saved.info, arguments.folder);
  const auto files =
      data::picture_files(arguments.files.empty() ? paths_of_input() : arguments.files);
  size_t failures = 0;
  for (const std::string& file : files) {
    try {
      const Tensor input = to_input(read_image(file), saved.info, arguments.invert);
      output.add("file", file, predict_one(saved, arguments.folder, file, input, arguments.top));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::io && error.kind() != ErrorKind::unsupported) throw;
      std::cerr << "taper: " << printable(error.what()) << std::endl;
      ++failures;
    }
  }
  if (failures == 0) return output.end();
  output.list();
  fail(ErrorKind::io, fmt::format("{} of {} pictures cannot be used", failures, files.size()));
}

/// The examples of .npz files, counted from 0 as NumPy does.
void predict_arrays(const SavedModel& saved, const PredictArguments& arguments, Output& output) {
  for (const std::string& file : arguments.files) {
    const Tensor inputs = data::read_array(file, saved.info.form);
    for (int64_t i = 0; i < inputs.size(0); ++i) {
      const std::string number = std::to_string(i);
      output.add("example", arguments.files.size() == 1 ? number : file + ":" + number,
                 predict_one(saved, arguments.folder, file + " example " + number,
                             slice(inputs, 0, i, i + 1), arguments.top));
    }
  }
  output.end();
}

/// Rows of tables; they are counted from 1 behind the line of names.
void predict_rows(const SavedModel& saved, const PredictArguments& arguments, Output& output) {
  const auto of_table = [&](const std::string& text, const std::string& name, bool only) {
    const Tensor rows = data::read_rows(text, name, saved.info.form);
    for (int64_t row = 0; row < rows.size(0); ++row) {
      const std::string which = (only ? "" : name + ":") + std::to_string(row + 1);
      output.add("row", which,
                 predict_one(saved, arguments.folder, name + " row " + std::to_string(row + 1),
                             slice(rows, 0, row, row + 1), arguments.top));
    }
  };
  if (arguments.files.empty()) of_table(standard_input(), "the standard input", true);
  for (const std::string& file : arguments.files) {
    std::error_code ignored;
    if (fs::is_directory(file, ignored)) {
      fail(ErrorKind::unsupported, file + ": is a folder, the model takes the rows of tables");
    }
    of_table(read_file(file, largest_table), file, arguments.files.size() == 1);
  }
  output.end();
}

/// FILEs hold one input of each example.
void check_one_input(const ModelInfo& info, const std::string& folder) {
  if (info.inputs.size() < 2) return;
  std::string inputs;
  for (const ModelInput& input : info.inputs) {
    inputs += fmt::format("{}{} {}", inputs.empty() ? "" : ", ", input.name,
                          to_string(Spec{.dtype = input.dtype, .shape = Shape(input.shape)}));
  }
  fail(ErrorKind::unsupported, folder + ": the model takes " + std::to_string(info.inputs.size()) +
                                   " inputs (" + inputs +
                                   "), files give it one; load_model takes it into a program");
}

void predict(PredictArguments arguments) {
  const SavedModel saved = load_model(arguments.folder);
  check_one_input(saved.info, arguments.folder);
  if (arguments.files == std::vector<std::string>{"-"}) arguments.files.clear();
  const auto is_array = [](const std::string& file) { return data::has_ending(file, ".npz"); };
  const bool arrays = saved.info.form.source == "arrays" && !arguments.files.empty() &&
                      std::ranges::all_of(arguments.files, is_array);
  if (arguments.files.empty() && isatty(STDIN_FILENO) == 1) {
    std::cerr << "taper: no FILE is given: reads the standard input" << std::endl;
  }
  Output output(arguments.json, saved.info.outputs.task);
  if (arrays) {
    predict_arrays(saved, arguments, output);
  } else if (saved.info.form.columns.empty()) {
    predict_pictures(saved, arguments, output);
  } else {
    predict_rows(saved, arguments, output);
  }
}

}  // namespace

void add_predict(CLI::App& app) {
  auto arguments = std::make_shared<PredictArguments>();
  CLI::App* command =
      app.add_subcommand("predict", "Say what a run's model makes of pictures or rows");
  offer_run_folders(command->add_option("DIR", arguments->folder, "The run folder")
                        ->required()
                        ->check(some_text()));
  command
      ->add_option("FILE", arguments->files,
                   "PNG or JPEG files or folders of them, CSV or .npz files, by what the model was "
                   "trained on; if none is given or `-`, the standard input holds one path a line, "
                   "or the rows of a table below a line of names")
      ->check(file_name());
  command->add_flag("--invert", arguments->invert,
                    "Swap dark and light: for dark things on white where the model knows light "
                    "ones on black");
  command->add_option("--top", arguments->top, "How many classes to show")
      ->check(whole_number(1))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "Print a list for programs");
  command->callback([arguments] { predict(*arguments); });
}

}  // namespace taper::cli
