#pragma once

#include <taper/nn/layer_entry.h>

namespace taper::nn {

struct TAPER_API FlattenOptions {
  int64_t start_dim = 1;
  int64_t end_dim = -1;
};
/// The axes from start_dim to end_dim become one.
class TAPER_API Flatten : public Layer<Flatten, FlattenOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(Flatten)
