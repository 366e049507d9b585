// Layer normalisation and its gradient, row by row.
#include "taper/backend/cpu/kernels.h"
#include "taper/backend/cpu/simd/lanes.h"

namespace taper::TAPER_ISA {

extern const LayerNormKernels layer_norm_kernels;

namespace {

/// Loads up to a whole vector of doubles, `fill` in the lanes beyond `count`.
TAPER_FN Vec<double> load_wide(const double* p, int64_t count, Vec<double> fill) {
  return load_or(p, count, fill);
}
TAPER_FN Vec<double> load_wide(const float* p, int64_t count, Vec<double> fill) {
  const hn::ScalableTag<double> wide;
  const hn::Rebind<float, decltype(wide)> narrow;
  if (count >= lanes_of<double>) return hn::PromoteTo(wide, hn::LoadU(narrow, p));
  const auto few = hn::MaskedLoad(hn::FirstN(narrow, static_cast<size_t>(count)), narrow, p);
  const auto mask = hn::FirstN(wide, static_cast<size_t>(count));
  return hn::IfThenElse(mask, hn::PromoteTo(wide, few), fill.raw);
}

/// The sums of x - base and of its square.
struct Deviations {
  double sum;
  double squares;

  template <class E>
  TAPER_FN Deviations(const E* x, int64_t n, double base) {
    const Vec<double> middle(base);
    Registers<double> first = fill_registers<double>(Vec<double>(0.0));
    Registers<double> second = first;
    for_vectors<double>(n, [&](int64_t i, int64_t count, int64_t k) {
      const Vec<double> d = load_wide(x + i, count, middle) - middle;
      first.at[k] += d;
      second.at[k] = fma(d, d, second.at[k]);
    });
    sum = fold(first, Add());
    squares = fold(second, Add());
  }
};

/// The mean of a row, base + rest, and 1 / sqrt(variance + eps).
///
/// One pass of doubles measures floats from the first element, whose distance from the mean is at
/// most sqrt(n) standard deviations: what cancels in the variance is n times the rounding of a
/// double. Doubles take a second pass around the mean. Equal elements have variance 0 exactly.
template <class E>
struct Normaliser {
  Vec<E> base{0.0};
  Vec<E> rest{0.0};
  Vec<E> scale{0.0};

  TAPER_FN Normaliser(const E* x, int64_t n, double eps) {
    const auto count = static_cast<double>(n);
    auto middle = static_cast<double>(x[0]);
    Deviations from(x, n, middle);
    if constexpr (!Vec<E>::kSingle) {
      middle += from.sum / count;
      from = Deviations(x, n, middle);
    }
    const double offset = from.sum / count;
    const auto mean = static_cast<double>(static_cast<E>(middle + offset));
    // Where the squares overflow, so may what is subtracted.
    const bool overflows = from.squares == __builtin_inf();
    const double squares = overflows ? from.squares : from.squares - from.sum * offset;
    base = Vec<E>(mean);
    rest = Vec<E>((middle - mean) + offset);
    scale = Vec<E>(1 / fn::sqrt(squares / count + eps));
  }

  /// A mean that is large beside the spread costs no digits: the first difference is exact.
  TAPER_FN Vec<E> operator()(Vec<E> x) const { return (x - base - rest) * scale; }
};

template <class E>
void normalise(const E* x, const E* weight, const E* bias, E* out, int64_t rows, int64_t n,
               double eps) {
  const Vec<E> zero(0.0);
  const Vec<E> one(1.0);
  for (int64_t row = 0; row < rows; ++row, x += n, out += n) {
    const Normaliser<E> normalised(x, n, eps);
    for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t) {
      const Vec<E> w = weight == nullptr ? one : load_or(weight + i, count, zero);
      const Vec<E> b = bias == nullptr ? zero : load_or(bias + i, count, zero);
      store_some(fma(normalised(load_or(x + i, count, zero)), w, b), out + i, count);
    });
  }
}

/// (h - mean(h) - z mean(h z)) * scale with z the normalised x and h the gradient times weight.
/// That too is measured from its first element, lest the scale show the rounding of equal ones.
template <class E>
void gradient(const E* grad, const E* x, const E* weight, E* grad_x, E* sums, int64_t rows,
              int64_t n, double eps) {
  const Vec<E> zero(0.0);
  const Vec<E> one(1.0);
  const double share = 1 / static_cast<double>(n);
  for (int64_t row = 0; row < rows; ++row, x += n, grad += n, grad_x += n) {
    const Normaliser<E> normalised(x, n, eps);
    const Vec<E> base(static_cast<double>(weight == nullptr ? grad[0] : grad[0] * weight[0]));
    Registers<E> first = fill_registers<E>(zero);
    Registers<E> second = first;
    for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t k) {
      const Vec<E> w = weight == nullptr ? one : load_or(weight + i, count, one);
      const Vec<E> h = load_or(grad + i, count, base) * w - base;
      first.at[k] += h;
      second.at[k] = fma(h, normalised(load_or(x + i, count, zero)), second.at[k]);
    });
    const Vec<E> mean(static_cast<double>(fold(first, Add())) * share);
    const Vec<E> slope(static_cast<double>(fold(second, Add())) * share);
    for_vectors<E>(n, [&](int64_t i, int64_t count, int64_t) {
      const Vec<E> w = weight == nullptr ? one : load_or(weight + i, count, one);
      const Vec<E> g = load_or(grad + i, count, zero);
      const Vec<E> z = normalised(load_or(x + i, count, zero));
      store_some((g * w - base - mean - z * slope) * normalised.scale, grad_x + i, count);
      if (sums == nullptr) return;
      store_some(fma(g, z, load_or(sums + i, count, zero)), sums + i, count);
      store_some(g + load_or(sums + n + i, count, zero), sums + n + i, count);
    });
  }
}

/// In doubles.
template <class E>
void sum_columns(const E* x, int64_t rows, int64_t stride, int64_t n, E* out) {
  constexpr int64_t most = 64;
  for (int64_t first = 0; first < n; first += most) {
    const int64_t columns = n - first < most ? n - first : most;
    double sums[most] = {};
    for (int64_t row = 0; row < rows; ++row) {
      const E* at = x + row * stride + first;
      for (int64_t k = 0; k < columns; ++k) sums[k] += static_cast<double>(at[k]);
    }
    for (int64_t k = 0; k < columns; ++k) out[first + k] = static_cast<E>(sums[k]);
  }
}

}  // namespace

const LayerNormKernels layer_norm_kernels = {
    {normalise<float>, gradient<float>, sum_columns<float>},
    {normalise<double>, gradient<double>, sum_columns<double>},
};

}  // namespace taper::TAPER_ISA
