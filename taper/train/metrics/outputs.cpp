#include <taper/train/metrics/outputs.h>

#include <taper/autograd/autograd.h>
#include <taper/core/error.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

Task task_of(const std::optional<nn::LossMeaning>& loss, const Spec& output, const Spec& target) {
  if (!loss) {
    const bool numbers = is_integer(target.dtype) && output.shape.rank() == target.shape.rank() + 1;
    return numbers && output.shape.rank() >= 2 ? Task::classes : Task::regression;
  }
  if (loss->class_numbers) return Task::classes;
  if (loss->input == OutputScale::values) return Task::regression;
  return is_one_each(output.shape) ? Task::binary : Task::labels;
}

}  // namespace

bool is_one_each(const Shape& shape) {
  return shape.rank() == 1 || (shape.rank() == 2 && shape[1] == 1);
}

OutputMeaning OutputRule::operator()(const Spec& output, const Spec& target) const {
  const std::optional<nn::LossMeaning> known = loss.meaning();
  const Task found = task ? *task : task_of(known, output, target);
  if (found == Task::regression) return {found, OutputScale::values};
  const bool expected = known && known->input == OutputScale::probabilities;
  const bool probabilities = expected || ends_in_probabilities;
  return {found, probabilities ? OutputScale::probabilities : OutputScale::logits};
}

Tensor class_probabilities(const OutputMeaning& meaning, const Tensor& output) {
  const no_grad off;
  const bool done = meaning.scale == OutputScale::probabilities;
  switch (meaning.task) {
    case Task::classes:
      return done ? output : softmax(output, 1);
    case Task::labels:
      return done ? output : sigmoid(output);
    case Task::binary: {
      const Tensor of_one = flatten(done ? output : sigmoid(output));
      return stack({1 - of_one, of_one}, 1);
    }
    case Task::regression:
      break;
  }
  fail(ErrorKind::unsupported, "class_probabilities: a regression has no classes");
}

Tensor predicted_classes(const OutputMeaning& meaning, const Tensor& output) {
  const no_grad off;
  if (meaning.task == Task::classes) return argmax(output, 1);
  if (meaning.task == Task::binary) {
    const double middle = meaning.scale == OutputScale::probabilities ? 0.5 : 0;
    return astype(flatten(output) > middle, DType::i64);
  }
  fail(ErrorKind::unsupported, "predicted_classes: there is no one class for an example");
}

}  // namespace taper
