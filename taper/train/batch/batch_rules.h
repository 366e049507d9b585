// Private: how a batch is brought to the model and its loss.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/error.h>
#include <taper/nn/any_module.h>
#include <taper/nn/loss.h>
#include <taper/nn/module.h>
#include <taper/ops/ops.h>

namespace taper {

/// The dtype of the model's first floating parameter, f32 if there is none.
inline DType dtype_of_model(const nn::Module& model) {
  for (const State& cell : model.parameters()) {
    if (is_float(cell.value().dtype())) return cell.value().dtype();
  }
  return DType::f32;
}

/// Floating inputs in the model's dtype.
inline std::vector<Tensor> fit_inputs(std::vector<Tensor> inputs, const nn::Module& model) {
  const DType dtype = dtype_of_model(model);
  for (Tensor& input : inputs) {
    if (is_float(input.dtype()) && input.dtype() != dtype) input = astype(input, dtype);
  }
  return inputs;
}

/// The first fields of a batch as the operands that the model must have.
inline std::vector<Tensor> model_inputs(const nn::AnyModule& model,
                                        std::span<const Tensor> fields) {
  const std::span<const Tensor> first = fields.first(model.required_operands());
  return fit_inputs({first.begin(), first.end()}, model);
}

/// Targets [N] for outputs [N,1], or the other way round, in the shape of the outputs.
inline Tensor fit_target(const Tensor& target, const Shape& output) {
  Shape longer = target.shape();
  longer.push_back(1);
  Shape shorter = output;
  shorter.push_back(1);
  const bool differ_by_one_axis = longer == output || shorter == target.shape();
  return differ_by_one_axis ? reshape(target, output) : target;
}

/// The first targets as the loss takes them.
inline Tensor target_for(const nn::AnyLoss& loss, const Tensor& target, const Shape& output) {
  const std::optional<nn::LossMeaning> meaning = loss.meaning();
  return meaning && meaning->class_numbers ? target : fit_target(target, output);
}

/// Throws value for no output. `pass` is `fit` or `evaluate`.
inline void check_output(std::string_view pass, const Tensor& output) {
  if (output.defined()) return;
  fail(ErrorKind::value, std::string(pass) + ": the model's output is undefined");
}

/// Throws value for a loss that is not one number.
inline void check_loss(std::string_view pass, const Tensor& loss) {
  if (!loss.defined()) fail(ErrorKind::value, std::string(pass) + ": the loss is undefined");
  if (loss.numel() == 1) return;
  fail(ErrorKind::value, std::string(pass) + ": the loss must be one number, it is " +
                             to_string(loss.spec()) + "; use its reduction \"mean\"");
}

}  // namespace taper
