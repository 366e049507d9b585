#pragma once

#include <taper/nn/layer_entry.h>

namespace taper::nn {

struct TAPER_API DropoutOptions {
  Probability p = 0.5;
};
/// Zeroes elements with probability p in training mode and scales the others by 1 / (1 - p).
class TAPER_API Dropout : public Layer<Dropout, DropoutOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(Dropout)
