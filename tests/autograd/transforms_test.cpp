#include <gtest/gtest.h>

#include <cmath>

#include <taper/taper.h>

// Expected values are closed forms of calculus.

namespace taper {
namespace {

using Tensors = std::vector<Tensor>;

TensorFunction of_one(std::function<Tensor(const Tensor&)> f) {
  return [f = std::move(f)](const Tensors& in) { return f(in[0]); };
}

TEST(Transforms, DifferentiateOnlyTheUsesOfTheirOwnOperand) {
  const Tensor x = tensor<double>({3.0}).set_requires_grad();
  // d/dv (v x) at v = x is x, not 2x.
  const Tensor slope = grad(of_one([&](const Tensor& v) { return sum(v * x); }))({x});
  EXPECT_EQ(slope.item(), 3);
  const auto [value, grads] =
      value_and_grad(of_one([&](const Tensor& v) { return sum(v * x); }))({x});
  EXPECT_EQ(value.item(), 9);
  EXPECT_EQ(grads[0].item(), 3);
}

TEST(Transforms, KeepTheirPerturbationsApartWhereTheyNest) {
  // d/dx [x d/dy (x + y) at y = x] = d/dx x = 1.
  const TensorFunction f = of_one([](const Tensor& x) {
    return sum(x * grad(of_one([&](const Tensor& y) { return sum(x + y); }))({x}));
  });
  EXPECT_EQ(grad(f)({tensor<double>({2.0})}).item(), 1);
  // d/dx [x d/dy (x y^2) at y = x] = d/dx 2x^3 = 6x^2, and once more 12x.
  const TensorFunction g = of_one([](const Tensor& x) {
    return sum(x * grad(of_one([&](const Tensor& y) { return sum(x * y * y); }))({x}));
  });
  EXPECT_EQ(grad(g)({tensor<double>({2.0})}).item(), 24);
  EXPECT_EQ(grad(grad(g))({tensor<double>({2.0})}).item(), 24);
}

TEST(Transforms, StayConnectedToTheTapeAroundThem) {
  Tensor x = tensor<double>({3.0}).set_requires_grad();
  // Through the operand: d/dx of d/dx x^3 is 6x.
  const Tensor through = grad(of_one([](const Tensor& v) { return sum(v * v * v); }))({x * 1});
  sum(through).backward();
  EXPECT_EQ(x.grad().item(), 18);
  x.zero_grad();
  // Through what f closes over, with an operand that needs no gradient: d/dx (2 v x) at v = 5.
  const Tensor closed =
      grad(of_one([&](const Tensor& v) { return sum(v * v * x); }))({tensor<double>({5.0})});
  EXPECT_EQ(closed.item(), 30);
  sum(closed).backward();
  EXPECT_EQ(x.grad().item(), 10);
  x.zero_grad();
  // The value as well.
  const auto [value, grads] =
      value_and_grad(of_one([&](const Tensor& v) { return sum(v * x); }))({tensor<double>({5.0})});
  sum(value + grads[0]).backward();
  EXPECT_EQ(x.grad().item(), 6);
}

TEST(Transforms, GiveNothingOnTheTapeWhereNothingElseCouldUseIt) {
  const Tensor x = tensor<double>({3.0}).set_requires_grad();
  const TensorFunction square_sum = of_one([](const Tensor& v) { return sum(v * v); });
  EXPECT_FALSE(grad(square_sum)({tensor<double>({3.0})}).requires_grad());
  EXPECT_TRUE(grad(square_sum)({x}).requires_grad());
  const no_grad off;
  const auto [value, grads] = value_and_grad(square_sum)({x});
  EXPECT_FALSE(value.requires_grad());
  EXPECT_FALSE(grads[0].requires_grad());
}

TEST(Transforms, GiveZerosWhereTheFunctionDoesNotDependOnTheOperand) {
  const Tensor x = tensor<double>({3.0, 4.0}).set_requires_grad();
  const Tensor none = grad(of_one([&](const Tensor&) { return sum(x * x); }))({x});
  EXPECT_EQ(none.to_vector<double>(), (std::vector<double>{0, 0}));
  // The second derivative of a linear function.
  const TensorFunction linear_sum = of_one([](const Tensor& v) { return sum(v * 3); });
  const TensorFunction first = of_one([&](const Tensor& v) { return sum(grad(linear_sum)({v})); });
  EXPECT_EQ(grad(first)({x}).to_vector<double>(), (std::vector<double>{0, 0}));
}

TEST(Transforms, TellTwoOperandsApartThatAreOneTensor) {
  const TensorFunction f = [](const Tensors& in) { return sum(in[0] * in[0] * in[1]); };
  for (Tensor x : {tensor<double>({3.0}), tensor<double>({3.0}).set_requires_grad()}) {
    const auto [value, grads] = value_and_grad(f, {0, 1})({x, x});
    EXPECT_EQ(value.item(), 27);
    EXPECT_EQ(grads[0].item(), 18);
    EXPECT_EQ(grads[1].item(), 9);
    const auto twice = value_and_grad(f, {1, 1})({x, x}).second;
    EXPECT_EQ(twice[0].item(), 9);
    EXPECT_EQ(twice[1].item(), 9);
  }
}

TEST(Transforms, GiveTheRowsOfAHessian) {
  // f = x0^2 x1 + sin(x1): the Hessian is {{2 x1, 2 x0}, {2 x0, -sin(x1)}}.
  const TensorFunction f =
      of_one([](const Tensor& v) { return sum(v[0] * v[0] * v[1] + sin(v[1])); });
  Tensor x = tensor<double>({1.5, 0.5}).set_requires_grad();
  const Tensor slope = grad(f)({x});
  std::vector<double> hessian;
  for (int i = 0; i < 2; ++i) {
    const Tensor part = std::as_const(slope)[i];
    for (const double each : gradients(part, Tensors{x}, true)[0].to_vector<double>()) {
      hessian.push_back(each);
    }
  }
  const std::vector<double> expected{1, 3, 3, -std::sin(0.5)};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(hessian[i], expected[i], 1e-15);
  // The same by transforms alone.
  for (int i = 0; i < 2; ++i) {
    const Tensor row = grad(of_one([&](const Tensor& v) -> Tensor {
      return std::as_const(static_cast<const Tensor&>(grad(f)({v})))[i];
    }))({tensor<double>({1.5, 0.5})});
    for (size_t k = 0; k < 2; ++k) {
      EXPECT_NEAR(row.to_vector<double>()[k], expected[static_cast<size_t>(i) * 2 + k], 1e-15);
    }
  }
}

TEST(Transforms, SayWhatIsWrong) {
  const auto text = [](auto&& action) -> std::string {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const TensorFunction doubled = of_one([](const Tensor& v) { return v * 2; });
  EXPECT_EQ(text([&] { grad(doubled)({ones({3})}); }),
            "grad: the function must give one element; sum it (result f32[3])");
  EXPECT_EQ(
      text([&] { value_and_grad(of_one([](const Tensor&) { return Tensor(); }))({ones({})}); }),
      "value_and_grad: the function gave no tensor");
}

}  // namespace
}  // namespace taper
