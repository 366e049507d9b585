#include <taper/train/batch/class_weights.h>

#include <algorithm>

#include <taper/core/error.h>

namespace taper {
namespace {

constexpr int64_t most_classes = 1 << 20;

/// The class number of each example.
std::vector<int64_t> labels_of(const data::Dataset& dataset) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const std::vector<Tensor> fields = dataset.get(i);
    const bool is_number = fields.size() > 1 && fields[1].numel() == 1;
    const double value = is_number ? fields[1].item() : -1;
    if (value < 0 || value >= most_classes ||
        value != static_cast<double>(static_cast<int64_t>(value))) {
      fail(ErrorKind::value, "balanced class weights: example " + std::to_string(i) +
                                 " has no class number as its second field");
    }
    labels.push_back(static_cast<int64_t>(value));
  }
  return labels;
}

}  // namespace

std::vector<double> balanced_class_weights(const data::Dataset& dataset) {
  const std::vector<int64_t> labels = labels_of(dataset);
  int64_t classes = std::ssize(dataset.class_names());
  for (const int64_t label : labels) classes = std::max(classes, label + 1);
  std::vector<int64_t> counts(static_cast<size_t>(classes));
  for (const int64_t label : labels) ++counts[static_cast<size_t>(label)];
  const auto present =
      static_cast<double>(std::ranges::count_if(counts, [](int64_t n) { return n > 0; }));
  std::vector<double> weights;
  for (const int64_t count : counts) {
    const double share = present * static_cast<double>(count);
    weights.push_back(count == 0 ? 1 : static_cast<double>(labels.size()) / share);
  }
  return weights;
}

}  // namespace taper
