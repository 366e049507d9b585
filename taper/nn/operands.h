// How a module or loss of any type is called with a list of tensors.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <taper/core/fields.h>
#include <taper/core/tensor.h>

namespace taper::nn {

/// As many tensors as a module or loss that is called by name can take or give.
inline constexpr size_t most_operands = 8;

/// The tensors that a module or loss takes: the `required` first ones, and others if they are
/// given.
struct Operands {
  std::vector<std::string> names;
  size_t required = 1;
};

namespace detail {

template <class F, size_t... I>
consteval bool takes_tensors(std::index_sequence<I...>) {
  return requires(F& f, const Tensor& x) { f(((void)I, x)...); };
}

/// Whether `f(x, ...)` of `count` tensors compiles.
template <class F, size_t count>
inline constexpr bool takes = takes_tensors<F>(std::make_index_sequence<count>());

/// The first number of tensors from `count` on that F takes; most_operands + 1 if there is none.
template <class F, size_t count>
consteval size_t least_operands() {
  if constexpr (count > most_operands || takes<F, count>) {
    return count;
  } else {
    return least_operands<F, count + 1>();
  }
}

template <class F, size_t count>
consteval size_t most_operands_from() {
  if constexpr (count < most_operands && takes<F, count + 1>) {
    return most_operands_from<F, count + 1>();
  } else {
    return count;
  }
}

/// Whether it takes tensors as a list, and says which: `Operands operands() const`.
template <class F>
concept TakesList = requires(F& f, std::span<const Tensor> list) {
  f(list);
  { f.operands() } -> std::convertible_to<Operands>;
};

template <class F>
inline constexpr size_t least = least_operands<F, 1>();
template <class F>
inline constexpr size_t most = most_operands_from<F, least<F>>();

template <class F, size_t... I>
decltype(auto) call_with(F& f, std::span<const Tensor> operands, std::index_sequence<I...>) {
  return f(operands[I]...);
}

/// Throws value: "... takes 1 to 3 tensors (input, h_0, c_0), got 4".
[[noreturn]] TAPER_API void fail_count(const std::string& who, const Operands& operands,
                                       size_t count);

/// "x", "x1", "x2", ... behind those that are known.
TAPER_API std::vector<std::string> operand_names(std::span<const std::string_view> known,
                                                 size_t count);

/// What F takes. Its names are those of `static constexpr std::array operands`, if it has one, else
/// `known`, then x, x1, ...
template <class F>
Operands operands_of(const F& f, std::span<const std::string_view> known = {}) {
  if constexpr (TakesList<const F>) {
    return f.operands();
  } else if constexpr (requires { std::span<const std::string_view>(F::operands); }) {
    return {operand_names(F::operands, most<F>), least<F>};
  } else {
    return {operand_names(known, most<F>), least<F>};
  }
}

template <class F>
size_t required_operands(const F& f) {
  if constexpr (requires {
                  { f.required_operands() } -> std::convertible_to<size_t>;
                }) {
    return f.required_operands();
  } else if constexpr (TakesList<const F>) {
    return f.operands().required;
  } else {
    return least<F>;
  }
}

/// The first one; undefined if there is none.
inline Tensor first(std::vector<Tensor> tensors) {
  return tensors.empty() ? Tensor() : std::move(tensors[0]);
}

/// `use` of the result of `f` for these operands; `refuse()` throws where it does not take as many.
template <auto use, class F, class Refuse, size_t count = least<F>>
auto call_with_list(F& f, std::span<const Tensor> operands, const Refuse& refuse) {
  if constexpr (TakesList<F>) {
    return use(f(operands));
  } else {
    if (operands.size() == count) {
      return use(call_with(f, operands, std::make_index_sequence<count>()));
    }
    if constexpr (count < most<F>) {
      return call_with_list<use, F, Refuse, count + 1>(f, operands, refuse);
    } else {
      refuse();
      internal_failure("a refusal", __FILE__, __LINE__);
    }
  }
}

template <class T>
concept TensorTuple = requires { std::tuple_size<T>::value; } && !std::is_array_v<T>;

/// The tensors of what a module gives: a tensor, a vector or tuple of them, or a struct of them.
inline constexpr auto to_tensors = []<class Result>(Result&& result) -> std::vector<Tensor> {
  using R = std::remove_cvref_t<Result>;
  if constexpr (std::convertible_to<Result, Tensor>) {
    return {Tensor(std::forward<Result>(result))};
  } else if constexpr (std::same_as<R, std::vector<Tensor>>) {
    return std::forward<Result>(result);
  } else if constexpr (TensorTuple<R>) {
    return std::apply([](const auto&... each) { return std::vector<Tensor>{each...}; }, result);
  } else {
    return with_fields(result, [](const auto&... each) { return std::vector<Tensor>{each...}; });
  }
};

template <class R>
consteval bool gives_tensors() {
  if constexpr (std::is_void_v<R>) {
    return false;
  } else if constexpr (std::convertible_to<R, Tensor> || std::same_as<R, std::vector<Tensor>>) {
    return true;
  } else if constexpr (TensorTuple<R>) {
    return []<size_t... I>(std::index_sequence<I...>) {
      return (std::convertible_to<std::tuple_element_t<I, R>, Tensor> && ...);
    }(std::make_index_sequence<std::tuple_size<R>::value>());
  } else if constexpr (std::is_aggregate_v<R> && std::is_class_v<R>) {
    return requires(R& result) {
      with_fields(result, [](const std::same_as<Tensor> auto&... each) {
        return std::vector<Tensor>{each...};
      });
    };
  } else {
    return false;
  }
}

/// Whether tensors can be put into such a result; a selection would assign to what it selects.
template <class R>
consteval bool assignable_tensors() {
  return gives_tensors<R>() && (!std::convertible_to<R, Tensor> || std::same_as<R, Tensor>);
}

/// Puts tensors, as many as `to_tensors` gave of it, into such a result.
template <class R>
void assign_tensors(R& result, std::vector<Tensor> tensors) {
  size_t next = 0;
  const auto assign = [&](auto&... each) { ((each = std::move(tensors[next++])), ...); };
  if constexpr (std::same_as<R, std::vector<Tensor>>) {
    result = std::move(tensors);
  } else if constexpr (TensorTuple<R>) {
    std::apply(assign, result);
  } else if constexpr (std::same_as<R, Tensor>) {
    result = std::move(tensors[0]);
  } else {
    with_fields(result, assign);
  }
}

/// What F gives for `least<F>` tensors.
template <class F, size_t... I>
auto result_of(std::index_sequence<I...>)
    -> std::remove_cvref_t<decltype(std::declval<F&>()(((void)I,
                                                        std::declval<const Tensor&>())...))>;

/// Callable with tensors, whose result is made of tensors.
template <class F>
consteval bool maps_tensors() {
  if constexpr (TakesList<F>) {
    return gives_tensors<std::remove_cvref_t<decltype(std::declval<F&>()(
        std::declval<std::span<const Tensor>>()))>>();
  } else if constexpr (least<F> <= most_operands) {
    return gives_tensors<decltype(result_of<F>(std::make_index_sequence<least<F>>()))>();
  } else {
    return false;
  }
}

template <class F>
consteval bool gives_one_tensor() {
  if constexpr (least<F> <= most_operands) {
    return std::convertible_to<decltype(result_of<F>(std::make_index_sequence<least<F>>())),
                               Tensor>;
  } else {
    return false;
  }
}

/// The names of what F gives: the fields of a struct; none for other results.
template <class F>
std::vector<std::string> output_names() {
  if constexpr (!TakesList<F>) {
    using R = decltype(result_of<F>(std::make_index_sequence<least<F>>()));
    if constexpr (!std::convertible_to<R, Tensor> && !std::same_as<R, std::vector<Tensor>> &&
                  !TensorTuple<R>) {
      constexpr auto names = field_names<R>();
      return {names.begin(), names.end()};
    }
  }
  return {};
}

}  // namespace detail
}  // namespace taper::nn
