// Elementary functions in long double and the distance of a result from them.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace taper::exact {

// |y - exact| in units of the last place of E at `exact`.
template <class E>
inline double ulps(E y, long double exact) {
  using Limits = std::numeric_limits<E>;
  if (std::isnan(exact)) return std::isnan(y) ? 0 : INFINITY;
  if (std::isnan(y)) return INFINITY;
  const long double largest = Limits::max();
  const long double ulp_at_largest = std::ldexp(1.0L, Limits::max_exponent - Limits::digits);
  const long double overflow = largest + ulp_at_largest / 2;
  if (std::fabs(exact) >= overflow) {
    if (std::isinf(y)) return std::signbit(y) == std::signbit(exact) ? 0 : INFINITY;
    exact = std::copysign(overflow, exact);
  }
  int power = 0;
  std::frexp(exact, &power);
  power = std::max(power, Limits::min_exponent);
  const long double ulp = std::ldexp(1.0L, power - Limits::digits);
  const long double value =
      std::isinf(y) ? std::copysign(overflow, static_cast<long double>(y)) : y;
  return static_cast<double>(std::fabs(value - exact) / ulp);
}

inline long double sigmoid(long double x) {
  const long double e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1) / (1 + e);
}
inline long double softplus(long double x) {
  return std::fmax(x, 0.0L) + std::log1p(std::exp(-std::fabs(x))) + (std::isnan(x) ? x : 0);
}

/// Their limit at minus infinity is -0.
inline long double silu(long double x) { return std::isinf(x) && x < 0 ? -0.0L : x * sigmoid(x); }

/// The rounding error of x / sqrt(2) would be seen in the tails: erfc' corrects for it.
inline long double normal_cdf(long double x) {
  if (!std::isfinite(x)) return x < 0 ? 0 : x > 0 ? 1 : x;
  const long double root = std::sqrt(0.5L);
  const long double root_low = std::fma(-root, root, 0.5L) / (2 * root);
  const long double y = -x * root;
  const long double y_low = std::fma(-x, root, -y) - x * root_low;
  const long double slope = -2 / std::sqrt(std::acos(-1.0L)) * std::exp(-y * y);
  return (std::erfc(y) + slope * y_low) / 2;
}
inline long double normal_pdf(long double x) {
  const long double square = x * x;
  const long double low = square < 1e5L ? std::fma(x, x, -square) : 0;
  const long double root = std::sqrt(2 * std::acos(-1.0L));
  return std::exp(-square / 2) * (1 - low / 2) / root;
}
inline long double gelu(long double x) {
  return std::isinf(x) && x < 0 ? -0.0L : x * normal_cdf(x);
}

}  // namespace taper::exact
