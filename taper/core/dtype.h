#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string_view>
#include <type_traits>
#include <utility>

#include <taper/core/error.h>

namespace taper {

/// What the elements of a dtype are.
enum class Kind : uint8_t { floating, signed_integer, unsigned_integer, boolean, complex };

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
inline constexpr Kinds complex = Kind::complex;
inline constexpr Kinds inexact = floating | complex;
inline constexpr Kinds real = floating | integer | boolean;
inline constexpr Kinds every = real | complex;
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

/// A type that holds a complex number, such as std::complex<float>.
template <class T>
concept ComplexNumber = requires(const T& z) {
  requires std::is_floating_point_v<typename T::value_type>;
  { z.real() } -> std::same_as<typename T::value_type>;
  { z.imag() } -> std::same_as<typename T::value_type>;
};

/// A complex number as it is stored: in memory, and by conversion either way, std::complex<T>,
/// whose header would cost every file that includes this one as much as 10,000 lines.
template <class T>
struct Complex {
  using value_type = T;
  T re;
  T im;

  Complex() = default;
  constexpr Complex(T real, T imag = T(0)) : re(real), im(imag) {}  // NOLINT: as std::complex
  template <ComplexNumber C>
  constexpr Complex(const C& other)  // NOLINT
      : re(static_cast<T>(other.real())), im(static_cast<T>(other.imag())) {}
  template <ComplexNumber C>
  constexpr operator C() const {  // NOLINT
    return C(static_cast<typename C::value_type>(re), static_cast<typename C::value_type>(im));
  }
  constexpr T real() const { return re; }
  constexpr T imag() const { return im; }

  [[gnu::always_inline]] friend constexpr Complex operator+(const Complex& a, const Complex& b) {
    return {a.re + b.re, a.im + b.im};
  }
  [[gnu::always_inline]] friend constexpr Complex operator-(const Complex& a, const Complex& b) {
    return {a.re - b.re, a.im - b.im};
  }
  [[gnu::always_inline]] friend constexpr Complex operator-(const Complex& a) {
    return {-a.re, -a.im};
  }
  [[gnu::always_inline]] friend constexpr Complex operator*(const Complex& a, const Complex& b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
  /// By Smith's method, whose steps overflow only where the quotient does; by 0 as real parts. No
  /// branches: which part is the larger one is as good as random.
  [[gnu::always_inline]] friend constexpr Complex operator/(const Complex& a, const Complex& b) {
    const T size_re = b.re < 0 ? -b.re : b.re;
    const T size_im = b.im < 0 ? -b.im : b.im;
    const bool is_zero = (size_re == 0) & (size_im == 0);
    const bool upright = size_re < size_im;
    const T large = upright ? b.im : b.re;
    const T small = upright ? b.re : b.im;
    const T ratio = is_zero ? T(0) : small / (is_zero ? T(1) : large);
    const T scale = is_zero ? size_re : large + small * ratio;
    const T re = upright ? a.re * ratio + a.im : a.re + a.im * ratio;
    const T im = upright ? a.im * ratio - a.re : a.im - a.re * ratio;
    return {(is_zero ? a.re : re) / scale, (is_zero ? a.im : im) / scale};
  }
  [[gnu::always_inline]] constexpr Complex& operator+=(const Complex& b) {
    return *this = *this + b;
  }
  [[gnu::always_inline]] constexpr Complex& operator/=(const Complex& b) {
    return *this = *this / b;
  }
  [[gnu::always_inline]] friend constexpr bool operator==(const Complex& a, const Complex& b) {
    return a.re == b.re && a.im == b.im;
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
  X(boolean, bool, boolean, "bool", bool_)          \
  X(c64, Complex<float>, complex, "c64", complex64) \
  X(c128, Complex<double>, complex, "c128", complex128)

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

namespace detail {
template <class T>
struct RealOf {
  using type = T;
};
template <class T>
struct RealOf<Complex<T>> {
  using type = T;
};
}  // namespace detail
/// The type of a complex type's parts; any other type itself.
template <class T>
using Real = typename detail::RealOf<T>::type;
template <class T>
inline constexpr bool is_complex_type = !std::is_same_v<T, Real<T>>;

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

/// The kind of the dtype.
constexpr Kind kind_of(DType dtype) { return dtype_table[static_cast<size_t>(dtype)].kind; }

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
    default:
      break;
  }
  internal_failure("a dtype of the kinds that are visited", __FILE__, __LINE__);
}
/// The same for what rows take if they do not say more: all but complex dtypes.
template <class F>
constexpr decltype(auto) visit_dtype(DType dtype, F&& f) {
  return visit<kinds::real>(dtype, std::forward<F>(f));
}
/// With the widest type of the dtype's kind: double, int64_t (of bools, too), uint64_t or
/// Complex<double>.
template <class F>
constexpr decltype(auto) visit_widest(DType dtype, F&& f) {
  switch (kind_of(dtype)) {
    case Kind::floating:
      return f.template operator()<double>();
    case Kind::unsigned_integer:
      return f.template operator()<uint64_t>();
    case Kind::complex:
      return f.template operator()<Complex<double>>();
    default:
      return f.template operator()<int64_t>();
  }
}

namespace detail {

/// C++'s fundamental types are more than ours: `long` and `long long` are both i64.
template <class T, class Stored>
inline constexpr bool is_stored_as =
    std::is_same_v<T, Stored> ||
    (ComplexNumber<T> && ComplexNumber<Stored> && sizeof(T) == sizeof(Stored)) ||
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
constexpr bool is_complex(DType dtype) { return is_of<kinds::complex>(dtype); }
/// Floating or complex: what has gradients.
constexpr bool is_inexact(DType dtype) { return is_of<kinds::inexact>(dtype); }
/// The dtype of a complex one's parts; any other itself.
constexpr DType real_of(DType dtype) {
  return visit<kinds::every>(dtype, []<class T>() { return dtype_of<Real<T>>; });
}
/// The complex dtype whose parts hold most of the dtype's numbers: c128 of f64, of others c64.
constexpr DType complex_of(DType dtype) {
  return real_of(dtype) == DType::f64 ? DType::c128 : DType::c64;
}
/// Whether there are numbers below 0.
constexpr bool is_signed(DType dtype) { return is_of<kinds::with_sign>(dtype); }

/// `complex`, `signed integer`, ...
TAPER_API std::string_view kind_name(Kind kind);

/// The printed name: `f32`, ..., `bool`.
TAPER_API std::string_view dtype_name(DType dtype);
/// Prints that name.
TAPER_API std::ostream& operator<<(std::ostream& out, DType dtype);

/// The dtype with this printed (`f32`) or user's name (`float32`); not_found names them all.
TAPER_API DType parse_dtype(std::string_view name);

/// The dtype of a binary operation's result as the Python array API standard says; where that is
/// silent, an integer or bool with a float gives the float dtype, f16 with bf16 gives f32; a
/// complex dtype with a real one gives complex_of the wider. No integer dtype holds u64 and a
/// signed one: throws dtype.
TAPER_API DType promote(DType a, DType b);

}  // namespace taper
