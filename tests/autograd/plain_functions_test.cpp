// Gradients that a caller gives, transforms of plain functions.

#include <gtest/gtest.h>

#include <vector>

#include <taper/taper.h>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;
using Floats = std::vector<float>;

Floats floats(const Tensor& x) { return x.to_vector<float>(); }

// ---------------------------------------------------------------------------------- backward

TEST(BackwardOfAGradient, StartsFromIt) {  // d(x^2)/dx = 2 x for each element
  Tensor x = tensor({1.0, 2.0, 3.0}).set_requires_grad();
  (x * x).backward(tensor({1.0, 10.0, 100.0}));
  EXPECT_EQ(floats(x.grad()), (Floats{2, 40, 600}));
}

TEST(BackwardOfAGradient, MayKeepTheGraph) {
  Tensor x = tensor({1.0, 2.0}).set_requires_grad();
  const Tensor y = x * x;
  y.backward(ones({2}), true);
  y.backward(ones({2}));
  EXPECT_EQ(floats(x.grad()), (Floats{4, 8}));
}

TEST(BackwardOfAGradient, MustBeLikeTheResult) {
  Tensor x = tensor({1.0, 2.0}).set_requires_grad();
  const Tensor y = x * x;
  EXPECT_EQ(thrown_text(ErrorKind::shape, [&] { y.backward(ones({3})); }),
            "backward: the gradient of the loss must be like the loss (loss f32[2], gradient "
            "f32[3])");
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { y.backward(Tensor()); }),
            "backward: the gradient is undefined");
}

// ---------------------------------------------------------------------------------- transforms

TEST(PlainFunctions, AreDifferentiatedAsTheyAre) {  // x^3: 3 x^2, 6 x
  const auto cube = [](const Tensor& x) { return sum(x * x * x); };
  EXPECT_EQ(floats(grad(cube)(tensor({2.0}))), (Floats{12}));
  const auto slope = [=](const Tensor& x) { return sum(grad(cube)(x)); };
  EXPECT_EQ(floats(grad(slope)(tensor({2.0}))), (Floats{12}));
}

TEST(PlainFunctions, MayTakeSeveralOperands) {  // x^2 y: 2 x y and x^2
  const auto f = [](const Tensor& x, const Tensor& y) { return sum(x * x * y); };
  const Tensor x = tensor({3.0});
  const Tensor y = tensor({5.0});
  EXPECT_EQ(grad(f)(x, y).item(), 30);
  EXPECT_EQ(grad(f, 1)(x, y).item(), 9);
  EXPECT_EQ(grad(grad(f))(x, y).item(), 10);
  const auto [value, slopes] = value_and_grad(f, {0, 1})(x, y);
  EXPECT_EQ(value.item(), 45);
  ASSERT_EQ(slopes.size(), 2u);
  EXPECT_EQ(slopes[1].item(), 9);
}

TEST(PlainFunctions, MayBeGeneric) {
  const auto f = [](auto x) { return sum(x * x); };
  EXPECT_EQ(grad(f)(tensor({3.0})).item(), 6);
  EXPECT_EQ(value_and_grad(f)(tensor({3.0})).second[0].item(), 6);
  Tensor x = tensor({3.0}).set_requires_grad();
  checkpoint(f, x).backward();
  EXPECT_EQ(x.grad().item(), 6);
}

TEST(PlainFunctions, SayWhatIsWrong) {
  const auto f = [](const Tensor& x) { return sum(x); };
  EXPECT_EQ(thrown_text(ErrorKind::dtype, [&] { grad(f)(tensor({1, 2})); }),
            "grad: only floating tensors have gradients (operand 0 i64[2])");
  EXPECT_NE(thrown_text(ErrorKind::value, [&] { grad(f)(Tensor()); }).find("is undefined"),
            std::string::npos);
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { grad(TensorFunction()); }),
            "grad: the function is empty");
}

TEST(PlainFunctions, OfAListAreAsBefore) {
  const auto f = [](const std::vector<Tensor>& x) { return sum(x[0] * x[1]); };
  EXPECT_EQ(grad(f)({tensor({3.0}), tensor({5.0})}).item(), 5);
}

}  // namespace
}  // namespace taper
