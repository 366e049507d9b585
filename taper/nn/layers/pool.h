#pragma once

#include <optional>

#include <taper/nn/layer_entry.h>
#include <taper/nn/size2.h>

namespace taper::nn {

struct TAPER_API MaxPool2dOptions {
  Required<Positive<Size2>> kernel_size;
  std::optional<Positive<Size2>> stride = {};  ///< the kernel's size
  NonNegative<Size2> padding = 0;
};
class TAPER_API MaxPool2d : public Layer<MaxPool2d, MaxPool2dOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
  std::string hint(const Tensor& x) const;
};

struct TAPER_API AvgPool2dOptions {
  Required<Positive<Size2>> kernel_size;
  std::optional<Positive<Size2>> stride = {};  ///< the kernel's size
  NonNegative<Size2> padding = 0;
  bool count_include_pad = true;
};
class TAPER_API AvgPool2d : public Layer<AvgPool2d, AvgPool2dOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
  std::string hint(const Tensor& x) const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(MaxPool2d)
TAPER_LAYER_TYPE(AvgPool2d)
