#pragma once

#include <span>
#include <utility>
#include <vector>

#include <taper/graph/packed.h>

// Choices and loops by values. Eagerly the functions themselves run, as by a C++ `if` or `for`. In
// a capture each is recorded once, as an attribute of one node that a replay runs as often as the
// values say. It may use tensors and cells from around it, but neither assign a cell, nor draw
// random numbers, nor use what has a gradient of its own: custom_function, checkpoint, a hook.

namespace taper {

namespace detail {

TAPER_API std::vector<Tensor> cond_of_lists(const Tensor& predicate, FunctionOfTensors then,
                                            FunctionOfTensors otherwise,
                                            const std::vector<Tensor>& operands);
TAPER_API std::vector<Tensor> while_of_lists(FunctionOfTensors condition, FunctionOfTensors body,
                                             const std::vector<Tensor>& initial);

/// The last carried values, then the stacked results of each step.
TAPER_API std::vector<Tensor> scan_of_lists(FunctionOfTensors step,
                                            const std::vector<Tensor>& initial,
                                            const std::vector<Tensor>& xs, bool reverse,
                                            int64_t length);

/// f(x[0], x[1], ...) with its results as a list.
template <class R, size_t count, class F>
std::vector<Tensor> call_with_list(F& f, const std::vector<Tensor>& x) {
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return Packed<R>::pack(f(x[I]...));
  }(std::make_index_sequence<count>());
}

}  // namespace detail

/// then(operands...) if `predicate`, one bool, is true, else otherwise(operands...). Both return
/// the same: a Tensor or a vector, array, pair or tuple of them, of equal dtypes and shapes. Only
/// the chosen one runs; gradients flow to operands and to what the functions use. Throws dtype,
/// shape, value, and unsupported where a captured function assigns a cell or draws random numbers.
template <class Then, class Otherwise, class... X>
  requires(std::convertible_to<const X&, const Tensor&> && ...)
auto cond(const Tensor& predicate, Then then, Otherwise otherwise, const X&... operands) {
  using R = detail::Returned<std::invoke_result_t<Then&, const X&...>>;
  using Other = detail::Returned<std::invoke_result_t<Otherwise&, const X&...>>;
  static_assert(std::is_same_v<R, Other>, "cond: both functions return the same type");
  constexpr size_t count = sizeof...(X);
  const auto first = [&](const std::vector<Tensor>& x) {
    return detail::call_with_list<R, count>(then, x);
  };
  const auto second = [&](const std::vector<Tensor>& x) {
    return detail::call_with_list<R, count>(otherwise, x);
  };
  return detail::Packed<R>::unpack(
      detail::cond_of_lists(predicate, first, second, std::vector<Tensor>{operands...}));
}

/// The values that are left when `condition(values...)`, one bool, is false: they are `initial` at
/// first and body(values...) after each turn, with the same dtypes and shapes. A captured loop has
/// no gradient, since the number of turns is not known; `scan` has one. Throws as `cond` does.
template <class Condition, class Body, class... X>
  requires(std::convertible_to<const X&, const Tensor&> && ...)
auto while_loop(Condition condition, Body body, const X&... initial) {
  using R = detail::Returned<std::invoke_result_t<Body&, const X&...>>;
  constexpr size_t count = sizeof...(X);
  const auto test = [&](const std::vector<Tensor>& x) {
    return detail::call_with_list<Tensor, count>(condition, x);
  };
  const auto turn = [&](const std::vector<Tensor>& x) {
    return detail::call_with_list<R, count>(body, x);
  };
  return detail::Packed<R>::unpack(
      detail::while_of_lists(test, turn, std::vector<Tensor>{initial...}));
}

struct ScanOptions {
  bool reverse = false;  ///< from the last element to the first; results lie at their elements
  int64_t length = -1;   ///< the number of steps, for `xs` without tensors
};

/// Steps along the first axis of `xs`: `auto [carry, y] = step(carry, x)` for each x, with `carry`
/// being `initial` at first. Gives the last carry and the y of all steps, stacked along a new first
/// axis. Carries, xs and ys are each a Tensor or a vector, array, pair or tuple of them; a carry
/// keeps its dtypes and shapes. Differentiable in `initial`, `xs` and what `step` uses; no step at
/// all is recorded to learn what one gives. Throws as `cond`, and shape if `xs` differ in length.
template <class Step, class Carry, class Xs>
auto scan(Step step, const Carry& initial, const Xs& xs, const ScanOptions& options = {}) {
  using C = detail::Returned<Carry>;
  using X = detail::Returned<Xs>;
  using Y = detail::Returned<typename std::invoke_result_t<Step&, const C&, const X&>::second_type>;
  const std::vector<Tensor> carries = detail::Packed<C>::pack(C(initial));
  const std::vector<Tensor> elements = detail::Packed<X>::pack(X(xs));
  const auto split = static_cast<std::ptrdiff_t>(carries.size());
  const auto turn = [&](const std::vector<Tensor>& in) {
    auto [carry, y] = step(detail::Packed<C>::unpack({in.begin(), in.begin() + split}),
                           detail::Packed<X>::unpack({in.begin() + split, in.end()}));
    std::vector<Tensor> out = detail::Packed<C>::pack(C(std::move(carry)));
    for (Tensor& each : detail::Packed<Y>::pack(Y(std::move(y)))) out.push_back(std::move(each));
    return out;
  };
  std::vector<Tensor> out =
      detail::scan_of_lists(turn, carries, elements, options.reverse, options.length);
  return std::pair(detail::Packed<C>::unpack({out.begin(), out.begin() + split}),
                   detail::Packed<Y>::unpack({out.begin() + split, out.end()}));
}

}  // namespace taper
