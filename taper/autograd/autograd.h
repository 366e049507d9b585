#pragma once

#include <functional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <taper/core/state.h>
#include <taper/core/tensor.h>
#include <taper/ops/tape_mode.h>

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

namespace detail {

template <class F, size_t... I>
constexpr bool takes_tensors(std::index_sequence<I...>) {
  return std::is_invocable_r_v<Tensor, F&, decltype((void(I), std::declval<const Tensor&>()))...>;
}
/// How many tensors f takes, each as an operand of its own: 0 if it takes none of its own.
template <class F, size_t count = 1>
constexpr size_t operand_count() {
  // A generic function is asked for tensors first: its body may not compile for a list.
  if constexpr (takes_tensors<F>(std::make_index_sequence<count>())) {
    return count;
  } else if constexpr (count < 8) {
    return operand_count<F, count + 1>();
  } else {
    return 0;
  }
}
template <class F>
concept PlainFunction = operand_count<std::decay_t<F>>() > 0;

template <class F>
TensorFunction of_list(F f) {
  return [f = std::move(f)](const std::vector<Tensor>& x) mutable -> Tensor {
    return [&]<size_t... I>(std::index_sequence<I...>) -> Tensor {
      return f(x[I]...);
    }(std::make_index_sequence<operand_count<F>()>());
  };
}

/// A function of a list of `count` tensors as one of that many operands.
template <class Function, size_t count>
struct OfOperands {
  Function function;
  template <class... X>
    requires(sizeof...(X) == count && (std::is_convertible_v<const X&, Tensor> && ...))
  auto operator()(const X&... x) const {
    return function(std::vector<Tensor>{x...});
  }
};

TAPER_API TensorFunction grad_of_list(TensorFunction f, size_t argnum);
TAPER_API std::function<std::pair<Tensor, std::vector<Tensor>>(const std::vector<Tensor>&)>
value_and_grad_of_list(TensorFunction f, std::vector<size_t> argnums);

/// Functions of a list of tensors.
template <class F>
concept ListFunction = !PlainFunction<F> && std::convertible_to<F, TensorFunction>;

}  // namespace detail

/// The function that gives f's gradient with respect to operand `argnum`: `grad(f)({x})`; zeros
/// where f does not depend on it. Every call differentiates operands of its own, which only f's
/// uses of its operand reach: transforms nest in any way, `grad(grad(f))` or an f that calls
/// `grad`. If the tape is on and f depends on anything else that requires a gradient, or the
/// operand does, the result is on the tape, also with respect to that. Throws what f throws, shape
/// if f does not give one element, index for an operand that is not there, dtype for one without
/// gradients.
template <detail::ListFunction F>
TensorFunction grad(F f, size_t argnum = 0) {
  return detail::grad_of_list(std::move(f), argnum);
}

/// The same of a function of one or more tensors: `grad([](const Tensor& x) { ... })(x)`. The
/// gradient takes the operands that f takes.
template <detail::PlainFunction F>
auto grad(F f, size_t argnum = 0) {
  constexpr size_t count = detail::operand_count<F>();
  return detail::OfOperands<TensorFunction, count>{
      detail::grad_of_list(detail::of_list(std::move(f)), argnum)};
}

/// The function that gives {f(x...), gradients with respect to operands `argnums`}.
template <detail::ListFunction F>
std::function<std::pair<Tensor, std::vector<Tensor>>(const std::vector<Tensor>&)> value_and_grad(
    F f, std::vector<size_t> argnums = {0}) {
  return detail::value_and_grad_of_list(std::move(f), std::move(argnums));
}
/// The same of a function of one or more tensors: `auto [y, grads] = value_and_grad(f)(x);`.
template <detail::PlainFunction F>
auto value_and_grad(F f, std::vector<size_t> argnums = {0}) {
  using Function =
      std::function<std::pair<Tensor, std::vector<Tensor>>(const std::vector<Tensor>&)>;
  constexpr size_t count = detail::operand_count<F>();
  return detail::OfOperands<Function, count>{
      detail::value_and_grad_of_list(detail::of_list(std::move(f)), std::move(argnums))};
}

}  // namespace taper
