// taper summary DIR: the layers of a run's model, or of a JSON file that describes one.

#include <iostream>
#include <memory>

#include <taper/io/files.h>
#include <taper/ops/ops.h>
#include <taper/train/report/summary.h>
#include <taper/train/runs/run.h>

#include "commands.h"

namespace taper::cli {
namespace {

namespace fs = std::filesystem;

/// "1,28,28"
Shape parse_shape(const std::string& text) {
  Shape shape;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const bool digits =
        !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == part.npos;
    if (!digits || shape.rank() + 1 == Shape::max_rank) {
      throw UsageError("--input: must be sizes such as 1,28,28, got `" + text + "`");
    }
    shape.push_back(std::stoll(part));
    begin = end + 1;
  }
  return shape;
}

Value to_value(const ModelSummary& summary) {
  Value::List layers;
  for (const LayerSummary& layer : summary.layers) {
    const Value output = layer.ran() ? Value(layer.outputs[0].shape.to_vector()) : Value();
    layers.push_back(Value(Fields{{"path", Value(layer.path)},
                                  {"type", Value(layer.type)},
                                  {"output", output},
                                  {"parameters", Value(layer.parameters)}}));
  }
  return Value(
      Fields{{"parameters", Value(summary.parameters)}, {"layers", Value(std::move(layers))}});
}

void summary(const std::string& path, const std::string& input, bool json) {
  std::vector<ModelInput> inputs;
  if (!input.empty()) inputs = {{.shape = parse_shape(input).to_vector()}};
  nn::AnyModule model = [&] {
    if (!is_there(path)) {
      fail(ErrorKind::not_found, "there is no run folder or file " + path);
    }
    if (!fs::is_directory(path)) {
      if (input.empty()) throw UsageError("--input: a file does not say what its model takes");
      return load_architecture(path);
    }
    SavedModel saved = load_model(path);
    if (input.empty()) inputs = saved.info.inputs;
    return saved.model;
  }();
  std::vector<Tensor> example;
  for (const ModelInput& each : inputs) {
    Shape batch(each.shape);
    batch.insert(0, 1);
    example.push_back(zeros(batch, each.dtype));
  }
  const ModelSummary found = summarize(model, example);
  std::cout << (json ? to_json(to_value(found)) + "\n" : to_string(found)) << std::flush;
}

}  // namespace

void add_summary(CLI::App& app) {
  struct Arguments {
    std::string path;
    std::string input;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("summary", "Show the layers of a model");
  offer_run_folders(
      command->add_option("DIR", arguments->path, "The run folder, or a JSON file with the layers")
          ->required()
          ->check(some_text()));
  command
      ->add_option("--input", arguments->input,
                   "The sizes of one example, such as 1,28,28; a run knows them")
      ->check(some_text());
  command->add_flag("--json", arguments->json, "Print an object for programs");
  command->callback([arguments] { summary(arguments->path, arguments->input, arguments->json); });
}

}  // namespace taper::cli
