#include <taper/nn/layers/conv.h>

#include <taper/nn/hints.h>
#include <taper/ops/ops.h>

namespace taper::nn {

void Conv2dOptions::check(std::string_view owner) const {
  check_rule(in_channels % groups == 0 && out_channels % groups == 0, owner,
             "`groups` must divide in_channels and out_channels", groups.value());
}

Shape Conv2d::weight_shape() const {
  const Size2 kernel = options().kernel_size;
  return {options().out_channels, options().in_channels / options().groups, kernel[0], kernel[1]};
}

Tensor Conv2d::initial(const Shape& shape) const {
  return init::fan_in_uniform(shape, weight_shape().numel() / options().out_channels);
}

Tensor Conv2d::forward(const Tensor& x) const {
  const Conv2dOptions& o = options();
  return conv2d(x, weight.value(), value_of(bias), o.stride.value(), o.padding.value(),
                o.dilation.value(), o.groups);
}

std::string Conv2d::hint(const Tensor& x) const {
  if (!x.defined()) return {};
  const int64_t channels = options().in_channels;
  if (x.rank() != 4) return hint_for_images(x, channels);
  if (x.size(1) != channels) {
    if (x.size(3) == channels) return "x looks like [N,H,W,C]: permute_dims(x, {0, 3, 1, 2})";
    return "in_channels " + std::to_string(x.size(1)) + " would fit";
  }
  const std::string dtype = hint_for_dtype("x", x, weight.value().dtype());
  if (!dtype.empty()) return dtype;
  return "the image is smaller than the kernel: pool less before it, or pad it";
}

}  // namespace taper::nn

TAPER_LAYER(Conv2d, "Convolution of images [N,C,H,W].")
