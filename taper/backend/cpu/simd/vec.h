// Vec<E>: one SIMD register of float or double as a number type for functors.
//
// Only for sources that are compiled once per instruction set, with
//   -march=x86-64-v3 -DHWY_DISABLE_PCLMUL_AES -DTAPER_ISA=v3      (or v4)
//   -O2 -ffp-contract=off -fno-math-errno -fno-trapping-math, for GCC also -fno-ipa-sra
// Without HWY_DISABLE_PCLMUL_AES, Highway 1.0.3 takes these levels for SSSE3 (they do not promise
// AES and PCLMUL). With ipa-sra, GCC 12 calls functors that a tile function should inline, and they
// run at half the speed. Everything here lives in namespace taper::v3 or taper::v4, so that code of
// one set is never linked in place of another's.
#pragma once

#ifndef TAPER_ISA
#error "compile this source per instruction set, with -DTAPER_ISA=v3 or -DTAPER_ISA=v4"
#endif
#ifndef HWY_COMPILE_ONLY_STATIC
#define HWY_COMPILE_ONLY_STATIC
#endif
#include <hwy/highway.h>

#include "taper/backend/cpu/simd/functors.h"

#define TAPER_ISA_LEVEL_v3 3
#define TAPER_ISA_LEVEL_v4 4
#define TAPER_ISA_LEVEL_OF_(isa) TAPER_ISA_LEVEL_##isa
#define TAPER_ISA_LEVEL_OF(isa) TAPER_ISA_LEVEL_OF_(isa)

namespace taper::TAPER_ISA {

static_assert(HWY_TARGET == (TAPER_ISA_LEVEL_OF(TAPER_ISA) == 3 ? HWY_AVX2 : HWY_AVX3),
              "Highway chose another target: see the flags at the top of vec.h");

namespace hn = hwy::HWY_NAMESPACE;

/// The result of a comparison, one truth value a lane.
template <class E>
struct Mask {
  using Raw = hn::Mask<hn::ScalableTag<E>>;
  Raw raw;

  friend TAPER_FN Mask operator&(Mask a, Mask b) { return {hn::And(a.raw, b.raw)}; }
  friend TAPER_FN Mask operator|(Mask a, Mask b) { return {hn::Or(a.raw, b.raw)}; }
  friend TAPER_FN Mask operator!(Mask a) { return {hn::Not(a.raw)}; }
  friend TAPER_FN bool any_lane(Mask m) { return !hn::AllFalse(hn::ScalableTag<E>(), m.raw); }
};

template <class E>
struct Vec {
  static_assert(std::is_same_v<E, float> || std::is_same_v<E, double>);
  using Element = E;
  using Tag = hn::ScalableTag<E>;
  using Raw = hn::Vec<Tag>;
  using Bits = hn::RebindToUnsigned<Tag>;
  using Word = hn::TFromD<Bits>;
  static constexpr size_t kLanes = HWY_LANES(E);
  static constexpr bool kSingle = std::is_same_v<E, float>;
  static constexpr int kFractionBits = kSingle ? 23 : 52;

  Raw raw;

  TAPER_FN Vec(Raw r) : raw(r) {}  // NOLINT: implicit, as the results of Highway's functions
  TAPER_FN explicit Vec(double c) : raw(hn::Set(Tag(), static_cast<E>(c))) {}

  static TAPER_FN Vec load(const E* p) { return hn::LoadU(Tag(), p); }
  TAPER_FN void store(E* p) const { hn::StoreU(raw, Tag(), p); }
  /// The first n elements, n <= kLanes; nothing behind them is touched, the other lanes are zero.
  static TAPER_FN Vec load_first(const E* p, size_t n) {
    return hn::MaskedLoad(hn::FirstN(Tag(), n), Tag(), p);
  }
  TAPER_FN void store_first(E* p, size_t n) const {
    hn::BlendedStore(raw, hn::FirstN(Tag(), n), Tag(), p);
  }

  friend TAPER_FN Vec operator+(Vec a, Vec b) { return hn::Add(a.raw, b.raw); }
  friend TAPER_FN Vec operator-(Vec a, Vec b) { return hn::Sub(a.raw, b.raw); }
  friend TAPER_FN Vec operator*(Vec a, Vec b) { return hn::Mul(a.raw, b.raw); }
  friend TAPER_FN Vec operator/(Vec a, Vec b) { return hn::Div(a.raw, b.raw); }
  friend TAPER_FN Vec operator-(Vec a) { return hn::Neg(a.raw); }
  TAPER_FN Vec& operator+=(Vec b) { return *this = *this + b; }
  TAPER_FN Vec& operator-=(Vec b) { return *this = *this - b; }
  TAPER_FN Vec& operator*=(Vec b) { return *this = *this * b; }
  TAPER_FN Vec& operator/=(Vec b) { return *this = *this / b; }

  friend TAPER_FN Mask<E> operator>(Vec a, Vec b) { return {hn::Gt(a.raw, b.raw)}; }
  friend TAPER_FN Mask<E> operator<(Vec a, Vec b) { return {hn::Lt(a.raw, b.raw)}; }
  friend TAPER_FN Mask<E> operator>=(Vec a, Vec b) { return {hn::Ge(a.raw, b.raw)}; }
  friend TAPER_FN Mask<E> operator<=(Vec a, Vec b) { return {hn::Le(a.raw, b.raw)}; }
  friend TAPER_FN Mask<E> operator==(Vec a, Vec b) { return {hn::Eq(a.raw, b.raw)}; }
  // Not hn::Ne: it is false for NaN in Highway 1.0.3.
  friend TAPER_FN Mask<E> operator!=(Vec a, Vec b) { return !(a == b); }
  friend TAPER_FN Vec where(Mask<E> m, Vec a, Vec b) { return hn::IfThenElse(m.raw, a.raw, b.raw); }

  friend TAPER_FN Vec fma(Vec a, Vec b, Vec c) { return hn::MulAdd(a.raw, b.raw, c.raw); }
  friend TAPER_FN Vec abs(Vec a) { return hn::Abs(a.raw); }
  friend TAPER_FN Vec sqrt(Vec a) { return hn::Sqrt(a.raw); }
  friend TAPER_FN Vec rint(Vec a) { return hn::Round(a.raw); }
  friend TAPER_FN Vec floor(Vec a) { return hn::Floor(a.raw); }
  /// Exact. The quotient of a and b, if it is not too large, is cut off to the right whole number
  /// or, where it was rounded up to one, to the next: then the rest has the other sign.
  friend TAPER_FN Vec fmod(Vec a, Vec b) {
    const Vec quotient = a / b;
    Vec rest = hn::NegMulAdd(hn::Trunc(quotient.raw), b.raw, a.raw);
    const Vec zero(0.0);
    const Mask<E> is_low = ((a > zero) & (rest < zero)) | ((a < zero) & (rest > zero));
    rest = copysign(where(is_low, rest + copysign(b, a), rest), a);
    const Mask<E> is_near =
        (abs(quotient) < Vec(kSingle ? 0x1p22 : 0x1p51)) & (abs(b) < Vec(__builtin_inf()));
    if (__builtin_expect(any_lane(!is_near), 0)) return where(is_near, rest, slow_fmod(a, b));
    return rest;
  }
  friend TAPER_FN Vec min(Vec a, Vec b) { return hn::Min(a.raw, b.raw); }
  friend TAPER_FN Vec max(Vec a, Vec b) { return hn::Max(a.raw, b.raw); }
  friend TAPER_FN Vec copysign(Vec a, Vec b) { return hn::CopySign(a.raw, b.raw); }

  // These three do what the scalar ones in functors.h do, by the same constants.
  friend TAPER_FN Vec pow2i(Vec n) {
    const Vec shifted = n + Vec(kSingle ? 12583039.0 : 6755399441056767.0);
    return from_bits(hn::ShiftLeft<kFractionBits>(shifted.to_bits()));
  }
  friend TAPER_FN Vec exponent(Vec x) {
    const auto magic = hn::Set(Bits(), kMagic);
    return from_bits(hn::Or(biased_exponent(x), magic)) -
           Vec(kSingle ? 8388735.0 : 4503599627371519.0);
  }
  friend TAPER_FN Vec mantissa(Vec x) {
    const auto shifted = hn::ShiftLeft<kFractionBits>(biased_exponent(x));
    return from_bits(hn::Add(hn::Sub(x.to_bits(), shifted), hn::Set(Bits(), kOne)));
  }

 private:
  /// In steps whose number differs by lane.
  static TAPER_FN Vec slow_fmod(Vec a, Vec b) {
    E x[kLanes];
    E y[kLanes];
    a.store(x);
    b.store(y);
    for (size_t i = 0; i < kLanes; ++i) x[i] = fn::fmod(x[i], y[i]);
    return load(x);
  }

  static constexpr Word kMagic =
      kSingle ? static_cast<Word>(fn::bits::kMagic32) : static_cast<Word>(fn::bits::kMagic64);
  static constexpr Word kOne =
      kSingle ? static_cast<Word>(fn::bits::kOne32) : static_cast<Word>(fn::bits::kOne64);
  static constexpr Word kRoot =
      kSingle ? static_cast<Word>(fn::bits::kRoot32) : static_cast<Word>(fn::bits::kRoot64);

  TAPER_FN hn::Vec<Bits> to_bits() const { return hn::BitCast(Bits(), raw); }
  static TAPER_FN Vec from_bits(hn::Vec<Bits> b) { return hn::BitCast(Tag(), b); }
  static TAPER_FN hn::Vec<Bits> biased_exponent(Vec x) {
    const auto moved = hn::Add(x.to_bits(), hn::Set(Bits(), kOne - kRoot));
    return hn::ShiftRight<kFractionBits>(moved);
  }
};

template <class F>
TAPER_FN Vec<float> in_double(F f, Vec<float> x, Vec<float> y) {
  const hn::ScalableTag<float> whole;
  const hn::Half<decltype(whole)> half;
  const hn::ScalableTag<double> wide;
  const Vec<double> low = f(Vec<double>(hn::PromoteTo(wide, hn::LowerHalf(half, x.raw))),
                            Vec<double>(hn::PromoteTo(wide, hn::LowerHalf(half, y.raw))));
  const Vec<double> high = f(Vec<double>(hn::PromoteTo(wide, hn::UpperHalf(half, x.raw))),
                             Vec<double>(hn::PromoteTo(wide, hn::UpperHalf(half, y.raw))));
  return hn::Combine(whole, hn::DemoteTo(half, high.raw), hn::DemoteTo(half, low.raw));
}

}  // namespace taper::TAPER_ISA

namespace taper::fn {

template <class E>
struct elem<TAPER_ISA::Vec<E>> {
  using type = E;
};
template <class E>
struct is_composed<TAPER_ISA::Vec<E>> : std::true_type {};

}  // namespace taper::fn
