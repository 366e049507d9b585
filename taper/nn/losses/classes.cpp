#include <taper/nn/losses/classes.h>

#include <algorithm>

#include <taper/core/value.h>
#include <taper/nn/hints.h>

namespace taper::nn {
namespace {

std::optional<TargetFault> probability_fault(const Tensor& target, std::string_view loss) {
  std::optional<TargetFault> fault;
  const Tensor all = contiguous(target);
  visit_dtype(all.dtype(), [&]<class T>() {
    const std::span values(all.data<T>(), static_cast<size_t>(all.numel()));
    const auto is_outside = [](T each) {
      const auto value = static_cast<double>(each);
      return !(value >= 0 && value <= 1);
    };
    const auto found = std::ranges::find_if(values, is_outside);
    if (found == values.end()) return;
    const auto value = static_cast<double>(*found);
    const char* fix = value == -1  ? "; (target + 1) / 2 makes 0 and 1 of -1 and 1"
                      : value == 2 ? "; target - 1 makes 0 and 1 of 1 and 2"
                                   : "";
    fault = {.element = found - values.begin(),
             .what = "target " + print_real(value),
             .why = "is outside [0, 1], as " + std::string(loss) + " needs it" + fix};
  });
  return fault;
}

}  // namespace

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

std::optional<TargetFault> CrossEntropyLoss::find_fault(const Spec& output,
                                                        std::span<const Tensor> targets) const {
  const bool has_classes = output.shape.rank() >= 2 && is_integer(targets[0].dtype());
  return has_classes ? label_fault(targets[0], output.shape[1]) : std::nullopt;
}

Tensor BCELoss::forward(const Tensor& input, const Tensor& target) const {
  return binary_cross_entropy(input, target, options().reduction);
}

std::string BCELoss::hint(const Tensor& input, const Tensor& target) const {
  return hint_for_elements(input, target);
}

std::optional<TargetFault> BCELoss::find_fault(const Spec&, std::span<const Tensor> targets) const {
  return probability_fault(targets[0], type_name);
}

Tensor BCEWithLogitsLoss::forward(const Tensor& input, const Tensor& target) const {
  return binary_cross_entropy_with_logits(input, target, options().reduction);
}

std::string BCEWithLogitsLoss::hint(const Tensor& input, const Tensor& target) const {
  return hint_for_elements(input, target);
}

std::optional<TargetFault> BCEWithLogitsLoss::find_fault(const Spec&,
                                                         std::span<const Tensor> targets) const {
  return probability_fault(targets[0], type_name);
}

}  // namespace taper::nn

TAPER_LOSS(CrossEntropyLoss, "Negative log-likelihood of class indices, from logits.")
TAPER_LOSS(BCELoss, "Binary cross-entropy of probabilities and targets.")
TAPER_LOSS(BCEWithLogitsLoss, "Binary cross-entropy of logits and targets.")
