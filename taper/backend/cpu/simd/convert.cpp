// Conversions between all pairs of dtypes, one instance per instruction set.

#include <array>
#include <cstring>
#include <limits>
#include <type_traits>

#include "taper/backend/cpu/simd/pack.h"
#include "taper/backend/cpu/simd/tile.h"
#include "taper/backend/cpu/tiles.h"
#include "taper/core/number.h"

namespace taper::TAPER_ISA {
namespace {

// Dtypes whose C++ types are no plain numbers.
struct F16 {
  uint16_t bits;
};
struct BF16 {
  uint16_t bits;
};
struct Flag {
  uint8_t value;
};

template <class T>
inline constexpr bool is_short_float = std::is_same_v<T, F16> || std::is_same_v<T, BF16>;

/// Truncates without undefined behaviour: NaN gives 0, out of range the nearest end.
template <class To, class From>
TAPER_FN To truncated(From value) {
  using Limits = std::numeric_limits<To>;
  constexpr From low = static_cast<From>(Limits::min());
  // One above the largest To: a power of two, exact in From where the largest itself is not.
  constexpr To half = Limits::max() / 2 + 1;
  constexpr From above = static_cast<From>(half) * 2;
  constexpr bool exact = Limits::digits <= std::numeric_limits<From>::digits;
  constexpr From part = static_cast<From>(uint64_t{1} << std::numeric_limits<From>::digits);
  constexpr From highest = exact ? static_cast<From>(Limits::max()) : above - above / part;
  // Through 32 bits, for which there are instructions. NaN becomes the least To.
  using Whole = std::conditional_t<sizeof(To) < 4, int32_t, To>;
  const From above_low = value > low ? value : low;
  const From inside = above_low < highest ? above_low : highest;
  To whole = static_cast<To>(static_cast<Whole>(inside));
  if constexpr (!exact) whole = value >= above ? Limits::max() : whole;
  if constexpr (std::is_signed_v<To>) whole = value == value ? whole : To(0);
  return whole;
}

template <class To, class From>
TAPER_FN To convert_one(From value) {
  if constexpr (std::is_same_v<To, Flag>) {
    return {static_cast<uint8_t>(value != From(0))};
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<From>) {
    return truncated<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

/// n contiguous elements that do not overlap.
template <class From, class To>
TAPER_FN void convert_block(const From* __restrict from, To* __restrict to, int64_t n) {
  const auto count = static_cast<size_t>(n);
  if constexpr (is_short_float<From> && std::is_same_v<To, float>) {
    std::is_same_v<From, F16> ? f16_to_f32(from, to, count) : bf16_to_f32(from, to, count);
  } else if constexpr (is_short_float<To> && std::is_same_v<From, float>) {
    std::is_same_v<To, F16> ? f32_to_f16(from, to, count) : f32_to_bf16(from, to, count);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = convert_one<To>(from[i]);
  }
}

constexpr int64_t block = 256;

/// Blocks of f32 between a 16-bit format and the other dtype.
template <class From, class To>
TAPER_FN void convert_through_float(const From* from, To* to, int64_t n) {
  alignas(64) float middle[block];
  if constexpr (is_short_float<From>) {
    convert_block(from, middle, n);
  } else {
    for (int64_t i = 0; i < n; ++i) {
      if constexpr (sizeof(From) <= 2) {  // exact
        middle[i] = static_cast<float>(from[i]);
      } else {
        middle[i] = to_float_for_half(from[i]);
      }
    }
  }
  convert_block(middle, to, n);
}

template <class From, class To>
inline constexpr bool goes_through_float = (is_short_float<From> && !std::is_same_v<To, float>) ||
                                           (is_short_float<To> && !std::is_same_v<From, float>);

/// Copies n elements of one size, steps in bytes: called, since it is the same for many pairs.
template <class Word>
[[gnu::noinline]] void copy_steps(const std::byte* from, int64_t from_step, std::byte* to,
                                  int64_t to_step, int64_t n) {
  constexpr int64_t size = sizeof(Word);
  if (to_step == size && from_step % size == 0) {
    return pack_words(reinterpret_cast<const Word*>(from), from_step / size,
                      reinterpret_cast<Word*>(to), n);
  }
  for (int64_t i = 0; i < n; ++i) {
    std::memcpy(to + i * to_step, from + i * from_step, sizeof(Word));
  }
}

template <class T>
TAPER_FN void copy_steps_of(const void* from, int64_t from_step, void* to, int64_t to_step,
                            int64_t n) {
  using Word = std::conditional_t<
      sizeof(T) == 1, uint8_t,
      std::conditional_t<sizeof(T) == 2, uint16_t,
                         std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;
  copy_steps<Word>(static_cast<const std::byte*>(from), from_step, static_cast<std::byte*>(to),
                   to_step, n);
}

/// n elements with steps in bytes.
template <class From, class To>
void convert_row(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
                 int64_t n) {
  constexpr int64_t from_size = sizeof(From);
  constexpr int64_t to_size = sizeof(To);
  const bool is_packed = from_step == from_size && to_step == to_size;
  // A pair that goes through no blocks takes the whole row at once.
  const int64_t most = is_packed && !goes_through_float<From, To> ? n : block;
  From packed[block];
  To results[block];
  for (int64_t begin = 0; begin < n; begin += most) {
    const int64_t count = n - begin < most ? n - begin : most;
    const std::byte* source = from + begin * from_step;
    std::byte* target = to + begin * to_step;
    const From* in = reinterpret_cast<const From*>(source);
    To* out = reinterpret_cast<To*>(target);
    if (from_step != from_size) {
      copy_steps_of<From>(source, from_step, packed, from_size, count);
      in = packed;
    }
    if (to_step != to_size) out = results;
    if constexpr (goes_through_float<From, To>) {
      convert_through_float(in, out, count);
    } else {
      convert_block(in, out, count);
    }
    if (to_step != to_size) copy_steps_of<To>(results, to_size, target, to_step, count);
  }
}

/// How the elements of a dtype stand in memory here.
template <class T>
using Stored =
    std::conditional_t<std::is_same_v<T, Half>, F16,
                       std::conditional_t<std::is_same_v<T, BFloat16>, BF16,
                                          std::conditional_t<std::is_same_v<T, bool>, Flag, T>>>;

template <class From, class To>
constexpr ConvertRow row_of_reals() {
  using In = std::conditional_t<std::is_same_v<From, bool>, uint8_t, Stored<From>>;
  using Out = Stored<To>;
  if constexpr (std::is_same_v<From, To>) {
    return nullptr;
  } else if constexpr (std::is_integral_v<In> && std::is_integral_v<Out>) {
    // Low bits have no sign, so one row serves several pairs.
    using Low = std::make_signed_t<In>;
    using Kept = std::conditional_t<sizeof(Out) <= sizeof(In), Low, In>;
    return &convert_row<Kept, std::make_signed_t<Out>>;
  } else if constexpr (std::is_integral_v<In> && std::is_same_v<Out, Flag>) {
    return &convert_row<std::make_signed_t<In>, Flag>;
  } else {
    return &convert_row<In, Out>;
  }
}

template <class From, class To>
constexpr ConvertRow row_of() {
  if constexpr (is_complex_type<From> || is_complex_type<To>) {
    return nullptr;  // in parts
  } else {
    return row_of_reals<From, To>();
  }
}

template <class From>
constexpr std::array<ConvertRow, dtype_count> rows_from() {
  return {
#define TAPER_DTYPE(name, type, kind, printed, constant) row_of<From, type>(),
      TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
  };
}

constexpr ConversionTiles make_tiles() {
  return {f16_to_f32,
          f32_to_f16,
          bf16_to_f32,
          f32_to_bf16,
          {{
#define TAPER_DTYPE(name, type, kind, printed, constant) rows_from<type>(),
              TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
          }}};
}

}  // namespace

extern const ConversionTiles conversions;
constinit const ConversionTiles conversions = make_tiles();

}  // namespace taper::TAPER_ISA
