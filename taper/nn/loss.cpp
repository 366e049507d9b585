#include <taper/nn/loss.h>

#include <algorithm>

namespace taper::nn {

std::optional<TargetFault> label_fault(const Tensor& labels, int64_t classes) {
  int64_t bad = -1;
  int64_t bad_label = 0;
  int64_t largest = 0;
  const Tensor values = contiguous(labels);
  visit_dtype(values.dtype(), [&]<class T>() {
    const T* data = values.data<T>();
    for (int64_t i = 0; i < values.numel(); ++i) {
      const auto label = static_cast<int64_t>(data[i]);
      largest = std::max(largest, label);
      if (bad >= 0 || (label >= 0 && label < classes)) continue;
      bad = i;
      bad_label = label;
    }
  });
  if (bad < 0) return {};
  const bool from_one = bad_label < 0 || largest == classes;
  return TargetFault{
      .element = bad,
      .what = "label " + std::to_string(bad_label),
      .why = "is out of range for " + std::to_string(classes) + " classes; " +
             (from_one ? std::string("labels count from 0")
                       : "the model needs " + std::to_string(largest + 1) + " outputs")};
}

namespace detail {

std::span<const std::string_view> loss_operands() {
  static constexpr std::array<std::string_view, 2> names{"input", "target"};
  return names;
}

}  // namespace detail
}  // namespace taper::nn
