// Tensors of numbers in braces: which dtype and shape they get.

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <vector>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;
using Ints = std::vector<int64_t>;

Ints ints(const Tensor& x) { return x.to_vector<int64_t>(); }

TEST(Literals, ChooseTheDtypeThatPyTorchWould) {
  EXPECT_EQ(tensor({1, 2}).dtype(), DType::i64);
  EXPECT_EQ(tensor({1.0, 2.0}).dtype(), DType::f32);
  EXPECT_EQ(tensor({1, 2.5}).dtype(), DType::f32);
  EXPECT_EQ(tensor({true, false}).dtype(), DType::boolean);
  EXPECT_EQ(tensor({1.0, 2.0}, DType::f64).dtype(), DType::f64);
  EXPECT_EQ(tensor({0.1}, DType::f64).item(), 0.1);
  EXPECT_EQ(tensor({int64_t{1} << 62}).item<int64_t>(), int64_t{1} << 62);
  EXPECT_EQ(tensor({}).shape(), Shape{0});
  EXPECT_EQ(tensor(2.5).shape(), Shape{});
}

TEST(Literals, OfATypeKeepIt) {
  EXPECT_EQ(tensor<double>({1, 2}).dtype(), DType::f64);
  EXPECT_EQ(tensor<int8_t>({1, 2}).dtype(), DType::i8);
  EXPECT_EQ(tensor(std::vector<double>{1, 2}).dtype(), DType::f64);
  const std::vector<int32_t> numbers{1, 2};
  EXPECT_EQ(tensor(std::span<const int32_t>(numbers)).dtype(), DType::i32);
  EXPECT_EQ(from_values({2}, std::vector<double>{1, 2}).dtype(), DType::f64);
}

TEST(Literals, Nest) {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  EXPECT_EQ(x.shape(), (Shape{2, 3}));
  EXPECT_EQ(ints(x), (Ints{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(tensor({{{1.0}}, {{2.0}}}).shape(), (Shape{2, 1, 1}));
  EXPECT_EQ(tensor({{1, 2}}).shape(), (Shape{1, 2}));
  EXPECT_EQ(thrown_text(ErrorKind::shape, [] { tensor({{1, 2}, {3}}); }),
            "tensor: nested lists must have equal lengths, got items of shapes [2] and [1]");
  thrown_text(ErrorKind::shape, [] { tensor({{1}, 2}); });
}

TEST(Literals, TakeAShape) {
  const Tensor x = from_values({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(x.spec(), (Spec{DType::i64, {}, {2, 2}}));
  EXPECT_EQ(ints(x[1]), (Ints{3, 4}));
  EXPECT_EQ(from_values({2}, {1, 2}, DType::f64).dtype(), DType::f64);
  thrown_text(ErrorKind::value, [] { from_values({2, 2}, {1, 2, 3}); });
}

TEST(Literals, OfVectorsAndSpansTakeADtype) {
  const std::vector<int> values{1, 300};
  EXPECT_EQ(tensor(values, DType::f64).to_vector<double>(), (std::vector<double>{1, 300}));
  EXPECT_EQ(from_values({2, 1}, values, DType::f32).spec(), (Spec{DType::f32, {}, {2, 1}}));
  thrown_text(ErrorKind::value, [&] { tensor(values, DType::u8); });
  const float array[] = {1, 2};
  EXPECT_EQ(tensor(std::span(array)).dtype(), DType::f32);
  EXPECT_EQ(tensor(std::span(array), DType::i64).dtype(), DType::i64);
  EXPECT_EQ(tensor<float>({{1, 2}, {3, 4}}).spec(), (Spec{DType::f32, {}, {2, 2}}));
  EXPECT_EQ(tensor(std::vector<bool>{true, false}).to_vector<int>(), (std::vector<int>{1, 0}));
}

TEST(Literals, OfATypeNestAlike) {
  EXPECT_EQ(tensor<float>({{1}, {2}, {3}}).shape(), (Shape{3, 1}));
  EXPECT_EQ(tensor<float>({{1.0, 2.0}}).shape(), (Shape{1, 2}));
  EXPECT_EQ(tensor<int>({{1, 2, 3}}).spec(), (Spec{DType::i32, {}, {1, 3}}));
  thrown_text(ErrorKind::value, [] { tensor<uint8_t>({300}); });
}

template <class... Args>
concept SumTakes = requires(const Tensor& x, Args... args) { sum(x, args...); };
template <class... Args>
concept DropoutTakes = requires(const Tensor& x, Args... args) { dropout(x, args...); };

TEST(Literals, ABoolIsNoAxisAndNoProbability) {
  static_assert(SumTakes<int> && SumTakes<int, bool> && !SumTakes<bool>);
  static_assert(DropoutTakes<double, bool> && !DropoutTakes<bool>);
}

}  // namespace
}  // namespace taper
