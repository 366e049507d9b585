// Private to the trainer: what a training computes of a batch.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <taper/graph/compile.h>
#include <taper/train/batch/batch_loss.h>
#include <taper/train/fit/trainer.h>

namespace taper {

/// The two functions of a step, which look at no value: the loss of a batch with its gradients, and
/// the update of the parameters. With `FitOptions::compile` both are recorded and replayed.
class TrainStep {
 public:
  TrainStep(const Trainer& trainer, const FitOptions& options);

  /// Adds the gradients of the batch's loss, times `share`, to those that the parameters have, or
  /// begins anew. `output` is the spec of what the model gave, also where the loss refused it.
  BatchResult learn(const data::Batch& batch, bool begins, double share,
                    std::optional<Spec>& output);
  /// Clips the gradients and lets the optimizer step; one that needs it computes the loss of the
  /// batch again, with its gradients clipped alike.
  void update(const data::Batch& batch);
  const BatchLoss& loss() const { return batch_loss_; }

 private:
  // Of the fields of a batch and, as the last one, its share.
  using Learn = std::function<std::array<Tensor, 2>(const std::vector<Tensor>&)>;

  /// `share` undefined: all of it.
  BatchResult learn_now(std::span<const Tensor> fields, bool begins, const Tensor& share,
                        std::optional<Spec>& output);
  Compiled<Learn> compiled_learn(bool begins);
  BatchResult learn_by_mode(const data::Batch& batch, bool begins, double share,
                            std::optional<Spec>& output);
  void clip();
  void minimise(const data::Batch& batch);
  void update_now();

  const Trainer& trainer_;
  const FitOptions& options_;
  BatchLoss batch_loss_;
  Tensor loss_;                         // of the last batch, for an optimizer that minimises it
  std::optional<Spec> output_;          // of the call that was captured last
  std::vector<Compiled<Learn>> learn_;  // by `begins`
  Compiled<std::function<void()>> update_;
};

}  // namespace taper
