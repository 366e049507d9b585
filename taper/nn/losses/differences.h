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

struct TAPER_API HuberLossOptions {
  Reduction reduction = Reduction::mean;
  Positive<double> delta = 1;  ///< where the square ends and the line begins
};
/// Of predictions and targets of one shape: d^2 / 2 of differences d up to `delta`, beyond it
/// delta (|d| - delta / 2). Huber, "Robust estimation of a location parameter" (1964).
class TAPER_API HuberLoss : public Layer<HuberLoss, HuberLossOptions> {
 public:
  using Layer::Layer;
  static constexpr LossMeaning meaning{.input = OutputScale::values};
  Tensor forward(const Tensor& input, const Tensor& target) const;
  std::string hint(const Tensor& input, const Tensor& target) const;
};

}  // namespace taper::nn

TAPER_LOSS_TYPE(MSELoss)
TAPER_LOSS_TYPE(HuberLoss)
