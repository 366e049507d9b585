#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include <taper/core/number.h>
#include <taper/core/tensor.h>

#include "tests/core/error_testing.h"

// Expected values: IEEE 754 and the limits of two's complement.

namespace taper {
namespace {

using testing::thrown_text;

template <class T>
Tensor values(const std::vector<T>& numbers) {
  return from_values<T>({static_cast<int64_t>(numbers.size())}, numbers);
}

constexpr int64_t largest = std::numeric_limits<int64_t>::max();
constexpr int64_t lowest = std::numeric_limits<int64_t>::min();

TEST(Number, IntegersNeverPassThroughADouble) {
  EXPECT_EQ(convert(largest, DType::i64, "f").as<int64_t>(), largest);
  EXPECT_EQ(convert((int64_t{1} << 53) + 1, DType::i64, "f").as<int64_t>(), (int64_t{1} << 53) + 1);
  EXPECT_EQ(convert(lowest, DType::i64, "f").as<int64_t>(), lowest);
}

TEST(Number, OutOfAnIntegerDtypeIsAnErrorThatSaysBoth) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { convert(300, DType::u8, "full"); }),
            "full: 300 is out of the range of u8, 0 to 255");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { convert(-129, DType::i8, "full"); }),
            "full: -129 is out of the range of i8, -128 to 127");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { convert(NAN, DType::i64, "full"); }),
            "full: nan is no value of i64");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { convert(-INFINITY, DType::i32, "full"); }),
            "full: -inf is no value of i32");
  const std::string above = "full: 18446744073709551615 is out of the range of i64";
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { convert(uint64_t{UINT64_MAX}, DType::i64, "full"); })
                .substr(0, above.size()),
            above);
  EXPECT_TRUE(fits(255, DType::u8));
  EXPECT_FALSE(fits(256, DType::u8));
  EXPECT_FALSE(fits(0x1p63, DType::i64));
  EXPECT_TRUE(fits(-0x1p63, DType::i64));
}

TEST(Number, AFractionTruncates) {
  EXPECT_EQ(convert(2.9, DType::i32, "f").as<int32_t>(), 2);
  EXPECT_EQ(convert(-2.9, DType::i8, "f").as<int8_t>(), -2);
  EXPECT_EQ(convert(255.9, DType::u8, "f").as<uint8_t>(), 255);
  EXPECT_EQ(convert(-0.9, DType::u8, "f").as<uint8_t>(), 0);
}

TEST(Number, AFloatIsRoundedOnceAndBecomesInfinityIfItIsTooLarge) {
  EXPECT_EQ(convert(1e300, DType::f32, "f").as<float>(), INFINITY);
  EXPECT_EQ(static_cast<float>(convert(-1e6, DType::f16, "f").as<Half>()), -INFINITY);
  EXPECT_TRUE(std::isnan(static_cast<float>(convert(NAN, DType::bf16, "f").as<BFloat16>())));
  // 1 + 2^-8 + 2^-40 lies above the tie of bf16; rounded to f32 first, it would be the tie.
  EXPECT_EQ(static_cast<float>(convert(1 + 0x1p-8 + 0x1p-40, DType::bf16, "f").as<BFloat16>()),
            1.0078125f);
  EXPECT_EQ(convert((int64_t{1} << 53) + 1, DType::f64, "f").as<double>(), 0x1p53);
}

TEST(Number, ABoolIsWhetherItIsNotZero) {
  EXPECT_TRUE(convert(0.5, DType::boolean, "f").as<bool>());
  EXPECT_TRUE(convert(-3, DType::boolean, "f").as<bool>());
  EXPECT_FALSE(convert(0, DType::boolean, "f").as<bool>());
  EXPECT_EQ(convert(true, DType::i64, "f").as<int64_t>(), 1);
}

TEST(Number, AnItemThatItsTypeCannotHoldIsAnError) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { (void)values<float>({NAN}).item<int>(); }),
            "item: nan is no value of int32_t");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { (void)values<double>({1e10}).item<int>(); }),
            "item: 1e+10 is out of the range of int32_t, -2147483648 to 2147483647");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { (void)values<int64_t>({-1}).item<size_t>(); }),
            "item: -1 is out of the range of uint64_t, 0 to 18446744073709551615");
  thrown_text(ErrorKind::value, [] { (void)values<int32_t>({300}).to_vector<uint8_t>(); });
  thrown_text(ErrorKind::value, [] { (void)values<float>({1, INFINITY}).to_vector<int64_t>(); });
  EXPECT_EQ(values<double>({-2.5}).item<int>(), -2);
  EXPECT_EQ(values<int64_t>({largest}).item<int64_t>(), largest);
  EXPECT_EQ(values<double>({1e19}).item<uint64_t>(), uint64_t{10'000'000'000'000'000'000u});
  EXPECT_TRUE(std::isnan(values<float>({NAN}).item<float>()));
}

TEST(Number, UnsignedOnesAboveSignedOnesAreExact) {
  constexpr uint64_t top = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(convert(top, DType::u64, "f").as<uint64_t>(), top);
  EXPECT_EQ(convert(top - 1, DType::u64, "f").as<uint64_t>(), top - 1);
  EXPECT_EQ(convert(0x1p63, DType::u64, "f").as<uint64_t>(), uint64_t{1} << 63);
  EXPECT_FALSE(fits(0x1p64, DType::u64));
  EXPECT_FALSE(fits(-1, DType::u64));
  EXPECT_FALSE(fits(top, DType::i64));
  EXPECT_FALSE(fits(top, DType::u32));
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { convert(-1, DType::u64, "full"); }),
            "full: -1 is out of the range of u64, 0 to 18446744073709551615");
  // The tie between two floats lies at 2^63 + 2^39; a double in between would round to it.
  constexpr uint64_t above_tie = (uint64_t{1} << 63) + (uint64_t{1} << 39) + 1;
  EXPECT_EQ(convert(above_tie, DType::f32, "f").as<float>(), 0x1p63f + 0x1p40f);
  EXPECT_EQ(to_string(Number(top)), "18446744073709551615");
  const Tensor x = values<uint64_t>({top, 5});
  EXPECT_EQ(to_string(x), "[18446744073709551615, 5] u64[2]");
  EXPECT_EQ(x.to_vector<uint64_t>(), (std::vector<uint64_t>{top, 5}));
  EXPECT_EQ(values<uint64_t>({top}).item<uint64_t>(), top);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { (void)x.to_vector<int64_t>(); }),
            "to_vector: 18446744073709551615 is out of the range of int64_t, -9223372036854775808 "
            "to 9223372036854775807");
}

TEST(Number, NaNPrintsWithoutASign) {
  EXPECT_EQ(to_string(values<float>({std::copysign(NAN, -1.f), NAN})), "[nan, nan] f32[2]");
  EXPECT_EQ(to_string(Number(std::copysign(NAN, -1.0))), "nan");
}

}  // namespace
}  // namespace taper
