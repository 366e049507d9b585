#include <taper/train/train_step.h>

#include <taper/ops/ops.h>
#include <taper/optim/clipping.h>
#include <taper/train/batch_rules.h>

namespace taper {

TrainStep::TrainStep(const Trainer& trainer, const FitOptions& options)
    : trainer_(trainer), options_(options), update_([this] { update_now(); }) {
  for (const bool begins : {false, true}) learn_.push_back(compiled_learn(begins));
}

Compiled<TrainStep::Learn> TrainStep::compiled_learn(bool begins) {
  return compile(Learn([this, begins](const Tensor& input, const Tensor& target,
                                      const Tensor& weight, const Tensor& share) {
    if (begins) trainer_.optimizer_->zero_grad();
    const auto [loss, output] = trainer_.outcome_of(input, target, weight, &options_, output_);
    (loss * astype(share, loss.dtype())).backward();
    return std::array<Tensor, 2>{loss.detach(), output.detach()};
  }));
}

Trainer::Outcome TrainStep::learn(const data::Batch& batch, bool begins, double share,
                                  std::optional<Spec>& output) {
  if (!options_.compile || options_.detect_anomaly) {
    return learn_now(batch, begins, share, output);
  }
  try {
    auto [loss, result] =
        learn_[begins ? 1 : 0](batch[0], batch[1], weights_of(batch), full({}, share, DType::f64));
    return {std::move(loss), std::move(result)};
  } catch (const Error&) {
    output = output_;
    if (output && batch[1].rank() > 0) output->shape[0] = batch[1].shape()[0];
    throw;
  }
}

Trainer::Outcome TrainStep::learn_now(const data::Batch& batch, bool begins, double share,
                                      std::optional<Spec>& output) {
  if (begins) trainer_.optimizer_->zero_grad();
  Trainer::Outcome outcome =
      trainer_.outcome_of(batch[0], batch[1], weights_of(batch), &options_, output);
  if (share == 1) {
    outcome.loss.backward();
  } else {
    (outcome.loss * share).backward();
  }
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
