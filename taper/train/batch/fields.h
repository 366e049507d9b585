// Private to the trainer: which fields of an example go to the model and which to the loss.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <taper/nn/any_module.h>
#include <taper/nn/loss.h>

namespace taper {

/// A batch's tensors by what they are for.
struct BatchParts {
  std::vector<Tensor> inputs;
  std::vector<Tensor> targets;  // what the loss takes besides the model's outputs
  Tensor weight;                // a factor for each example; undefined without any
};

/// The fields of an example are, in this order: the operands that the model must have, those that
/// the loss must have besides the model's outputs, and a weight, if there is one more.
class FieldRoles {
 public:
  FieldRoles(const nn::AnyModule& model, const nn::AnyLoss& loss);

  size_t inputs() const { return inputs_; }
  size_t targets() const { return names_.size() - inputs_; }
  /// How many of the model's outputs the loss takes.
  size_t outputs() const { return outputs_; }
  /// The field that the first output is compared with.
  size_t target() const { return inputs_; }

  /// Whether examples of so many fields have a weight.
  bool weighted(size_t fields) const { return fields > names_.size(); }
  /// Throws value unless examples can have so many fields. `pass` and `what` name the dataset.
  void check(size_t fields, std::string_view pass, const std::string& what) const;
  /// Of fields whose number was checked.
  BatchParts parts(std::span<const Tensor> fields) const;
  /// The loss's operands: the model's outputs as far as it takes them, then the targets. Throws
  /// value for too few outputs.
  std::vector<Tensor> loss_operands(std::string_view pass, const std::vector<Tensor>& outputs,
                                    const std::vector<Tensor>& targets) const;

 private:
  size_t inputs_ = 1;
  size_t outputs_ = 1;
  std::vector<std::string> names_;  // of inputs and targets
};

}  // namespace taper
