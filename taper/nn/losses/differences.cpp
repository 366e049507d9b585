#include <taper/nn/losses/differences.h>

#include <taper/nn/hints.h>

namespace taper::nn {

Tensor MSELoss::forward(const Tensor& input, const Tensor& target) const {
  return mse_loss(input, target, options().reduction);
}

std::string MSELoss::hint(const Tensor& input, const Tensor& target) const {
  return hint_for_elements(input, target);
}

Tensor HuberLoss::forward(const Tensor& input, const Tensor& target) const {
  return huber_loss(input, target, options().reduction, options().delta);
}

std::string HuberLoss::hint(const Tensor& input, const Tensor& target) const {
  return hint_for_elements(input, target);
}

}  // namespace taper::nn

TAPER_LOSS(MSELoss, "The mean squared difference.")
TAPER_LOSS(HuberLoss, "Half the squared difference, beyond `delta` a line.")
