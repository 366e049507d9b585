// Sine and cosine, a part of functors.h, for every argument.
#pragma once

#include "taper/backend/cpu/simd/primitives.h"

namespace taper::fn {

/// x = quarters * pi/2 + rest
template <class T>
struct Angle {
  T quarters;  // 0, 1, 2 or 3
  T rest;      // in [-pi/4, pi/4], a little more for large x: n is from a rounded product
};

/// 2/pi: 64 zero bits, then its bits behind the binary point, enough for the largest double.
/// Not inline: no source may lend its weak copy to another instruction set.
constexpr uint64_t kTwoOverPi[] = {
    0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041,
    0xfe5163abdebbc561, 0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e,
    0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b,
    0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab};

/// Payne and Hanek, "Radian reduction for trigonometric functions" (1983), for |x| >= 1: only those
/// 192 bits of 2/pi are multiplied that decide the quarter and the rest.
TAPER_FN Angle<double> reduce_exactly(double x) {
  const auto word = __builtin_bit_cast(uint64_t, x);
  const auto biased = static_cast<int>(word >> 52 & 0x7ff);
  if (biased == 0x7ff) return {x - x, x - x};
  const uint64_t m = (word & 0xfffffffffffff) | 0x10000000000000;
  // x = m 2^(biased - 1075). Bits of 2/pi that give multiples of 4 are left out.
  const int first = biased - 1075 + 62;
  const uint64_t* at = kTwoOverPi + first / 64;
  const int shift = first % 64;
  const auto bits = [&](int i) __attribute__((always_inline)) {  // else a weak symbol at -O1
    return shift ? at[i] << shift | at[i + 1] >> (64 - shift) : at[i];
  };
  const unsigned __int128 low = static_cast<unsigned __int128>(m) * bits(2);
  const unsigned __int128 middle = static_cast<unsigned __int128>(m) * bits(1) + (low >> 64);
  const uint64_t high = m * bits(0) + static_cast<uint64_t>(middle >> 64);
  // Two bits of quarters; the fraction behind them is taken as a signed number below 1/2.
  unsigned __int128 fraction =
      static_cast<unsigned __int128>(high) << 64 | static_cast<uint64_t>(middle);
  fraction = fraction << 2 | static_cast<uint64_t>(low) >> 62;
  const bool above = (fraction >> 127) != 0;
  if (above) fraction = -fraction;
  const auto top = static_cast<uint64_t>(fraction >> 64);
  const int zeros =
      top ? __builtin_clzll(top) : 64 + __builtin_clzll(static_cast<uint64_t>(fraction));
  const auto digits = static_cast<uint64_t>(fraction << zeros >> 64);
  constexpr uint64_t half_pi = 0xc90fdaa22168c235;  // times 2^-63
  const auto product =
      static_cast<uint64_t>(static_cast<unsigned __int128>(digits) * half_pi >> 64);
  const double rest = static_cast<double>(product) * pow2i(static_cast<double>(-63 - zeros));
  const bool negative = word >> 63 != 0;
  const uint64_t quarters = (high >> 62) + (above ? 1 : 0);
  return {static_cast<double>((negative ? 4 - quarters : quarters) & 3),
          above != negative ? -rest : rest};
}

/// The lanes above `limit`, one by one; the others are not specified. Internal to its source, which
/// may be compiled for another instruction set than the next one.
template <Composed T>
[[gnu::noinline, gnu::cold]] static Angle<T> reduce_large(T x, elem_t<T> limit) {
  constexpr int lanes = sizeof(T) / sizeof(elem_t<T>);  // NOLINT(bugprone-sizeof-expression)
  elem_t<T> quarters[lanes];
  elem_t<T> rest[lanes];
  __builtin_memcpy(rest, &x, sizeof x);
  __builtin_memcpy(quarters, &x, sizeof x);
  for (int i = 0; i < lanes; ++i) {
    if (!(abs(rest[i]) > limit)) continue;
    const Angle<double> angle = reduce_exactly(static_cast<double>(rest[i]));
    quarters[i] = static_cast<elem_t<T>>(angle.quarters);
    rest[i] = static_cast<elem_t<T>>(angle.rest);
  }
  Angle<T> result{x, x};
  __builtin_memcpy(&result.quarters, quarters, sizeof x);
  __builtin_memcpy(&result.rest, rest, sizeof x);
  return result;
}

/// Cody and Waite's three parts of pi/2 with fused products, as far as they carry.
template <Composed T>
TAPER_FN Angle<T> reduce_angle(T x) {
  constexpr double limit = is_single<T> ? 0x1p17 : 0x1p30;
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
  Angle<T> angle{n - T(4.0) * floor(n * T(0.25)), r};
  const auto is_large = abs(x) > T(limit);
  if (__builtin_expect(any_lane(is_large), 0)) {
    const Angle<T> large = reduce_large(x, static_cast<elem_t<T>>(limit));
    angle.quarters = where(is_large, large.quarters, angle.quarters);
    angle.rest = where(is_large, large.rest, angle.rest);
  }
  return angle;
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

/// Full accuracy for every x. Infinity gives NaN.
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
