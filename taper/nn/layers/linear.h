#pragma once

#include <taper/nn/init.h>
#include <taper/nn/layer_entry.h>

namespace taper::nn {

struct TAPER_API LinearOptions {
  Required<Positive<int64_t>> in_features;
  Required<Positive<int64_t>> out_features;
  bool bias = true;
};
/// x [..., in_features] to [..., out_features]; weight [out, in] and bias uniform within
/// 1 / sqrt(in_features).
class TAPER_API Linear : public Layer<Linear, LinearOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
  std::string hint(const Tensor& x) const;

  Parameter weight = parameter("weight", initial({options().out_features, options().in_features}));
  Parameter bias = options().bias ? parameter("bias", initial({options().out_features}))
                                  : Parameter();  // no cell without a bias

 private:
  Tensor initial(const Shape& shape) const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(Linear)
