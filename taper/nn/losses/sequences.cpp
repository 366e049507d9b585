#include <taper/nn/losses/sequences.h>

#include <taper/nn/hints.h>

namespace taper::nn {

Tensor CTCLoss::forward(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                        const Tensor& target_lengths) const {
  return ctc_loss(log_probs, targets, input_lengths, target_lengths, options().blank,
                  options().reduction, options().zero_infinity);
}

std::string CTCLoss::hint(const Tensor& log_probs, const Tensor& targets,
                          const Tensor& input_lengths, const Tensor& target_lengths) const {
  for (const Tensor* each : {&log_probs, &targets, &input_lengths, &target_lengths}) {
    if (!each->defined()) return {};
  }
  if (!is_float(log_probs.dtype())) return hint_for_dtype("log_probs", log_probs, DType::f32);
  if (!is_integer(targets.dtype())) return hint_for_dtype("targets", targets, DType::i64);
  const int64_t batch = input_lengths.numel();
  const bool batch_first =
      log_probs.rank() == 3 && log_probs.size(0) == batch && log_probs.size(1) != batch;
  return batch_first ? "log_probs look batch-first: permute_dims(log_probs, {1, 0, 2}) would fit"
                     : "";
}

}  // namespace taper::nn

TAPER_LOSS(CTCLoss, "-log of the probability of labels over all their alignments with frames.")
