// The inner loops of pooling: windows over vectors of channels, and rows of windows one position
// of the window at a time.
#include "taper/backend/cpu/kernels.h"
#include "taper/backend/cpu/simd/vec.h"

namespace taper::TAPER_ISA {

extern const PoolKernels pool_kernels;

namespace {

/// Maxima with their positions: 32-bit ones beside floats, 64-bit ones beside doubles.
template <class E>
struct Candidates {
  using Tag = typename Vec<E>::Tag;
  using IndexTag = hn::RebindToSigned<Tag>;
  using Index = hn::TFromD<IndexTag>;

  Vec<E> best;
  hn::Vec<IndexTag> index;

  TAPER_FN Candidates(Vec<E> x, int32_t position) : best(x), index(splat(position)) {}

  static TAPER_FN hn::Vec<IndexTag> splat(int32_t position) {
    return hn::Set(IndexTag(), static_cast<Index>(position));
  }

  TAPER_FN void improve(Vec<E> x, int32_t position) {
    const Mask<E> better = (x > best) | ((x != x) & (best == best));
    best = where(better, x, best);
    index = hn::IfThenElse(hn::RebindMask(IndexTag(), better.raw), splat(position), index);
  }

  TAPER_FN void store_index(int32_t* to, int64_t count) const {
    constexpr int64_t lanes = static_cast<int64_t>(Vec<E>::kLanes);
    Index all[lanes];
    hn::StoreU(index, IndexTag(), all);
    if (count == lanes) {
      for (int64_t i = 0; i < lanes; ++i) to[i] = static_cast<int32_t>(all[i]);
    } else {
      for (int64_t i = 0; i < count; ++i) to[i] = static_cast<int32_t>(all[i]);
    }
  }
};

template <class E>
struct Whole {
  TAPER_FN Vec<E> operator()(const E* p) const { return Vec<E>::load(p); }
};
template <class E>
struct First {
  size_t count;
  TAPER_FN Vec<E> operator()(const E* p) const { return Vec<E>::load_first(p, count); }
};

/// Two vectors of candidates, to overlap the chains of comparisons.
template <class E>
TAPER_FN void max_of_two(const E* x, const int64_t* offset, const int32_t* position, int64_t count,
                         int32_t base, E* best, int32_t* index) {
  constexpr int64_t lanes = static_cast<int64_t>(Vec<E>::kLanes);
  const E* from = x + offset[0];
  Candidates<E> a(Vec<E>::load(from), base + position[0]);
  Candidates<E> b(Vec<E>::load(from + lanes), base + position[0]);
  for (int64_t p = 1; p < count; ++p) {
    from = x + offset[p];
    a.improve(Vec<E>::load(from), base + position[p]);
    b.improve(Vec<E>::load(from + lanes), base + position[p]);
  }
  a.best.store(best);
  b.best.store(best + lanes);
  a.store_index(index, lanes);
  b.store_index(index + lanes, lanes);
}

template <class E>
void max_window(const E* x, const int64_t* offset, const int32_t* position, int64_t count,
                int32_t base, int64_t n, E* best, int32_t* index) {
  constexpr int64_t lanes = static_cast<int64_t>(Vec<E>::kLanes);
  int64_t c = 0;
  for (; c + 2 * lanes <= n; c += 2 * lanes) {
    max_of_two(x + c, offset, position, count, base, best + c, index + c);
  }
  for (; c < n; c += lanes) {
    const int64_t some = n - c < lanes ? n - c : lanes;
    const First<E> load{static_cast<size_t>(some)};
    Candidates<E> a(load(x + offset[0] + c), base + position[0]);
    for (int64_t p = 1; p < count; ++p) a.improve(load(x + offset[p] + c), base + position[p]);
    a.best.store_first(best + c, static_cast<size_t>(some));
    a.store_index(index + c, some);
  }
}

using Integers = hn::ScalableTag<int32_t>;
using FloatTag = Vec<float>::Tag;

/// The elements of a row in the columns first, first + stride, ...; those outside of the row are
/// some others of it.
TAPER_FN Vec<float> load_columns(const float* row, const PoolRow& shape, int64_t first,
                                 hn::Vec<Integers> columns) {
  constexpr int64_t lanes = static_cast<int64_t>(Vec<float>::kLanes);
  if (shape.column_step == 1 && first >= 0 && first + shape.stride * lanes <= shape.width) {
    if (shape.stride == 1) return Vec<float>::load(row + first);
    if (shape.stride == 2) {
      Vec<float>::Raw even;
      Vec<float>::Raw odd;
      hn::LoadInterleaved2(FloatTag(), row + first, even, odd);
      return even;
    }
  }
  const Integers d;
  const auto last = hn::Set(d, static_cast<int32_t>(shape.width - 1));
  const auto inside = hn::Min(hn::Max(columns, hn::Zero(d)), last);
  const auto step = hn::Set(d, static_cast<int32_t>(shape.column_step));
  return hn::GatherIndex(FloatTag(), row, hn::Mul(inside, step));
}

/// Vectors without branches: the comparisons of real data are not predictable.
void max_row(const float* plane, const PoolRow& shape, int64_t n, float* best, int32_t* index) {
  constexpr int64_t lanes = static_cast<int64_t>(Vec<float>::kLanes);
  const Integers d;
  const auto zero = hn::Zero(d);
  const auto width = hn::Set(d, static_cast<int32_t>(shape.width));
  const auto steps = hn::Mul(hn::Iota(d, 0), hn::Set(d, static_cast<int32_t>(shape.stride)));
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t start = i * shape.stride - shape.padding;
    Vec<float> top = -infinity<Vec<float>>();
    auto where_top = hn::Set(d, -1);
    for (int64_t r = shape.first_row; r < shape.end_row; ++r) {
      const auto base = hn::Set(d, static_cast<int32_t>(r * shape.width));
      for (int64_t k = 0; k < shape.kernel; ++k) {
        const auto columns = hn::Add(steps, hn::Set(d, static_cast<int32_t>(start + k)));
        const float* row = plane + r * shape.row_step;
        const Vec<float> x = load_columns(row, shape, start + k, columns);
        const Mask<float> inside = {hn::RebindMask(
            FloatTag(), hn::And(hn::Gt(columns, hn::Set(d, -1)), hn::Lt(columns, width)))};
        const Mask<float> none = {hn::RebindMask(FloatTag(), hn::Lt(where_top, zero))};
        const Mask<float> better = ((x > top) | ((x != x) & (top == top)) | none) & inside;
        top = where(better, x, top);
        where_top =
            hn::IfThenElse(hn::RebindMask(d, better.raw), hn::Add(base, columns), where_top);
      }
    }
    if (i + lanes <= n) {
      top.store(best + i);
      hn::StoreU(where_top, d, index + i);
    } else {
      top.store_first(best + i, static_cast<size_t>(n - i));
      hn::BlendedStore(where_top, hn::FirstN(d, static_cast<size_t>(n - i)), d, index + i);
    }
  }
}

void max_row(const double* plane, const PoolRow& shape, int64_t n, double* best, int32_t* index) {
  for (int64_t i = 0; i < n; ++i) {
    const int64_t start = i * shape.stride - shape.padding;
    const int64_t begin = start < 0 ? 0 : start;
    const int64_t end = start + shape.kernel < shape.width ? start + shape.kernel : shape.width;
    double top = -infinity<double>();
    int64_t where_top = -1;
    for (int64_t r = shape.first_row; r < shape.end_row; ++r) {
      for (int64_t c = begin; c < end; ++c) {
        const double x = plane[r * shape.row_step + c * shape.column_step];
        const bool better = (x > top) | ((x != x) & (top == top)) | (where_top < 0);
        top = better ? x : top;
        where_top = better ? r * shape.width + c : where_top;
      }
    }
    best[i] = top;
    index[i] = static_cast<int32_t>(where_top);
  }
}

template <class E>
void sum_window(const E* x, const int64_t* offset, int64_t count, E scale, int64_t n, E* out) {
  constexpr int64_t lanes = static_cast<int64_t>(Vec<E>::kLanes);
  const Vec<E> factor(static_cast<double>(scale));
  int64_t c = 0;
  for (; c + 2 * lanes <= n; c += 2 * lanes) {
    Vec<E> a(0.0);
    Vec<E> b(0.0);
    for (int64_t p = 0; p < count; ++p) {
      a += Vec<E>::load(x + offset[p] + c);
      b += Vec<E>::load(x + offset[p] + c + lanes);
    }
    (a * factor).store(out + c);
    (b * factor).store(out + c + lanes);
  }
  for (; c < n; c += lanes) {
    const First<E> load{static_cast<size_t>(n - c < lanes ? n - c : lanes)};
    Vec<E> a(0.0);
    for (int64_t p = 0; p < count; ++p) a += load(x + offset[p] + c);
    (a * factor).store_first(out + c, load.count);
  }
}

template <class E>
TAPER_FN void add_row(const E* __restrict x, int64_t x_step, const E* __restrict scale,
                      int64_t scale_step, E* __restrict y, int64_t y_step, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i * y_step] += x[i * x_step] * scale[i * scale_step];
}

template <class E>
void add_scaled(const E* x, int64_t x_step, const E* scale, int64_t scale_step, E* y,
                int64_t y_step, int64_t n) {
  if (x_step == 1 && y_step == 1 && scale_step == 0) return add_row(x, 1, scale, 0, y, 1, n);
  if (x_step == 1 && y_step == 1 && scale_step == 1) return add_row(x, 1, scale, 1, y, 1, n);
  if (x_step == 2 && y_step == 1 && scale_step == 0) return add_row(x, 2, scale, 0, y, 1, n);
  add_row(x, x_step, scale, scale_step, y, y_step, n);
}

template <class E>
constexpr PoolKernelsOf<E> kernels_of = {max_window<E>, max_row, sum_window<E>, add_scaled<E>};

}  // namespace

const PoolKernels pool_kernels = {kernels_of<float>, kernels_of<double>};

}  // namespace taper::TAPER_ISA
