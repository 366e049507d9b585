#include <taper/core/dtype.h>

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <complex>
#include <limits>
#include <string>

#include <taper/core/philox.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;

// ---------------------------------------------------------------------------------- promotion

constexpr auto f32 = DType::f32;
constexpr auto f64 = DType::f64;
constexpr auto f16 = DType::f16;
constexpr auto bf16 = DType::bf16;
constexpr auto i8 = DType::i8;
constexpr auto i16 = DType::i16;
constexpr auto i32 = DType::i32;
constexpr auto i64 = DType::i64;
constexpr auto u8 = DType::u8;
constexpr auto u16 = DType::u16;
constexpr auto u32 = DType::u32;
constexpr auto u64 = DType::u64;
constexpr auto c64 = DType::c64;
constexpr auto c128 = DType::c128;
constexpr auto b = DType::boolean;

constexpr auto no = static_cast<DType>(255);  // no dtype: an error

// Rows and columns in the order of all_dtypes. What the Python array API standard's tables say
// (signed, unsigned and mixed integers; f32 with f64) and, where they are silent, design choices:
// a float wins over an integer or bool, an integer over a bool, f16 with bf16 gives f32, u64 with
// a signed integer is an error, a complex dtype has the parts that the wider operand needs.
constexpr DType promoted[dtype_count][dtype_count] = {
    // f32 f64 f16 bf16 i8 i16 i32 i64 u8 u16 u32 u64 bool c64 c128
    {f32, f64, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, f32, c64, c128},            // f32
    {f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, f64, c128, c128},           // f64
    {f32, f64, f16, f32, f16, f16, f16, f16, f16, f16, f16, f16, f16, c64, c128},            // f16
    {f32, f64, f32, bf16, bf16, bf16, bf16, bf16, bf16, bf16, bf16, bf16, bf16, c64, c128},  // bf16
    {f32, f64, f16, bf16, i8, i16, i32, i64, i16, i32, i64, no, i8, c64, c128},              // i8
    {f32, f64, f16, bf16, i16, i16, i32, i64, i16, i32, i64, no, i16, c64, c128},            // i16
    {f32, f64, f16, bf16, i32, i32, i32, i64, i32, i32, i64, no, i32, c64, c128},            // i32
    {f32, f64, f16, bf16, i64, i64, i64, i64, i64, i64, i64, no, i64, c64, c128},            // i64
    {f32, f64, f16, bf16, i16, i16, i32, i64, u8, u16, u32, u64, u8, c64, c128},             // u8
    {f32, f64, f16, bf16, i32, i32, i32, i64, u16, u16, u32, u64, u16, c64, c128},           // u16
    {f32, f64, f16, bf16, i64, i64, i64, i64, u32, u32, u32, u64, u32, c64, c128},           // u32
    {f32, f64, f16, bf16, no, no, no, no, u64, u64, u64, u64, u64, c64, c128},               // u64
    {f32, f64, f16, bf16, i8, i16, i32, i64, u8, u16, u32, u64, b, c64, c128},               // bool
    {c64, c128, c64, c64, c64, c64, c64, c64, c64, c64, c64, c64, c64, c64, c128},           // c64
    {c128, c128, c128, c128, c128, c128, c128, c128, c128, c128, c128, c128, c128, c128,
     c128},  // c128
};

TEST(DTypes, ArePromotedAsTheArrayApiSays) {
  for (size_t row = 0; row < dtype_count; ++row) {
    for (size_t column = 0; column < dtype_count; ++column) {
      const DType wanted = promoted[row][column];
      if (wanted == no) continue;
      EXPECT_EQ(dtype_name(promote(all_dtypes[row], all_dtypes[column])), dtype_name(wanted))
          << dtype_name(all_dtypes[row]) << " with " << dtype_name(all_dtypes[column]);
    }
  }
}

TEST(DTypes, WithoutACommonOneAreAnErrorThatNamesBoth) {
  for (size_t row = 0; row < dtype_count; ++row) {
    for (size_t column = 0; column < dtype_count; ++column) {
      if (promoted[row][column] != no) continue;
      const DType a = all_dtypes[row];
      const DType b = all_dtypes[column];
      EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { promote(a, b); }),
                std::string(dtype_name(a)) + " and " + std::string(dtype_name(b)) +
                    " have no common integer dtype; convert one with astype");
    }
  }
}

// ---------------------------------------------------------------------------------- names, sizes

TEST(DTypes, AreFoundByBothOfTheirNames) {
  for (DType dtype : all_dtypes) EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
  EXPECT_EQ(parse_dtype("float32"), float32);
  EXPECT_EQ(parse_dtype("float64"), float64);
  EXPECT_EQ(parse_dtype("float16"), float16);
  EXPECT_EQ(parse_dtype("bfloat16"), bfloat16);
  EXPECT_EQ(parse_dtype("int8"), int8);
  EXPECT_EQ(parse_dtype("int16"), int16);
  EXPECT_EQ(parse_dtype("int32"), int32);
  EXPECT_EQ(parse_dtype("int64"), int64);
  EXPECT_EQ(parse_dtype("uint8"), uint8);
  EXPECT_EQ(parse_dtype("uint16"), uint16);
  EXPECT_EQ(parse_dtype("uint32"), uint32);
  EXPECT_EQ(parse_dtype("uint64"), uint64);
  EXPECT_EQ(parse_dtype("bool"), bool_);
  EXPECT_EQ(parse_dtype("complex64"), complex64);
  EXPECT_EQ(parse_dtype("complex128"), complex128);
}

TEST(DTypes, UnknownNamesAreRefusedWithThoseThereAre) {
  for (const char* name : {"", "f33", "F32", "float", " f32"}) {
    EXPECT_EQ(thrown_text(ErrorKind::not_found, [&] { parse_dtype(name); }),
              "unknown dtype `" + std::string(name) +
                  "`; there are: float32, float64, float16, bfloat16, int8, int16, int32, int64, "
                  "uint8, uint16, uint32, uint64, bool, complex64, complex128");
  }
}

TEST(DTypes, KnowTheirStorage) {
  for (DType dtype : all_dtypes) {
    visit<kinds::every>(dtype, [&]<class T>() {
      EXPECT_EQ(dtype_of<T>, dtype);
      EXPECT_EQ(is_complex(dtype), (ComplexNumber<T>));
      EXPECT_EQ(sizeof(T), item_size(dtype));
      constexpr bool floats =
          std::is_floating_point_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;
      EXPECT_EQ(is_float(dtype), floats);
      EXPECT_EQ(is_bool(dtype), (std::is_same_v<T, bool>));
      EXPECT_EQ(is_integer(dtype), std::is_integral_v<T> && !is_bool(dtype));
      EXPECT_EQ(is_signed(dtype), floats || (std::is_signed_v<T> && !is_bool(dtype)));
    });
  }
}

TEST(DTypes, AreVisitedByKind) {
  for (DType dtype : all_dtypes) {
    const auto bytes = [&] {
      return visit<kinds::integer>(dtype, []<class T>() { return sizeof(T); });
    };
    if (is_integer(dtype)) {
      EXPECT_EQ(bytes(), item_size(dtype));
    } else {
      thrown_text(ErrorKind::internal, bytes);
    }
  }
}

TEST(DTypes, OfComplexNumbersHaveRealPartners) {
  EXPECT_EQ(real_of(DType::c64), DType::f32);
  EXPECT_EQ(real_of(DType::c128), DType::f64);
  EXPECT_EQ(real_of(DType::u16), DType::u16);
  EXPECT_EQ(complex_of(DType::f64), DType::c128);
  EXPECT_EQ(complex_of(DType::bf16), DType::c64);
  EXPECT_EQ(dtype_of<std::complex<double>>, DType::c128);
}

// ---------------------------------------------------------------------------------- 16-bit floats

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// A 16-bit format by its definition: `digits` bits of significand, the hidden one included.
struct Format {
  int digits;
  int least_exponent;  // of a normal number
  int exponent_limit;  // 2^limit is infinite
};
constexpr Format half = {11, -14, 16};
constexpr Format bfloat = {8, -126, 128};

/// The value nearest to x, ties to the even one, by rounding the exact quotient.
float nearest(float x, const Format& format) {
  if (x == 0 || !std::isfinite(x)) return x;
  const int exponent = std::max(std::ilogb(x), format.least_exponent);
  const long double step = std::ldexp(1.0L, exponent - format.digits + 1);
  const long double rounded = std::nearbyint(static_cast<long double>(x) / step) * step;
  if (std::abs(rounded) >= std::ldexp(1.0L, format.exponent_limit)) {
    return std::copysign(infinity, x);
  }
  return std::copysign(static_cast<float>(rounded), x);
}

/// The value of a pattern by the definition of the format.
float value_of(uint16_t bits, const Format& format) {
  const int fraction_bits = format.digits - 1;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const int field = (bits & 0x7fff) >> fraction_bits;
  const bool special = field == (0x7fff >> fraction_bits);
  float value = 0;
  if (special) {
    value = fraction == 0 ? infinity : nan;
  } else {
    const int significand = field == 0 ? fraction : fraction + (1 << fraction_bits);
    value = std::ldexp(static_cast<float>(significand),
                       std::max(field, 1) - 1 + format.least_exponent - fraction_bits);
  }
  return std::copysign(value, (bits & 0x8000) != 0 ? -1.0f : 1.0f);
}

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

template <class T>
void expect_nearest(float x, const Format& format) {
  const float actual = static_cast<float>(T(x));
  const float expected = nearest(x, format);
  ASSERT_TRUE(same(actual, expected))
      << std::hexfloat << x << " gives " << actual << ", expected " << expected;
}

template <class T>
void check_every_pattern(const Format& format) {
  for (int pattern = 0; pattern < 65536; ++pattern) {
    T number;
    number.bits = static_cast<uint16_t>(pattern);
    const auto value = static_cast<float>(number);
    ASSERT_TRUE(same(value, value_of(number.bits, format))) << pattern;
    const T back(value);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(static_cast<float>(back))) << pattern;
      ASSERT_EQ(std::signbit(static_cast<float>(back)), std::signbit(value)) << pattern;
    } else {
      ASSERT_EQ(back.bits, number.bits);
    }
  }
}

/// Each number, the middle to the next one (a tie) and the floats beside the middle.
template <class T>
void check_every_boundary(const Format& format) {
  const float largest = std::nextafter(std::ldexp(1.0f, format.exponent_limit - 1) * 2, 0.0f);
  for (int pattern = 0; pattern < 65536; ++pattern) {
    const float value = value_of(static_cast<uint16_t>(pattern), format);
    if (!std::isfinite(value)) continue;
    const int exponent =
        value == 0 ? format.least_exponent : std::max(std::ilogb(value), format.least_exponent);
    const double step = std::ldexp(1.0, exponent - format.digits + 1);
    const auto middle = static_cast<float>(value + std::copysign(step / 2, value));
    for (float x :
         {value, middle, std::nextafter(middle, -infinity), std::nextafter(middle, infinity)}) {
      expect_nearest<T>(x, format);
    }
  }
  for (float x : {0.0f, largest, std::nextafter(largest, infinity), infinity, 3.4028235e38f, nan,
                  1e-45f, 1e-40f, 1.17549435e-38f}) {
    expect_nearest<T>(x, format);
    expect_nearest<T>(-x, format);
  }
}

template <class T>
void check_random_floats(const Format& format) {
  for (uint64_t i = 0; i < 200'000; ++i) {
    for (uint32_t word : philox(7, i)) expect_nearest<T>(std::bit_cast<float>(word), format);
  }
}

TEST(Half, EveryPatternHasItsValueAndComesBack) { check_every_pattern<Half>(half); }
TEST(Half, RoundsToNearestEvenAtEveryBoundary) { check_every_boundary<Half>(half); }
TEST(Half, RoundsToNearestEvenAnywhere) { check_random_floats<Half>(half); }

TEST(BFloat16, EveryPatternHasItsValueAndComesBack) { check_every_pattern<BFloat16>(bfloat); }
TEST(BFloat16, RoundsToNearestEvenAtEveryBoundary) { check_every_boundary<BFloat16>(bfloat); }
TEST(BFloat16, RoundsToNearestEvenAnywhere) { check_random_floats<BFloat16>(bfloat); }

TEST(Half, IsCorrectInAConstant) {
  static_assert(Half(1.0f).bits == 0x3c00 && Half(-2.0f).bits == 0xc000);
  static_assert(Half(65519.0f).bits == 0x7bff && Half(65520.0f).bits == 0x7c00);
  static_assert(BFloat16(1.0f).bits == 0x3f80 && static_cast<float>(BFloat16(3.0f)) == 3.0f);
}

}  // namespace
}  // namespace taper
