#pragma once

#include <taper/nn/layer_entry.h>

namespace taper::nn {

/// Layers that apply one function and have no options.
#define TAPER_FUNCTION_LAYER(Name)                       \
  class TAPER_API Name : public Layer<Name, NoOptions> { \
   public:                                               \
    using Layer::Layer;                                  \
    Tensor forward(const Tensor& x) const;               \
  };
TAPER_FUNCTION_LAYER(ReLU)
TAPER_FUNCTION_LAYER(Sigmoid)
TAPER_FUNCTION_LAYER(Tanh)
TAPER_FUNCTION_LAYER(GELU)
TAPER_FUNCTION_LAYER(SiLU)
TAPER_FUNCTION_LAYER(Identity)
#undef TAPER_FUNCTION_LAYER

struct TAPER_API SoftmaxOptions {
  int64_t dim = -1;
};
/// Along one axis exponentials that sum to one.
class TAPER_API Softmax : public Layer<Softmax, SoftmaxOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(ReLU)
TAPER_LAYER_TYPE(Sigmoid)
TAPER_LAYER_TYPE(Tanh)
TAPER_LAYER_TYPE(GELU)
TAPER_LAYER_TYPE(SiLU)
TAPER_LAYER_TYPE(Identity)
TAPER_LAYER_TYPE(Softmax)
