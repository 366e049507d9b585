#pragma once

#include <taper/nn/loss.h>

namespace taper::nn {

struct TAPER_API CTCLossOptions {
  NonNegative<int64_t> blank = 0;  ///< the class that stands between labels
  Reduction reduction = Reduction::mean;
  bool zero_infinity = false;  ///< a sequence without an alignment, too long a target, counts 0
};
/// Connectionist temporal classification, for targets whose places in the frames are not known: see
/// `ctc_loss`. Takes log probabilities [T,N,C] (`log_softmax` of the model's outputs), targets
/// [N,S] or those of all sequences in one axis, and the lengths [N] of both; [T,C], [S] and lengths
/// of one element for one sequence. `mean` divides each loss by its target's length first.
///
/// The gradient is the derivative in the log probabilities. PyTorch's supposes that they come from
/// `log_softmax`; behind that the two are equal.
class TAPER_API CTCLoss : public Layer<CTCLoss, CTCLossOptions> {
 public:
  using Layer::Layer;
  static constexpr std::array<std::string_view, 4> operands{"log_probs", "targets", "input_lengths",
                                                            "target_lengths"};
  // No score is compared with a target of its own, and each loss is divided by a length.
  static constexpr LossMeaning meaning{.mean_of_elements = false};
  Tensor forward(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                 const Tensor& target_lengths) const;
  std::string hint(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                   const Tensor& target_lengths) const;
};

}  // namespace taper::nn

TAPER_LOSS_TYPE(CTCLoss)
