// Philox4x32-10 over vectors of blocks, and the distributions made of its words. The words of an
// element do not depend on the width of the vectors, nor does the arithmetic on them.
#include "taper/backend/cpu/kernels.h"
#include "taper/backend/cpu/simd/vec.h"

namespace taper::TAPER_ISA {

extern const RandomKernels random_kernels;

namespace {

using WordTag = hn::ScalableTag<uint64_t>;
using Words = hn::Vec<WordTag>;

constexpr int64_t lanes = static_cast<int64_t>(HWY_LANES(uint64_t));

/// One block a lane: the four words of a counter in the lower halves, the upper ones are noise.
struct Blocks {
  Words c0, c1, c2, c3;
};

TAPER_FN Words upper(Words x) { return hn::ShiftRight<32>(x); }

TAPER_FN Words low_half(Words x) { return hn::And(x, hn::Set(WordTag(), 0xffffffffu)); }

TAPER_FN Words times(Words x, uint32_t factor) {
  const hn::ScalableTag<uint32_t> narrow;
  return hn::MulEven(hn::BitCast(narrow, x),
                     hn::BitCast(narrow, hn::Set(WordTag(), uint64_t{factor})));
}

/// Blocks first, first + 1, ... of the stream, after ten rounds.
TAPER_FN void make_blocks(uint64_t key, Words first, Blocks& a, Blocks& b) {
  const WordTag d;
  const Words second = hn::Add(first, hn::Set(d, static_cast<uint64_t>(lanes)));
  a = {first, upper(first), hn::Zero(d), hn::Zero(d)};
  b = {second, upper(second), hn::Zero(d), hn::Zero(d)};
  auto k0 = static_cast<uint32_t>(key);
  auto k1 = static_cast<uint32_t>(key >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const Words key0 = hn::Set(d, uint64_t{k0});
    const Words key1 = hn::Set(d, uint64_t{k1});
    const Words a0 = times(a.c0, 0xD2511F53u);
    const Words a1 = times(a.c2, 0xCD9E8D57u);
    const Words b0 = times(b.c0, 0xD2511F53u);
    const Words b1 = times(b.c2, 0xCD9E8D57u);
    a = {hn::Xor(upper(a1), hn::Xor(a.c1, key0)), a1, hn::Xor(upper(a0), hn::Xor(a.c3, key1)), a0};
    b = {hn::Xor(upper(b1), hn::Xor(b.c1, key0)), b1, hn::Xor(upper(b0), hn::Xor(b.c3, key1)), b0};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

/// Words in the order of the stream.
TAPER_FN void store_words(const Blocks& x, uint32_t* out) {
  const Words first = hn::Or(low_half(x.c0), hn::ShiftLeft<32>(x.c1));
  const Words second = hn::Or(low_half(x.c2), hn::ShiftLeft<32>(x.c3));
  hn::StoreInterleaved2(first, second, WordTag(), reinterpret_cast<uint64_t*>(out));
}

/// Pairs of words as numbers of 64 bits, the first word being the upper half.
TAPER_FN void store_pairs(const Blocks& x, uint64_t* out) {
  const Words first = hn::Or(low_half(x.c1), hn::ShiftLeft<32>(x.c0));
  const Words second = hn::Or(low_half(x.c3), hn::ShiftLeft<32>(x.c2));
  hn::StoreInterleaved2(first, second, WordTag(), out);
}

constexpr int64_t buffer_words = 512;
constexpr int64_t buffer_pairs = buffer_words / 2;

/// Writes at least `count` words, up to the buffer's size.
TAPER_FN void make_words(RandomStream stream, int64_t count, uint32_t* words) {
  Words block = hn::Add(hn::Iota(WordTag(), 0), hn::Set(WordTag(), stream.block));
  for (int64_t i = 0; i < count; i += 8 * lanes) {
    Blocks a;
    Blocks b;
    make_blocks(stream.key, block, a, b);
    store_words(a, words + i);
    store_words(b, words + i + 4 * lanes);
    block = hn::Add(block, hn::Set(WordTag(), static_cast<uint64_t>(2 * lanes)));
  }
}

TAPER_FN void make_pairs(RandomStream stream, int64_t count, uint64_t* pairs) {
  Words block = hn::Add(hn::Iota(WordTag(), 0), hn::Set(WordTag(), stream.block));
  for (int64_t i = 0; i < count; i += 4 * lanes) {
    Blocks a;
    Blocks b;
    make_blocks(stream.key, block, a, b);
    store_pairs(a, pairs + i);
    store_pairs(b, pairs + i + 2 * lanes);
    block = hn::Add(block, hn::Set(WordTag(), static_cast<uint64_t>(2 * lanes)));
  }
}

/// Uniform in [0, 1) with 24 bits, as `uniform_float`.
TAPER_FN Vec<float> unit_floats(const uint32_t* words) {
  const hn::ScalableTag<uint32_t> bits;
  const hn::ScalableTag<int32_t> integers;
  const hn::ScalableTag<float> floats;
  const auto shifted = hn::BitCast(integers, hn::ShiftRight<8>(hn::LoadU(bits, words)));
  return hn::Mul(hn::ConvertTo(floats, shifted), hn::Set(floats, 0x1p-24f));
}

/// Uniform in [0, 1) with 53 bits, as `uniform_double`: the two halves of the integer become
/// doubles by their exponents, 2^84 + upper * 2^32 and 2^52 + lower.
TAPER_FN Vec<double> unit_doubles(Words words) {
  const WordTag bits;
  const hn::ScalableTag<double> doubles;
  const Words shifted = hn::ShiftRight<11>(words);
  const Words high = hn::Or(upper(shifted), hn::Set(bits, 0x4530000000000000u));
  const Words low = hn::Or(low_half(shifted), hn::Set(bits, 0x4330000000000000u));
  const auto high_part = hn::Sub(hn::BitCast(doubles, high), hn::Set(doubles, 0x1p84));
  const auto low_part = hn::Sub(hn::BitCast(doubles, low), hn::Set(doubles, 0x1p52));
  return hn::Mul(hn::Add(high_part, low_part), hn::Set(doubles, 0x1p-53));
}

template <class E>
struct UnitBuffer;

/// The next elements of a stream in [0, 1), of which `load` gives a vector.
template <>
struct UnitBuffer<float> {
  static constexpr int64_t size = buffer_words;
  static constexpr int64_t of_block = 4;
  uint32_t words[buffer_words];

  TAPER_FN void fill(RandomStream stream, int64_t count) { make_words(stream, count, words); }
  TAPER_FN Vec<float> load(int64_t i) const { return unit_floats(words + i); }
};

template <>
struct UnitBuffer<double> {
  static constexpr int64_t size = buffer_pairs;
  static constexpr int64_t of_block = 2;
  uint64_t pairs[buffer_pairs];

  TAPER_FN void fill(RandomStream stream, int64_t count) { make_pairs(stream, count, pairs); }
  TAPER_FN Vec<double> load(int64_t i) const {
    return unit_doubles(hn::LoadU(WordTag(), pairs + i));
  }
};

/// Calls `f(first, count)` for the pieces of n elements that fit a buffer, filled before.
template <class E, class F>
TAPER_FN void for_buffers(RandomStream stream, int64_t n, F f) {
  using Buffer = UnitBuffer<E>;
  Buffer buffer;
  for (int64_t i = 0; i < n; i += Buffer::size) {
    const int64_t count = n - i < Buffer::size ? n - i : Buffer::size;
    const uint64_t blocks = static_cast<uint64_t>(i / Buffer::of_block);
    buffer.fill({stream.key, stream.block + blocks}, count);
    f(buffer, i, count);
  }
}

template <class E>
TAPER_FN void store_some(Vec<E> x, E* p, int64_t count) {
  if (count >= static_cast<int64_t>(Vec<E>::kLanes)) {
    x.store(p);
  } else {
    x.store_first(p, static_cast<size_t>(count));
  }
}

template <class E>
void uniform(RandomStream stream, E* out, int64_t n, E low, E range, E highest) {
  constexpr int64_t step = static_cast<int64_t>(Vec<E>::kLanes);
  const Vec<E> start(static_cast<double>(low));
  const Vec<E> width(static_cast<double>(range));
  const Vec<E> limit(static_cast<double>(highest));
  for_buffers<E>(stream, n, [&](const auto& units, int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; i += step) {
      const Vec<E> value = min(limit, fma(units.load(i), width, start));
      store_some(value, out + first + i, count - i);
    }
  });
}

// --------------------------------------------------------------------------------------- normal

/// Two independent normal numbers from two uniform ones (Box and Muller): the radius takes 1 - u,
/// which is never 0, and the angle is reduced to a quarter turn exactly.
template <class E>
TAPER_FN void box_muller(Vec<E> u, Vec<E> v, Vec<E>& first, Vec<E>& second) {
  using V = Vec<E>;
  const V radius = sqrt(V(-2.0) * log(V(1.0) - u));
  const V quarters = rint(v * V(4.0));
  const V angle = (v * V(4.0) - quarters) * V(1.5707963267948966);
  const V sine = sin_reduced(angle);
  const V cosine = cos_reduced(angle);
  const auto odd = (quarters == V(1.0)) | (quarters == V(3.0));
  const auto negative_cosine = (quarters == V(1.0)) | (quarters == V(2.0));
  const auto negative_sine = (quarters == V(2.0)) | (quarters == V(3.0));
  const V x = where(odd, sine, cosine);
  const V y = where(odd, cosine, sine);
  first = radius * where(negative_cosine, -x, x);
  second = radius * where(negative_sine, -y, y);
}

/// `count` elements, rounded up to pairs of vectors, from the words of a buffer.
template <class E>
TAPER_FN void normal_pieces(const UnitBuffer<E>& units, int64_t count, Vec<E> mean, Vec<E> std,
                            E* out) {
  constexpr int64_t step = static_cast<int64_t>(Vec<E>::kLanes);
  using Tag = typename Vec<E>::Tag;
  E unit[2 * step];
  for (int64_t i = 0; i < count; i += 2 * step) {
    units.load(i).store(unit);
    units.load(i + step).store(unit + step);
    typename Vec<E>::Raw u;
    typename Vec<E>::Raw v;
    hn::LoadInterleaved2(Tag(), unit, u, v);
    Vec<E> first(0.0);
    Vec<E> second(0.0);
    box_muller(Vec<E>(u), Vec<E>(v), first, second);
    hn::StoreInterleaved2(fma(first, std, mean).raw, fma(second, std, mean).raw, Tag(), out + i);
  }
}

template <class E>
void normal(RandomStream stream, E* out, int64_t n, E mean, E std) {
  constexpr int64_t pair = 2 * static_cast<int64_t>(Vec<E>::kLanes);
  const Vec<E> center(static_cast<double>(mean));
  const Vec<E> scale(static_cast<double>(std));
  for_buffers<E>(stream, n, [&](const UnitBuffer<E>& units, int64_t first, int64_t count) {
    if (count % pair == 0) return normal_pieces(units, count, center, scale, out + first);
    E all[UnitBuffer<E>::size];
    normal_pieces(units, count, center, scale, all);
    __builtin_memcpy(out + first, all, static_cast<size_t>(count) * sizeof(E));
  });
}

// ----------------------------------------------------------------------------- dropout, integers

template <class E>
TAPER_FN void keep(const uint32_t* __restrict words, const E* __restrict x, E* out,
                   uint8_t* __restrict mask, int64_t count, uint32_t threshold, E scale) {
  for (int64_t i = 0; i < count; ++i) {
    const bool kept = words[i] >= threshold;
    const E value = x[i] * scale;
    out[i] = kept ? value : E(0);
  }
  for (int64_t i = 0; i < count; ++i) mask[i] = words[i] >= threshold ? 1 : 0;
}

template <class E>
void dropout(RandomStream stream, const E* x, E* out, uint8_t* mask, int64_t n, uint32_t threshold,
             E scale) {
  for_buffers<float>(stream, n, [&](const UnitBuffer<float>& units, int64_t first, int64_t count) {
    keep(units.words, x + first, out + first, mask + first, count, threshold, scale);
  });
}

void words64(RandomStream stream, uint64_t* out, int64_t n) {
  for_buffers<double>(
      stream, n, [&](const UnitBuffer<double>& units, int64_t first, int64_t count) {
        __builtin_memcpy(out + first, units.pairs, static_cast<size_t>(count) * sizeof(uint64_t));
      });
}

}  // namespace

const RandomKernels random_kernels = {
    {uniform<float>, normal<float>, dropout<float>},
    {uniform<double>, normal<double>, dropout<double>},
    words64,
};

}  // namespace taper::TAPER_ISA
