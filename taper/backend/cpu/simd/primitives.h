// The primitives of functors.h for float and double, and what its functions share.
#pragma once

#include <cstdint>
#include <type_traits>

#include "taper/core/api.h"

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

/// f(x, y) computed in double and rounded once.
template <class F>
TAPER_FN float in_double(F f, float x, float y) {
  return static_cast<float>(f(static_cast<double>(x), static_cast<double>(y)));
}

/// Whether a comparison holds in any lane: the one way to branch.
TAPER_FN bool any_lane(bool mask) { return mask; }

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

}  // namespace taper::fn
