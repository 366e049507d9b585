#pragma once

#include <cstddef>
#include <cstdint>

#include "taper/core/dtype.h"

namespace taper {

// The tables of functions that simd/{reduce,truth,softmax,layer_norm,pool,random}.cpp define once
// per instruction set. Steps and strides are in elements. Arrays over dtypes are indexed by the
// value of DType.

/// Folds the [kept, reduced] matrix at `x` into `kept` accumulators: double if x is floating,
/// uint64_t if it is u64, else int64_t.
using ReduceTile = void (*)(const void* x, int64_t kept, int64_t kept_step, int64_t reduced,
                            int64_t reduced_step, void* accumulators);

/// The same for the position of the extreme: `best` is as above, `index` counts from `first`. The
/// call with first == 0 sets both, the others improve them.
using ArgReduceTile = void (*)(const void* x, int64_t kept, int64_t kept_step, int64_t reduced,
                               int64_t reduced_step, int64_t first, void* best, int64_t* index);

struct ReduceKernels {
  ReduceTile sum[dtype_count];
  ReduceTile max[dtype_count];
  ReduceTile min[dtype_count];
  ArgReduceTile arg_max[dtype_count];
  ArgReduceTile arg_min[dtype_count];
};

/// Accumulators are int64_t: `any` makes one 1 for an element that is not zero, `all` 0 for one
/// that is.
struct TruthKernels {
  ReduceTile any[dtype_count];
  ReduceTile all[dtype_count];
};

/// A softmax or its gradient for `count` neighbouring columns of [n, stride] matrices, or with
/// `stride` 1 for one row. The value takes `a` = x; a gradient takes `a` = y and `b` = grad.
/// `out` may be an input.
template <class E>
using SoftmaxTile = void (*)(const E* a, const E* b, E* out, int64_t n, int64_t stride,
                             int64_t count);

template <class E>
struct SoftmaxKernelsOf {
  SoftmaxTile<E> softmax;
  SoftmaxTile<E> log_softmax;
  SoftmaxTile<E> softmax_grad;
  SoftmaxTile<E> log_softmax_grad;
};

struct SoftmaxKernels {
  SoftmaxKernelsOf<float> f32;
  SoftmaxKernelsOf<double> f64;
};

template <class E>
struct LayerNormKernelsOf {
  /// Normalises rows of n > 0 elements; `weight` and `bias` may be null. `out` may be x.
  void (*normalise)(const E* x, const E* weight, const E* bias, E* out, int64_t rows, int64_t n,
                    double eps);
  /// The gradient by x; `grad_x` may be `grad`. Adds those by weight and bias to the first and the
  /// second n of `sums`, unless it is null.
  void (*grad)(const E* grad, const E* x, const E* weight, E* grad_x, E* sums, int64_t rows,
               int64_t n, double eps);
  /// The sums of the columns of [rows, n], `stride` apart from row to row.
  void (*sum_columns)(const E* x, int64_t rows, int64_t stride, int64_t n, E* out);
};

struct LayerNormKernels {
  LayerNormKernelsOf<float> f32;
  LayerNormKernelsOf<double> f64;
};

/// The input rows [first_row, end_row) under a row of windows: window i has the columns
/// [i * stride - padding, i * stride - padding + kernel) that lie within the width.
struct PoolRow {
  int64_t first_row, end_row;
  int64_t row_step, column_step;
  int64_t width;
  int64_t kernel, stride, padding;
};

template <class E>
struct PoolKernelsOf {
  /// For n channels: the first maximum (or NaN) among x[offset[p] + c], p < count, and
  /// `base` + position[p] of it. `count` is at least 1.
  void (*max_window)(const E* x, const int64_t* offset, const int32_t* position, int64_t count,
                     int32_t base, int64_t n, E* best, int32_t* index);
  /// The same for a row of n windows of a plane, any steps.
  void (*max_row)(const E* plane, const PoolRow& row, int64_t n, E* best, int32_t* index);
  /// For n channels: the sum of x[offset[p] + c], times `scale`.
  void (*sum_window)(const E* x, const int64_t* offset, int64_t count, E scale, int64_t n, E* out);
  /// y[i * y_step] += x[i * x_step] * scale[i * scale_step]
  void (*add_scaled)(const E* x, int64_t x_step, const E* scale, int64_t scale_step, E* y,
                     int64_t y_step, int64_t n);
};

struct PoolKernels {
  PoolKernelsOf<float> f32;
  PoolKernelsOf<double> f64;
};

/// A stream of random blocks: the next element takes the first word of `block`.
struct RandomStream {
  uint64_t key;
  uint64_t block;
};

template <class E>
struct RandomKernelsOf {
  /// min(low + u * range, highest) for u in [0, 1)
  void (*uniform)(RandomStream stream, E* out, int64_t n, E low, E range, E highest);
  void (*normal)(RandomStream stream, E* out, int64_t n, E mean, E std);
  /// Keeps an element, times `scale`, if its word is at least `threshold`; else writes zeros.
  void (*dropout)(RandomStream stream, const E* x, E* out, uint8_t* mask, int64_t n,
                  uint32_t threshold, E scale);
};

struct RandomKernels {
  RandomKernelsOf<float> f32;
  RandomKernelsOf<double> f64;
  /// The 64-bit numbers (word 2i << 32 | word 2i + 1).
  void (*words64)(RandomStream stream, uint64_t* out, int64_t n);
};

}  // namespace taper
