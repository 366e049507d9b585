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
//   primitives   fma, abs, sqrt, rint, floor, min, max, copysign, where, pow2i, exponent, mantissa.
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
// value. [fdlibm] is Sun's freely distributable libm, as in FreeBSD's msun. [njuffa] are Norbert
// Juffa's published single-precision implementations (BSD licence).
//
// Largest errors seen in ULP, float / double (float: every 23rd number; functors_test.cpp repeats
// the check on fewer):
//   exp 0.9 / 0.9    expm1 1.5 / 1.2    log 1.0 / 0.8       log1p 1.5 / 1.2   pow 1.1 / 1.1
//   tanh 1.4 / 2.1   sigmoid 2.4 / 2.0  softplus 1.9 / 1.5  erf 1.0 / 1.2     rsqrt 1.5 / 1.5
//   sin, cos 1.5 / 1.5 for |x| < 1e4 (double: 1e5)
#pragma once

#include <cstdint>
#include <type_traits>

// Every function is inlined always: a source that is compiled for AVX-512 must not emit a weak
// scalar function that the linker could then use on an older machine.
#if defined(__CUDACC__)
#define TAPER_FN __host__ __device__ inline __attribute__((always_inline))
#else
#define TAPER_FN inline __attribute__((always_inline))
#endif

// Masks of scalars are bools, and `&` and `|` are the operators of all masks.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wbitwise-instead-of-logical"
#endif

namespace taper::fn {

/// The number type behind T: float for float, Vec<float> and Dual<Vec<float>>.
template <class T>
struct elem {
  using type = T;
};
template <class T>
using elem_t = typename elem<T>::type;

template <class T>
concept Scalar = std::is_same_v<T, float> || std::is_same_v<T, double>;

/// Types whose elementary functions are composed of primitives. To add one, specialise it and elem.
template <class T>
struct is_composed : std::bool_constant<Scalar<T>> {};
template <class T>
concept Composed = is_composed<T>::value;

template <class T>
inline constexpr bool is_single = std::is_same_v<elem_t<T>, float>;

// ---------------------------------------------------------------------------------- primitives

TAPER_FN float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
TAPER_FN double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

TAPER_FN float abs(float x) { return __builtin_fabsf(x); }
TAPER_FN double abs(double x) { return __builtin_fabs(x); }

TAPER_FN float sqrt(float x) { return __builtin_sqrtf(x); }
TAPER_FN double sqrt(double x) { return __builtin_sqrt(x); }

/// To the nearest integer, ties to even.
TAPER_FN float rint(float x) { return __builtin_rintf(x); }
TAPER_FN double rint(double x) { return __builtin_rint(x); }

TAPER_FN float floor(float x) { return __builtin_floorf(x); }
TAPER_FN double floor(double x) { return __builtin_floor(x); }

/// a - b * trunc(a / b), exact.
TAPER_FN float fmod(float a, float b) { return __builtin_fmodf(a, b); }
TAPER_FN double fmod(double a, double b) { return __builtin_fmod(a, b); }

TAPER_FN float copysign(float a, float b) { return __builtin_copysignf(a, b); }
TAPER_FN double copysign(double a, double b) { return __builtin_copysign(a, b); }

/// min and max return the second argument when either is NaN or both are zeros (x86's minps):
/// `max(T(0), x)` hands a NaN in x on, `max(x, T(0))` loses it. `minimum` and `maximum` below
/// propagate NaN from both sides.
template <Scalar T>
TAPER_FN T min(T a, T b) {
  return a < b ? a : b;
}
template <Scalar T>
TAPER_FN T max(T a, T b) {
  return a > b ? a : b;
}

template <Scalar T>
TAPER_FN T where(bool mask, T a, T b) {
  return mask ? a : b;
}

/// 2^n for integral n from -127 to 128 (double: -1023 to 1024); the ends give 0 and infinity.
/// Adding 1.5 * 2^23 + 127 leaves n + 127 in the low bits, which are then moved to the exponent.
TAPER_FN float pow2i(float n) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, n + 12583039.0f);
  return __builtin_bit_cast(float, bits << 23);
}
TAPER_FN double pow2i(double n) {
  const uint64_t bits = __builtin_bit_cast(uint64_t, n + 6755399441056767.0);
  return __builtin_bit_cast(double, bits << 52);
}

/// x = mantissa(x) * 2^exponent(x), the mantissa in [sqrt(1/2), sqrt(2)), for positive normal x.
/// Other values give unspecified numbers, the same for every type.
namespace bits {
/// Bits of 1.0 and of sqrt(1/2).
inline constexpr uint32_t kOne32 = 0x3f800000;
inline constexpr uint32_t kRoot32 = 0x3f3504f3;
inline constexpr uint64_t kOne64 = 0x3ff0000000000000;
inline constexpr uint64_t kRoot64 = 0x3fe6a09e667f3bcd;
/// Bits of 2^23 and 2^52: an integer k below that, put in the low bits, makes the number 2^23 + k.
inline constexpr uint32_t kMagic32 = 0x4b000000;
inline constexpr uint64_t kMagic64 = 0x4330000000000000;
}  // namespace bits

TAPER_FN float exponent(float x) {
  const uint32_t u = __builtin_bit_cast(uint32_t, x);
  const uint32_t biased = (u + (bits::kOne32 - bits::kRoot32)) >> 23;
  return __builtin_bit_cast(float, biased | bits::kMagic32) - 8388735.0f;  // 2^23 + 127
}
TAPER_FN double exponent(double x) {
  const uint64_t u = __builtin_bit_cast(uint64_t, x);
  const uint64_t biased = (u + (bits::kOne64 - bits::kRoot64)) >> 52;
  return __builtin_bit_cast(double, biased | bits::kMagic64) - 4503599627371519.0;  // 2^52 + 1023
}
TAPER_FN float mantissa(float x) {
  const uint32_t u = __builtin_bit_cast(uint32_t, x);
  const uint32_t biased = (u + (bits::kOne32 - bits::kRoot32)) >> 23;
  return __builtin_bit_cast(float, u - (biased << 23) + bits::kOne32);
}
TAPER_FN double mantissa(double x) {
  const uint64_t u = __builtin_bit_cast(uint64_t, x);
  const uint64_t biased = (u + (bits::kOne64 - bits::kRoot64)) >> 52;
  return __builtin_bit_cast(double, u - (biased << 52) + bits::kOne64);
}

// ------------------------------------------------------------------------------------- helpers

template <class T>
TAPER_FN T infinity() {
  return T(__builtin_inf());
}
template <class T>
TAPER_FN T not_a_number() {
  return T(__builtin_nan(""));
}

/// Horner's scheme, highest coefficient first.
template <class T>
TAPER_FN T horner_step(T, T sum) {
  return sum;
}
template <class T, class... C>
TAPER_FN T horner_step(T x, T sum, double next, C... rest) {
  return horner_step(x, fma(sum, x, T(next)), rest...);
}
template <class T, class... C>
TAPER_FN T horner(T x, double highest, C... rest) {
  return horner_step(x, T(highest), rest...);
}

/// An unevaluated sum: about twice the digits of T.
template <class T>
struct Sum {
  T high;
  T low;
};

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

/// x - n ln 2, for integral n. The first part of ln 2 has enough trailing zeros for exact products.
template <Composed T>
TAPER_FN T minus_n_ln2(T x, T n) {
  if constexpr (is_single<T>) {
    return fma(n, T(-1.42860682030941726e-06), fma(n, T(-6.93145751953125000e-01), x));
  } else {
    return fma(n, T(-1.90821492927058770e-10), fma(n, T(-6.93147180369123816e-01), x));
  }
}

/// exp(x + tail) for |tail| much smaller than |x|, also the last step of pow.
/// x = n ln 2 + r, |r| <= ln(2)/2; exp(r) = 1 + r + r^2 P(r) with P of [fit].
template <Composed T>
TAPER_FN T exp_with_tail(T x, const T* tail) {
  // The order of the arguments lets NaN through. Beyond the bounds the result is 0 or infinity.
  if constexpr (is_single<T>) {
    x = min(T(89.0), max(T(-104.0), x));
  } else {
    x = min(T(710.0), max(T(-746.0), x));
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
  // Two factors: no overflow in between, and underflow rounds once.
  const T half = rint(n * T(0.5));
  return p * pow2i(half) * pow2i(n - half);
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

/// x = mantissa * 2^power for positive finite x, also subnormal.
template <class T>
struct Split {
  T mantissa;
  T power;
};
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

/// log(x) with about 1.5 times the digits of T, for positive finite x.
/// s = f / (2 + f) with its remainder; log(1 + f) = 2 s + s^3 (2/3 + s^2 R(s^2)), R of [fit].
template <Composed T>
TAPER_FN Sum<T> log_extended(T x) {
  constexpr bool single = is_single<T>;
  const Split<T> parts = split(x);
  const T m = parts.mantissa;
  const T f = m - T(1.0);
  const T d = m + T(1.0);
  const T d_low = m - (d - T(1.0));
  const T s = f / d;
  const T s_low = fma(-s, d_low, fma(-s, d, f)) / d;
  const T z = s * s;
  const T z_low = fma(T(2.0) * s, s_low, fma(s, s, -z));
  T r = z;
  if constexpr (single) {
    r = horner(z, 2.34191874764847763e-01, 2.85471067074373641e-01, 4.00001524689088617e-01);
  } else {
    r = horner(z, 1.31970958207057371e-01, 1.32567347926195650e-01, 1.53867609190714349e-01,
               1.81817842882896513e-01, 2.22222225208415336e-01, 2.85714285700942650e-01,
               4.00000000000022671e-01);
  }
  const T rz = r * z;
  const T third = T(single ? 6.66666686534881592e-01 : 6.66666666666666630e-01);
  const T third_low = T(single ? -1.98682149251302072e-08 : 3.70074341541718826e-17);
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
  const T nl = n * T(single ? 6.93145751953125000e-01 : 6.93147180369123816e-01);
  const T nl_low = n * T(single ? 1.42860682030941726e-06 : 1.90821492927058770e-10);
  const T sum = nl + h;
  const T sum_low = (nl - sum) + h + (h_low + nl_low);
  const T high = sum + sum_low;
  return {high, (sum - high) + sum_low};
}

/// x^y with all rules of C's pow: pow(x, 0) = pow(1, y) = 1 even for NaN, a negative x with an
/// integral y takes the sign of y's parity, with another y it gives NaN.
template <Composed T>
TAPER_FN T pow(T x, T y) {
  const T a = abs(x);
  const auto a_is_zero = a == T(0.0);
  const auto a_is_infinite = a == infinity<T>();
  const Sum<T> log_a = log_extended(a);
  T high = where(a_is_zero, -infinity<T>(), log_a.high);
  high = where(a_is_infinite, infinity<T>(), high);
  high = where(x != x, x, high);
  const T product = y * high;
  T tail = fma(y, log_a.low, fma(y, log_a.high, -product));
  tail = where(abs(product) < T(1000.0), tail, T(0.0));
  tail = where(abs(y) < infinity<T>(), tail, T(0.0));
  T p = exp_with_tail(product, &tail);
  p = where(a == T(1.0), where(y != y, y, T(1.0)), p);  // infinite y: 0 * infinity
  const auto integral = rint(y) == y;
  const T half = y * T(0.5);
  const auto odd = integral & (rint(half) != half);
  p = where(odd, copysign(p, x), p);
  const auto invalid = (x < T(0.0)) & !integral & !a_is_infinite;
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

// ------------------------------------------------------------------- functions: trigonometric

/// x = quarters * pi/2 + rest, by Cody and Waite's three parts of pi/2 with fused products.
template <class T>
struct Angle {
  T quarters;  // 0, 1, 2 or 3
  T rest;      // in [-pi/4, pi/4], a little more for large x: n is from a rounded product
};
template <Composed T>
TAPER_FN Angle<T> reduce_angle(T x) {
  const T n = rint(x * T(6.36619772367581382e-01));
  T r = x;
  if constexpr (is_single<T>) {
    r = fma(n, T(-1.57079637050628662e+00), r);
    r = fma(n, T(4.37113882867379289e-08), r);
    r = fma(n, T(1.71512451000588187e-15), r);
  } else {
    r = fma(n, T(-1.57079632679489656e+00), r);
    r = fma(n, T(-6.12323399573676604e-17), r);
    r = fma(n, T(1.49738490485916983e-33), r);
  }
  // Far beyond the range of full accuracy the result is at least between -1 and 1.
  r = min(T(1.0), max(T(-1.0), r));
  return {n - T(4.0) * floor(n * T(0.25)), r};
}

/// sin and cos of |r| <= pi/4 [fit].
template <Composed T>
TAPER_FN T sin_reduced(T r) {
  const T s = r * r;
  T p = s;
  if constexpr (is_single<T>) {
    p = horner(s, 2.71810987781850827e-06, -1.98393109933199611e-04, 8.33332930064502320e-03,
               -1.66666666407566444e-01);
  } else {
    p = horner(s, 1.58961379131196416e-10, -2.50507460666646417e-08, 2.75573136096164961e-06,
               -1.98412698295516595e-04, 8.33333333332206272e-03, -1.66666666666666297e-01);
  }
  return fma(p * s, r, r);
}
template <Composed T>
TAPER_FN T cos_reduced(T r) {
  const T s = r * r;
  if constexpr (is_single<T>) {
    return horner(s, 2.44331731966178020e-05, -1.38873164417195540e-03, 4.16666456871620933e-02,
                  -0.5, 1.0);
  } else {
    return horner(s, -1.13585028214978119e-11, 2.08757001910250257e-09, -2.75573141744838406e-07,
                  2.48015872888348411e-05, -1.38888888888730297e-03, 4.16666666666665950e-02, -0.5,
                  1.0);
  }
}

/// Full accuracy for |x| < 1e4 (double: 1e5). It falls slowly beyond; from about 1e7 (double: 1e15)
/// on the results are only numbers between -1 and 1. Infinity gives NaN.
template <Composed T>
TAPER_FN T sin(T x) {
  const Angle<T> angle = reduce_angle(x);
  const T q = angle.quarters;
  const auto use_cos = (q == T(1.0)) | (q == T(3.0));
  const T y = where(use_cos, cos_reduced(angle.rest), sin_reduced(angle.rest));
  return where(x == T(0.0), x, where(q >= T(2.0), -y, y));
}
template <Composed T>
TAPER_FN T cos(T x) {
  const Angle<T> angle = reduce_angle(x);
  const T q = angle.quarters;
  const auto use_sin = (q == T(1.0)) | (q == T(3.0));
  const T y = where(use_sin, sin_reduced(angle.rest), cos_reduced(angle.rest));
  return where((q == T(1.0)) | (q == T(2.0)), -y, y);
}

}  // namespace taper::fn

namespace taper {
using namespace fn;  // see the first comment: functors of taper never see <cmath>'s functions
}
