#pragma once

// Included by the per-instruction-set build of a pointwise file (TAPER_ROWS is 0): makes the tile
// tables of its functors. Nothing here may emit a symbol outside namespace TAPER_ISA.

#include <tuple>
#include <type_traits>

#include "taper/backend/cpu/simd/dual.h"
#include "taper/backend/cpu/simd/tile.h"
#include "taper/backend/cpu/tiles.h"
#include "taper/ops/pointwise/derivative.h"

namespace taper::v3 {

/// The tile of integers serves every CPU: such loops wait for memory.
template <class F, class E, size_t N>
void scalar_tile(const void* const* in, void* const* out, size_t n, const void* functor);

}  // namespace taper::v3

namespace taper::TAPER_ISA {

template <class F, class E, size_t... K>
TAPER_FN auto apply_scalar(const F& f, const void* const* in, size_t i, std::index_sequence<K...>) {
  return f(static_cast<const E*>(in[K])[i]...);
}
template <class F, class E, size_t... K>
TAPER_FN auto apply_scalar_select(const F& f, const void* const* in, size_t i,
                                  std::index_sequence<K...>) {
  return f(static_cast<const uint8_t*>(in[0])[i] != 0, static_cast<const E*>(in[K + 1])[i]...);
}

template <class... T>
struct Columns {
  std::tuple<T*...> to;
  explicit TAPER_FN Columns(void* const* out) : Columns(out, std::index_sequence_for<T...>()) {}
  TAPER_FN void put(size_t i, const std::tuple<T...>& y) const {
    put(i, y, std::index_sequence_for<T...>());
  }

 private:
  template <size_t... M>
  TAPER_FN Columns(void* const* out, std::index_sequence<M...>) : to(static_cast<T*>(out[M])...) {}
  template <size_t... M>
  TAPER_FN void put(size_t i, const std::tuple<T...>& y, std::index_sequence<M...>) const {
    ((std::get<M>(to)[i] = std::get<M>(y)), ...);
  }
};
template <class Results>
struct ColumnsOf;
template <class... T>
struct ColumnsOf<std::tuple<T...>> {
  using Type = Columns<T...>;
};

/// A plain loop, which the compiler vectorises once it is told that an output is exactly an input
/// or apart, and that no store changes the pointers.
template <class F, class E, size_t N>
void scalar_tile(const void* const* in, void* const* out, size_t n, const void* functor) {
  const F f = detail::copy_functor<F>(functor);
  const detail::Inputs<N> from(in);
  if constexpr (selects<F>) {
    E* const to = static_cast<E*>(out[0]);
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) {
      to[i] = apply_scalar_select<F, E>(f, from.at, i, std::make_index_sequence<N - 1>());
    }
  } else if constexpr (results<F> > 1) {
    using Result = decltype(apply_scalar<F, E>(f, in, 0, std::make_index_sequence<N>()));
    const typename ColumnsOf<Result>::Type columns(out);
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) {
      columns.put(i, apply_scalar<F, E>(f, from.at, i, std::make_index_sequence<N>()));
    }
  } else {
    using Result = decltype(apply_scalar<F, E>(f, in, 0, std::make_index_sequence<N>()));
    using Out = std::conditional_t<std::is_same_v<Result, bool>, uint8_t, Result>;
    static_assert(std::is_same_v<Out, uint8_t> || std::is_same_v<Out, E> ||
                  std::is_same_v<Out, Real<E>>);
    Out* const to = static_cast<Out*>(out[0]);
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) {
      to[i] = static_cast<Out>(apply_scalar<F, E>(f, from.at, i, std::make_index_sequence<N>()));
    }
  }
}

template <class F, class E, size_t N>
void map_tile(const void* const* in, void* const* out, size_t n, const void* functor) {
  tile<F, E, N>(in, out[0], n, functor);
}
template <class F, class E, size_t N>
void compare_tile(const void* const* in, void* const* out, size_t n, const void* functor) {
  tile_mask<F, E, N>(in, out[0], n, functor);
}
template <class F, class E, size_t N>
void select_tile(const void* const* in, void* const* out, size_t n, const void* functor) {
  tile_select<F, E, N>(in, out[0], n, functor);
}

template <class F, class E>
constexpr Tile float_tile() {
  constexpr size_t n = arity<F>;
  if constexpr (selects<F>) {
    return select_tile<F, E, n>;
  } else if constexpr (compares<F>) {
    return compare_tile<F, E, n>;
  } else if constexpr (results<F> > 1) {
    return tile_multi<F, E, n, results<F>>;
  } else {
    return map_tile<F, E, n>;
  }
}

/// The tile for elements that are stored as T; null where the functor does not take them.
template <class F, class T>
constexpr Tile tile_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return tile_of<F, uint8_t>();
  } else if constexpr (std::is_integral_v<T>) {
    using E = std::conditional_t<signless<F>, std::make_signed_t<T>, T>;
    if constexpr (takes_integers<F>) return v3::scalar_tile<F, E, arity<F>>;
  } else if constexpr (is_complex_type<T>) {
    if constexpr (takes_complex<F>) return scalar_tile<F, T, arity<F>>;
  } else if constexpr (!only_integers<F>) {
    using E = std::conditional_t<std::is_same_v<T, double>, double, float>;
    if constexpr (scalar<F>) {
      return scalar_tile<F, E, arity<F>>;
    } else {
      return float_tile<F, E>();
    }
  }
  return nullptr;
}

template <class F>
constexpr TileSet tile_set() {
  return {{
#define TAPER_DTYPE(name, type, kind, printed, constant) tile_of<F, type>(),
      TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
  }};
}

template <class F, size_t... I>
constexpr void add_derivatives(PointwiseTiles& tiles, std::index_sequence<I...>) {
  ((tiles.grad[I] = tile_set<Derivative<F, I>>()), ...);
}

template <class F>
constexpr PointwiseTiles tiles_for() {
  PointwiseTiles tiles;
  tiles.value = tile_set<F>();
  if constexpr (dual_gradient<F>) add_derivatives<F>(tiles, std::make_index_sequence<arity<F>>());
  return tiles;
}

}  // namespace taper::TAPER_ISA

#define TAPER_TILES(F)                                       \
  namespace TAPER_ISA {                                      \
  extern const PointwiseTiles F##_tiles;                     \
  constinit const PointwiseTiles F##_tiles = tiles_for<F>(); \
  }
