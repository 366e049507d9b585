// Sums, maxima, minima and positions of extremes over [kept, reduced] matrices. Every order of
// additions is fixed by the sizes alone, so that AVX2 and AVX-512 give the same bits.
#include <cstring>
#include <type_traits>

#include "taper/backend/cpu/kernels.h"
#include "taper/backend/cpu/simd/pack.h"
#include "taper/backend/cpu/simd/rows.h"
#include "taper/backend/cpu/simd/sums.h"
#include "taper/backend/cpu/simd/tile.h"

namespace taper::TAPER_ISA {

extern const ReduceKernels reduce_kernels;

namespace {

template <class T>
using Accumulator =
    std::conditional_t<std::is_floating_point_v<T>, double,
                       std::conditional_t<std::is_same_v<T, uint64_t>, uint64_t, int64_t>>;

/// A NaN is taken, and nothing beats it.
struct MaxOp {
  template <class T>
  TAPER_FN T operator()(T best, T x) const {
    if constexpr (std::is_integral_v<T>) return x > best ? x : best;
    return ((x > best) | (x != x)) ? x : best;
  }
  template <class E>
  TAPER_FN Vec<E> operator()(Vec<E> best, Vec<E> x) const {
    return where((x > best) | (x != x), x, best);
  }
  template <class T>
  static TAPER_FN bool beats(T x, T best) {
    return (x > best) | ((x != x) & (best == best));
  }
};

struct MinOp {
  template <class T>
  TAPER_FN T operator()(T best, T x) const {
    if constexpr (std::is_integral_v<T>) return x < best ? x : best;
    return ((x < best) | (x != x)) ? x : best;
  }
  template <class E>
  TAPER_FN Vec<E> operator()(Vec<E> best, Vec<E> x) const {
    return where((x < best) | (x != x), x, best);
  }
  template <class T>
  static TAPER_FN bool beats(T x, T best) {
    return (x < best) | ((x != x) & (best == best));
  }
};

// ------------------------------------------------------------------------- one contiguous row

/// The maximum or minimum of a row of floats in 256 bytes of lanes: a step waits for the one
/// before.
template <class Op, class E>
E extreme_row(const E* x, int64_t n) {
  constexpr Op op;
  constexpr size_t lanes = Vec<E>::kLanes;
  constexpr size_t registers = 256 / sizeof(E) / lanes;
  constexpr int64_t group = registers * lanes;
  E best = x[0];
  int64_t i = 0;
  if (n >= group) {
    Vec<E> part[registers] = {
        Vec<E>::load(x),
        Vec<E>::load(x + lanes),
        Vec<E>::load(x + 2 * lanes),
        Vec<E>::load(x + 3 * lanes),
#if HWY_TARGET == HWY_AVX2
        Vec<E>::load(x + 4 * lanes),
        Vec<E>::load(x + 5 * lanes),
        Vec<E>::load(x + 6 * lanes),
        Vec<E>::load(x + 7 * lanes),
#endif
    };
    for (i = group; i + group <= n; i += group) {
#pragma GCC unroll 8
      for (size_t k = 0; k < registers; ++k) part[k] = op(part[k], Vec<E>::load(x + i + k * lanes));
    }
    constexpr int64_t few = group / 4;  // of which the last ones may be looked at twice
    for (; i < n; i += few) {
      const E* next = x + (i + few <= n ? i : n - few);
#pragma GCC unroll 2
      for (size_t k = 0; k < registers / 4; ++k) {
        part[k] = op(part[k], Vec<E>::load(next + k * lanes));
      }
    }
    best = fold_registers<Op>(part);
  }
  for (; i < n; ++i) best = op(best, x[i]);
  return best;
}

/// `n` is at least 1. An extreme has the type of the elements; the caller widens it.
template <class Op, class T>
TAPER_FN auto fold_row(const T* x, int64_t n) {
  if constexpr (std::is_floating_point_v<T>) {
    if constexpr (std::is_same_v<Op, SumOp>) {
      return sum_row(x, n);
    } else {
      return extreme_row<Op>(x, n);
    }
  } else if constexpr (std::is_same_v<Op, SumOp>) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += x[i];
    return sum;
  } else {
    T best = x[0];
    for (int64_t i = 1; i < n; ++i) best = Op()(best, x[i]);
    return best;
  }
}

// ------------------------------------------------------------------------------------ matrices

/// Shorter ones are not worth a call.
constexpr int64_t shortest_row = 16;

template <class Op, class T>
void fold_rows(const T* x, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
               Accumulator<T>* sums) {
  using A = Accumulator<T>;
  constexpr Op op;
  for (int64_t k = 0; k < kept; ++k) {
    const T* row = x + k * kept_step;
    if (step == 1 && reduced >= shortest_row) {
      sums[k] = op(sums[k], static_cast<A>(fold_row<Op>(row, reduced)));
      continue;
    }
    A sum = sums[k];
    for (int64_t i = 0; i < reduced; ++i) sum = op(sum, static_cast<A>(row[i * step]));
    sums[k] = sum;
  }
}

/// best = op(best, x) for n neighbouring columns of `rows` rows.
template <class Op, int64_t rows, class T>
TAPER_FN void improve_columns(const T* __restrict x, int64_t n, int64_t step, T* __restrict best) {
  constexpr Op op;
  int64_t k = 0;
  if constexpr (std::is_floating_point_v<T>) {  // which the compiler does not vectorise
    constexpr auto lanes = static_cast<int64_t>(Vec<T>::kLanes);
    for (; k + lanes <= n; k += lanes) {
      Vec<T> found = Vec<T>::load(best + k);
#pragma GCC unroll 8
      for (int64_t i = 0; i < rows; ++i) found = op(found, Vec<T>::load(x + k + i * step));
      found.store(best + k);
    }
  }
  for (; k < n; ++k) {
    T found = best[k];
#pragma GCC unroll 8
    for (int64_t i = 0; i < rows; ++i) found = op(found, x[k + i * step]);
    best[k] = found;
  }
}

/// Contiguous columns: extremes are found in their own type and widened at the end.
template <class Op, class T>
void extreme_columns(const T* x, int64_t kept, int64_t reduced, int64_t step,
                     Accumulator<T>* sums) {
  constexpr Op op;
  constexpr int64_t most = 1024;
  T best[most];
  for (int64_t first = 0; first < kept; first += most) {
    const int64_t n = kept - first < most ? kept - first : most;
    std::memcpy(best, x + first, static_cast<size_t>(n) * sizeof(T));
    int64_t row = 1;
    for (; row + 8 <= reduced; row += 8) {
      improve_columns<Op, 8>(x + first + row * step, n, step, best);
    }
    for (; row < reduced; ++row) improve_columns<Op, 1>(x + first + row * step, n, step, best);
    for (int64_t k = 0; k < n; ++k) {
      sums[first + k] = op(sums[first + k], static_cast<Accumulator<T>>(best[k]));
    }
  }
}

/// Contiguous columns, eight rows at a time to spare the accumulators' loads and stores.
template <class T>
void sum_columns(const T* __restrict x, int64_t kept, int64_t reduced, int64_t step,
                 Accumulator<T>* __restrict sums) {
  using A = Accumulator<T>;
  int64_t row = 0;
  for (; row + 8 <= reduced; row += 8) {
    const T* __restrict first = x + row * step;
    for (int64_t k = 0; k < kept; ++k) {
      A sum = sums[k];
#pragma GCC unroll 8
      for (int64_t i = 0; i < 8; ++i) sum += static_cast<A>(first[k + i * step]);
      sums[k] = sum;
    }
  }
  for (; row < reduced; ++row) {
    const T* __restrict first = x + row * step;
    for (int64_t k = 0; k < kept; ++k) sums[k] += static_cast<A>(first[k]);
  }
}

template <class Op, class T>
void fold_strided_columns(const T* x, int64_t kept, int64_t kept_step, int64_t reduced,
                          int64_t step, Accumulator<T>* sums) {
  using A = Accumulator<T>;
  constexpr Op op;
  for (int64_t row = 0; row < reduced; ++row) {
    const T* first = x + row * step;
    for (int64_t k = 0; k < kept; ++k) {
      sums[k] = op(sums[k], static_cast<A>(first[k * kept_step]));
    }
  }
}

template <class Op, class T>
void reduce_tile(const void* data, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
                 void* accumulators) {
  const T* x = static_cast<const T*>(data);
  auto* sums = static_cast<Accumulator<T>*>(accumulators);
  if (by_rows(kept, kept_step, reduced, step)) {
    fold_rows<Op>(x, kept, kept_step, reduced, step, sums);
  } else if (kept_step == 1) {
    if constexpr (std::is_same_v<Op, SumOp>) {
      if constexpr (std::is_floating_point_v<T>) {
        if (kept == 2) return sum_pairs(x, reduced, step, sums);
      }
      sum_columns(x, kept, reduced, step, sums);
    } else {
      extreme_columns<Op>(x, kept, reduced, step, sums);
    }
  } else {
    fold_strided_columns<Op>(x, kept, kept_step, reduced, step, sums);
  }
}

// -------------------------------------------------------------------------- positions of extremes

/// The first element equal to `value`, which is among them.
template <class T>
int64_t find(const T* x, int64_t n, T value) {
  constexpr int64_t block = 256 / sizeof(T);
  int64_t i = 0;
  for (; i + block <= n; i += block) {
    if constexpr (std::is_floating_point_v<T>) {
      constexpr int64_t lanes = Vec<T>::kLanes;
      const auto wanted = Vec<T>(static_cast<double>(value));
      for (int64_t k = 0; k < block; k += lanes) {
        const Mask<T> found = Vec<T>::load(x + i + k) == wanted;
        if (any_lane(found)) return i + k + hn::FindFirstTrue(typename Vec<T>::Tag(), found.raw);
      }
    } else {
      T found = 0;
      for (int64_t k = 0; k < block; ++k) found |= static_cast<T>(x[i + k] == value);
      if (found != 0) break;
    }
  }
  while (x[i] != value) ++i;
  return i;
}

/// Any NaN equals NaN.
template <class T>
int64_t find_extreme(const T* x, int64_t n, T value) {
  if (value == value) return find(x, n, value);
  int64_t i = 0;
  while (x[i] == x[i]) ++i;
  return i;
}

template <class Op, class T>
void arg_rows(const T* x, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
              int64_t first, Accumulator<T>* best, int64_t* index) {
  using A = Accumulator<T>;
  constexpr int64_t segment = 16384 / sizeof(T);  // one is read again, from the cache
  for (int64_t k = 0; k < kept; ++k) {
    const T* row = x + k * kept_step;
    if (first == 0) {
      best[k] = static_cast<A>(row[0]);
      index[k] = 0;
    }
    if (step == 1) {
      for (int64_t i = 0; i < reduced; i += segment) {
        const int64_t count = reduced - i < segment ? reduced - i : segment;
        const T value = fold_row<Op>(row + i, count);
        if (!Op::beats(static_cast<A>(value), best[k])) continue;
        best[k] = static_cast<A>(value);
        index[k] = first + i + find_extreme(row + i, count, value);
      }
      continue;
    }
    for (int64_t i = 0; i < reduced; ++i) {
      const A value = static_cast<A>(row[i * step]);
      if (!Op::beats(value, best[k])) continue;
      best[k] = value;
      index[k] = first + i;
    }
  }
}

template <class Op, class T>
TAPER_FN void arg_columns(const T* __restrict x, int64_t kept, int64_t kept_step, int64_t reduced,
                          int64_t step, int64_t first, Accumulator<T>* __restrict best,
                          int64_t* __restrict index) {
  using A = Accumulator<T>;
  if (first == 0) {
    for (int64_t k = 0; k < kept; ++k) {
      best[k] = static_cast<A>(x[k * kept_step]);
      index[k] = 0;
    }
  }
  for (int64_t row = 0; row < reduced; ++row) {
    const T* __restrict at = x + row * step;
    for (int64_t k = 0; k < kept; ++k) {
      const A value = static_cast<A>(at[k * kept_step]);
      const bool better = Op::beats(value, best[k]);
      best[k] = better ? value : best[k];
      index[k] = better ? first + row : index[k];
    }
  }
}

template <class Op, class T>
void arg_tile(const void* data, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
              int64_t first, void* accumulators, int64_t* index) {
  const T* x = static_cast<const T*>(data);
  auto* best = static_cast<Accumulator<T>*>(accumulators);
  if (by_rows(kept, kept_step, reduced, step)) {
    arg_rows<Op>(x, kept, kept_step, reduced, step, first, best, index);
  } else if (kept_step == 1) {
    arg_columns<Op>(x, kept, 1, reduced, step, first, best, index);
  } else {
    arg_columns<Op>(x, kept, kept_step, reduced, step, first, best, index);
  }
}

// ------------------------------------------------------------------------- pieces of scattered
// data

constexpr int64_t most_in_line = 1024;  // elements that are packed at once

/// Calls `run(piece, first k, count of k, first i, count of i)` for pieces that are contiguous:
/// parts of rows or, some rows of [i][k] at a time, of columns, whichever is nearer in memory.
/// `load(from, step, to, count)` makes a line of one from the elements from `from` on.
template <class Piece, class T, class Load, class Run>
TAPER_FN void for_pieces(const T* x, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
                         Load load, Run run) {
  constexpr int64_t capacity = 4096;
  constexpr int64_t most_lines = 8;
  static_assert(capacity / most_lines <= most_in_line);
  Piece piece[capacity];
  const bool rows = by_rows(kept, kept_step, reduced, step);
  const int64_t outer = rows ? kept : reduced;
  const int64_t outer_step = rows ? kept_step : step;
  const int64_t inner = rows ? reduced : kept;
  const int64_t inner_step = rows ? step : kept_step;
  const int64_t at_once = rows ? 1 : most_lines;
  for (int64_t line = 0; line < outer; line += at_once) {
    const int64_t lines = outer - line < at_once ? outer - line : at_once;
    const int64_t longest = rows ? most_in_line : capacity / at_once;
    for (int64_t begin = 0; begin < inner; begin += longest) {
      const int64_t count = inner - begin < longest ? inner - begin : longest;
      for (int64_t i = 0; i < lines; ++i) {
        load(x + (line + i) * outer_step + begin * inner_step, inner_step, piece + i * count,
             count);
      }
      if (rows) {
        run(piece, line, int64_t{1}, begin, count);
      } else {
        run(piece, begin, count, line, lines);
      }
    }
  }
}

struct Pack {
  template <class T>
  TAPER_FN void operator()(const T* from, int64_t step, T* to, int64_t count) const {
    pack_words(from, step, to, count);
  }
};

using Widen = void (*)(const void* in, void* out, size_t n);

template <Widen widen>
struct PackAndWiden {
  TAPER_FN void operator()(const uint16_t* from, int64_t step, float* to, int64_t count) const {
    uint16_t packed[most_in_line];
    if (step != 1) {
      Pack()(from, step, packed, count);
      from = packed;
    }
    widen(from, to, static_cast<size_t>(count));
  }
};

/// Whether elements lie apart in memory and are many enough to be packed before they are looked at.
TAPER_FN bool is_scattered(int64_t kept, int64_t kept_step, int64_t reduced, int64_t step) {
  const bool rows = by_rows(kept, kept_step, reduced, step);
  return (rows ? step : kept_step) != 1 && (rows ? reduced : kept) >= 32;
}

template <class Op, class T>
void reduce_any_tile(const void* data, int64_t kept, int64_t kept_step, int64_t reduced,
                     int64_t step, void* accumulators) {
  if (!is_scattered(kept, kept_step, reduced, step)) {
    return reduce_tile<Op, T>(data, kept, kept_step, reduced, step, accumulators);
  }
  auto* sums = static_cast<Accumulator<T>*>(accumulators);
  for_pieces<T>(static_cast<const T*>(data), kept, kept_step, reduced, step, Pack(),
                [&](const T* piece, int64_t k, int64_t columns, int64_t, int64_t rows) {
                  reduce_tile<Op, T>(piece, columns, 1, rows, columns, sums + k);
                });
}

template <class Op, class T>
void arg_any_tile(const void* data, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
                  int64_t first, void* accumulators, int64_t* index) {
  if (!is_scattered(kept, kept_step, reduced, step)) {
    return arg_tile<Op, T>(data, kept, kept_step, reduced, step, first, accumulators, index);
  }
  auto* best = static_cast<Accumulator<T>*>(accumulators);
  for_pieces<T>(static_cast<const T*>(data), kept, kept_step, reduced, step, Pack(),
                [&](const T* piece, int64_t k, int64_t columns, int64_t i, int64_t rows) {
                  arg_tile<Op, T>(piece, columns, 1, rows, columns, first + i, best + k, index + k);
                });
}

/// Of bools, the first that no other beats.
template <class Op>
void arg_bool_tile(const void* data, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
                   int64_t first, void* accumulators, int64_t* index) {
  const auto* x = static_cast<const uint8_t*>(data);
  if (step != 1 || first != 0 || (kept > 1 && kept_step == 1)) {
    return arg_any_tile<Op, uint8_t>(data, kept, kept_step, reduced, step, first, accumulators,
                                     index);
  }
  constexpr uint8_t extreme = std::is_same_v<Op, MaxOp> ? 1 : 0;
  auto* best = static_cast<int64_t*>(accumulators);
  for (int64_t k = 0; k < kept; ++k) {
    const uint8_t* row = x + k * kept_step;
    const void* found = std::memchr(row, extreme, static_cast<size_t>(reduced));
    best[k] = found != nullptr ? extreme : 1 - extreme;
    index[k] = found != nullptr ? static_cast<const uint8_t*>(found) - row : 0;
  }
}

// ------------------------------------------------------------------------------- 16-bit formats

template <class Op, Widen widen>
void reduce_short_tile(const void* x, int64_t kept, int64_t kept_step, int64_t reduced,
                       int64_t step, void* accumulators) {
  double* sums = static_cast<double*>(accumulators);
  for_pieces<float>(static_cast<const uint16_t*>(x), kept, kept_step, reduced, step,
                    PackAndWiden<widen>(),
                    [&](const float* piece, int64_t k, int64_t columns, int64_t, int64_t rows) {
                      reduce_tile<Op, float>(piece, columns, 1, rows, columns, sums + k);
                    });
}

template <class Op, Widen widen>
void arg_short_tile(const void* x, int64_t kept, int64_t kept_step, int64_t reduced, int64_t step,
                    int64_t first, void* accumulators, int64_t* index) {
  double* best = static_cast<double*>(accumulators);
  for_pieces<float>(
      static_cast<const uint16_t*>(x), kept, kept_step, reduced, step, PackAndWiden<widen>(),
      [&](const float* piece, int64_t k, int64_t columns, int64_t i, int64_t rows) {
        arg_tile<Op, float>(piece, columns, 1, rows, columns, first + i, best + k, index + k);
      });
}

// ----------------------------------------------------------------------------------- the tables

/// Null for complex numbers, which are reduced in parts. A bool is stored as 0 or 1.
template <class Op, class T>
constexpr ReduceTile reduce_tile_of() {
  if constexpr (std::is_same_v<T, Half>) {
    return reduce_short_tile<Op, f16_to_f32>;
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return reduce_short_tile<Op, bf16_to_f32>;
  } else if constexpr (std::is_same_v<T, bool>) {
    return reduce_any_tile<Op, uint8_t>;
  } else if constexpr (is_complex_type<T>) {
    return nullptr;
  } else {
    return reduce_any_tile<Op, T>;
  }
}
template <class Op, class T>
constexpr ArgReduceTile arg_tile_of() {
  if constexpr (std::is_same_v<T, Half>) {
    return arg_short_tile<Op, f16_to_f32>;
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return arg_short_tile<Op, bf16_to_f32>;
  } else if constexpr (std::is_same_v<T, bool>) {
    return arg_bool_tile<Op>;
  } else if constexpr (is_complex_type<T>) {
    return nullptr;
  } else {
    return arg_any_tile<Op, T>;
  }
}

constexpr ReduceKernels make_kernels() {
  ReduceKernels kernels{};
#define TAPER_DTYPE(name, type, kind, printed, constant)  \
  {                                                       \
    constexpr auto at = static_cast<size_t>(DType::name); \
    kernels.sum[at] = reduce_tile_of<SumOp, type>();      \
    kernels.max[at] = reduce_tile_of<MaxOp, type>();      \
    kernels.min[at] = reduce_tile_of<MinOp, type>();      \
    kernels.arg_max[at] = arg_tile_of<MaxOp, type>();     \
    kernels.arg_min[at] = arg_tile_of<MinOp, type>();     \
  }
  TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
  return kernels;
}

}  // namespace

constinit const ReduceKernels reduce_kernels = make_kernels();

}  // namespace taper::TAPER_ISA
