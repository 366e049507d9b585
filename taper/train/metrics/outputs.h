// What the numbers of a model's output mean: its loss says it, model.json keeps it; metrics, the
// report and the commands read it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include <taper/core/fields.h>
#include <taper/core/tensor.h>
#include <taper/nn/loss.h>

namespace taper {

/// What a model is for.
enum class Task : uint8_t {
  classes,     ///< output [N,C,...] a score of each class, target [N,...] class numbers
  binary,      ///< output [N] or [N,1] scores of class 1, target 0 or 1
  labels,      ///< output [N,...] a score of each label, target of that shape, 0 or 1
  regression,  ///< no classes: the loss is all there is
};
template <>
struct EnumNames<Task> {
  static constexpr std::array<std::string_view, 4> names{"classes", "binary", "labels",
                                                         "regression"};
};

struct OutputMeaning {
  Task task = Task::regression;
  OutputScale scale = OutputScale::values;
  bool operator==(const OutputMeaning&) const = default;
};

/// From what the meaning follows, besides the tensors: the loss, the task where the loss does not
/// say it, and whether the model's last op makes probabilities (then no softmax or sigmoid is due,
/// even if the loss expects logits).
struct OutputRule {
  nn::AnyLoss loss;
  std::optional<Task> task = {};
  bool ends_in_probabilities = false;

  /// For a loss that says nothing and no task it is `classes` if the target is of integers and
  /// lacks the output's axis 1, else `regression`.
  TAPER_API OutputMeaning operator()(const Spec& output, const Spec& target) const;
};

/// True for [N] and [N,1].
TAPER_API bool is_one_each(const Shape& shape);

/// The probability of each class or label: of the output's shape, for a binary task [N,2]. Throws
/// unsupported for a regression.
TAPER_API Tensor class_probabilities(const OutputMeaning& meaning, const Tensor& output);

/// The class predicted for each example, i64: the one of the largest output, or for a binary task 1
/// where its probability is above one half. Throws unsupported for labels and regression.
TAPER_API Tensor predicted_classes(const OutputMeaning& meaning, const Tensor& output);

}  // namespace taper
