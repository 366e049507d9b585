#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include <taper/core/dtype.h>

namespace taper {

/// A C++ number as its author wrote it: integers are kept exactly and never pass through a double.
struct Number {
  double real;      // the value; of an integer, the nearest double
  int64_t integer;  // the value if it is an integer or bool; its bits if no i64 holds it
  DType dtype;      // the kind only: boolean, i64, f32 or c64
  double imag = 0;  // of a complex number
  bool above_integers = false;  // an unsigned integer that no i64 holds
  Number() : Number(0) {}
  template <class T>
    requires(std::is_arithmetic_v<T>)
  Number(T value)  // NOLINT
      : real(static_cast<double>(value)),
        integer(std::is_floating_point_v<T> ? 0 : static_cast<int64_t>(value)),
        dtype(std::is_floating_point_v<T> ? DType::f32
              : std::is_same_v<T, bool>   ? DType::boolean
                                          : DType::i64) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(int64_t)) {
      above_integers = value > static_cast<T>(std::numeric_limits<int64_t>::max());
    }
  }
  template <ComplexNumber T>
  Number(const T& value)  // NOLINT
      : real(static_cast<double>(value.real())),
        integer(0),
        dtype(DType::c64),
        imag(static_cast<double>(value.imag())) {}
};

/// What becomes a Number by itself.
template <class T>
concept AnyNumber = std::is_arithmetic_v<T> || ComplexNumber<T>;

/// A stored element as a number.
template <class T>
Number number_of(T element) {
  if constexpr (std::is_arithmetic_v<T> || ComplexNumber<T>) {
    return Number(element);
  } else {
    return Number(static_cast<float>(element));
  }
}

/// One element of some dtype.
class Element {
 public:
  Element() = default;  // zero
  template <class T>
  explicit Element(T value) {
    static_assert(sizeof(T) <= sizeof(bytes_));
    __builtin_memcpy(bytes_, &value, sizeof(T));
  }
  template <class T>
  T as() const {
    T value{};
    __builtin_memcpy(&value, bytes_, sizeof(T));
    return value;
  }
  const std::byte* data() const { return bytes_; }

 private:
  alignas(int64_t) std::byte bytes_[2 * sizeof(int64_t)] = {};
};

/// The one rule for a number that becomes an element. For a floating dtype it is rounded (too large
/// becomes infinity); a complex number fits complex dtypes and bool only; for bool it is whether it
/// is not 0; for an integer dtype a fraction is truncated. Throws a value Error that begins with
/// `who` for NaN, infinity and what is out of an integer dtype's range.
TAPER_API Element convert(const Number& value, DType dtype, std::string_view who);

/// The same number of the same kind; floating ones by their bits, so that NaN equals itself.
inline bool operator==(const Number& a, const Number& b) {
  return a.dtype == b.dtype && a.integer == b.integer && a.above_integers == b.above_integers &&
         std::bit_cast<uint64_t>(a.real) == std::bit_cast<uint64_t>(b.real) &&
         std::bit_cast<uint64_t>(a.imag) == std::bit_cast<uint64_t>(b.imag);
}

/// Whether `convert` would give a value.
TAPER_API bool fits(const Number& value, DType dtype);

/// What `convert` says of a number that does not fit: `300 is out of the range of u8, 0 to 255`.
TAPER_API std::string misfit(const Number& value, DType dtype);

/// The number as written: `300`, `0.5`, `nan`, `true`.
TAPER_API std::string to_string(const Number& value);

namespace detail {

/// An integer or bool as T, of which it may keep the low bits only.
template <class T>
T whole_as(const Number& value) {
  return value.above_integers ? static_cast<T>(static_cast<uint64_t>(value.integer))
                              : static_cast<T>(value.integer);
}

/// Throws the error of `convert` for a C++ integer type.
[[noreturn]] TAPER_API void fail_misfit(const Number& value, bool is_signed, size_t bytes,
                                        std::string_view who);

/// True if the value is one of T's.
template <class T>
bool in_range(int64_t value) {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_signed_v<T>) return value >= Limits::min() && value <= Limits::max();
  return value >= 0 && static_cast<uint64_t>(value) <= static_cast<uint64_t>(Limits::max());
}

/// True if the truncated value is one of T's.
template <class T>
bool in_range(double value) {
  // One above the largest is a power of two, exact where the largest itself is not.
  constexpr T half = std::numeric_limits<T>::max() / 2 + 1;
  constexpr double above = static_cast<double>(half) * 2;
  const double whole = __builtin_trunc(value);
  return whole >= static_cast<double>(std::numeric_limits<T>::min()) && whole < above;
}

/// What a number is if it is not complex.
template <class T>
T real_as(const Number& value) {
  return is_float(value.dtype) ? static_cast<T>(value.real) : whole_as<T>(value);
}

/// Throws the error of `convert` for a complex number where a real one is needed.
[[noreturn]] TAPER_API void fail_complex(const Number& value, std::string_view who);

/// True if the number, or what is before its point, is one of T's.
template <class T>
bool is_one_of(const Number& value) {
  if (is_float(value.dtype)) return in_range<T>(value.real);
  if (value.above_integers) return std::is_unsigned_v<T> && sizeof(T) == sizeof(uint64_t);
  return in_range<T>(value.integer);
}

}  // namespace detail

/// The same rule for a C++ type that somebody reads a tensor's element as.
template <class T>
T convert(const Number& value, std::string_view who) {
  if constexpr (std::is_same_v<T, bool>) {
    return value.real != 0 || value.imag != 0;
  } else if constexpr (ComplexNumber<T>) {
    using Part = typename T::value_type;
    if (!is_complex(value.dtype)) return T(detail::real_as<Part>(value));
    return T(static_cast<Part>(value.real), static_cast<Part>(value.imag));
  } else if (is_complex(value.dtype)) {
    detail::fail_complex(value, who);
  } else if constexpr (std::is_integral_v<T>) {
    if (!detail::is_one_of<T>(value)) {
      detail::fail_misfit(value, std::is_signed_v<T>, sizeof(T), who);
    }
    return detail::real_as<T>(value);
  } else {
    return detail::real_as<T>(value);
  }
}

/// A float that rounds to a 16-bit format as `value` itself does: its last bit says that something
/// was lost (rounding to odd), where rounding twice would meet a tie that is none.
template <class From>
[[gnu::always_inline]] inline float to_float_for_half(From value) {
  using Exact = std::conditional_t<std::is_integral_v<From>, long double, double>;
  const auto exact = static_cast<Exact>(value);
  const auto rounded = static_cast<float>(exact);
  if (!__builtin_isfinite(rounded) || static_cast<Exact>(rounded) == exact) return rounded;
  const auto bits = __builtin_bit_cast(uint32_t, rounded);
  const auto back = static_cast<Exact>(rounded);
  const bool went_out = exact < 0 ? back < exact : back > exact;
  return __builtin_bit_cast(float, (went_out ? bits - 1 : bits) | 1u);
}

}  // namespace taper
