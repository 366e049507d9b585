#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <taper/ops/ops.h>

#include "tests/core/error_testing.h"

// Expected: the dtypes of the array API standard and the values of whole numbers.

namespace taper {
namespace {

using testing::thrown_text;

TEST(Pow, OfIntegersKeepsTheirDtype) {
  const Tensor y = pow(full({2}, 3, DType::i32), full({2}, 4, DType::i32));
  EXPECT_EQ(y.dtype(), DType::i32);
  EXPECT_EQ(y.to_vector<int>(), (std::vector<int>{81, 81}));
  EXPECT_EQ(pow(full({1}, int64_t{3037000499}, DType::i64), 2).item<int64_t>(),
            9223372030926249001);
  EXPECT_EQ(pow(2, arange(4)).to_vector<int>(), (std::vector<int>{1, 2, 4, 8}));
  EXPECT_EQ(pow(full({1}, -2, DType::i8), 3).item<int>(), -8);
  EXPECT_EQ(pow(full({1}, 0, DType::i64), 0).item<int>(), 1);
  EXPECT_EQ(pow(arange(3), 0.5).dtype(), DType::f32);
  EXPECT_EQ(pow(tensor({true, false}), 2).dtype(), DType::i64);  // as other arithmetic of bools
  EXPECT_NE(thrown_text(ErrorKind::dtype, [] { pow(tensor({true}), tensor({true})); }).find("bool"),
            std::string::npos);
}

TEST(Pow, RefusesANegativeExponentOfIntegers) {
  EXPECT_NE(thrown_text(ErrorKind::value, [] { pow(arange(3), -1); }).find("is no integer"),
            std::string::npos);
}

TEST(Clip, OfANaNBoundIsNaN) {
  for (const Tensor& x : {tensor({1.0, 5.0}), tensor({1, 5})}) {
    for (const double value : clip(x, NAN, 2.0).to_vector<double>()) EXPECT_TRUE(std::isnan(value));
    for (const double value : clip(x, 0, NAN).to_vector<double>()) EXPECT_TRUE(std::isnan(value));
  }
}

TEST(Clip, TakesOneBoundAndIntegers) {
  EXPECT_EQ(clip(tensor({-2.f, 0.f, 2.f}), 0).to_vector<float>(), (std::vector<float>{0, 0, 2}));
  EXPECT_EQ(clip(tensor({-2.f, 0.f, 2.f}), {}, 1).to_vector<float>(),
            (std::vector<float>{-2, 0, 1}));
  EXPECT_EQ(clip(tensor({0.f, 9.f}), 5, 3).to_vector<float>(), (std::vector<float>{3, 3}));
  const Tensor whole = clip(arange(5), 1, 3);
  EXPECT_EQ(whole.dtype(), DType::i64);
  EXPECT_EQ(whole.to_vector<int>(), (std::vector<int>{1, 1, 2, 3, 3}));
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { clip(zeros({2}, DType::u8), 0, 300); }),
            "clip: 300 is out of the range of u8, 0 to 255 (x u8[2])");
  EXPECT_EQ(floor(arange(3)).to_vector<int>(), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(round(arange(3)).dtype(), DType::i64);
}

}  // namespace
}  // namespace taper
