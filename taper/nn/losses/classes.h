#pragma once

#include <taper/nn/loss.h>

namespace taper::nn {

/// Of logits [N,C,...] and class indices [N,...].
class TAPER_API CrossEntropyLoss : public Layer<CrossEntropyLoss, LossOptions> {
 public:
  using Layer::Layer;
  static constexpr LossMeaning meaning{.input = OutputScale::logits, .class_numbers = true};
  Tensor forward(const Tensor& input, const Tensor& target) const;
  std::string hint(const Tensor& input, const Tensor& target) const;
  std::optional<TargetFault> find_fault(const Spec& output, std::span<const Tensor> targets) const;
};

/// Of probabilities and targets of one shape.
class TAPER_API BCELoss : public Layer<BCELoss, LossOptions> {
 public:
  using Layer::Layer;
  static constexpr LossMeaning meaning{.input = OutputScale::probabilities,
                                       .of_logits = "BCEWithLogitsLoss"};
  Tensor forward(const Tensor& input, const Tensor& target) const;
  std::string hint(const Tensor& input, const Tensor& target) const;
  std::optional<TargetFault> find_fault(const Spec& output, std::span<const Tensor> targets) const;
};

/// Of logits and targets of one shape.
class TAPER_API BCEWithLogitsLoss : public Layer<BCEWithLogitsLoss, LossOptions> {
 public:
  using Layer::Layer;
  static constexpr LossMeaning meaning{.input = OutputScale::logits};
  Tensor forward(const Tensor& input, const Tensor& target) const;
  std::string hint(const Tensor& input, const Tensor& target) const;
  std::optional<TargetFault> find_fault(const Spec& output, std::span<const Tensor> targets) const;
};

}  // namespace taper::nn

TAPER_LOSS_TYPE(CrossEntropyLoss)
TAPER_LOSS_TYPE(BCELoss)
TAPER_LOSS_TYPE(BCEWithLogitsLoss)
