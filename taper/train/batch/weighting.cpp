#include <taper/train/batch/weighting.h>

#include <taper/core/error.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

Tensor weigh_classes(const Tensor& losses, const nn::AnyLoss& loss, const Tensor& output,
                     const Tensor& target, const std::vector<double>& class_weight) {
  const std::optional<nn::LossMeaning> meaning = loss.meaning();
  const bool binary = meaning && !meaning->class_numbers && meaning->input != OutputScale::values;
  const int64_t classes = binary || output.rank() < 2 ? 2 : output.size(1);
  if (std::ssize(class_weight) != classes) {
    fail(ErrorKind::value, "fit: `class_weight` must hold a number for each of the " +
                               std::to_string(classes) + " classes, it holds " +
                               std::to_string(class_weight.size()));
  }
  const Tensor weights =
      astype(from_values<double>({std::ssize(class_weight)}, class_weight), losses.dtype());
  return losses * reshape(take(weights, astype(flatten(target), DType::i64)), losses.shape());
}

Tensor weigh_examples(const Tensor& losses, const Tensor& sample_weight) {
  const int64_t rows = losses.rank() == 0 ? 1 : losses.size(0);
  if (sample_weight.numel() != rows) {
    fail(ErrorKind::shape, "fit: each example needs one weight, the batch has " +
                               std::to_string(rows) + " examples and weights " +
                               to_string(sample_weight.spec()));
  }
  Shape shape{rows};
  while (shape.rank() < losses.rank()) shape.push_back(1);
  return losses * reshape(astype(sample_weight, losses.dtype()), shape);
}

Tensor reduced(const Tensor& losses, Reduction reduction) {
  if (reduction == Reduction::none) return losses;
  return reduction == Reduction::sum ? sum(losses) : mean(losses);
}

}  // namespace

Reduction reduction_of(const nn::AnyLoss& loss) {
  for (const auto& [name, value] : loss.options()) {
    if (name == "reduction") return FieldCodec<Reduction>::from_value(value);
  }
  return Reduction::mean;
}

nn::AnyLoss loss_of_elements(const nn::AnyLoss& loss) {
  const std::optional<nn::LossMeaning> meaning = loss.meaning();
  if (meaning && !meaning->mean_of_elements && reduction_of(loss) == Reduction::mean) {
    fail(ErrorKind::unsupported,
         "fit: " + std::string(loss.type()) +
             " does more than take the mean of its elements, so that it takes no weights; with "
             "`reduction` = sum it does");
  }
  const std::optional<nn::AnyLoss> each = loss.unreduced();
  if (each) return *each;
  fail(ErrorKind::unsupported,
       "fit: weights need the loss of each element, which a loss of your own does not give; "
       "weigh in the loss itself");
}

Tensor loss_of_batch(const nn::AnyLoss& loss, std::span<const Tensor> operands, size_t outputs,
                     const Tensor& sample_weight, const std::vector<double>& class_weight) {
  if (!sample_weight.defined() && class_weight.empty()) return loss(operands);
  Tensor losses = loss_of_elements(loss)(operands);
  if (!class_weight.empty()) {
    losses = weigh_classes(losses, loss, operands[0], operands[outputs], class_weight);
  }
  if (sample_weight.defined()) losses = weigh_examples(losses, sample_weight);
  return reduced(losses, reduction_of(loss));
}

}  // namespace taper
