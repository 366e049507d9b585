#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <taper/core/function_ref.h>
#include <taper/ops/tape.h>

namespace taper {

/// The gradients of `targets` from those of `results` (undefined: none), as the tape goes on this
/// thread. The pass ends at the targets: what they were computed from is not visited.
std::vector<Tensor> gradients_until(std::span<const Tensor> results, std::span<const Tensor> grads,
                                    std::span<const Tensor> targets);

/// The gradients of a node's operands through its op's expansion, which runs again, on the tape.
Grads expansion_gradients(const Node& node, const Tensor* grads, const bool* wanted);

/// The gradients of the operands of `function` that are wanted, from those of its results: it runs
/// on the tape, each of these operands under a node of its own. The others' are undefined.
Grads function_gradients(std::vector<Tensor> operands, FunctionRef<bool(size_t)> wanted,
                         std::span<const Tensor> grads,
                         FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function,
                         std::string_view owner);

/// `operand` under a node of its own, whose gradient is that of this use alone; gradients flow on
/// to the operand's node if `outer_tape` says so. `owner` stands in messages.
Tensor own_operand(const Tensor& operand, bool outer_tape, std::string_view owner);

/// What a transform such as `grad(f)` finds.
struct TransformGradients {
  std::vector<Tensor> grads;  // undefined where the loss does not depend on the operand
  bool on_tape = false;       // whether these can be differentiated again
};

/// The gradients of `loss` with respect to `operands`, whose tape nodes belong to the transform
/// alone. They are on the tape if `outer_tape`, the caller's, is on and the loss depends on a leaf
/// other than these: nothing else could differentiate them again.
TransformGradients transform_gradients(const Tensor& loss, std::span<const Tensor> operands,
                                       bool outer_tape);

}  // namespace taper
