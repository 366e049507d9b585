#pragma once

#include <taper/nn/init.h>
#include <taper/nn/layer_entry.h>
#include <taper/nn/size2.h>

namespace taper::nn {

struct TAPER_API Conv2dOptions {
  Required<Positive<int64_t>> in_channels;
  Required<Positive<int64_t>> out_channels;
  Required<Positive<Size2>> kernel_size;
  Positive<Size2> stride = 1;
  NonNegative<Size2> padding = 0;
  Positive<Size2> dilation = 1;
  Positive<int64_t> groups = 1;
  bool bias = true;
  /// Throws value unless the groups divide both numbers of channels.
  void check(std::string_view owner) const;
};
/// Images [N, in_channels, H, W] to [N, out_channels, OH, OW]; weight [out, in / groups, KH, KW]
/// and bias uniform within 1 / sqrt(fan in).
class TAPER_API Conv2d : public Layer<Conv2d, Conv2dOptions> {
 public:
  using Layer::Layer;
  Tensor forward(const Tensor& x) const;
  std::string hint(const Tensor& x) const;

  Parameter weight = parameter("weight", initial(weight_shape()));
  Parameter bias = options().bias ? parameter("bias", initial({options().out_channels}))
                                  : Parameter();  // no cell without a bias

 private:
  Shape weight_shape() const;
  Tensor initial(const Shape& shape) const;
};

}  // namespace taper::nn

TAPER_LAYER_TYPE(Conv2d)
