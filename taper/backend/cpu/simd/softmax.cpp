// Softmax, its logarithm and their gradients.
#include "taper/backend/cpu/kernels.h"
#include "taper/backend/cpu/simd/lanes.h"

namespace taper::TAPER_ISA {

extern const SoftmaxKernels softmax_kernels;

namespace {

// --------------------------------------------------------------------------------------- rows

/// The largest element that is a number: a NaN spoils the sum of a row anyway.
template <class E>
TAPER_FN Vec<E> row_maximum(const E* x, int64_t n) {
  const Vec<E> lowest = -infinity<Vec<E>>();
  Registers<E> part = fill_registers<E>(lowest);
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t k) {
    part.at[k] = max(load_or(x + i, count, lowest), part.at[k]);
  });
  return Vec<E>(static_cast<double>(fold(part, Max())));
}

template <class E>
void softmax_row(const E* x, E* out, int64_t n) {
  const Vec<E> top = row_maximum(x, n);
  const Vec<E> lowest = -infinity<Vec<E>>();
  Registers<E> part = fill_registers<E>(Vec<E>(0.0));
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t k) {
    const Vec<E> y = exp(load_or(x + i, count, lowest) - top);
    store_some(y, out + i, count);
    part.at[k] += y;
  });
  const Vec<E> scale(static_cast<double>(E(1) / fold(part, Add())));
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t) {
    store_some(load_or(out + i, count, scale) * scale, out + i, count);
  });
}

template <class E>
void log_softmax_row(const E* x, E* out, int64_t n) {
  const Vec<E> top = row_maximum(x, n);
  const Vec<E> lowest = -infinity<Vec<E>>();
  Registers<E> part = fill_registers<E>(Vec<E>(0.0));
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t k) {
    part.at[k] += exp(load_or(x + i, count, lowest) - top);
  });
  const Vec<E> log_sum(static_cast<double>(log(fold(part, Add()))));
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t) {
    store_some(load_or(x + i, count, top) - top - log_sum, out + i, count);
  });
}

template <class E>
void softmax_grad_row(const E* y, const E* grad, E* out, int64_t n) {
  const Vec<E> zero(0.0);
  Registers<E> part = fill_registers<E>(zero);
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t k) {
    part.at[k] = fma(load_or(y + i, count, zero), load_or(grad + i, count, zero), part.at[k]);
  });
  const Vec<E> dot(static_cast<double>(fold(part, Add())));
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t) {
    const Vec<E> g = load_or(grad + i, count, zero);
    store_some(load_or(y + i, count, zero) * (g - dot), out + i, count);
  });
}

template <class E>
void log_softmax_grad_row(const E* y, const E* grad, E* out, int64_t n) {
  const Vec<E> zero(0.0);
  Registers<E> part = fill_registers<E>(zero);
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t k) {
    part.at[k] += load_or(grad + i, count, zero);
  });
  const Vec<E> sum(static_cast<double>(fold(part, Add())));
  for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t) {
    const Vec<E> g = load_or(grad + i, count, zero);
    store_some(g - exp(load_or(y + i, count, zero)) * sum, out + i, count);
  });
}

// ------------------------------------------------------------------------------------- columns

/// Calls `f(column, count)` for vectors of neighbouring columns.
template <class E, class F>
TAPER_FN void for_columns(int64_t columns, F f) {
  constexpr int64_t lanes = lanes_of<E>;
  for (int64_t c = 0; c < columns; c += lanes) f(c, columns - c < lanes ? columns - c : lanes);
}

constexpr int64_t most_columns = 1024;

/// A row of partial results for the columns.
template <class E>
struct ColumnBuffer {
  E at[most_columns + Vec<E>::kLanes];
  TAPER_FN Vec<E> operator[](int64_t c) const { return Vec<E>::load(at + c); }
  TAPER_FN void set(int64_t c, Vec<E> x) { x.store(at + c); }
};

/// The maxima of the columns and the sums of exp(x - maximum).
template <class E>
struct ColumnSums {
  ColumnBuffer<E> top;
  ColumnBuffer<E> sum;

  /// In one pass over memory: the rows of a block are read again from the cache, and a new maximum
  /// scales the sum so far.
  TAPER_FN ColumnSums(const E* x, int64_t n, int64_t stride, int64_t columns) {
    constexpr int64_t block = 8;
    for_columns<E>(columns, [&](int64_t c, int64_t) {
      top.set(c, -infinity<Vec<E>>());
      sum.set(c, Vec<E>(0.0));
    });
    for (int64_t row = 0; row < n; row += block) {
      const int64_t rows = n - row < block ? n - row : block;
      for_columns<E>(columns, [&](int64_t c, int64_t count) {
        add(x + row * stride + c, rows, stride, c, count);
      });
    }
  }

 private:
  TAPER_FN void add(const E* x, int64_t rows, int64_t stride, int64_t c, int64_t count) {
    const Vec<E> zero(0.0);
    const Vec<E> lowest = -infinity<Vec<E>>();
    Vec<E> best = top[c];
    for (int64_t i = 0; i < rows; ++i) best = max(load_or(x + i * stride, count, zero), best);
    const Vec<E> base = where(best == lowest, zero, best);  // -inf - -inf would be NaN
    Vec<E> total = sum[c] * exp(top[c] - base);
    for (int64_t i = 0; i < rows; ++i) total += exp(load_or(x + i * stride, count, zero) - base);
    top.set(c, best);
    sum.set(c, total);
  }
};

template <class E>
void softmax_columns(const E* x, E* out, int64_t n, int64_t stride, int64_t columns) {
  const Vec<E> zero(0.0);
  ColumnSums<E> sums(x, n, stride, columns);
  for_columns<E>(columns, [&](int64_t c, int64_t) { sums.sum.set(c, Vec<E>(1.0) / sums.sum[c]); });
  for (int64_t row = 0; row < n; ++row) {
    for_columns<E>(columns, [&](int64_t c, int64_t count) {
      const int64_t i = row * stride + c;
      const Vec<E> y = exp(load_or(x + i, count, zero) - sums.top[c]) * sums.sum[c];
      store_some(y, out + i, count);
    });
  }
}

template <class E>
void log_softmax_columns(const E* x, E* out, int64_t n, int64_t stride, int64_t columns) {
  const Vec<E> zero(0.0);
  ColumnSums<E> sums(x, n, stride, columns);
  for_columns<E>(columns, [&](int64_t c, int64_t) { sums.sum.set(c, log(sums.sum[c])); });
  for (int64_t row = 0; row < n; ++row) {
    for_columns<E>(columns, [&](int64_t c, int64_t count) {
      const int64_t i = row * stride + c;
      store_some(load_or(x + i, count, zero) - sums.top[c] - sums.sum[c], out + i, count);
    });
  }
}

template <class E>
void softmax_grad_columns(const E* y, const E* grad, E* out, int64_t n, int64_t stride,
                          int64_t columns) {
  const Vec<E> zero(0.0);
  ColumnBuffer<E> dot;
  for_columns<E>(columns, [&](int64_t c, int64_t) { dot.set(c, zero); });
  for (int64_t row = 0; row < n; ++row) {
    for_columns<E>(columns, [&](int64_t c, int64_t count) {
      const int64_t i = row * stride + c;
      dot.set(c, fma(load_or(y + i, count, zero), load_or(grad + i, count, zero), dot[c]));
    });
  }
  for (int64_t row = 0; row < n; ++row) {
    for_columns<E>(columns, [&](int64_t c, int64_t count) {
      const int64_t i = row * stride + c;
      const Vec<E> g = load_or(grad + i, count, zero);
      store_some(load_or(y + i, count, zero) * (g - dot[c]), out + i, count);
    });
  }
}

template <class E>
void log_softmax_grad_columns(const E* y, const E* grad, E* out, int64_t n, int64_t stride,
                              int64_t columns) {
  const Vec<E> zero(0.0);
  ColumnBuffer<E> sum;
  for_columns<E>(columns, [&](int64_t c, int64_t) { sum.set(c, zero); });
  for (int64_t row = 0; row < n; ++row) {
    for_columns<E>(columns, [&](int64_t c, int64_t count) {
      sum.set(c, sum[c] + load_or(grad + row * stride + c, count, zero));
    });
  }
  for (int64_t row = 0; row < n; ++row) {
    for_columns<E>(columns, [&](int64_t c, int64_t count) {
      const int64_t i = row * stride + c;
      const Vec<E> g = load_or(grad + i, count, zero);
      store_some(g - exp(load_or(y + i, count, zero)) * sum[c], out + i, count);
    });
  }
}

// -------------------------------------------------------------------------------------- tables

/// Cuts `count` columns into parts that fit a ColumnBuffer: f(first, columns).
template <class F>
TAPER_FN void for_column_parts(int64_t count, F f) {
  for (int64_t c = 0; c < count; c += most_columns) {
    f(c, count - c < most_columns ? count - c : most_columns);
  }
}

template <class E>
void softmax_tile(const E* x, const E*, E* out, int64_t n, int64_t stride, int64_t count) {
  if (stride == 1) return softmax_row(x, out, n);
  for_column_parts(count, [&](int64_t c, int64_t columns) {
    softmax_columns(x + c, out + c, n, stride, columns);
  });
}

template <class E>
void log_softmax_tile(const E* x, const E*, E* out, int64_t n, int64_t stride, int64_t count) {
  if (stride == 1) return log_softmax_row(x, out, n);
  for_column_parts(count, [&](int64_t c, int64_t columns) {
    log_softmax_columns(x + c, out + c, n, stride, columns);
  });
}

template <class E>
void softmax_grad_tile(const E* y, const E* grad, E* out, int64_t n, int64_t stride,
                       int64_t count) {
  if (stride == 1) return softmax_grad_row(y, grad, out, n);
  for_column_parts(count, [&](int64_t c, int64_t columns) {
    softmax_grad_columns(y + c, grad + c, out + c, n, stride, columns);
  });
}

template <class E>
void log_softmax_grad_tile(const E* y, const E* grad, E* out, int64_t n, int64_t stride,
                           int64_t count) {
  if (stride == 1) return log_softmax_grad_row(y, grad, out, n);
  for_column_parts(count, [&](int64_t c, int64_t columns) {
    log_softmax_grad_columns(y + c, grad + c, out + c, n, stride, columns);
  });
}

}  // namespace

const SoftmaxKernels softmax_kernels = {
    {softmax_tile<float>, log_softmax_tile<float>, softmax_grad_tile<float>,
     log_softmax_grad_tile<float>},
    {softmax_tile<double>, log_softmax_tile<double>, softmax_grad_tile<double>,
     log_softmax_grad_tile<double>},
};

}  // namespace taper::TAPER_ISA
