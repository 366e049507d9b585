#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>

#include <taper/core/error.h>

namespace taper {

/// Element types. Printed short (`f32`); the user's names are the constants `float32`, ... below.
enum class DType : uint8_t { f32, f64, f16, bf16, i8, i16, i32, i64, u8, boolean };

inline constexpr DType float32 = DType::f32;
inline constexpr DType float64 = DType::f64;
inline constexpr DType float16 = DType::f16;
inline constexpr DType bfloat16 = DType::bf16;
inline constexpr DType int8 = DType::i8;
inline constexpr DType int16 = DType::i16;
inline constexpr DType int32 = DType::i32;
inline constexpr DType int64 = DType::i64;
inline constexpr DType uint8 = DType::u8;
inline constexpr DType bool_ = DType::boolean;

inline constexpr DType all_dtypes[] = {DType::f32, DType::f64,    DType::f16, DType::bf16,
                                       DType::i8,  DType::i16,    DType::i32, DType::i64,
                                       DType::u8,  DType::boolean};

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

/// Calls `f.template operator()<T>()` with the C++ type that stores `dtype`.
template <class F>
constexpr decltype(auto) visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::f64:
      return f.template operator()<double>();
    case DType::f16:
      return f.template operator()<Half>();
    case DType::bf16:
      return f.template operator()<BFloat16>();
    case DType::i8:
      return f.template operator()<int8_t>();
    case DType::i16:
      return f.template operator()<int16_t>();
    case DType::i32:
      return f.template operator()<int32_t>();
    case DType::i64:
      return f.template operator()<int64_t>();
    case DType::u8:
      return f.template operator()<uint8_t>();
    case DType::boolean:
      return f.template operator()<bool>();
    default:
      internal_failure("a known dtype", __FILE__, __LINE__);
  }
}

template <class T>
inline constexpr DType dtype_of = [] {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, Half>)
    return DType::f16;
  else if constexpr (std::is_same_v<T, BFloat16>)
    return DType::bf16;
  else if constexpr (std::is_same_v<T, bool>)
    return DType::boolean;
  else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    return sizeof(T) == 1   ? DType::i8
           : sizeof(T) == 2 ? DType::i16
           : sizeof(T) == 4 ? DType::i32
                            : DType::i64;
  } else {
    static_assert(std::is_same_v<T, uint8_t>, "no dtype stores this type");
    return DType::u8;
  }
}();

/// Bytes of one element. The exponents of two stand as pairs of bits: it is on every call.
constexpr size_t item_size(DType dtype) {
  constexpr uint32_t exponents = 0xE45E;
  return size_t{1} << (exponents >> (2 * static_cast<unsigned>(dtype)) & 3u);
}
static_assert(item_size(DType::f32) == 4 && item_size(DType::f64) == 8 &&
              item_size(DType::f16) == 2 && item_size(DType::bf16) == 2 &&
              item_size(DType::i8) == 1 && item_size(DType::i16) == 2 &&
              item_size(DType::i32) == 4 && item_size(DType::i64) == 8 &&
              item_size(DType::u8) == 1 && item_size(DType::boolean) == 1);

constexpr bool is_float(DType dtype) { return dtype <= DType::bf16; }
constexpr bool is_bool(DType dtype) { return dtype == DType::boolean; }
constexpr bool is_integer(DType dtype) { return !is_float(dtype) && !is_bool(dtype); }
constexpr bool is_signed(DType dtype) { return !is_bool(dtype) && dtype != DType::u8; }

/// The printed name: `f32`, ..., `bool`.
TAPER_API std::string_view dtype_name(DType dtype);
/// Prints that name.
TAPER_API std::ostream& operator<<(std::ostream& out, DType dtype);

/// The dtype with this printed (`f32`) or user's name (`float32`); not_found names them all.
TAPER_API DType parse_dtype(std::string_view name);

/// The dtype of a binary operation's result as the Python array API standard says; where that is
/// silent, an integer or bool with a float gives the float dtype, f16 with bf16 gives f32.
TAPER_API DType promote(DType a, DType b);

}  // namespace taper
