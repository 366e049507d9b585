#include <taper/nn/losses/classes.h>

#include <taper/nn/hints.h>

namespace taper::nn {

Tensor CrossEntropyLoss::forward(const Tensor& input, const Tensor& target) const {
  return cross_entropy(input, target, options().reduction);
}

std::string CrossEntropyLoss::hint(const Tensor& input, const Tensor& target) const {
  if (!input.defined() || !target.defined()) return {};
  if (!is_float(input.dtype())) return hint_for_dtype("input", input, DType::f32);
  if (input.rank() < 2) {
    return input.shape() == target.shape() ? "one number an example: BCEWithLogitsLoss takes it"
                                           : "";
  }
  Shape wanted = input.shape();
  wanted.erase(1);
  if (target.shape() == input.shape() && input.size(1) > 1) {
    return "target looks one-hot: argmax(target, 1) would fit";
  }
  if (target.shape() == wanted) return hint_for_dtype("target", target, DType::i64);
  if (target.rank() == 2 && target.size(1) == 1 && input.rank() == 2) {
    return is_integer(target.dtype()) ? "squeeze(target, 1) would fit"
                                      : "squeeze(astype(target, DType::i64), 1) would fit";
  }
  if (input.rank() > 2 && target.rank() == 1) {
    return "the output has axes behind its classes: Flatten() in the model would fit";
  }
  return {};
}

Tensor BCELoss::forward(const Tensor& input, const Tensor& target) const {
  return binary_cross_entropy(input, target, options().reduction);
}

std::string BCELoss::hint(const Tensor& input, const Tensor& target) const {
  return hint_for_elements(input, target);
}

Tensor BCEWithLogitsLoss::forward(const Tensor& input, const Tensor& target) const {
  return binary_cross_entropy_with_logits(input, target, options().reduction);
}

std::string BCEWithLogitsLoss::hint(const Tensor& input, const Tensor& target) const {
  return hint_for_elements(input, target);
}

}  // namespace taper::nn

TAPER_LOSS(CrossEntropyLoss, "Negative log-likelihood of class indices, from logits.")
TAPER_LOSS(BCELoss, "Binary cross-entropy of probabilities and targets.")
TAPER_LOSS(BCEWithLogitsLoss, "Binary cross-entropy of logits and targets.")
