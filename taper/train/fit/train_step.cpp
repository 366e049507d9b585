#include <taper/train/fit/train_step.h>

#include <utility>

#include <taper/ops/ops.h>
#include <taper/optim/clipping.h>

namespace taper {

TrainStep::TrainStep(const Trainer& trainer, const FitOptions& options)
    : trainer_(trainer),
      options_(options),
      batch_loss_(trainer.model_, trainer.loss_, options.class_weight),
      update_([this] { update_now(); }) {
  for (const bool begins : {false, true}) learn_.push_back(compiled_learn(begins));
}

Compiled<TrainStep::Learn> TrainStep::compiled_learn(bool begins) {
  return compile(Learn([this, begins](const std::vector<Tensor>& operands) {
    const std::span fields(operands.data(), operands.size() - 1);
    const auto [loss, output] = learn_now(fields, begins, operands.back(), output_);
    return std::array<Tensor, 2>{loss.detach(), output.detach()};
  }));
}

BatchResult TrainStep::learn(const data::Batch& batch, bool begins, double share,
                             std::optional<Spec>& output) {
  BatchResult found = learn_by_mode(batch, begins, share, output);
  if (trainer_.optimizer_->needs_closure()) loss_ = found.loss.detach();
  return found;
}

BatchResult TrainStep::learn_by_mode(const data::Batch& batch, bool begins, double share,
                                     std::optional<Spec>& output) {
  if (!options_.compile || options_.detect_anomaly) {
    const Tensor part = share == 1 ? Tensor() : full({}, share, DType::f64);
    return learn_now(batch.fields, begins, part, output);
  }
  try {
    std::vector<Tensor> operands = batch.fields;
    operands.push_back(full({}, share, DType::f64));
    auto [loss, result] = learn_[begins ? 1 : 0](operands);
    return {std::move(loss), std::move(result)};
  } catch (const Error&) {
    output = output_;
    const Tensor& target = batch[batch_loss_.roles().target()];
    const bool has_rows = output && output->shape.rank() > 0 && target.rank() > 0;
    if (has_rows) output->shape[0] = target.shape()[0];
    throw;
  }
}

BatchResult TrainStep::learn_now(std::span<const Tensor> fields, bool begins, const Tensor& share,
                                 std::optional<Spec>& output) {
  if (begins) trainer_.optimizer_->zero_grad();
  BatchResult found = batch_loss_("fit", fields, output);
  Tensor& loss = found.loss;
  if (options_.l1 > 0 || options_.l2 > 0) {
    loss = loss + trainer_.penalty(options_.l1, options_.l2);
  }
  (share.defined() ? loss * astype(share, loss.dtype()) : loss).backward();
  return found;
}

void TrainStep::update(const data::Batch& batch) {
  if (trainer_.optimizer_->needs_closure()) {
    minimise(batch);
  } else if (options_.compile && !options_.detect_anomaly) {
    update_();
  } else {
    update_now();
  }
}

/// Begins with the loss and gradients that `learn` left.
void TrainStep::minimise(const data::Batch& batch) {
  bool first = true;
  trainer_.optimizer_->step([&] {
    std::optional<Spec> output;
    if (!std::exchange(first, false)) loss_ = learn_by_mode(batch, true, 1, output).loss.detach();
    clip();
    return loss_;
  });
}

void TrainStep::update_now() {
  clip();
  trainer_.optimizer_->step();
}

void TrainStep::clip() {
  const auto& parameters = trainer_.optimizer_->parameters();
  if (options_.clip_value > 0) optim::clip_grad_value(parameters, options_.clip_value);
  if (options_.clip_norm > 0) optim::clip_grad_norm(parameters, options_.clip_norm);
}

}  // namespace taper
