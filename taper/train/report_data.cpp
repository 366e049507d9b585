#include <taper/train/report_data.h>

#include <algorithm>
#include <cmath>

#include <taper/autograd/autograd.h>
#include <taper/data/loader.h>
#include <taper/nn/mode_scope.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

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

}  // namespace

std::optional<ClassifierFacts> classifier_facts(const ReportInput& input, size_t most_mistakes) {
  const nn::ModeScope mode(input.model, false);
  const no_grad off;
  ClassifierFacts facts;
  facts.bins.resize(bin_count);
  data::Loader loader(input.data, {.batch_size = 256});
  int64_t example = 0;
  for (const data::Batch& batch : loader) {
    const Tensor output = input.model(batch[0]);
    const Tensor& target = batch[1];
    if (output.rank() != 2 || target.rank() != 1 || is_float(target.dtype())) return {};
    const Tensor probabilities = softmax(output, 1);
    const auto best = max(probabilities, 1).to_vector<double>();
    const auto predicted = argmax(probabilities, 1).to_vector<int64_t>();
    const auto truth = target.to_vector<int64_t>();
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
  const auto& shape = info.input_shape;
  return shape.size() == 3 && (shape[0] == 1 || shape[0] == 3) && shape[1] > 1 && shape[2] > 1;
}

Tensor to_picture(const Tensor& input, const ModelInfo& info) {
  return astype(clip(round(astype(input, DType::f32) / info.input_scale), 0, 255), DType::u8);
}

Tensor first_filters(const ReportInput& input, int64_t most) {
  for (const auto& [name, cell] : input.model.named_parameters()) {
    const Tensor weight = cell.value().detach();
    const int64_t count = weight.rank() > 0 ? std::min(weight.size(0), most) : 0;
    if (weight.rank() == 4 && weight.size(2) > 1) {
      return mean(slice(weight, 0, 0, count), 1);  // over the input's channels
    }
    if (weight.rank() == 2 && are_images(input.info)) {
      const auto& shape = input.info.input_shape;
      if (weight.size(1) != shape[0] * shape[1] * shape[2]) return {};
      const Tensor rows = contiguous(slice(weight, 0, 0, count));
      return mean(reshape(rows, {count, shape[0], shape[1], shape[2]}), 1);
    }
    if (weight.rank() >= 2) return {};
  }
  return {};
}

Tensor feature_maps(const ReportInput& input, const Tensor& example, int64_t most) {
  const nn::ModeScope mode(input.model, false);
  const no_grad off;
  Tensor maps;
  std::vector<HookHandle> handles;
  for (const auto& [name, child] : input.model.state()->children) {
    nn::Module module(child);
    handles.push_back(module.register_forward_hook(
        [&maps](const nn::Module&, const std::vector<Tensor>&, const Tensor& output) {
          if (!maps.defined() && output.rank() == 4) maps = output.detach();
          return Tensor();
        }));
  }
  input.model(expand_dims(example, 0));
  for (HookHandle& handle : handles) handle.remove();
  if (!maps.defined() || maps.size(2) < 2) return {};
  return squeeze(slice(maps, 1, 0, std::min(maps.size(1), most)), 0);
}

}  // namespace taper
