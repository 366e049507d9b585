#pragma once

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "taper/backend/cpu/simd/dual.h"
#include "taper/core/dtype.h"

namespace taper {

// What a functor says of itself, by static members that are true:
//   selects        its first operand is a mask
//   compares       it returns a mask
//   takes_integers it also works on integers
//   only_integers  and on nothing else
//   takes_complex  it also works on complex numbers
//   signless       the low bits of its result do not depend on the signs of integers
//   dual_gradient  dual numbers make its gradient; otherwise its row says one
//   scalar         it takes numbers one at a time, no vectors
// What it returns tells the element type of its result: bool of a comparison, a real number where
// it takes a complex one. And `results = M` if it returns std::array<T, M> or, where it is scalar,
// a tuple of M numbers, such as std::tuple<T, int32_t>.
template <class F>
inline constexpr bool selects = requires { F::selects; };
template <class F>
inline constexpr bool compares = requires { F::compares; };
template <class F>
inline constexpr bool only_integers = requires { F::only_integers; };
template <class F>
inline constexpr bool takes_integers = requires { F::takes_integers; } || only_integers<F>;
template <class F>
inline constexpr bool takes_complex = requires { F::takes_complex; };
template <class F>
inline constexpr bool signless = requires { F::signless; };
template <class F>
inline constexpr bool dual_gradient = requires { F::dual_gradient; };
template <class F>
inline constexpr bool scalar = requires { F::scalar; };
template <class F>
inline constexpr size_t results = 1;
template <class F>
  requires requires { F::results; }
inline constexpr size_t results<F> = F::results;

/// Operands of a functor, its mask included.
inline constexpr size_t most_functor_operands = 12;

namespace detail {

template <class F, class T, class... Ts>
constexpr size_t count_operands() {
  static_assert(sizeof...(Ts) <= most_functor_operands, "a functor takes T once or more");
  if constexpr (std::is_invocable_v<const F&, T, Ts...>) {
    return 1 + sizeof...(Ts);
  } else if constexpr (std::is_invocable_v<const F&, bool, T, Ts...>) {
    return 2 + sizeof...(Ts);
  } else {
    return count_operands<F, T, T, Ts...>();
  }
}

}  // namespace detail

/// How many operands the functor takes (a mask included): counted with double or int64_t, unless it
/// says so.
template <class F>
inline constexpr size_t arity =
    detail::count_operands<F, std::conditional_t<only_integers<F>, long long, double>>();
template <class F>
  requires requires { F::operand_count; }
inline constexpr size_t arity<F> = F::operand_count;

namespace detail {

template <class F, size_t... K>
constexpr bool returns_real(std::index_sequence<K...>) {
  return std::is_same_v<decltype(std::declval<const F&>()(
                            (void(K), std::declval<const Complex<double>&>())...)),
                        double>;
}

}  // namespace detail

/// Whether it gives a real number of complex ones.
template <class F>
inline constexpr bool gives_real = false;
template <class F>
  requires(takes_complex<F> && !selects<F>)
inline constexpr bool gives_real<F> = detail::returns_real<F>(std::make_index_sequence<arity<F>>());

/// g * dF/dx_I at x, by dual numbers.
template <class F, size_t I>
struct Derivative {
  F f;

  template <class T, class... Ts>
  TAPER_FN T operator()(const T& g, const Ts&... x) const {
    return apply(g, std::index_sequence_for<Ts...>(), x...);
  }

 private:
  template <class T, size_t... K, class... Ts>
  TAPER_FN T apply(const T& g, std::index_sequence<K...>, const Ts&... x) const {
    return g * f(fn::Dual<T>(x, T(K == I ? 1.0 : 0.0))...).derivative;
  }
};

template <class F, size_t I>
inline constexpr size_t arity<Derivative<F, I>> = arity<F> + 1;
}  // namespace taper
