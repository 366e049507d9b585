// Derivatives by dual numbers, to second order, for double and for a type of a user.
#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>

#include "tests/backend/functors_isa.h"

namespace taper {
namespace {

namespace ft = functor_test;
using fn::Dual;

// First and second derivatives against central differences of the function, in double.
template <class F>
void check_derivatives(const char* name, F f, std::initializer_list<double> points) {
  using D = Dual<double>;
  for (const double x : points) {
    const double h = 1e-4;
    const double slope = (f(x + h) - f(x - h)) / (2 * h);
    const double bend = (f(x + h) - 2 * f(x) + f(x - h)) / (h * h);
    const D first = f(D(x, 1.0));
    EXPECT_EQ(first.value, f(x)) << name << ' ' << x;
    EXPECT_NEAR(first.derivative, slope, 1e-6 * (1 + std::fabs(slope))) << name << ' ' << x;
    const Dual<D> second = f(Dual<D>(D(x, 1.0), D(1.0)));
    EXPECT_NEAR(second.derivative.derivative, bend, 1e-5 * (1 + std::fabs(bend))) << name << x;
    EXPECT_NEAR(second.value.derivative, slope, 1e-6 * (1 + std::fabs(slope))) << name << ' ' << x;
  }
}

#define TAPER_CHECK_DERIVATIVE(expression, ...)     \
  check_derivatives(#expression,                    \
                    [](auto x) {                    \
                      using T = decltype(x);        \
                      return T(1.0) * (expression); \
                    },                              \
                    {__VA_ARGS__})

TEST(Dual, Derivatives) {
  TAPER_CHECK_DERIVATIVE(x * x - x / (x + T(3.0)) + (-x), -1, 0.5, 2);
  TAPER_CHECK_DERIVATIVE(exp(x), -2, 0, 1.5);
  TAPER_CHECK_DERIVATIVE(expm1(x), -2, 0, 1.5);
  TAPER_CHECK_DERIVATIVE(log(x), 0.3, 1, 4);
  TAPER_CHECK_DERIVATIVE(log1p(x), -0.5, 0, 4);
  TAPER_CHECK_DERIVATIVE(tanh(x), -1, 0.1, 2);
  TAPER_CHECK_DERIVATIVE(sigmoid(x), -3, 0, 2);
  TAPER_CHECK_DERIVATIVE(softplus(x), -3, 0, 2);
  TAPER_CHECK_DERIVATIVE(erf(x), -1.5, 0.1, 0.7);
  TAPER_CHECK_DERIVATIVE(silu(x), -3, 0, 2);
  TAPER_CHECK_DERIVATIVE(gelu(x), -3, -0.5, 0, 1.5, 2);
  TAPER_CHECK_DERIVATIVE(normal_cdf(x), -2, 0.5, 2);
  TAPER_CHECK_DERIVATIVE(normal_pdf(x), -2, 0.5, 2);
  TAPER_CHECK_DERIVATIVE(sin(x), -4, 0.5, 20);
  TAPER_CHECK_DERIVATIVE(cos(x), -4, 0.5, 20);
  TAPER_CHECK_DERIVATIVE(sqrt(x), 0.5, 2);
  TAPER_CHECK_DERIVATIVE(rsqrt(x), 0.5, 2);
  TAPER_CHECK_DERIVATIVE(fma(x, x, sin(x)), -1, 0.5);
  TAPER_CHECK_DERIVATIVE(abs(x) * x, -1, 2);
  TAPER_CHECK_DERIVATIVE(copysign(x * x, x), -1, 2);
  TAPER_CHECK_DERIVATIVE(min(x, x * x) + max(x, x * x), -1, 0.5, 2);
  TAPER_CHECK_DERIVATIVE(minimum(x, x * x) * maximum(x, T(3.0)), -1, 0.5, 4);
  TAPER_CHECK_DERIVATIVE(x * (rint(x) + floor(x)), 0.7, 2.2);
  TAPER_CHECK_DERIVATIVE(where((x > T(0.0)) & !(x >= T(1.0)), x * x, exp(x)), -1, 0.5, 2);
  TAPER_CHECK_DERIVATIVE(pow(x, T(3.0)), -2, 0.001, 1.5);
  TAPER_CHECK_DERIVATIVE(pow(x, T(-1.5)), 0.5, 1.5);
  TAPER_CHECK_DERIVATIVE(pow(T(2.0), x), -2, 0, 1.5);
  TAPER_CHECK_DERIVATIVE(pow(x, x), 0.5, 2);
  TAPER_CHECK_DERIVATIVE(pow(x, x * x), 0.3, 0.9, 1.5);
}

TEST(Dual, SingularPoints) {
  using D = Dual<double>;
  using DD = Dual<D>;
  EXPECT_EQ(abs(D(0.0, 1.0)).derivative, 0.0);
  EXPECT_EQ(max(D(1.0, 1.0), D(1.0)).derivative, 0.5);
  EXPECT_EQ(pow(D(0.0, 1.0), D(2.0)).derivative, 0.0);
  EXPECT_EQ(pow(D(0.0, 1.0), D(1.0)).derivative, 1.0);
  EXPECT_EQ(pow(D(-3.0, 1.0), D(2.0)).derivative, -6.0);
  EXPECT_EQ(pow(D(0.0, 1.0), D(0.0)).derivative, 0.0);
  EXPECT_EQ(pow(D(1e200, 1.0), D(2.0)).derivative, 2e200);
  EXPECT_EQ(pow(DD(D(0.0, 1.0), D(1.0)), DD(2.0)).derivative.derivative, 2.0);
  // In the exponent, by pow_backward_exponent of PyTorch's FunctionsManual.cpp.
  EXPECT_TRUE(std::isnan(pow(D(-2.0), D(3.0, 1.0)).derivative));
  EXPECT_TRUE(std::isnan(pow(D(-2.0), D(0.0, 1.0)).derivative));
  EXPECT_EQ(pow(D(0.0), D(0.0, 1.0)).derivative, 0.0);
  EXPECT_EQ(pow(D(0.0), D(2.0, 1.0)).derivative, 0.0);
  EXPECT_EQ(pow(D(0.0), D(-1.0, 1.0)).derivative, -INFINITY);
  D sum(1.0, 2.0);
  sum += D(1.0, 1.0);
  sum *= D(2.0, 0.0);
  sum -= D(1.0, 0.0);
  sum /= D(3.0, 0.0);
  EXPECT_EQ(sum.value, 1.0);
  EXPECT_EQ(sum.derivative, 2.0);
}

// A type of a user (later Tensor): no fma, no primitives; masks of its own; functions by
// argument-dependent look-up.
}  // namespace
}  // namespace taper

namespace user {

struct Truth {
  bool value;
  friend Truth operator&(Truth a, Truth b) { return {a.value && b.value}; }
  friend Truth operator|(Truth a, Truth b) { return {a.value || b.value}; }
  friend Truth operator!(Truth a) { return {!a.value}; }
};

class Number {
 public:
  explicit Number(double value) : value_(value) {}
  double value() const { return value_; }
  friend Number operator+(const Number& a, const Number& b) { return Number(a.value_ + b.value_); }
  friend Number operator-(const Number& a, const Number& b) { return Number(a.value_ - b.value_); }
  friend Number operator*(const Number& a, const Number& b) { return Number(a.value_ * b.value_); }
  friend Number operator/(const Number& a, const Number& b) { return Number(a.value_ / b.value_); }
  friend Number operator-(const Number& a) { return Number(-a.value_); }
  friend Truth operator<(const Number& a, const Number& b) { return {a.value_ < b.value_}; }
  friend Truth operator>(const Number& a, const Number& b) { return {a.value_ > b.value_}; }
  friend Truth operator==(const Number& a, const Number& b) { return {a.value_ == b.value_}; }
  friend Number where(Truth m, const Number& a, const Number& b) { return m.value ? a : b; }
  friend Number exp(const Number& a) { return Number(std::exp(a.value_)); }
  friend Number log(const Number& a) { return Number(std::log(a.value_)); }
  friend Number erf(const Number& a) { return Number(std::erf(a.value_)); }
  friend Number abs(const Number& a) { return Number(std::fabs(a.value_)); }
  friend Number pow(const Number& a, const Number& b) {
    return Number(std::pow(a.value_, b.value_));
  }

 private:
  double value_;
};

}  // namespace user

namespace taper {
namespace {

TEST(Dual, OfAUsersType) {
  using D = Dual<user::Number>;
  const auto f = [](auto x) {
    using T = decltype(x);
    return where(x > T(0.0), x * erf(x), exp(x)) + pow(abs(x), T(2.5)) * fma(x, x, x);
  };
  const auto check = [&](double x) {
    const D mine = f(D(user::Number(x), user::Number(1.0)));
    const Dual<double> theirs = f(Dual<double>(x, 1.0));
    EXPECT_NEAR(mine.derivative.value(), theirs.derivative, 1e-12 * (1 + std::fabs(x)));
    const auto twice = f(Dual<D>(D(user::Number(x), user::Number(1.0)), D(1.0)));
    const auto other = f(Dual<Dual<double>>(Dual<double>(x, 1.0), Dual<double>(1.0)));
    EXPECT_NEAR(twice.derivative.derivative.value(), other.derivative.derivative, 1e-10);
  };
  check(0.7);
  check(-1.2);
}

}  // namespace
}  // namespace taper
