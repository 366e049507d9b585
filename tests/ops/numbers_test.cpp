#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>

#include "tests/core/error_testing.h"

// Expected values: arithmetic of whole numbers, and NumPy 2 for the dtypes.

namespace taper {
namespace {

using testing::thrown_text;

constexpr int64_t largest = std::numeric_limits<int64_t>::max();
constexpr int64_t lowest = std::numeric_limits<int64_t>::min();
constexpr int64_t odd = (int64_t{1} << 53) + 1;  // no double

Tensor bytes(std::vector<uint8_t> values) {
  return from_values<uint8_t>({static_cast<int64_t>(values.size())}, values);
}

bool only(const Tensor& x) { return x.item<bool>(); }

// ---------------------------------------------------------------------------------- comparisons

TEST(Numbers, ComparisonsWithIntegersAreExact) {
  EXPECT_TRUE(only(bytes({0}) > -1));
  EXPECT_TRUE(only(bytes({255}) < 300));
  EXPECT_FALSE(only(equal(bytes({255}), -1)));
  EXPECT_TRUE(only(not_equal(bytes({255}), -1)));
  EXPECT_FALSE(only(equal(full({1}, 1, DType::i8), 257)));
  EXPECT_TRUE(only(less(-1, bytes({0}))));
  EXPECT_FALSE(only(greater_equal(-1, bytes({0}))));
  EXPECT_TRUE(only(less_equal(bytes({255}), uint64_t{UINT64_MAX})));
  const Tensor big = full({1}, odd, DType::i64);
  EXPECT_FALSE(only(equal(big, odd - 1)));
  EXPECT_TRUE(only(equal(big, odd)));
}

TEST(Numbers, ComparisonsOfIntegersWithFloatsAreExact) {
  const Tensor big = full({1}, odd, DType::i64);
  EXPECT_FALSE(only(equal(big, 0x1p53)));
  EXPECT_TRUE(only(big > 0x1p53));
  EXPECT_TRUE(only(full({1}, largest, DType::i64) < 0x1p63));
  EXPECT_TRUE(only(full({1}, lowest, DType::i64) >= -0x1p63));
  EXPECT_FALSE(only(full({1}, lowest, DType::i64) > -0x1p63));
  const Tensor three = full({1}, 3, DType::i32);
  EXPECT_TRUE(only(three > 2.5));
  EXPECT_TRUE(only(three < 3.5));
  EXPECT_FALSE(only(three >= 3.5));
  EXPECT_FALSE(only(equal(three, 2.5)));
  EXPECT_TRUE(only(greater(3.5, three)));
  EXPECT_TRUE(only(three < INFINITY));
  EXPECT_FALSE(only(three < NAN));
  EXPECT_FALSE(only(three >= NAN));
  EXPECT_TRUE(only(not_equal(three, NAN)));
  EXPECT_FALSE(only(equal(three, 3.0000000001)));
}

/// Every relation of every small number with every u8 and bool, by arithmetic in double.
TEST(Numbers, EveryRelationAgreesWithArithmetic) {
  for (const double number :
       {-1e30, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 254.5, 255.0, 255.5, 300.0}) {
    for (const int value : {0, 1, 2, 254, 255}) {
      const Tensor x = full({1}, value, DType::u8);
      EXPECT_EQ(only(less(x, number)), value < number) << value << " " << number;
      EXPECT_EQ(only(less_equal(x, number)), value <= number) << value << " " << number;
      EXPECT_EQ(only(greater(x, number)), value > number) << value << " " << number;
      EXPECT_EQ(only(greater_equal(x, number)), value >= number) << value << " " << number;
      EXPECT_EQ(only(equal(x, number)), value == number) << value << " " << number;
      EXPECT_EQ(only(not_equal(number, x)), value != number) << value << " " << number;
    }
    for (const bool value : {false, true}) {
      const Tensor x = full({1}, value, DType::boolean);
      EXPECT_EQ(only(less(x, number)), value < number) << value << " " << number;
      EXPECT_EQ(only(greater_equal(number, x)), number >= value) << value << " " << number;
      EXPECT_EQ(only(equal(x, number)), value == number) << value << " " << number;
    }
  }
}

// ---------------------------------------------------------------------------------- other ops

TEST(Numbers, OneThatItsTensorCannotHoldIsAnErrorOfTheOp) {
  const Tensor x = zeros({2}, DType::u8);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { maximum(x, 300); }),
            "maximum: 300 is out of the range of u8, 0 to 255 (x1 u8[2])");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { (void)(x - 256); }),
            "subtract: 256 is out of the range of u8, 0 to 255 (x1 u8[2])");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { where(equal(x, 0), x, -1); }),
            "where: -1 is out of the range of u8, 0 to 255 (condition bool[2], x1 u8[2])");
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { full({2}, 1000, DType::i8); }),
            "full: 1000 is out of the range of i8, -128 to 127");
  thrown_text(ErrorKind::value, [&] { full_like(x, NAN); });
  thrown_text(ErrorKind::value, [&] { pad(x, {1, 1}, -1); });
  Tensor sum = x;
  thrown_text(ErrorKind::value, [&] { sum += 300; });
  EXPECT_EQ(sum.to_vector<int>(), (std::vector<int>{0, 0}));
}

TEST(Numbers, AnAssignmentOfOneThatDoesNotFitChangesNothing) {
  Tensor x = arange(3);
  thrown_text(ErrorKind::value, [&] { x[0] = NAN; });
  thrown_text(ErrorKind::value, [&] { x[0] = 1e30; });
  EXPECT_EQ(x.to_vector<int>(), (std::vector<int>{0, 1, 2}));
  x[0] = odd;
  EXPECT_EQ(Tensor(x[0]).item<int64_t>(), odd);
}

TEST(Numbers, AFloatBesideIntegersMakesThemF32) {
  EXPECT_EQ((arange(3) + 0.5).dtype(), DType::f32);
  EXPECT_EQ((arange(3) + 1).dtype(), DType::i64);
  EXPECT_EQ((ones({2}, DType::f16) * 1e30).to_vector<float>(), (std::vector<float>(2, INFINITY)));
}

TEST(Numbers, PadHoldsIntegersExactly) {
  EXPECT_EQ(pad(arange(1), {1, 0}, odd).to_vector<int64_t>(), (std::vector<int64_t>{odd, 0}));
  EXPECT_EQ(pad(zeros({1}), {1, 0}, -0.5).to_vector<float>(), (std::vector<float>{-0.5f, 0}));
}

// ---------------------------------------------------------------------------------- ranges

TEST(Arange, OfIntegersIsExact) {
  EXPECT_EQ(arange(odd, odd + 3).to_vector<int64_t>(),
            (std::vector<int64_t>{odd, odd + 1, odd + 2}));
  EXPECT_EQ(arange(lowest, largest, largest).to_vector<int64_t>(),
            (std::vector<int64_t>{lowest, -1, largest - 1}));
  EXPECT_EQ(arange(5, 0, -2).to_vector<int>(), (std::vector<int>{5, 3, 1}));
  EXPECT_EQ(arange(0, 5, 2, DType::u8).dtype(), DType::u8);
  EXPECT_EQ(arange(3, DType::f32).to_vector<float>(), (std::vector<float>{0, 1, 2}));
  EXPECT_EQ(arange(3, 3).numel(), 0);
  EXPECT_EQ(arange(3, 0).numel(), 0);
}

TEST(Arange, OfFloatsIsFloating) {
  const Tensor quarters = arange(0, 1, 0.25);
  EXPECT_EQ(quarters.dtype(), DType::f32);
  EXPECT_EQ(quarters.to_vector<double>(), (std::vector<double>{0, 0.25, 0.5, 0.75}));
  EXPECT_EQ(arange(2.5).to_vector<double>(), (std::vector<double>{0, 1, 2}));
}

TEST(Arange, WhatIsNoRangeOrDoesNotFitIsAnError) {
  thrown_text(ErrorKind::value, [] { arange(0, 3, 0); });
  thrown_text(ErrorKind::value, [] { arange(0, INFINITY); });
  thrown_text(ErrorKind::value, [] { arange(0, NAN); });
  thrown_text(ErrorKind::value, [] { arange(0, 1, 0.0); });
  thrown_text(ErrorKind::value, [] { arange(0, 300, 1, DType::u8); });
  EXPECT_EQ(arange(0, 256, 1, DType::u8).numel(), 256);
}

TEST(Numbers, ARangeEndsWhereIntegersDo) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { arange(~uint64_t{0} - 5, ~uint64_t{0}); })
                .find("arange: 18446744073709551610 is out of the range of i64"),
            0u);
  thrown_text(ErrorKind::value, [] { arange(0, ~uint64_t{0}, int64_t{1} << 62); });
}

}  // namespace
}  // namespace taper
