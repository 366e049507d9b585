// Private to the trainer: model and loss on a batch.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <taper/train/batch/fields.h>

namespace taper {

/// What model and loss give for a batch.
struct BatchResult {
  Tensor loss;
  Tensor output;  // the model's first
};

class BatchLoss {
 public:
  /// `class_weight`, if not empty, holds a factor for each class, see
  /// taper/train/batch/weighting.h.
  BatchLoss(nn::AnyModule model, nn::AnyLoss loss, std::vector<double> class_weight = {})
      : model_(std::move(model)),
        loss_(std::move(loss)),
        roles_(model_, loss_),
        class_weight_(std::move(class_weight)) {}

  const FieldRoles& roles() const { return roles_; }
  /// The loss and the output for the fields of a batch, without a look at values: it can be
  /// captured. `seen` is the output's spec as soon as that is known. `pass` is for messages.
  BatchResult operator()(std::string_view pass, std::span<const Tensor> fields,
                         std::optional<Spec>& seen) const;
  /// What an output of this shape is compared with, as the loss takes it.
  Tensor target(std::span<const Tensor> fields, const Shape& output) const;

 private:
  nn::AnyModule model_;
  nn::AnyLoss loss_;
  FieldRoles roles_;
  std::vector<double> class_weight_;
};

}  // namespace taper
