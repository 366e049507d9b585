// Elementary functions where they are hard: far from zero and in their tails. The expected values
// were computed by mpmath with 400 digits at the very argument.
#include <gtest/gtest.h>
#include <taper/taper.h>

#include <cmath>
#include <vector>

#include "tests/backend/exact_functions.h"

namespace taper {
namespace {

struct Value {
  double x;
  double y;
};

/// Among small arguments, so that most lanes of the vector take the usual way.
template <class E>
void expect_values(Tensor (*function)(const Tensor&), const std::vector<Value>& values,
                   double bound) {
  std::vector<E> x(61, E(0.5));
  for (size_t i = 0; i < values.size(); ++i) x[7 * i] = static_cast<E>(values[i].x);
  const std::vector<E> y =
      function(from_values<E>({static_cast<int64_t>(x.size())}, x)).template to_vector<E>();
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_LE(exact::ulps(y[7 * i], values[i].y), bound) << values[i].x << " gives " << y[7 * i];
  }
  EXPECT_EQ(y[1], function(full({}, 0.5, dtype_of<E>)).template item<E>());
}

constexpr double largest_float = 3.4028234663852886e+38;

TEST(Functions, SineAndCosineHoldForEveryFloat) {
  expect_values<float>(sin,
                       {{1e10, -0.48750602508751069},
                        {-1e10, 0.48750602508751069},
                        {largest_float, -0.52187652333365854},
                        {1.0000000150474662e+30, -0.79116343852198367},
                        {200000, -0.071451895212519901},
                        {131073, -0.50440528423472137}},
                       2);
  expect_values<float>(cos,
                       {{1e10, 0.873119622676856},
                        {-1e10, 0.873119622676856},
                        {largest_float, 0.85302103983030416},
                        {1.0000000150474662e+30, -0.61160478541789662},
                        {200000, 0.9974440468871119},
                        {131073, 0.86346702845915891}},
                       2);
}

TEST(Functions, SineAndCosineHoldForEveryDouble) {
  // The last one is the double nearest to a multiple of pi / 2: W. Kahan's example.
  const double nearest = std::ldexp(6381956970095103.0, 797);
  expect_values<double>(sin,
                        {{1e22, -0.8522008497671888},
                         {-1e22, 0.8522008497671888},
                         {1.7976931348623157e308, 0.0049619547891840618},
                         {4e9, 0.73928702599175083},
                         {nearest, 1}},
                        2);
  expect_values<double>(cos,
                        {{1e22, 0.52321478539513895},
                         {1.7976931348623157e308, -0.99998768942655994},
                         {4e9, -0.67339044632387853},
                         {nearest, -4.6871659242546276e-19}},
                        2);
}

TEST(Functions, SineAndCosineOfInfinityAreNaN) {
  const Tensor x = tensor({INFINITY, -INFINITY, NAN});
  for (const float y : sin(x).to_vector<float>()) EXPECT_TRUE(std::isnan(y));
  for (const float y : cos(x).to_vector<float>()) EXPECT_TRUE(std::isnan(y));
}

TEST(Functions, GeluKeepsItsDigitsInTheLowerTail) {
  expect_values<float>(gelu,
                       {{-10, -7.6198530241605261e-23},
                        {-14, -1.091095154686992e-43},
                        {-5, -1.4332578593959696e-6},
                        {-1.25, -0.13206221708356907}},
                       4);
  expect_values<double>(gelu,
                        {{-10, -7.6198530241605261e-23},
                         {-38, -1.096462776826138e-314},
                         {-37.5, -1.7270073785932331e-306},
                         {-1.25, -0.13206221708356907}},
                        4);
}

TEST(Functions, SiluKeepsItsDigitsWhereTheExponentialIsSubnormal) {
  expect_values<float>(silu,
                       {{-100, -3.720075976020836e-42},
                        {-105, -2.6318958496949508e-44},
                        {-88, -5.3280496679530436e-37}},
                       4);
  expect_values<double>(silu, {{-745, -2.1026512942015931e-321}, {-740, -3.0996675112355562e-319}},
                        4);
}

TEST(Functions, GeluAndSiluVanishAtMinusInfinity) {
  for (Tensor (*function)(const Tensor&) : {gelu, silu}) {
    const auto y = function(tensor({-INFINITY, INFINITY, NAN, -0.0F, 0.0F})).to_vector<float>();
    EXPECT_TRUE(y[0] == 0 && std::signbit(y[0]));
    EXPECT_EQ(y[1], INFINITY);
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_TRUE(y[3] == 0 && std::signbit(y[3]));
    EXPECT_TRUE(y[4] == 0 && !std::signbit(y[4]));
  }
}

TEST(Functions, TheSlopeOfLeakyReluAtInfinityIsThatOfItsSide) {
  Tensor x = tensor({-INFINITY, -2.0F, 2.0F, INFINITY}).set_requires_grad();
  sum(leaky_relu(x, 0.25)).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{0.25F, 0.25F, 1, 1}));
}

TEST(Functions, TheSlopeOfGeluAndSiluKeepsItsDigitsInTheLowerTail) {
  const auto slope = [](Tensor (*function)(const Tensor&), double at) {
    Tensor x = full({3}, at, DType::f64).set_requires_grad();
    sum(function(x)).backward();
    return x.grad().to_vector<double>()[1];
  };
  EXPECT_LE(exact::ulps(slope(gelu, -10), -7.6184000964648141e-22), 16);
  EXPECT_LE(exact::ulps(slope(gelu, -5), -7.1469460017922946e-6), 16);
  EXPECT_LE(exact::ulps(slope(silu, -88), -5.2675036489990317e-37), 16);
}

}  // namespace
}  // namespace taper
