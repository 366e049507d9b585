// Dual<T>: a value and its derivative in one direction (forward mode). A functor called with Duals
// gives its derivative, without any derivative text: f(Dual<T>(x, T(1))).derivative is f'(x).
// Dual<Dual<T>> gives the second order, and so on.
//
// T is float, double, Vec<E>, a Dual, or any type with + - * / and unary -, a constructor from
// double, comparisons whose result `where(mask, a, b)` takes and which know & | !, and the used
// functions (exp, log, ...) by argument-dependent look-up. A function that a functor does not call
// need not exist for T.
//
// At points without a derivative: abs gives 0 at 0; min and max give the mean at ties; rint and
// floor give 0; pow gives 0 in the exponent where the base is 0 and the exponent is not negative,
// and NaN where the base is negative.
// A constant is scaled by, as in scaled(c, x), not multiplied with as T(c) * x, whose derivative
// holds 0 * x: NaN where x is infinite.
// Comparisons look at values only. A ReLU should be where(x <= T(0), T(0), x): its derivative
// at 0 is 0 and NaN passes; max(T(0), x) has 1/2 there.
#pragma once

#include "taper/backend/cpu/simd/functors.h"

namespace taper::fn {

template <class T>
struct Dual {
  T value;
  T derivative;

  TAPER_FN Dual(const T& v, const T& d) : value(v), derivative(d) {}
  TAPER_FN explicit Dual(double constant) : value(T(constant)), derivative(T(0.0)) {}

  friend TAPER_FN Dual operator+(const Dual& a, const Dual& b) {
    return {a.value + b.value, a.derivative + b.derivative};
  }
  friend TAPER_FN Dual operator-(const Dual& a, const Dual& b) {
    return {a.value - b.value, a.derivative - b.derivative};
  }
  friend TAPER_FN Dual operator-(const Dual& a) { return {-a.value, -a.derivative}; }
  friend TAPER_FN Dual operator*(const Dual& a, const Dual& b) {
    return {a.value * b.value, multiply_add(a.value, b.derivative, a.derivative * b.value)};
  }
  friend TAPER_FN Dual operator/(const Dual& a, const Dual& b) {
    const T q = a.value / b.value;
    return {q, (a.derivative - q * b.derivative) / b.value};
  }
  TAPER_FN Dual& operator+=(const Dual& b) { return *this = *this + b; }
  TAPER_FN Dual& operator-=(const Dual& b) { return *this = *this - b; }
  TAPER_FN Dual& operator*=(const Dual& b) { return *this = *this * b; }
  TAPER_FN Dual& operator/=(const Dual& b) { return *this = *this / b; }

  friend TAPER_FN auto operator>(const Dual& a, const Dual& b) { return a.value > b.value; }
  friend TAPER_FN auto operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend TAPER_FN auto operator>=(const Dual& a, const Dual& b) { return a.value >= b.value; }
  friend TAPER_FN auto operator<=(const Dual& a, const Dual& b) { return a.value <= b.value; }
  friend TAPER_FN auto operator==(const Dual& a, const Dual& b) { return a.value == b.value; }
  friend TAPER_FN auto operator!=(const Dual& a, const Dual& b) { return a.value != b.value; }

  template <class M>
  friend TAPER_FN Dual where(const M& mask, const Dual& a, const Dual& b) {
    return {where(mask, a.value, b.value), where(mask, a.derivative, b.derivative)};
  }

  // ------------------------------------------------------------------------------ primitives

  friend TAPER_FN Dual scaled(double factor, const Dual& a) {
    return {scaled(factor, a.value), scaled(factor, a.derivative)};
  }
  friend TAPER_FN Dual fma(const Dual& a, const Dual& b, const Dual& c) {
    const T slope = multiply_add(a.value, b.derivative, a.derivative * b.value);
    return {multiply_add(a.value, b.value, c.value), slope + c.derivative};
  }
  friend TAPER_FN Dual abs(const Dual& a) {
    const T zero = T(0.0);
    const T down = where(a.value < zero, -a.derivative, zero);
    return {abs(a.value), where(a.value > zero, a.derivative, down)};
  }
  friend TAPER_FN Dual sqrt(const Dual& a) {
    const T y = sqrt(a.value);
    return {y, T(0.5) * a.derivative / y};
  }
  friend TAPER_FN Dual rint(const Dual& a) { return {rint(a.value), T(0.0)}; }
  friend TAPER_FN Dual floor(const Dual& a) { return {floor(a.value), T(0.0)}; }
  friend TAPER_FN Dual min(const Dual& a, const Dual& b) {
    const T d = where(a.value < b.value, a.derivative, b.derivative);
    return {min(a.value, b.value), at_ties(a, b, d)};
  }
  friend TAPER_FN Dual max(const Dual& a, const Dual& b) {
    const T d = where(a.value > b.value, a.derivative, b.derivative);
    return {max(a.value, b.value), at_ties(a, b, d)};
  }
  friend TAPER_FN Dual minimum(const Dual& a, const Dual& b) {
    return where(a.value != a.value, a, min(a, b));
  }
  friend TAPER_FN Dual maximum(const Dual& a, const Dual& b) {
    return where(a.value != a.value, a, max(a, b));
  }
  friend TAPER_FN Dual copysign(const Dual& a, const Dual& b) {
    const T sign = copysign(T(1.0), a.value) * copysign(T(1.0), b.value);
    return {copysign(a.value, b.value), sign * a.derivative};
  }

  // -------------------------------------------------------------------- elementary functions

  friend TAPER_FN Dual exp(const Dual& a) {
    const T y = exp(a.value);
    return {y, a.derivative * y};
  }
  friend TAPER_FN Dual expm1(const Dual& a) {
    return {expm1(a.value), a.derivative * exp(a.value)};
  }
  friend TAPER_FN Dual log(const Dual& a) { return {log(a.value), a.derivative / a.value}; }
  friend TAPER_FN Dual log1p(const Dual& a) {
    return {log1p(a.value), a.derivative / (T(1.0) + a.value)};
  }
  friend TAPER_FN Dual tanh(const Dual& a) {
    const T y = tanh(a.value);
    return {y, a.derivative * (T(1.0) - y * y)};
  }
  friend TAPER_FN Dual sigmoid(const Dual& a) {
    const T y = sigmoid(a.value);
    return {y, a.derivative * (y * (T(1.0) - y))};
  }
  friend TAPER_FN Dual silu(const Dual& a) {
    const T s = sigmoid(a.value);
    return {silu(a.value), a.derivative * (s * (T(1.0) + a.value * (T(1.0) - s)))};
  }
  friend TAPER_FN Dual normal_cdf(const Dual& a) {
    return {normal_cdf(a.value), a.derivative * normal_pdf(a.value)};
  }
  friend TAPER_FN Dual normal_pdf(const Dual& a) {
    const T y = normal_pdf(a.value);
    return {y, -(a.derivative * (a.value * y))};
  }
  friend TAPER_FN Dual gelu(const Dual& a) {
    const T slope = normal_cdf(a.value) + a.value * normal_pdf(a.value);
    return {gelu(a.value), a.derivative * slope};
  }
  friend TAPER_FN Dual softplus(const Dual& a) {
    return {softplus(a.value), a.derivative * sigmoid(a.value)};
  }
  friend TAPER_FN Dual erf(const Dual& a) {
    const T two_over_root_pi = T(1.1283791670955126);
    return {erf(a.value), a.derivative * (two_over_root_pi * exp(-(a.value * a.value)))};
  }
  friend TAPER_FN Dual sin(const Dual& a) { return {sin(a.value), a.derivative * cos(a.value)}; }
  friend TAPER_FN Dual cos(const Dual& a) { return {cos(a.value), -(a.derivative * sin(a.value))}; }
  friend TAPER_FN Dual rsqrt(const Dual& a) {
    const T y = rsqrt(a.value);
    return {y, T(-0.5) * a.derivative * (y / a.value)};
  }
  // b a^(b-1) da + a^b log(a) db, each term only where its direction is not constant.
  friend TAPER_FN Dual pow(const Dual& a, const Dual& b) {
    const T zero = T(0.0);
    const T y = pow(a.value, b.value);
    const T by_base = b.value * pow(a.value, b.value - T(1.0)) * a.derivative;
    const T by_exponent = y * log(a.value) * b.derivative;
    const auto no_base = is_zero(a.derivative) | is_zero(b.value);
    const auto is_zero_power = (a.value == zero) & ((b.value > zero) | (b.value == zero));
    const auto no_exponent = is_zero(b.derivative) | is_zero_power;
    return {y, where(no_base, zero, by_base) + where(no_exponent, zero, by_exponent)};
  }

 private:
  static TAPER_FN T multiply_add(const T& a, const T& b, const T& c) {
    if constexpr (requires { fma(a, b, c); }) {
      return fma(a, b, c);
    } else {
      return a * b + c;
    }
  }
  static TAPER_FN T at_ties(const Dual& a, const Dual& b, const T& otherwise) {
    const T mean = T(0.5) * (a.derivative + b.derivative);
    return where(a.value == b.value, mean, otherwise);
  }
  template <class U>
  static TAPER_FN auto is_zero(const U& x) {
    return x == U(0.0);
  }
  // Zero to every order, so that nothing is lost in a nested Dual.
  template <class U>
  static TAPER_FN auto is_zero(const Dual<U>& x) {
    return is_zero(x.value) & is_zero(x.derivative);
  }
};

template <class T>
struct elem<Dual<T>> {
  using type = elem_t<T>;
};

}  // namespace taper::fn
