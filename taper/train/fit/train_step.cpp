#include <taper/train/fit/train_step.h>

#include <taper/ops/ops.h>
#include <taper/optim/clipping.h>
#include <taper/train/batch/batch_rules.h>

namespace taper {

TrainStep::TrainStep(const Trainer& trainer, const FitOptions& options)
    : trainer_(trainer), options_(options), update_([this] { update_now(); }) {
  for (const bool begins : {false, true}) learn_.push_back(compiled_learn(begins));
}

Compiled<TrainStep::Learn> TrainStep::compiled_learn(bool begins) {
  return compile(Learn([this, begins](const Tensor& input, const Tensor& target,
                                      const Tensor& weight, const Tensor& share) {
    const auto [loss, output] = learn_now({input, target, weight}, begins, share, output_);
    return std::array<Tensor, 2>{loss.detach(), output.detach()};
  }));
}

Trainer::Outcome TrainStep::learn(const data::Batch& batch, bool begins, double share,
                                  std::optional<Spec>& output) {
  const Operands operands{batch[0], batch[1], weights_of(batch)};
  if (!options_.compile || options_.detect_anomaly) {
    return learn_now(operands, begins, share == 1 ? Tensor() : full({}, share, DType::f64), output);
  }
  try {
    auto [loss, result] = learn_[begins ? 1 : 0](operands.input, operands.target, operands.weight,
                                                 full({}, share, DType::f64));
    return {std::move(loss), std::move(result)};
  } catch (const Error&) {
    output = output_;
    const bool has_rows = output && output->shape.rank() > 0 && operands.target.rank() > 0;
    if (has_rows) output->shape[0] = operands.target.shape()[0];
    throw;
  }
}

Trainer::Outcome TrainStep::learn_now(const Operands& operands, bool begins, const Tensor& share,
                                      std::optional<Spec>& output) {
  if (begins) trainer_.optimizer_->zero_grad();
  Trainer::Outcome outcome =
      trainer_.outcome_of(operands.input, operands.target, operands.weight, &options_, output);
  const Tensor& loss = outcome.loss;
  (share.defined() ? loss * astype(share, loss.dtype()) : loss).backward();
  return outcome;
}

void TrainStep::update() {
  if (options_.compile && !options_.detect_anomaly) {
    update_();
  } else {
    update_now();
  }
}

void TrainStep::update_now() {
  const auto& parameters = trainer_.optimizer_->parameters();
  if (options_.clip_value > 0) optim::clip_grad_value(parameters, options_.clip_value);
  if (options_.clip_norm > 0) optim::clip_grad_norm(parameters, options_.clip_norm);
  trainer_.optimizer_->step();
}

}  // namespace taper
