#pragma once

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <taper/core/state.h>
#include <taper/ops/tape.h>

namespace taper {

/// While it lives, calls on this thread are not recorded.
struct no_grad : TapeMode {
  no_grad() : TapeMode(false) {}
};
/// Records again inside a `no_grad`.
struct enable_grad : TapeMode {
  enable_grad() : TapeMode(true) {}
};

/// The gradients of `loss` (one element, or `grad_loss` given with its shape) with respect to
/// `tensors`, in their order; undefined where the loss does not depend on one. With `create_graph`
/// the gradients are on the tape themselves. The graph is kept if `create_graph` or `keep_graph`.
/// Throws value if `loss` is not on the tape, unsupported with the op's reason where one on the way
/// has no gradient.
TAPER_API std::vector<Tensor> gradients(const Tensor& loss, std::span<const Tensor> tensors,
                                        bool create_graph = false, const Tensor& grad_loss = {},
                                        bool keep_graph = false);
TAPER_API std::vector<Tensor> gradients(const Tensor& loss, const std::vector<Tensor>& tensors,
                                        bool create_graph = false);
/// The same with respect to cells, such as `model.parameters()`.
TAPER_API std::vector<Tensor> gradients(const Tensor& loss, const std::vector<State>& cells,
                                        bool create_graph = false);

using TensorFunction = std::function<Tensor(const std::vector<Tensor>&)>;

/// The function that gives f's gradient with respect to operand `argnum`: `grad(f)({x})`; zeros
/// where f does not depend on it. Every call differentiates operands of its own, which only f's
/// uses of its operand reach: transforms nest in any way, `grad(grad(f))` or an f that calls
/// `grad`. If the tape is on and f depends on anything else that requires a gradient, or the
/// operand does, the result is on the tape, also with respect to that. Throws what f throws, shape
/// if f does not give one element, index for an operand that is not there, dtype for one without
/// gradients.
TAPER_API TensorFunction grad(TensorFunction f, size_t argnum = 0);
/// The function that gives {f(x...), gradients with respect to operands `argnums`}.
TAPER_API std::function<std::pair<Tensor, std::vector<Tensor>>(const std::vector<Tensor>&)>
value_and_grad(TensorFunction f, std::vector<size_t> argnums = {0});

}  // namespace taper
