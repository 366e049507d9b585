#include <taper/train/batch/batch_loss.h>

#include <taper/train/batch/batch_rules.h>
#include <taper/train/batch/weighting.h>

namespace taper {

BatchResult BatchLoss::operator()(std::string_view pass, std::span<const Tensor> fields,
                                  std::optional<Spec>& seen) const {
  BatchParts parts = roles_.parts(fields);
  const std::vector<Tensor> outputs = model_(fit_inputs(std::move(parts.inputs), model_));
  const Tensor output = nn::detail::first(outputs);
  check_output(pass, output);
  seen = output.spec();
  parts.targets[0] = target_for(loss_, parts.targets[0], output.shape());
  const auto operands = roles_.loss_operands(pass, outputs, parts.targets);
  Tensor loss = loss_of_batch(loss_, operands, roles_.outputs(), parts.weight, class_weight_);
  return {std::move(loss), output};
}

Tensor BatchLoss::target(std::span<const Tensor> fields, const Shape& output) const {
  return target_for(loss_, fields[roles_.target()], output);
}

}  // namespace taper
