// taper predict DIR PICTURE...: what a run's model takes pictures for.

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <numeric>

#include <taper/autograd/autograd.h>
#include <taper/io/images.h>
#include <taper/ops/ops.h>
#include <taper/train/run.h>

#include "commands.h"

namespace taper::cli {
namespace {

struct PredictArguments {
  std::string folder;
  std::vector<std::string> pictures;
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
  const int64_t channels = info.input_shape[0];
  Tensor fitted = channels == 1 ? to_grey(picture) : picture;
  if (fitted.size(0) != channels)
    fitted = broadcast_to(fitted, {channels, fitted.size(1), fitted.size(2)});
  fitted = resize_image(contiguous(fitted), info.input_shape[1], info.input_shape[2]);
  Tensor values = astype(fitted, DType::f32);
  if (invert) values = 255 - values;
  return expand_dims(values * info.input_scale, 0);
}

std::vector<Guess> guesses(const nn::AnyModule& model, const ModelInfo& info, const Tensor& input,
                           int64_t top) {
  const no_grad off;
  const Tensor output = model(input);
  if (output.rank() != 2) {
    fail(ErrorKind::unsupported,
         "the model gives " + to_string(output.spec()) + ", no scores of classes");
  }
  const auto probabilities = softmax(output, 1).to_vector<double>();
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

void print(const std::string& file, const std::vector<Guess>& best) {
  std::cout << printable(file);
  for (const Guess& guess : best) {
    std::cout << fmt::format("  {} {:.4f}", printable(guess.name), guess.probability);
  }
  std::cout << '\n' << std::flush;
}

Value to_value(const std::string& file, const std::vector<Guess>& best) {
  Value::List classes;
  for (const Guess& guess : best) {
    classes.push_back(
        Value(Fields{{"name", Value(guess.name)}, {"probability", Value(guess.probability)}}));
  }
  return Value(Fields{{"file", Value(file)}, {"classes", Value(std::move(classes))}});
}

void check_pictures(const ModelInfo& info, const std::string& folder) {
  const auto& shape = info.input_shape;
  if (shape.size() == 3 && (shape[0] == 1 || shape[0] == 3) && shape[1] > 0 && shape[2] > 0) return;
  fail(ErrorKind::unsupported, folder + ": the model takes inputs " + Value(shape).print() +
                                   ", no pictures of one or three channels");
}

/// A bad picture is named and the others are looked at; then the command has failed.
void predict(const PredictArguments& arguments) {
  const SavedModel saved = load_model(arguments.folder);
  check_pictures(saved.info, arguments.folder);
  Value::List all;
  size_t failures = 0;
  for (const std::string& file : arguments.pictures) {
    try {
      const Tensor input = to_input(read_image(file), saved.info, arguments.invert);
      const auto best = guesses(saved.model, saved.info, input, arguments.top);
      if (arguments.json) {
        all.push_back(to_value(file, best));
      } else {
        print(file, best);
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::io && error.kind() != ErrorKind::unsupported) throw;
      std::cerr << "taper: " << printable(error.what()) << std::endl;
      ++failures;
    }
  }
  if (arguments.json) std::cout << to_json(Value(std::move(all))) << std::endl;
  if (failures > 0) {
    fail(ErrorKind::io,
         fmt::format("{} of {} pictures cannot be used", failures, arguments.pictures.size()));
  }
}

}  // namespace

void add_predict(CLI::App& app) {
  auto arguments = std::make_shared<PredictArguments>();
  CLI::App* command = app.add_subcommand("predict", "Say what a run's model takes pictures for");
  command->add_option("DIR", arguments->folder, "The run folder")->required()->check(some_text());
  command->add_option("PICTURE", arguments->pictures, "PNG or JPEG files")
      ->required()
      ->check(some_text());
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
