// Tile functions: a functor applied to n contiguous elements, one instance per instruction set.
//
//   tile<F, E, N>            N inputs of type E, one output of type E
//   tile_mask<F, E, N>       a comparison functor (it returns a mask): output uint8_t, 0 or 1
//   tile_select<F, E, N>     functor(mask, x, ...): the first input is uint8_t, 0 is false
//   tile_multi<F, E, N, M>   a functor that returns std::array<T, M>: M outputs
//   f16_to_f32, ...          conversions
//
// `functor` points to an F (it may be null when F is empty). An output may be exactly an input;
// buffers that overlap otherwise are not allowed. Nothing outside of the n elements is touched.
// No alignment is needed. Four vectors are computed from loads that come before their four stores:
// the compiler cannot reorder them by itself, since outputs may alias inputs.
#pragma once

#include <array>
#include <cstring>
#include <utility>

#include "taper/backend/cpu/simd/vec.h"

// Everything is inlined into a tile function, also an author's plain operator(): at -O2 the
// compiler would call it, and pass vectors through memory.
#define TAPER_TILE __attribute__((flatten))

namespace taper::TAPER_ISA {

namespace detail {

/// A copy of the functor: its attributes stay in registers, no store of the loop can change them.
template <class F>
TAPER_FN F copy_functor(const void* functor) {
  static_assert(std::is_trivially_copyable_v<F>, "a functor's attributes are plain values");
  if constexpr (std::is_empty_v<F>) {
    return F{};
  } else {
    return *static_cast<const F*>(functor);
  }
}

/// Copies of the callers' pointers: a store through one of them cannot change these.
template <size_t N>
struct Inputs {
  const void* at[N];
  explicit TAPER_FN Inputs(const void* const* in) {
    for (size_t k = 0; k < N; ++k) at[k] = in[k];
  }
};
template <size_t M>
struct Outputs {
  void* at[M];
  explicit TAPER_FN Outputs(void* const* out) {
    for (size_t k = 0; k < M; ++k) at[k] = out[k];
  }
};

template <class E>
struct Whole {
  TAPER_FN Vec<E> operator()(const void* p, size_t i) const {
    return Vec<E>::load(static_cast<const E*>(p) + i);
  }
};
template <class E>
struct First {
  size_t count;
  TAPER_FN Vec<E> operator()(const void* p, size_t i) const {
    return Vec<E>::load_first(static_cast<const E*>(p) + i, count);
  }
};

/// f(in[0][i...], in[1][i...], ...)
template <class F, class Load, size_t... K>
TAPER_FN auto apply(const F& f, const void* const* in, size_t i, Load load,
                    std::index_sequence<K...>) {
  return f(load(in[K], i)...);
}
/// f(mask of in[0], in[1][i...], ...)
template <class F, class M, class Load, size_t... K>
TAPER_FN auto apply_after(const F& f, M mask, const void* const* in, size_t i, Load load,
                          std::index_sequence<K...>) {
  return f(mask, load(in[K + 1], i)...);
}

/// Eight truth values as the bits of a byte, to eight bytes of 0 or 1.
TAPER_FN uint64_t spread_bits(uint64_t byte) {
  const uint64_t copies = byte * 0x0101010101010101u;
  const uint64_t chosen = copies & 0x8040201008040201u;
  return ((chosen + 0x7f7f7f7f7f7f7f7fu) >> 7) & 0x0101010101010101u;
}

/// Truth values as bits of a register. Highway 1.0.3 gives them through memory only, and what is
/// read back bytewise waits for the store.
template <class E>
TAPER_FN uint64_t bits_of(Mask<E> mask) {
#if HWY_TARGET == HWY_AVX2
  if constexpr (sizeof(E) == 4) {
    return static_cast<uint32_t>(_mm256_movemask_ps(mask.raw.raw));
  } else {
    return static_cast<uint32_t>(_mm256_movemask_pd(mask.raw.raw));
  }
#else
  return mask.raw.raw;
#endif
}

/// Truth values as bytes; `count` of them are written to `out`.
template <class E>
TAPER_FN void store_mask(Mask<E> mask, uint8_t* out, size_t count) {
  constexpr size_t kLanes = Vec<E>::kLanes;
  const uint64_t bits = bits_of(mask);
  const uint64_t spread[2] = {spread_bits(bits & 0xff), spread_bits(bits >> 8)};
  if (count == kLanes) {
    std::memcpy(out, spread, kLanes);
  } else {
    std::memcpy(out, spread, count);
  }
}

/// The mask of `count` bytes, zero being false.
template <class E>
TAPER_FN Mask<E> load_mask(const uint8_t* in, size_t count) {
  constexpr size_t kLanes = Vec<E>::kLanes;
  using Tag = typename Vec<E>::Tag;
  using Wide = hn::RebindToUnsigned<Tag>;
  uint8_t bytes[kLanes] = {};
  if (count == kLanes) {
    std::memcpy(bytes, in, kLanes);
  } else {
    std::memcpy(bytes, in, count);
  }
  const auto narrow = hn::LoadU(hn::Rebind<uint8_t, Tag>(), bytes);
  if constexpr (sizeof(E) == 4) {
    const auto wide = hn::PromoteTo(Wide(), narrow);
    return {hn::RebindMask(Tag(), hn::Ne(wide, hn::Zero(Wide())))};
  } else {
    const auto half = hn::PromoteTo(hn::Rebind<uint32_t, Tag>(), narrow);
    const auto wide = hn::PromoteTo(Wide(), half);
    return {hn::RebindMask(Tag(), hn::Ne(wide, hn::Zero(Wide())))};
  }
}

template <size_t M, class E, size_t... K>
TAPER_FN void store_all(const std::array<Vec<E>, M>& y, void* const* out, size_t i,
                        std::index_sequence<K...>) {
  (std::get<K>(y).store(static_cast<E*>(out[K]) + i), ...);
}
template <size_t M, class E, size_t... K>
TAPER_FN void store_all_first(const std::array<Vec<E>, M>& y, void* const* out, size_t i,
                              size_t count, std::index_sequence<K...>) {
  (std::get<K>(y).store_first(static_cast<E*>(out[K]) + i, count), ...);
}

}  // namespace detail

template <class F, class E, size_t N>
TAPER_TILE void tile(const void* const* in, void* out, size_t n, const void* functor) {
  static_assert(N >= 1);
  constexpr size_t kLanes = Vec<E>::kLanes;
  constexpr auto kInputs = std::make_index_sequence<N>();
  const F f = detail::copy_functor<F>(functor);
  const detail::Whole<E> whole;
  const detail::Inputs<N> from(in);
  E* to = static_cast<E*>(out);
  size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    const Vec<E> a = detail::apply(f, from.at, i, whole, kInputs);
    const Vec<E> b = detail::apply(f, from.at, i + kLanes, whole, kInputs);
    const Vec<E> c = detail::apply(f, from.at, i + 2 * kLanes, whole, kInputs);
    const Vec<E> d = detail::apply(f, from.at, i + 3 * kLanes, whole, kInputs);
    a.store(to + i);
    b.store(to + i + kLanes);
    c.store(to + i + 2 * kLanes);
    d.store(to + i + 3 * kLanes);
  }
  for (; i < n; i += kLanes) {
    const size_t count = n - i < kLanes ? n - i : kLanes;
    const Vec<E> a = detail::apply(f, from.at, i, detail::First<E>{count}, kInputs);
    a.store_first(to + i, count);
  }
}

template <class F, class E, size_t N>
TAPER_TILE void tile_mask(const void* const* in, void* out, size_t n, const void* functor) {
  static_assert(N >= 1);
  constexpr size_t kLanes = Vec<E>::kLanes;
  constexpr auto kInputs = std::make_index_sequence<N>();
  const F f = detail::copy_functor<F>(functor);
  const detail::Inputs<N> from(in);
  uint8_t* to = static_cast<uint8_t*>(out);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Mask<E> mask = detail::apply(f, from.at, i, detail::Whole<E>(), kInputs);
    detail::store_mask<E>(mask, to + i, kLanes);
  }
  if (i < n) {
    const detail::First<E> first{n - i};
    const Mask<E> mask = detail::apply(f, from.at, i, first, kInputs);
    detail::store_mask<E>(mask, to + i, n - i);
  }
}

template <class F, class E, size_t N>
TAPER_TILE void tile_select(const void* const* in, void* out, size_t n, const void* functor) {
  static_assert(N >= 2);
  constexpr size_t kLanes = Vec<E>::kLanes;
  constexpr auto kValues = std::make_index_sequence<N - 1>();
  const F f = detail::copy_functor<F>(functor);
  const detail::Inputs<N> from(in);
  const uint8_t* bytes = static_cast<const uint8_t*>(in[0]);
  E* to = static_cast<E*>(out);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Mask<E> mask = detail::load_mask<E>(bytes + i, kLanes);
    const Vec<E> y = detail::apply_after(f, mask, from.at, i, detail::Whole<E>(), kValues);
    y.store(to + i);
  }
  if (i < n) {
    const Mask<E> mask = detail::load_mask<E>(bytes + i, n - i);
    const detail::First<E> first{n - i};
    const Vec<E> y = detail::apply_after(f, mask, from.at, i, first, kValues);
    y.store_first(to + i, n - i);
  }
}

template <class F, class E, size_t N, size_t M>
TAPER_TILE void tile_multi(const void* const* in, void* const* out, size_t n, const void* functor) {
  static_assert(N >= 1 && M >= 1);
  using Results = std::array<Vec<E>, M>;
  constexpr size_t kLanes = Vec<E>::kLanes;
  constexpr auto kInputs = std::make_index_sequence<N>();
  constexpr auto kOutputs = std::make_index_sequence<M>();
  const F f = detail::copy_functor<F>(functor);
  const detail::Whole<E> whole;
  const detail::Inputs<N> from(in);
  const detail::Outputs<M> to(out);
  size_t i = 0;
  // Two vectors at a time: with several inputs and outputs, four would not fit in 16 registers.
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const Results a = detail::apply(f, from.at, i, whole, kInputs);
    const Results b = detail::apply(f, from.at, i + kLanes, whole, kInputs);
    detail::store_all(a, to.at, i, kOutputs);
    detail::store_all(b, to.at, i + kLanes, kOutputs);
  }
  for (; i < n; i += kLanes) {
    const size_t count = n - i < kLanes ? n - i : kLanes;
    const Results a = detail::apply(f, from.at, i, detail::First<E>{count}, kInputs);
    detail::store_all_first(a, to.at, i, count, kOutputs);
  }
}

// --------------------------------------------------------------------------------- conversions

namespace detail {

using FloatTag = hn::ScalableTag<float>;
using HalfTag = hn::Rebind<hwy::float16_t, FloatTag>;
using ShortTag = hn::Rebind<uint16_t, FloatTag>;

/// Each converts one vector from `in` to `out`.
struct HalfToFloat {
  using In = uint16_t;
  using Out = float;
  TAPER_FN void operator()(const uint16_t* in, float* out) const {
    const auto half = hn::BitCast(HalfTag(), hn::LoadU(ShortTag(), in));
    hn::StoreU(hn::PromoteTo(FloatTag(), half), FloatTag(), out);
  }
};

struct FloatToHalf {
  using In = float;
  using Out = uint16_t;
  TAPER_FN void operator()(const float* in, uint16_t* out) const {
    const auto half = hn::DemoteTo(HalfTag(), hn::LoadU(FloatTag(), in));
    hn::StoreU(hn::BitCast(ShortTag(), half), ShortTag(), out);
  }
};

struct BfloatToFloat {
  using In = uint16_t;
  using Out = float;
  TAPER_FN void operator()(const uint16_t* in, float* out) const {
    const hn::RebindToUnsigned<FloatTag> word;
    const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(word, hn::LoadU(ShortTag(), in)));
    hn::StoreU(hn::BitCast(FloatTag(), bits), FloatTag(), out);
  }
};

/// To nearest even by integer arithmetic; a NaN keeps its sign and upper bits and becomes quiet.
struct FloatToBfloat {
  using In = float;
  using Out = uint16_t;
  TAPER_FN void operator()(const float* in, uint16_t* out) const {
    const hn::RebindToUnsigned<FloatTag> word;
    const hn::RebindToSigned<FloatTag> signed_word;
    const auto x = hn::LoadU(FloatTag(), in);
    const auto bits = hn::BitCast(word, x);
    const auto upper = hn::ShiftRight<16>(bits);
    const auto odd = hn::And(upper, hn::Set(word, 1));
    const auto bias = hn::Add(odd, hn::Set(word, 0x7fff));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, bias));
    const auto quiet = hn::Or(upper, hn::Set(word, 0x40));
    const auto is_nan = hn::RebindMask(word, hn::Not(hn::Eq(x, x)));
    const auto result = hn::IfThenElse(is_nan, quiet, rounded);
    hn::StoreU(hn::DemoteTo(ShortTag(), hn::BitCast(signed_word, result)), ShortTag(), out);
  }
};

template <class Convert>
TAPER_FN void convert_tile(const void* in, void* out, size_t n, Convert convert) {
  using In = typename Convert::In;
  using Out = typename Convert::Out;
  constexpr size_t kLanes = Vec<float>::kLanes;
  const In* from = static_cast<const In*>(in);
  Out* to = static_cast<Out*>(out);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) convert(from + i, to + i);
  if (i < n) {
    In source[kLanes] = {};
    Out result[kLanes];
    std::memcpy(source, from + i, (n - i) * sizeof(In));
    convert(source, result);
    std::memcpy(to + i, result, (n - i) * sizeof(Out));
  }
}

}  // namespace detail

/// IEEE half and bfloat16 are uint16_t in memory. Here `in` and `out` must not overlap.
inline void f16_to_f32(const void* in, void* out, size_t n) {
  detail::convert_tile(in, out, n, detail::HalfToFloat());
}
inline void f32_to_f16(const void* in, void* out, size_t n) {
  detail::convert_tile(in, out, n, detail::FloatToHalf());
}
inline void bf16_to_f32(const void* in, void* out, size_t n) {
  detail::convert_tile(in, out, n, detail::BfloatToFloat());
}
inline void f32_to_bf16(const void* in, void* out, size_t n) {
  detail::convert_tile(in, out, n, detail::FloatToBfloat());
}

}  // namespace taper::TAPER_ISA
