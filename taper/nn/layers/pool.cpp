#include <taper/nn/layers/pool.h>

#include <taper/nn/hints.h>
#include <taper/ops/ops.h>

namespace taper::nn {
namespace {

std::optional<Pair> pair_of(const std::optional<Positive<Size2>>& size) {
  return size ? std::optional<Pair>(size->value()) : std::nullopt;
}

std::string hint_for_pool2d(const Tensor& x) {
  if (!x.defined()) return {};
  if (!is_float(x.dtype())) return hint_for_dtype("x", x, DType::f32);
  if (x.rank() != 4) return hint_for_images(x, 0);
  return "the image is smaller than the window: pool less before it, or take a smaller window";
}

}  // namespace

Tensor MaxPool2d::forward(const Tensor& x) const {
  const MaxPool2dOptions& o = options();
  return max_pool2d(x, o.kernel_size.value(), pair_of(o.stride), o.padding.value());
}

std::string MaxPool2d::hint(const Tensor& x) const { return hint_for_pool2d(x); }

Tensor AvgPool2d::forward(const Tensor& x) const {
  const AvgPool2dOptions& o = options();
  return avg_pool2d(x, o.kernel_size.value(), pair_of(o.stride), o.padding.value(),
                    o.count_include_pad);
}

std::string AvgPool2d::hint(const Tensor& x) const { return hint_for_pool2d(x); }

}  // namespace taper::nn

TAPER_LAYER(MaxPool2d, "The maximum of each window.")
TAPER_LAYER(AvgPool2d, "The mean of each window.")
