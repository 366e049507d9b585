#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>
#include <utility>

#include <taper/core/error.h>

namespace taper {

/// What the elements of a dtype are.
enum class Kind : uint8_t { floating, signed_integer, unsigned_integer, boolean };

/// Several kinds: what a row takes, what `visit` is compiled for.
struct Kinds {
  uint8_t bits = 0;
  constexpr Kinds() = default;
  constexpr Kinds(Kind kind) : bits(static_cast<uint8_t>(1u << static_cast<unsigned>(kind))) {}
  constexpr bool has(Kind kind) const { return (bits & Kinds(kind).bits) != 0; }
  friend constexpr Kinds operator|(Kinds a, Kinds b) {
    Kinds both;
    both.bits = static_cast<uint8_t>(a.bits | b.bits);
    return both;
  }
};
namespace kinds {
inline constexpr Kinds floating = Kind::floating;
inline constexpr Kinds integer = Kinds(Kind::signed_integer) | Kind::unsigned_integer;
inline constexpr Kinds boolean = Kind::boolean;
inline constexpr Kinds with_sign = floating | Kind::signed_integer;
inline constexpr Kinds every = floating | integer | boolean;
}  // namespace kinds

constexpr float half_bits_to_float(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) {  // infinity and NaN
    return std::bit_cast<float>(sign | 0x7f800000u | ((magnitude & 0x3ffu) << 13));
  }
  if (magnitude < 0x400u) {  // zero and subnormal: magnitude * 2^-24, exact in f32
    const float value = static_cast<float>(magnitude) * 5.9604644775390625e-8f;
    return sign != 0 ? -value : value;
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
}

/// Rounds to nearest even; too large becomes infinity, NaN stays NaN.
constexpr uint16_t float_to_half_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 rounds at the subnormal's last bit
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

constexpr uint16_t float_to_bfloat16_bits(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// IEEE 754 binary16, a storage format: arithmetic happens in float.
struct Half {
  uint16_t bits = 0;
  Half() = default;
  constexpr explicit Half(float value) : bits(float_to_half_bits(value)) {}
  constexpr operator float() const { return half_bits_to_float(bits); }
};

/// The upper half of a float, a storage format: arithmetic happens in float.
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  constexpr explicit BFloat16(float value) : bits(float_to_bfloat16_bits(value)) {}
  constexpr operator float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

// The dtypes: all that the library knows of one stands in its line.
// X(enumerator, C++ type, kind, printed name, user's constant and, but for a last _, name)
#define TAPER_DTYPES(X)                             \
  X(f32, float, floating, "f32", float32)           \
  X(f64, double, floating, "f64", float64)          \
  X(f16, Half, floating, "f16", float16)            \
  X(bf16, BFloat16, floating, "bf16", bfloat16)     \
  X(i8, int8_t, signed_integer, "i8", int8)         \
  X(i16, int16_t, signed_integer, "i16", int16)     \
  X(i32, int32_t, signed_integer, "i32", int32)     \
  X(i64, int64_t, signed_integer, "i64", int64)     \
  X(u8, uint8_t, unsigned_integer, "u8", uint8)     \
  X(u16, uint16_t, unsigned_integer, "u16", uint16) \
  X(u32, uint32_t, unsigned_integer, "u32", uint32) \
  X(u64, uint64_t, unsigned_integer, "u64", uint64) \
  X(boolean, bool, boolean, "bool", bool_)

/// Element types. Printed short (`f32`); the user's names are the constants `float32`, ... below.
enum class DType : uint8_t {
#define TAPER_DTYPE(name, type, kind, printed, constant) name,
  TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
};

#define TAPER_DTYPE(name, type, kind, printed, constant) \
  inline constexpr DType constant = DType::name;
TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE

inline constexpr DType all_dtypes[] = {
#define TAPER_DTYPE(name, type, kind, printed, constant) DType::name,
    TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
};
inline constexpr size_t dtype_count = sizeof all_dtypes / sizeof all_dtypes[0];

/// A line of the table.
struct DTypeInfo {
  size_t size;  // bytes of one element
  Kind kind;
  std::string_view printed;
  std::string_view constant;
};
inline constexpr DTypeInfo dtype_table[] = {
#define TAPER_DTYPE(name, type, kind, printed, constant) \
  {sizeof(type), Kind::kind, printed, #constant},
    TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
};

/// Calls `f.template operator()<T>()` with the C++ type that stores `dtype`, which must be of the
/// `wanted` kinds: for others nothing is compiled, and they are an internal error.
template <Kinds... wanted, class F>
constexpr decltype(auto) visit(DType dtype, F&& f) {
  switch (dtype) {
#define TAPER_DTYPE(name, type, kind, printed, constant) \
  case DType::name:                                      \
    if constexpr ((wanted.has(Kind::kind) || ...)) {     \
      return f.template operator()<type>();              \
    } else {                                             \
      break;                                             \
    }
    TAPER_DTYPES(TAPER_DTYPE)
#undef TAPER_DTYPE
  }
  internal_failure("a dtype of the kinds that are visited", __FILE__, __LINE__);
}
template <class F>
constexpr decltype(auto) visit_dtype(DType dtype, F&& f) {
  return visit<kinds::every>(dtype, std::forward<F>(f));
}

namespace detail {

/// C++'s fundamental types are more than ours: `long` and `long long` are both i64.
template <class T, class Stored>
inline constexpr bool is_stored_as =
    std::is_same_v<T, Stored> ||
    (std::is_integral_v<T> && std::is_integral_v<Stored> && !std::is_same_v<T, bool> &&
     !std::is_same_v<Stored, bool> && sizeof(T) == sizeof(Stored) &&
     std::is_signed_v<T> == std::is_signed_v<Stored>);

template <class T>
constexpr DType find_dtype() {
#define TAPER_DTYPE(name, type, kind, printed, constant) \
  if constexpr (is_stored_as<T, type>) {                 \
    return DType::name;                                  \
  } else
  TAPER_DTYPES(TAPER_DTYPE) { static_assert(!sizeof(T), "no dtype stores this type"); }
#undef TAPER_DTYPE
}

/// One bit for each dtype of the kinds.
constexpr uint32_t dtypes_of(Kinds wanted) {
  uint32_t bits = 0;
  for (DType dtype : all_dtypes) {
    const auto at = static_cast<unsigned>(dtype);
    bits |= wanted.has(dtype_table[at].kind) ? 1u << at : 0;
  }
  return bits;
}

/// The exponents of two of all sizes, three bits each.
constexpr uint64_t packed_sizes() {
  uint64_t packed = 0;
  for (DType dtype : all_dtypes) {
    const auto at = static_cast<unsigned>(dtype);
    packed |= static_cast<uint64_t>(std::countr_zero(dtype_table[at].size)) << 3 * at;
  }
  return packed;
}

}  // namespace detail

/// The dtype whose elements are stored as T.
template <class T>
inline constexpr DType dtype_of = detail::find_dtype<T>();

/// Bytes of one element. A shift, since it is on every call.
constexpr size_t item_size(DType dtype) {
  static_assert(3 * dtype_count <= 64);
  constexpr uint64_t exponents = detail::packed_sizes();
  return size_t{1} << (exponents >> 3 * static_cast<unsigned>(dtype) & 7u);
}

/// Whether the dtype is of one of these kinds.
template <Kinds wanted>
constexpr bool is_of(DType dtype) {
  constexpr uint32_t dtypes = detail::dtypes_of(wanted);
  return (dtypes >> static_cast<unsigned>(dtype) & 1u) != 0;
}
constexpr bool is_float(DType dtype) { return is_of<kinds::floating>(dtype); }
constexpr bool is_bool(DType dtype) { return is_of<kinds::boolean>(dtype); }
constexpr bool is_integer(DType dtype) { return is_of<kinds::integer>(dtype); }
/// Whether there are numbers below 0.
constexpr bool is_signed(DType dtype) { return is_of<kinds::with_sign>(dtype); }

/// The printed name: `f32`, ..., `bool`.
TAPER_API std::string_view dtype_name(DType dtype);
/// Prints that name.
TAPER_API std::ostream& operator<<(std::ostream& out, DType dtype);

/// The dtype with this printed (`f32`) or user's name (`float32`); not_found names them all.
TAPER_API DType parse_dtype(std::string_view name);

/// The dtype of a binary operation's result as the Python array API standard says; where that is
/// silent, an integer or bool with a float gives the float dtype, f16 with bf16 gives f32. No
/// integer dtype holds u64 and a signed one: throws dtype.
TAPER_API DType promote(DType a, DType b);

}  // namespace taper
