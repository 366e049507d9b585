#pragma once

#include <taper/nn/loss.h>

namespace taper::nn {

/// Of predictions and targets of one shape: (input - target)^2.
class TAPER_API MSELoss : public Layer<MSELoss, LossOptions> {
 public:
  using Layer::Layer;
  static constexpr LossMeaning meaning{.input = OutputScale::values, .mean_of_squares = true};
  Tensor forward(const Tensor& input, const Tensor& target) const;
  std::string hint(const Tensor& input, const Tensor& target) const;
};

}  // namespace taper::nn

TAPER_LOSS_TYPE(MSELoss)
