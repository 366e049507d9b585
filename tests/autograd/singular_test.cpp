#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include <taper/taper.h>

// Gradients where a function has no slope of its own. Expected: the formulas in PyTorch's
// derivatives.yaml and FunctionsManual.cpp (std_backward, pow_backward_self, pow_backward_exponent,
// amax, maximum, abs, sqrt, sign, clamp).

namespace taper {
namespace {

std::vector<double> gradient_of(auto&& f, const std::vector<double>& at) {
  Tensor x = from_values({static_cast<int64_t>(at.size())}, at).set_requires_grad();
  sum(f(x)).backward();
  return x.grad().template to_vector<double>();
}

using Values = std::vector<double>;

TEST(SingularPoints, StdOfAConstantHasNoGradient) {
  EXPECT_EQ(gradient_of([](const Tensor& x) { return std(x); }, {2, 2, 2}), (Values{0, 0, 0}));
  EXPECT_EQ(gradient_of([](const Tensor& x) { return std(x, {}, 1); }, {0, 0}), (Values{0, 0}));
  Tensor rows = from_values<double>({2, 2}, std::vector<double>{5, 5, 1, 3}).set_requires_grad();
  sum(std(rows, 1)).backward();
  EXPECT_EQ(rows.grad().to_vector<double>(), (Values{0, 0, -0.5, 0.5}));
}

TEST(SingularPoints, StdOfAConstantWhoseMeanRounds) {
  for (const double value : {0.1, 0.3, 0.001, 7.7, 123.456, 1e30, -1e-300}) {
    for (const size_t count : {2u, 3u, 7u, 1000u}) {
      const Values slopes =
          gradient_of([](const Tensor& x) { return std(x, {}, 1); }, Values(count, value));
      EXPECT_EQ(slopes, Values(count, 0)) << value << " times " << count;
    }
  }
  const Tensor x = full({2, 3, 4}, 0.1, DType::f64);
  EXPECT_EQ(var(x, {0, 2}).to_vector<double>(), (Values{0, 0, 0}));
}

TEST(SingularPoints, PowInTheExponent) {
  const auto slope = [](double base, double exponent) {
    const Tensor a = from_values<double>({1}, std::vector<double>{base});
    return gradient_of([&](const Tensor& x) { return pow(a, x); }, {exponent})[0];
  };
  EXPECT_TRUE(std::isnan(slope(-2, 3)));
  EXPECT_TRUE(std::isnan(slope(-2, 0)));
  EXPECT_EQ(slope(0, 0), 0);
  EXPECT_EQ(slope(0, 2), 0);
  EXPECT_EQ(slope(0, -1), -INFINITY);
  EXPECT_NEAR(slope(2, 3), 8 * std::log(2.0), 1e-14);
}

TEST(SingularPoints, PowInTheBase) {
  const auto slope = [](double base, double exponent) {
    return gradient_of([&](const Tensor& x) { return pow(x, exponent); }, {base})[0];
  };
  EXPECT_EQ(slope(0, 0), 0);
  EXPECT_EQ(slope(0, 1), 1);
  EXPECT_EQ(slope(0, 2), 0);
  EXPECT_EQ(slope(0, 0.5), INFINITY);
  EXPECT_EQ(slope(-2, 3), 12);
}

TEST(SingularPoints, RootsAbsoluteValuesAndTies) {
  EXPECT_EQ(gradient_of([](const Tensor& x) { return sqrt(x); }, {0}), (Values{INFINITY}));
  EXPECT_EQ(gradient_of([](const Tensor& x) { return abs(x); }, {0, -0.0}), (Values{0, 0}));
  EXPECT_EQ(gradient_of([](const Tensor& x) { return sign(x); }, {0}), (Values{0}));
  EXPECT_EQ(gradient_of([](const Tensor& x) { return relu(x); }, {0}), (Values{0}));
  EXPECT_EQ(gradient_of([](const Tensor& x) { return max(x); }, {1, 3, 3}), (Values{0, 0.5, 0.5}));
  EXPECT_EQ(gradient_of([](const Tensor& x) { return min(x); }, {1, 1}), (Values{0.5, 0.5}));
  EXPECT_EQ(gradient_of([](const Tensor& x) { return maximum(x, 2); }, {1, 2, 3}),
            (Values{0, 0.5, 1}));
  EXPECT_EQ(gradient_of([](const Tensor& x) { return clip(x, 0, 1); }, {0, 1, 2}),
            (Values{1, 1, 0}));
}

/// sum of x^k for k = 0..3: derivatives at 0 by hand.
TEST(SingularGradients, HigherDerivativesOfPolynomialsAtZeroAreFinite) {
  const TensorFunction sum_of_powers = [](const std::vector<Tensor>& x) {
    Tensor total = x[0] * 0;
    for (int k = 0; k < 4; ++k) total = total + pow(x[0], k);
    return total;
  };
  const Tensor zero = zeros({}, DType::f64);
  EXPECT_EQ(grad(sum_of_powers)({zero}).item(), 1);
  EXPECT_EQ(grad(grad(sum_of_powers))({zero}).item(), 2);
  EXPECT_EQ(grad(grad(grad(sum_of_powers)))({zero}).item(), 6);
  // d2/dx de of x^e at e = 0 is 1 / x.
  const TensorFunction in_exponent = [](const std::vector<Tensor>& e) {
    const TensorFunction power = [&](const std::vector<Tensor>& x) { return pow(x[0], e[0]); };
    return grad(power)({full({}, 4.0, DType::f64)});
  };
  EXPECT_EQ(grad(in_exponent)({zero}).item(), 0.25);
}

}  // namespace
}  // namespace taper
