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

struct TAPER_API SelectOptions {
  Required<int64_t> dim;
  Required<int64_t> index;
};
/// The place `index` of the axis `dim`, which is no more there, as `torch.select`; both count from
/// the end if negative. `Select(1, -1)` behind an LSTM of batch_first is its last step. Throws
/// index for what x does not have.
class TAPER_API Select : public Layer<Select, SelectOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(Flatten)
TAPER_LAYER_TYPE(Select)
