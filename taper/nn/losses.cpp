#include <taper/nn/losses.h>

#include <taper/nn/hints.h>

namespace taper::nn {

Tensor CrossEntropyLoss::forward(const Tensor& input, const Tensor& target) const {
  return explained([&] { return cross_entropy(input, target, options_.reduction); },
                   [&] { return hint_for_classes(input, target); });
}
Tensor BCELoss::forward(const Tensor& input, const Tensor& target) const {
  return explained([&] { return binary_cross_entropy(input, target, options_.reduction); },
                   [&] { return hint_for_elements(input, target); });
}
Tensor BCEWithLogitsLoss::forward(const Tensor& input, const Tensor& target) const {
  return explained(
      [&] { return binary_cross_entropy_with_logits(input, target, options_.reduction); },
      [&] { return hint_for_elements(input, target); });
}
Tensor MSELoss::forward(const Tensor& input, const Tensor& target) const {
  return explained([&] { return mse_loss(input, target, options_.reduction); },
                   [&] { return hint_for_elements(input, target); });
}

namespace {

template <class L>
using Entry = FactoryFor<AnyLoss, L, LossOptions>;

const Entry<CrossEntropyLoss> cross_entropy_entry{
    CrossEntropyLoss::type_name, "Negative log-likelihood of class indices, from logits."};
const Entry<BCELoss> bce_entry{BCELoss::type_name,
                               "Binary cross-entropy of probabilities and targets."};
const Entry<BCEWithLogitsLoss> bce_logits_entry{BCEWithLogitsLoss::type_name,
                                                "Binary cross-entropy of logits and targets."};
const Entry<MSELoss> mse_entry{MSELoss::type_name, "The mean squared difference."};

}  // namespace
template AnyLoss::AnyLoss(CrossEntropyLoss);
template AnyLoss::AnyLoss(BCELoss);
template AnyLoss::AnyLoss(BCEWithLogitsLoss);
template AnyLoss::AnyLoss(MSELoss);

}  // namespace taper::nn
