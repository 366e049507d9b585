// Operators as users write them: which overload, which truth.

#include <gtest/gtest.h>

#include <cmath>
#include <concepts>
#include <cstdint>
#include <vector>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;
using Bools = std::vector<bool>;
using Ints = std::vector<int64_t>;
using Floats = std::vector<float>;

Bools bools(const Tensor& x) {
  EXPECT_EQ(x.dtype(), DType::boolean);
  return x.to_vector<bool>();
}
Ints ints(const Tensor& x) { return x.to_vector<int64_t>(); }

// ---------------------------------------------------------------------------------- operators

TEST(Operators, CompareTensorsWithTensorsAndNumbersOnEitherSide) {
  const Tensor x = tensor({1, 2, 3});
  const Tensor y = tensor({3, 2, 1});
  EXPECT_EQ(bools(x == y), (Bools{false, true, false}));
  EXPECT_EQ(bools(x == 2), (Bools{false, true, false}));
  EXPECT_EQ(bools(2 == x), (Bools{false, true, false}));
  EXPECT_EQ(bools(x != y), (Bools{true, false, true}));
  EXPECT_EQ(bools(x != 2), (Bools{true, false, true}));
  EXPECT_EQ(bools(2 != x), (Bools{true, false, true}));
  EXPECT_EQ(bools(x < y), (Bools{true, false, false}));
  EXPECT_EQ(bools(x < 2), (Bools{true, false, false}));
  EXPECT_EQ(bools(2 < x), (Bools{false, false, true}));
  EXPECT_EQ(bools(x <= y), (Bools{true, true, false}));
  EXPECT_EQ(bools(x <= 2), (Bools{true, true, false}));
  EXPECT_EQ(bools(2 <= x), (Bools{false, true, true}));
  EXPECT_EQ(bools(x > y), (Bools{false, false, true}));
  EXPECT_EQ(bools(x > 2), (Bools{false, false, true}));
  EXPECT_EQ(bools(2 > x), (Bools{true, false, false}));
  EXPECT_EQ(bools(x >= y), (Bools{false, true, true}));
  EXPECT_EQ(bools(x >= 2), (Bools{false, true, true}));
  EXPECT_EQ(bools(2 >= x), (Bools{true, true, false}));
}

TEST(Operators, TakePartsOfTensors) {
  Tensor x = tensor({{1, 2}, {3, 4}});
  EXPECT_TRUE((x[0] == x[0])[0]);
  EXPECT_EQ(bools(x[1] == 3), (Bools{true, false}));
  EXPECT_EQ(bools(3 == x[1]), (Bools{true, false}));
  EXPECT_EQ(bools(x[1] != x[0]), (Bools{true, true}));
  EXPECT_EQ(ints(x[1] % x[0]), (Ints{0, 0}));
}

TEST(Operators, RemainderHasTheSignOfTheDivisor) {  // Python: -7 % 3 == 2, 7 % -3 == -2
  const Tensor x = tensor({7, -7, 6});
  EXPECT_EQ(ints(x % 3), (Ints{1, 2, 0}));
  EXPECT_EQ(ints(x % -3), (Ints{-2, -1, 0}));
  EXPECT_EQ(ints(-7 % tensor({3, -3, 7})), (Ints{2, -1, 0}));
  EXPECT_EQ((tensor({-7.5}) % 2).item(), 0.5);
  EXPECT_EQ((x % tensor({2.0, 2.0, 4.0})).to_vector<float>(), (Floats{1, 1, 2}));
  Tensor y = tensor({5, 6, 7});
  y %= 4;
  EXPECT_EQ(ints(y), (Ints{1, 2, 3}));
}

TEST(Operators, RemainderOfIntegersByZeroIsRefused) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { tensor({1, 2}) % tensor({1, 0}); })
                .find("remainder: x2 is 0, by which integers have no remainder"),
            0u);
  EXPECT_TRUE(std::isnan((tensor({1.0}) % 0).item()));
}

TEST(Operators, BitsOfIntegersAndBools) {
  const Tensor x = tensor({12, 10, -1});
  EXPECT_EQ(ints(x & 6), (Ints{4, 2, 6}));
  EXPECT_EQ(ints(6 | x), (Ints{14, 14, -1}));
  EXPECT_EQ(ints(x ^ tensor({1, 10, 0})), (Ints{13, 0, -1}));
  EXPECT_EQ(ints(~x), (Ints{-13, -11, 0}));
  EXPECT_EQ(ints(~tensor<uint8_t>({0, 1})), (Ints{255, 254}));
  const Tensor flags = tensor({true, false});
  EXPECT_EQ(bools(~flags), (Bools{false, true}));
  EXPECT_EQ(bools(flags & true), (Bools{true, false}));
  EXPECT_EQ(bools(flags | flags), (Bools{true, false}));
  EXPECT_EQ(bools(flags ^ true), (Bools{false, true}));
  EXPECT_EQ(bools((x > 0) & (x < 11)), (Bools{false, true, false}));
  Tensor y = x;
  y &= 6;
  y |= 1;
  y ^= 3;
  EXPECT_EQ(ints(y), (Ints{6, 0, 4}));
  thrown_text(ErrorKind::dtype, [] { ~tensor({1.0}); });
  thrown_text(ErrorKind::dtype, [] { tensor({1.0}) & 1; });
}

// ---------------------------------------------------------------------------------- truth

TEST(Truth, IsThatOfTheOnlyElement) {
  EXPECT_FALSE(tensor({0.0}));
  EXPECT_FALSE(tensor({-0.0}));
  EXPECT_TRUE(tensor({0.25}));
  EXPECT_TRUE(tensor({NAN}));
  EXPECT_TRUE(tensor({{true}}));
  EXPECT_FALSE(tensor({0}));
  EXPECT_TRUE(tensor({1.0}, DType::bf16));
  const Tensor loss = full({}, 0.5);
  EXPECT_FALSE(loss < 0.1);
  EXPECT_TRUE(loss > 0.1 && loss < 1);
  EXPECT_TRUE(!(loss == 1));
}

TEST(Truth, OfOtherTensorsIsRefused) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { (void)static_cast<bool>(zeros({2, 3})); }),
            "only a tensor of one element is true or false, got f32[2,3]; say any(x) or all(x)");
  thrown_text(ErrorKind::value, [] { (void)static_cast<bool>(zeros({0})); });
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { (void)static_cast<bool>(Tensor()); }),
            "the tensor is undefined and so neither true nor false; ask defined()");
}

TEST(Truth, IsUnknownWhileCapturing) {
  auto f = compile([](const Tensor& x) { return sum(x) > 0 ? x : -x; });
  const std::string text = thrown_text(ErrorKind::unsupported, [&] { f(tensor({1.0, 2.0})); });
  EXPECT_NE(text.find("greater"), text.npos) << text;
  EXPECT_NE(text.find("choose with `where`"), text.npos) << text;
}

TEST(Truth, OfManyIsAnyOrAll) {
  const Tensor x = tensor({1, 2, 3});
  EXPECT_TRUE(all(x == x));
  EXPECT_FALSE(all(x == 2));
  EXPECT_TRUE(any(x == 2));
  EXPECT_FALSE(any(x > 3));
}

// ---------------------------------------------------------------------------------- reductions

template <class T>
concept IsCorrection = requires(const Tensor& x, T correction) { var(x, 1, correction); };

TEST(Reductions, ABoolIsNoCorrection) {
  EXPECT_TRUE(IsCorrection<int>);
  EXPECT_TRUE(IsCorrection<double>);
  EXPECT_FALSE(IsCorrection<bool>);
  EXPECT_EQ(var(tensor({{1.0, 3.0}}), 1, 1, true).shape(), (Shape{1, 1}));
}

TEST(Operators, LogicOfNumbersIsOfTheirTruth) {
  const Tensor a = tensor({1, 2, 0});
  const Tensor b = tensor({2.5, 0.0, NAN});
  EXPECT_EQ(logical_and(a, b).dtype(), DType::boolean);
  EXPECT_EQ(logical_and(a, b).to_vector<int>(), std::vector({1, 0, 0}));
  EXPECT_EQ(logical_or(a, b).to_vector<int>(), std::vector({1, 1, 1}));
  EXPECT_EQ(logical_not(a).to_vector<int>(), std::vector({0, 0, 1}));
  EXPECT_EQ(tensor({10, 20, 30})[logical_and(a, tensor({2, 1, 1}))].to_vector<int>(),
            std::vector({10, 20}));
}

}  // namespace
}  // namespace taper
