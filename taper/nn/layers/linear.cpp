#include <taper/nn/layers/linear.h>

#include <taper/nn/hints.h>
#include <taper/ops/ops.h>

namespace taper::nn {

Tensor Linear::initial(const Shape& shape) const {
  return init::fan_in_uniform(shape, options().in_features);
}

Tensor Linear::forward(const Tensor& x) const { return linear(x, weight.value(), value_of(bias)); }

std::string Linear::hint(const Tensor& x) const {
  if (!x.defined()) return {};
  const int64_t in = options().in_features;
  const auto layer = [&](int64_t features) {
    return "Linear(" + std::to_string(features) + ", " + std::to_string(options().out_features) +
           (options().bias ? ")" : ", false)");
  };
  if (x.rank() == 0) return "x needs an axis of features";
  if (x.shape().back() == in) return hint_for_dtype("x", x, weight.value().dtype());
  if (x.rank() == 1 && in == 1) return "reshape(x, {-1, 1}) would fit";
  const int64_t elements = elements_of_example(x);
  if (x.rank() >= 3 && elements == in) return "Flatten() before it would fit";
  if (x.rank() >= 4) return "Flatten() before it and " + layer(elements) + " would fit";
  return x.shape().back() >= 1 ? layer(x.shape().back()) + " would fit" : "";
}

}  // namespace taper::nn

TAPER_LAYER(Linear, "x @ weight^T + bias.")
