// Elementary functions written once, for scalars, SIMD vectors and types that print source code.
//
// A pointwise op is a functor: a struct with a template `operator()(T x, ...)`. The author writes
// constants as `T(0.5)` (from double literals), `where(mask, a, b)` instead of `?:`, masks joined
// by `&`, `|` and `!`, and plain calls such as `exp(x)`, `max(x, y)` or `fma(a, b, c)`.
//
// Which `exp` is that? For float and double it must be the one below, never `::exp` of <cmath>
// (whose bits depend on the C library). This header ends with `using namespace fn` inside
// namespace taper: every functor in namespace taper, or in a namespace within it, finds taper's
// functions before it reaches the global ones. Functors of other namespaces need their own
// `using namespace taper::fn;`. Calls qualified by `std::` or `::` are wrong in a functor.
//
// Two layers:
//   primitives   fma, abs, sqrt, rint, floor, fmod, min, max, copysign, where, any_lane, pow2i,
//                exponent, mantissa.
//                Here for float and double; Vec (vec.h) and other types bring their own, which are
//                found by argument-dependent look-up. Each is exact or correctly rounded.
//   functions    exp, log, tanh, ... built from the primitives only, for every type T with
//                is_composed<T>. The sequence of operations is the same for all of them, so with
//                `-ffp-contract=off` a scalar, AVX2 and AVX-512 agree in every bit (all NaNs
//                counted as one: their sign and payload are not specified).
//
// NaN propagates through every function, infinities and signed zeros come out as in C's Annex F
// (except where a comment says otherwise), overflow gives infinity, underflow is gradual.
//
// Sources: coefficients marked [fit] are weighted least-squares fits iterated towards the minimax
// polynomial (Lawson) in 60-digit arithmetic; the weight makes the error relative to the function's
// value; those marked [chebyshev] interpolate at Chebyshev's points in the same arithmetic, with an
// error below 2^-26 (double: 2^-55). [fdlibm] is Sun's freely distributable libm, as in FreeBSD's
// msun. [njuffa] are Norbert Juffa's published single-precision implementations (BSD licence).
//
// docs/accuracy.md has the largest errors measured; functors_test.cpp checks fewer numbers.
#pragma once

#include "taper/backend/cpu/simd/primitives.h"
#include "taper/backend/cpu/simd/trigonometric.h"

namespace taper::fn {

// ---------------------------------------------------------------- functions: exponentials, powers

/// min and max of the array API: NaN in either argument gives NaN.
template <Composed T>
TAPER_FN T minimum(T a, T b) {
  return where(a != a, a, min(a, b));
}
template <Composed T>
TAPER_FN T maximum(T a, T b) {
  return where(a != a, a, max(a, b));
}

/// A constant times x.
template <class T>
TAPER_FN T scaled(double factor, const T& x) {
  return T(factor) * x;
}

/// x - n ln 2, for integral n. The first part of ln 2 has enough trailing zeros for exact products.
template <Composed T>
TAPER_FN T minus_n_ln2(T x, T n) {
  if constexpr (is_single<T>) {
    return fma(n, T(-1.42860682030941726e-06), fma(n, T(-6.93145751953125000e-01), x));
  } else {
    return fma(n, T(-1.90821492927058770e-10), fma(n, T(-6.93147180369123816e-01), x));
  }
}

/// A number as mantissa * 2^power. Of `split` the mantissa is in [sqrt(1/2), sqrt(2)).
template <class T>
struct Split {
  T mantissa;
  T power;
};

/// exp(x + tail) for |tail| much smaller than |x|.
/// x = n ln 2 + r, |r| <= ln(2)/2; exp(r) = 1 + r + r^2 P(r) with P of [fit].
template <Composed T>
TAPER_FN Split<T> exp_split(T x, const T* tail) {
  // The order of the arguments lets NaN through. Beyond the bounds `scale` gives infinity, or 0 for
  // any factor up to the bound.
  if constexpr (is_single<T>) {
    x = min(T(89.0), max(T(-150.0), x));
  } else {
    x = min(T(710.0), max(T(-800.0), x));
  }
  const T n = rint(x * T(1.4426950408889634));
  T r = minus_n_ln2(x, n);
  if (tail) r = r + *tail;
  T p = r;
  if constexpr (is_single<T>) {
    p = horner(r, 1.38147524044875602e-03, 8.36879965812788520e-03, 4.16683912571683690e-02,
               1.66665199381503593e-01, 4.99999934145974489e-01, 1.0, 1.0);
  } else {
    p = horner(r, 2.50000890086628946e-08, 2.76304242694437780e-07, 2.75575871749381301e-06,
               2.48014926394839672e-05, 1.98412695046788865e-04, 1.38888889440366529e-03,
               8.33333333349580915e-03, 4.16666666665287747e-02, 1.66666666666664104e-01,
               5.00000000000001110e-01, 1.0, 1.0);
  }
  return {p, n};
}

/// x 2^n for twice the range of pow2i. Two factors: no overflow in between, and underflow rounds
/// once.
template <Composed T>
TAPER_FN T scale(T x, T n) {
  const T half = rint(n * T(0.5));
  return x * pow2i(half) * pow2i(n - half);
}

/// The same for n <= 1, where few numbers are so small that one factor is not enough.
template <Composed T>
TAPER_FN T scale_down(T x, T n) {
  const T y = x * pow2i(n);
  const auto far = n < T(is_single<T> ? -126.0 : -1022.0);
  if (__builtin_expect(any_lane(far), 0)) return where(far, scale(x, n), y);
  return y;
}

/// Also the last step of pow.
template <Composed T>
TAPER_FN T exp_with_tail(T x, const T* tail) {
  const Split<T> parts = exp_split(x, tail);
  return scale(parts.mantissa, parts.power);
}

template <Composed T>
TAPER_FN T exp(T x) {
  return exp_with_tail(x, static_cast<const T*>(nullptr));
}

/// exp(x) - 1. For |x| < 1/2 the polynomial alone; else 2^n (exp(r) - 1) + (2^n - 1). [fit]
template <Composed T>
TAPER_FN T expm1(T x) {
  constexpr double limit = is_single<T> ? 89.0 : 710.0;
  const T t = min(T(limit), max(T(-40.0), x));
  const auto small = abs(x) < T(0.5);
  const T n = where(small, T(0.0), rint(t * T(1.4426950408889634)));
  const T r = minus_n_ln2(t, n);
  T p = r;
  if constexpr (is_single<T>) {
    p = horner(r, 2.47907223049273377e-05, 1.99735924739418704e-04, 1.38893056590551952e-03,
               8.33314222571745686e-03, 4.16666602561166777e-02, 1.66666674492326999e-01,
               5.00000000196341499e-01);
  } else {
    p = horner(r, 1.60609548254623795e-10, 2.09696095657240125e-09, 2.50523610170046902e-08,
               2.75570310549538232e-07, 2.75573182797967119e-06, 2.48015877295078146e-05,
               1.98412698426138806e-04, 1.38888888885815853e-03, 8.33333333333253698e-03,
               4.16666666666676011e-02, 1.66666666666666685e-01, 5.00000000000000000e-01);
  }
  const T q = fma(r * p, r, r);
  const T scale = pow2i(n - T(1.0));  // half of 2^n, which may be above the largest number
  const T big = fma(scale, q, scale - T(0.5)) * T(2.0);
  return copysign(where(small, q, big), x);
}

/// log(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1], plus n ln 2.
template <Composed T>
TAPER_FN T log_reduced(T f, T n) {
  if constexpr (is_single<T>) {
    // f - f^2/2 + f^3 P(f) [fit]
    T p = horner(f, -7.63286191217225490e-02, 1.27609293046850314e-01, -1.31604964605645552e-01,
                 1.42018660560813748e-01, -1.66233354082071433e-01, 2.00012218301857086e-01,
                 -2.50008216006153250e-01, 3.33333317559443343e-01, -0.5);
    p = fma(p, f * f, f);
    return fma(n, T(6.93147180559945309e-01), p);
  } else {
    // [fdlibm] e_log.c: s = f / (2 + f), log(1 + f) = f - s (f - R(s^2)).
    const T s = f / (f + T(2.0));
    const T z = s * s;
    const T r =
        z * horner(z, 1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                   2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                   6.666666666666735130e-01);
    const T h = T(0.5) * f * f;
    const T low = fma(s, h + r, n * T(1.90821492927058770e-10));
    return fma(n, T(6.93147180369123816e-01), f - (h - low));
  }
}

/// Results of log for the arguments that are no positive finite number, else y.
template <Composed T>
TAPER_FN T log_special(T x, T y) {
  y = where(x == infinity<T>(), x, y);
  y = where(x == T(0.0), -infinity<T>(), y);
  return where(x >= T(0.0), y, not_a_number<T>());
}

/// For positive finite x, also subnormal.
template <Composed T>
TAPER_FN Split<T> split(T x) {
  constexpr bool single = is_single<T>;
  const auto subnormal = x < T(single ? 0x1p-126 : 0x1p-1022);
  const T scaled = where(subnormal, x * T(single ? 0x1p24 : 0x1p54), x);
  const T shift = where(subnormal, T(single ? 24.0 : 54.0), T(0.0));
  return {mantissa(scaled), exponent(scaled) - shift};
}

template <Composed T>
TAPER_FN T log(T x) {
  const Split<T> parts = split(x);
  return log_special(x, log_reduced(parts.mantissa - T(1.0), parts.power));
}

/// log(1 + x). With u = 1 + x (rounded) = m 2^n, the exact 1 + x is (1 + f) 2^n for
/// f = x 2^-n + (2^-n - 1): one rounding. For large x, u is as good as 1 + x.
template <Composed T>
TAPER_FN T log1p(T x) {
  constexpr double large = is_single<T> ? 0x1p25 : 0x1p54;
  const T u = x + T(1.0);
  const T n = exponent(u);
  const auto is_large = u > T(large);
  const T scale = pow2i(where(is_large, T(0.0), -n));
  const T f = where(is_large, mantissa(u) - T(1.0), fma(x, scale, scale - T(1.0)));
  return copysign(log_special(u, log_reduced(f, n)), x);
}

/// log(x) of doubles with about 1.5 times their digits, for positive finite x.
/// s = f / (2 + f) with its remainder; log(1 + f) = 2 s + s^3 (2/3 + s^2 R(s^2)), R of [fit].
template <Composed T>
TAPER_FN Sum<T> log_extended(T x) {
  const Split<T> parts = split(x);
  const T m = parts.mantissa;
  const T f = m - T(1.0);
  const T d = m + T(1.0);
  const T d_low = m - (d - T(1.0));
  const T s = f / d;
  const T s_low = fma(-s, d_low, fma(-s, d, f)) / d;
  const T z = s * s;
  const T z_low = fma(T(2.0) * s, s_low, fma(s, s, -z));
  const T r = horner(z, 1.31970958207057371e-01, 1.32567347926195650e-01, 1.53867609190714349e-01,
                     1.81817842882896513e-01, 2.22222225208415336e-01, 2.85714285700942650e-01,
                     4.00000000000022671e-01);
  const T rz = r * z;
  const T third = T(6.66666666666666630e-01);
  const T third_low = T(3.70074341541718826e-17);
  const T c = third + rz;
  const T c_low = (third - c) + rz + third_low;
  const T w = s * z;
  const T w_low = fma(s, z_low, fma(s_low, z, fma(s, z, -w)));
  const T t = w * c;
  const T t_low = fma(w, c_low, fma(w_low, c, fma(w, c, -t)));
  const T two_s = T(2.0) * s;
  const T h = two_s + t;
  const T h_low = (two_s - h) + t + fma(T(2.0), s_low, t_low);
  const T n = parts.power;
  const T nl = n * T(6.93147180369123816e-01);
  const T nl_low = n * T(1.90821492927058770e-10);
  const T sum = nl + h;
  const T sum_low = (nl - sum) + h + (h_low + nl_low);
  const T high = sum + sum_low;
  return {high, (sum - high) + sum_low};
}

/// a^y of floats a >= 0 in double, which needs no second word: the digits of log2(a), by the series
/// of 2 artanh(s), and of 2^r behind those of a float are below 2^-40 and 2^-31.
struct PowInDouble {
  template <class T>
  TAPER_FN T operator()(T a, T y) const {
    const T m = mantissa(a);
    const T s = (m - T(1.0)) / (m + T(1.0));
    T log = fma(s,
                horner(s * s, 2.21953083213686675e-01, 2.62308189252538793e-01,
                       3.20598897975325203e-01, 4.12198583111132388e-01, 5.77078016355585310e-01,
                       9.61796693925975554e-01, 2.88539008177792677e+00),
                exponent(a));
    log = where(a == T(0.0), -infinity<T>(), where(a < infinity<T>(), log, a));
    const T power = min(T(200.0), max(T(-200.0), y * log));  // hands NaN on
    const T n = rint(power);
    return pow2i(n) * horner(power - n, 1.32154867901443053e-06, 1.52527338040598377e-05,
                             1.54035303933816061e-04, 1.33335581464284411e-03,
                             9.61812910762847688e-03, 5.55041086648215762e-02,
                             2.40226506959100694e-01, 6.93147180559945286e-01,
                             1.00000000000000000e+00);
  }
};

/// a^y for a >= 0; but for a = 1 and y infinite.
template <Composed T>
TAPER_FN T pow_of_magnitude(T a, T y) {
  if constexpr (is_single<T>) {
    return in_double(PowInDouble(), a, y);
  } else {
    const Sum<T> log_a = log_extended(a);
    T high = where(a == T(0.0), -infinity<T>(), log_a.high);
    high = where(a < infinity<T>(), high, a);
    const T product = y * high;
    T tail = fma(y, log_a.low, fma(y, log_a.high, -product));
    tail = where(abs(product) < T(1000.0), tail, T(0.0));
    tail = where(abs(y) < infinity<T>(), tail, T(0.0));
    return exp_with_tail(product, &tail);
  }
}

/// x^y with all rules of C's pow: pow(x, 0) = pow(1, y) = 1 even for NaN, a negative x with an
/// integral y takes the sign of y's parity, with another y it gives NaN.
template <Composed T>
TAPER_FN T pow(T x, T y) {
  const T a = abs(x);
  T p = pow_of_magnitude(a, y);
  p = where(a == T(1.0), where(y != y, y, T(1.0)), p);  // infinite y: 0 * infinity
  const auto integral = rint(y) == y;
  const T half = y * T(0.5);
  const auto odd = integral & (rint(half) != half);
  p = where(odd, copysign(p, x), p);
  const auto invalid = (x < T(0.0)) & !integral & (a < infinity<T>());
  p = where(invalid, not_a_number<T>(), p);
  return where((y == T(0.0)) | (x == T(1.0)), T(1.0), p);
}

template <Composed T>
TAPER_FN T rsqrt(T x) {
  return T(1.0) / sqrt(x);
}

// --------------------------------------------------------- functions: hyperbolic, logistic, erf

template <Composed T>
TAPER_FN T tanh(T x) {
  const T t = abs(x);
  if constexpr (is_single<T>) {
    // Odd polynomial [fit] for |x| < 5/8, else 1 - 2 / (exp(2 |x|) + 1).
    const T s = x * x;
    const T p = horner(s, -5.69665069605379982e-03, 2.06318223765538482e-02,
                       -5.37375484259270467e-02, 1.33314169123572218e-01, -3.33332810282953029e-01);
    const T small = fma(p * s, x, x);
    const T big = T(1.0) - T(2.0) / (exp(t + t) + T(1.0));
    return copysign(where(t > T(0.625), big, small), x);
  } else {
    const T e = expm1(min(T(80.0), t + t));
    return copysign(e / (e + T(2.0)), x);
  }
}

/// 1 / (1 + exp(-x)) without overflow, also exact to a few ULP where it is tiny.
template <Composed T>
TAPER_FN T sigmoid(T x) {
  const T e = exp(-abs(x));
  return where(x < T(0.0), e, T(1.0)) / (e + T(1.0));
}

/// x / (1 + exp(-x)); -0 at minus infinity. Where exp(x) is subnormal and has lost digits, x exp(x)
/// is made of its parts.
template <Composed T>
TAPER_FN T silu(T x) {
  const Split<T> parts = exp_split(-abs(x), static_cast<const T*>(nullptr));
  const T e = scale_down(parts.mantissa, parts.power);
  const T y = where(x < T(0.0), x * e, x) / (T(1.0) + e);
  const auto far = (parts.power < T(is_single<T> ? -126.0 : -1022.0)) & (x < T(0.0));
  if (__builtin_expect(any_lane(far), 0)) {
    const T bounded = max(T(is_single<T> ? -150.0 : -800.0), x);
    return where(far, scale(bounded * parts.mantissa, parts.power), y);
  }
  return y;
}

/// log(1 + exp(x))
template <Composed T>
TAPER_FN T softplus(T x) {
  return max(T(0.0), x) + log1p(exp(-abs(x)));
}

/// Small |x|: x + x P(x^2). Else 1 - exp(Q(|x|)), where Q approximates log(erfc).
template <Composed T>
TAPER_FN T erf(T x) {
  if constexpr (is_single<T>) {
    // [njuffa] erff, below 1 ULP.
    const T t = abs(x);
    const T s = x * x;
    T r = horner(t, -1.72853470e-5, 3.83197126e-4);
    const T u = horner(t, -3.88396438e-3, 2.42546219e-2);
    r = fma(r, s, u);
    r = horner_step(t, r, -1.06777877e-1, -6.34846687e-1, -1.28717512e-1);
    r = fma(r, t, -t);
    const T big = copysign(T(1.0) - exp(r), x);
    const T p = horner(s, -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1,
                       -3.76125336e-1, 1.28379166e-1);
    return where(t > T(0.927734375), big, fma(p, x, x));
  } else {
    // [fit]; from 6 on, erf rounds to 1.
    const T t = min(T(6.0), abs(x));
    const T s = x * x;
    const T q = horner(t, 1.81820533614523277e-13, -9.08440181181924346e-12,
                       2.13821445476638703e-10, -3.15152344433731070e-09, 3.25916473038512140e-08,
                       -2.50827733875419680e-07, 1.48367423770540746e-06, -6.84110599916857129e-06,
                       2.44652264850229802e-05, -6.52437300950647393e-05, 1.11799570860866138e-04,
                       -2.37335854061819392e-05, -5.50005039418911715e-04, 1.67240229422750469e-03,
                       -2.00114707908523347e-04, -1.91294809684739164e-02, 1.02771512840701199e-01,
                       6.36620498446828553e-01, 1.12837896526809311e+00, 2.29318073382984653e-08);
    const T big = copysign(T(1.0) - exp(-q), x);
    const T p =
        horner(s, -7.77943345670636904e-10, 1.37109610295927225e-08, -1.62063091317070187e-07,
               1.64471309462628024e-06, -1.49247122495414754e-05, 1.20552935740684855e-04,
               -8.54832592921619928e-04, 5.22397760611634319e-03, -2.68661706431111980e-02,
               1.12837916709441835e-01, -3.76126389031835207e-01, 1.28379167095512559e-01);
    return where(t >= T(1.0), big, fma(p, x, x));
  }
}

// ---------------------------------------------------------- functions: the normal distribution

/// exp(-x^2 / 2) with the square's rounding error as a tail.
template <Composed T>
TAPER_FN Split<T> exp_half_square(T x) {
  const T square = x * x;
  const T tail = T(-0.5) * fma(x, x, -square);
  return exp_split(T(-0.5) * square, &tail);
}

/// (P(x) - 1/2) / x for |x| < 1, a polynomial in x^2. [chebyshev]
template <Composed T>
TAPER_FN T normal_center(T x) {
  const T s = x * x;
  if constexpr (is_single<T>) {
    return horner(s, -7.66053817138209005e-06, 1.13502296192861414e-04, -1.18634398880198872e-03,
                  9.97332848125617039e-03, -6.64903605671869069e-02, 3.98942280130840599e-01);
  } else {
    return horner(s, -9.02610990456558347e-11, 2.22707653917211879e-09, -4.11730893196518372e-08,
                  6.65931690408104204e-07, -9.44463980867677398e-06, 1.15434683230836158e-04,
                  -1.18732821480794040e-03, 9.97355700998338313e-03, -6.64903800669038592e-02,
                  3.98942280401432647e-01);
  }
}

/// t P(-t) for t >= 1, not scaled yet: exp(-t^2 / 2) times a function of t that varies little, a
/// polynomial in (t - 5) / (t + 5) (float: 2). [chebyshev]
template <Composed T>
TAPER_FN Split<T> normal_tail(T t) {
  constexpr double c = is_single<T> ? 2.0 : 5.0;
  const T w = T(1.0) / (t + T(c));
  T q = fma(T(-2.0 * c), w, T(1.0));
  // Without the roundings before; they matter less where c is small.
  if constexpr (!is_single<T>) q = fma(w, fma(-t, q, fma(T(-c), q + T(1.0), t)), q);
  T p = q;
  if constexpr (is_single<T>) {
    p = horner(q, -3.62058775645753391e-05, 1.31873955168167276e-03, -5.83613626305886030e-04,
               -4.46022196556645090e-03, -3.57806722540730251e-03, 1.81341385207062153e-02,
               3.27562573429227288e-02, -1.51303822065723154e-01, 1.70501808511927672e-01,
               3.36204003925765882e-01);
  } else {
    p = horner(q, 6.01498565352494745e-09, -2.70716928328379293e-08, -2.52579697588190387e-08,
               2.27333591191934372e-07, 6.07381860044949498e-08, -1.54713142492834942e-06,
               5.99190387736963750e-07, 1.03290132099306492e-05, -1.65386424099035084e-05,
               -5.45688005323527383e-05, 2.42761230244079636e-04, -1.26485237936200954e-04,
               -1.89562303010613041e-03, 8.90084502150379799e-03, -2.41617859570979164e-02,
               4.79508637316569328e-02, -7.42563952503189628e-02, 9.08862296493461869e-02,
               -8.50384434600421207e-02, 5.19052734300030419e-02, 3.84596524875031487e-01);
  }
  const Split<T> e = exp_half_square(t);
  return {e.mantissa * p, e.power};
}

/// |x|, at most as large as makes the tails 0.
template <Composed T>
TAPER_FN T normal_distance(T x) {
  return min(T(is_single<T> ? 14.6 : 39.5), abs(x));
}

/// The standard normal distribution function, and its density.
template <Composed T>
TAPER_FN T normal_cdf(T x) {
  const T t = normal_distance(x);
  const Split<T> tail = normal_tail(t);
  const T y = scale_down(tail.mantissa / t, tail.power);
  const T outer = where(x < T(0.0), y, T(1.0) - y);
  return where(t < T(1.0), fma(x, normal_center(x), T(0.5)), outer);
}
template <Composed T>
TAPER_FN T normal_pdf(T x) {
  const Split<T> e = exp_half_square(normal_distance(x));
  return scale_down(T(0.3989422804014327) * e.mantissa, e.power);
}

/// x normal_cdf(x), exact to a few ULP also in the lower tail. -0 at minus infinity.
template <Composed T>
TAPER_FN T gelu(T x) {
  const T t = normal_distance(x);
  const Split<T> tail = normal_tail(t);
  const T y = scale_down(tail.mantissa, tail.power);
  const T outer = where(x < T(0.0), -y, x - y);
  return where(t < T(1.0), x * fma(x, normal_center(x), T(0.5)), outer);
}

}  // namespace taper::fn

namespace taper {
using namespace fn;  // see the first comment: functors of taper never see <cmath>'s functions
}
