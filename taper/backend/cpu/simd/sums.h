// Sums of rows of floats, and of the two parts of complex ones. The order of additions is fixed by
// the sizes alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "taper/backend/cpu/simd/vec.h"

namespace taper::TAPER_ISA {

struct SumOp {
  template <class T>
  TAPER_FN T operator()(T sum, T x) const {
    return sum + x;
  }
};

TAPER_FN Vec<double> load_double(const float* p) {
  const hn::ScalableTag<double> wide;
  return hn::PromoteTo(wide, hn::LoadU(hn::Rebind<float, decltype(wide)>(), p));
}
TAPER_FN Vec<double> load_double(const double* p) { return Vec<double>::load(p); }

/// Folds N registers, then the lanes, always lane i with lane i + half of them, into the first
/// `kept` ones.
template <class Op, size_t kept = 1, class E, size_t N>
TAPER_FN void fold_lanes(Vec<E> (&part)[N], E* lane) {
  constexpr Op op;
#pragma GCC unroll 8
  for (size_t half = N / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (size_t i = 0; i < half; ++i) part[i] = op(part[i], part[i + half]);
  }
  part[0].store(lane);
#pragma GCC unroll 8
  for (size_t half = Vec<E>::kLanes / 2; half >= kept; half /= 2) {
#pragma GCC unroll 8
    for (size_t i = 0; i < half; ++i) lane[i] = op(lane[i], lane[i + half]);
  }
}
template <class Op, class E, size_t N>
TAPER_FN E fold_registers(Vec<E> (&part)[N]) {
  E lane[Vec<E>::kLanes];
  fold_lanes<Op>(part, lane);
  return lane[0];
}

/// The sums of `columns` (1 or 2) neighbouring columns of floats, n elements of all together, in 32
/// lanes of doubles.
template <int64_t columns, class E>
TAPER_FN void sum_together(const E* x, int64_t n, double* sums) {
  constexpr int64_t group = 32;
  constexpr size_t lanes = Vec<double>::kLanes;
  constexpr size_t registers = group / lanes;
  for (int64_t k = 0; k < columns; ++k) sums[k] = 0;
  int64_t i = 0;
  if (n >= group) {
    Vec<double> part[registers] = {
        load_double(x),
        load_double(x + lanes),
        load_double(x + 2 * lanes),
        load_double(x + 3 * lanes),
#if HWY_TARGET == HWY_AVX2
        load_double(x + 4 * lanes),
        load_double(x + 5 * lanes),
        load_double(x + 6 * lanes),
        load_double(x + 7 * lanes),
#endif
    };
    for (i = group; i + group <= n; i += group) {
#pragma GCC unroll 8
      for (size_t k = 0; k < registers; ++k) part[k] += load_double(x + i + k * lanes);
    }
    double lane[lanes];
    fold_lanes<SumOp, columns>(part, lane);
    for (int64_t k = 0; k < columns; ++k) sums[k] = lane[k];
  }
  for (; i < n; ++i) sums[i % columns] += static_cast<double>(x[i]);
}

template <class E>
double sum_row(const E* x, int64_t n) {
  double sum;
  sum_together<1>(x, n, &sum);
  return sum;
}

/// Pairs that lie `step` apart; of a step that the compiler knows it makes shuffles.
template <class E>
TAPER_FN void pack_pairs(const E* __restrict x, int64_t step, E* __restrict to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    to[2 * i] = x[i * step];
    to[2 * i + 1] = x[i * step + 1];
  }
}

/// The two parts of complex numbers, `step` parts apart.
template <class E>
void sum_pairs(const E* x, int64_t n, int64_t step, double* sums) {
  constexpr int64_t piece = 512;
  for (int64_t first = 0; first < n; first += piece) {
    const int64_t count = n - first < piece ? n - first : piece;
    E packed[2 * piece];
    const E* pairs = x + first * step;
    if (step != 2) {
      step == 4 ? pack_pairs(pairs, 4, packed, count) : pack_pairs(pairs, step, packed, count);
      pairs = packed;
    }
    double here[2];
    sum_together<2>(pairs, 2 * count, here);
    sums[0] += here[0];
    sums[1] += here[1];
  }
}

}  // namespace taper::TAPER_ISA
