// Walks over a row that is folded in 128 bytes of lanes on every instruction set, so that AVX2 and
// AVX-512 give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "taper/backend/cpu/simd/vec.h"

namespace taper::TAPER_ISA {

template <class E>
constexpr int64_t lanes_of = static_cast<int64_t>(Vec<E>::kLanes);

/// Loads up to a whole vector, `fill` in the lanes beyond `count`.
template <class E>
TAPER_FN Vec<E> load_or(const E* p, int64_t count, Vec<E> fill) {
  using Tag = typename Vec<E>::Tag;
  if (count >= lanes_of<E>) return Vec<E>::load(p);
  const auto mask = hn::FirstN(Tag(), static_cast<size_t>(count));
  return hn::IfThenElse(mask, hn::MaskedLoad(mask, Tag(), p), fill.raw);
}

template <class E>
TAPER_FN void store_some(Vec<E> x, E* p, int64_t count) {
  if (count >= lanes_of<E>) {
    x.store(p);
  } else {
    x.store_first(p, static_cast<size_t>(count));
  }
}

/// Calls `f(i, count, register)` for the vectors of n elements; the register is i / lanes modulo
/// the registers in 128 bytes, a constant in the unrolled loop.
template <class E, class F>
TAPER_FN void for_vectors(int64_t n, F f) {
  constexpr int64_t lanes = lanes_of<E>;
  constexpr int64_t registers = 128 / static_cast<int64_t>(sizeof(E)) / lanes;
  int64_t i = 0;
  for (; i + registers * lanes <= n; i += registers * lanes) {
#pragma GCC unroll 4
    for (int64_t k = 0; k < registers; ++k) f(i + k * lanes, lanes, k);
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < registers; ++k) {
    if (i < n) f(i, n - i < lanes ? n - i : lanes, k);
    i += lanes;
  }
}

template <class E>
struct Registers {
  static constexpr size_t count = 128 / sizeof(E) / Vec<E>::kLanes;
  Vec<E> at[count];
};

template <class E>
TAPER_FN Registers<E> fill_registers(Vec<E> x) {
  if constexpr (Registers<E>::count == 4) {
    return {{x, x, x, x}};
  } else {
    return {{x, x}};
  }
}

struct Add {
  template <class V>
  TAPER_FN V operator()(V a, V b) const {
    return hn::Add(a, b);
  }
};
/// A NaN on either side gives `b`.
struct Max {
  template <class V>
  TAPER_FN V operator()(V a, V b) const {
    return hn::Max(a, b);
  }
};

/// Folds the lanes of a vector, always lane i with lane i + half of them.
template <class D, class V, class Op>
TAPER_FN hn::TFromD<D> fold_lanes(D, V x, Op op) {
  if constexpr (hn::MaxLanes(D()) * sizeof(hn::TFromD<D>) > 16) {
    const hn::Half<D> half;
    return fold_lanes(half, op(hn::LowerHalf(half, x), hn::UpperHalf(half, x)), op);
  } else if constexpr (sizeof(hn::TFromD<D>) == 8) {
    return hn::GetLane(op(x, hn::Shuffle01(x)));
  } else {
    const V pair = op(x, hn::Shuffle1032(x));
    return hn::GetLane(op(pair, hn::Shuffle2301(pair)));
  }
}

template <class E, class Op>
TAPER_FN E fold(Registers<E> part, Op op) {
#pragma GCC unroll 4
  for (size_t half = Registers<E>::count / 2; half > 0; half /= 2) {
#pragma GCC unroll 4
    for (size_t i = 0; i < half; ++i) part.at[i] = op(part.at[i].raw, part.at[i + half].raw);
  }
  return fold_lanes(typename Vec<E>::Tag(), part.at[0].raw, op);
}

}  // namespace taper::TAPER_ISA
