#include <taper/train/report/report_data.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <taper/autograd/autograd.h>
#include <taper/data/loader.h>
#include <taper/nn/mode_scope.h>
#include <taper/ops/ops.h>
#include <taper/train/batch/batch_rules.h>

namespace taper {
namespace {

/// The first one of several.
Tensor output_of(const ReportInput& input, std::span<const Tensor> fields) {
  return nn::detail::first(input.model(model_inputs(input.model, fields)));
}

constexpr size_t bin_count = 10;

void count(std::vector<CalibrationBin>& bins, double probability, bool right) {
  const auto place = std::min(bin_count - 1, static_cast<size_t>(probability * bin_count));
  CalibrationBin& bin = bins[place];
  ++bin.examples;
  bin.confidence += probability;
  bin.accuracy += right ? 1 : 0;
}

void finish(ClassifierFacts& facts, int64_t examples, size_t most_mistakes) {
  for (CalibrationBin& bin : facts.bins) {
    if (bin.examples == 0) continue;
    const auto size = static_cast<double>(bin.examples);
    bin.confidence /= size;
    bin.accuracy /= size;
    facts.expected_calibration_error +=
        size / static_cast<double>(examples) * std::abs(bin.accuracy - bin.confidence);
  }
  std::ranges::stable_sort(facts.mistakes, std::greater(), &Mistake::probability);
  if (facts.mistakes.size() > most_mistakes) facts.mistakes.resize(most_mistakes);
}

using ModulePointer = std::shared_ptr<nn::ModuleState>;

/// The module and those within that have weights over images.
std::vector<ModulePointer> convolutions_in(const ModulePointer& module) {
  std::vector<ModulePointer> found;
  const bool convolves = std::ranges::any_of(
      module->cells, [](const auto& entry) { return entry.cell.value().rank() == 4; });
  if (convolves) found.push_back(module);
  for (const auto& [name, child] : module->children) {
    for (const ModulePointer& each : convolutions_in(child)) found.push_back(each);
  }
  return found;
}

}  // namespace

std::optional<ClassifierFacts> classifier_facts(const ReportInput& input, size_t most_mistakes) {
  const nn::ModeScope mode(input.model, false);
  const no_grad off;
  const OutputMeaning& meaning = input.test.outputs;
  const bool binary = meaning.task == Task::binary && input.test.confusion;
  if (meaning.task != Task::classes && !binary) return {};
  ClassifierFacts facts;
  facts.bins.resize(bin_count);
  const size_t target = input.model.required_operands();
  data::Loader loader(input.data, {.batch_size = 256});
  int64_t example = 0;
  for (const data::Batch& batch : loader) {
    const Tensor output = output_of(input, batch.fields);
    if (meaning.task == Task::classes && output.rank() != 2) return {};  // one for each pixel, say
    const Tensor probabilities = class_probabilities(meaning, output);
    const auto best = max(probabilities, 1).to_vector<double>();
    const auto predicted = argmax(probabilities, 1).to_vector<int64_t>();
    const auto truth = astype(batch[target], DType::i64).to_vector<int64_t>();
    for (size_t i = 0; i < best.size(); ++i, ++example) {
      count(facts.bins, best[i], predicted[i] == truth[i]);
      if (predicted[i] != truth[i]) {
        facts.mistakes.push_back({example, truth[i], predicted[i], best[i]});
      }
    }
  }
  finish(facts, example, most_mistakes);
  return facts;
}

bool are_images(const ModelInfo& info) {
  const auto shape = info.input_shape();
  return shape.size() == 3 && (shape[0] == 1 || shape[0] == 3) && shape[1] > 1 && shape[2] > 1;
}

Tensor to_picture(const Tensor& input, double scale) {
  Tensor pixels = astype(input, DType::f32) / scale;
  const double least = min(pixels).item();
  const double largest = max(pixels).item();
  if (scale == 1 && (least < 0 || largest > 255)) {
    pixels = (pixels - least) * (255 / (largest - least));
  } else if (scale == 1 && largest <= 1) {
    pixels = pixels * 255;
  }
  return astype(clip(round(pixels), 0, 255), DType::u8);
}

FirstLayer first_layer(const ReportInput& input, int64_t most) {
  for (const auto& [name, cell] : input.model.named_parameters()) {
    const Tensor weight = cell.value().detach();
    if (weight.rank() < 2) continue;
    const int64_t count = std::min(weight.size(0), most);
    if (weight.rank() == 4 && weight.size(2) * weight.size(3) == 1) {
      return {.note = "Its filters are of one pixel: there is nothing to see in them."};
    }
    if (weight.rank() == 4) {
      return {.tiles = mean(slice(weight, 0, 0, count), 1)};  // over the input's channels
    }
    const auto shape = input.info.input_shape();
    const bool over_pixels = weight.rank() == 2 && are_images(input.info) &&
                             weight.size(1) == shape[0] * shape[1] * shape[2];
    if (!over_pixels) return {};
    const Tensor rows = contiguous(slice(weight, 0, 0, count));
    return {.tiles = mean(reshape(rows, {count, shape[0], shape[1], shape[2]}), 1)};
  }
  return {};
}

std::optional<RegressionFacts> regression_facts(const ReportInput& input, int64_t most) {
  if (input.test.outputs.task != Task::regression) return {};
  const nn::ModeScope mode(input.model, false);
  const no_grad off;
  RegressionFacts facts;
  const size_t target = input.model.required_operands();
  data::Loader loader(input.data, {.batch_size = 256});
  for (const data::Batch& batch : loader) {
    const Tensor output = output_of(input, batch.fields);
    if (output.numel() != batch.size || batch[target].numel() != batch.size) return {};
    const auto in_own_scale = [&](const Tensor& values) {
      const data::DataForm& form = input.info.form;
      return (astype(values, DType::f64) * form.target_deviation + form.target_mean)
          .to_vector<double>();
    };
    const auto predicted = in_own_scale(output);
    const auto truth = in_own_scale(batch[target]);
    facts.predicted.insert(facts.predicted.end(), predicted.begin(), predicted.end());
    facts.truth.insert(facts.truth.end(), truth.begin(), truth.end());
    if (std::ssize(facts.truth) >= most) break;
  }
  const size_t kept = std::min(facts.truth.size(), static_cast<size_t>(most));
  facts.truth.resize(kept);
  facts.predicted.resize(kept);
  return facts;
}

std::vector<Tensor> example_inputs(const ReportInput& input, int64_t number) {
  return model_inputs(input.model, data::read_batch(*input.data, std::array{number}));
}

Tensor feature_maps(const ReportInput& input, int64_t most) {
  const nn::ModeScope mode(input.model, false);
  const no_grad off;
  Tensor maps;
  std::vector<HookHandle> handles;
  for (const auto& state : convolutions_in(input.model.state())) {
    nn::Module module(state);
    handles.push_back(module.register_forward_hook(
        [&maps](const nn::Module&, const std::vector<Tensor>&, const Tensor& output) {
          if (!maps.defined() && output.rank() == 4) maps = output.detach();
          return Tensor();
        }));
  }
  input.model(example_inputs(input, 0));
  for (HookHandle& handle : handles) handle.remove();
  if (!maps.defined() || maps.size(2) < 2) return {};
  return squeeze(slice(maps, 1, 0, std::min(maps.size(1), most)), 0);
}

}  // namespace taper
