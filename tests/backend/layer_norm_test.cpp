// Layer normalisation and its gradient against double loops.
#include <taper/backend/cpu/layer_norm.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <taper/core/threads.h>

#include "tests/backend/test_array.h"

namespace taper {
namespace {

using test::TestArray;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double eps = 0.01;
constexpr DType floats[] = {DType::f32, DType::f64, DType::f16, DType::bf16};

std::vector<double> values(const TestArray& x) {
  std::vector<double> all;
  for (int64_t i = 0; i < x.numel(); ++i) all.push_back(x.get(i));
  return all;
}

TestArray filled(DType dtype, const Shape& shape, uint64_t seed) {
  TestArray x(dtype, shape);
  x.fill(seed);
  return x;
}

/// Operands of rows, and what the formulas give for them.
struct Case {
  Case(DType dtype, int64_t rows, int64_t size)
      : n(size),
        x(filled(dtype, {rows, n}, 3)),
        grad(filled(dtype, {rows, n}, 5)),
        weight(filled(dtype, {n}, 7)),
        bias(filled(dtype, {n}, 11)) {}

  int64_t n;
  TestArray x, grad, weight, bias;
  bool affine = true;

  View weight_view() const { return affine ? weight.view() : View{}; }
  View bias_view() const { return affine ? bias.view() : View{}; }

  struct Expected {
    std::vector<double> y, grad_x, grad_weight, grad_bias;
  };

  Expected expected() const {
    const std::vector<double> in = values(x), g = values(grad), w = values(weight);
    const std::vector<double> b = values(bias);
    const auto size = static_cast<size_t>(n);
    Expected out{in, g, std::vector<double>(size), std::vector<double>(size)};
    for (size_t first = 0; first < in.size(); first += size) {
      double mean = 0, square = 0, along = 0, slope = 0;
      for (size_t i = 0; i < size; ++i) mean += in[first + i] / static_cast<double>(n);
      for (size_t i = 0; i < size; ++i) square += std::pow(in[first + i] - mean, 2);
      const double scale = 1 / std::sqrt(square / static_cast<double>(n) + eps);
      const auto z = [&](size_t i) { return (in[first + i] - mean) * scale; };
      const auto h = [&](size_t i) { return g[first + i] * (affine ? w[i] : 1); };
      for (size_t i = 0; i < size; ++i) {
        along += h(i) / static_cast<double>(n);
        slope += h(i) * z(i) / static_cast<double>(n);
      }
      for (size_t i = 0; i < size; ++i) {
        out.y[first + i] = affine ? z(i) * w[i] + b[i] : z(i);
        out.grad_x[first + i] = scale * (h(i) - along - z(i) * slope);
        out.grad_weight[i] += g[first + i] * z(i);
        out.grad_bias[i] += g[first + i];
      }
    }
    return out;
  }
};

void expect_near(const TestArray& out, const std::vector<double>& expected, double scale) {
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double want = expected[static_cast<size_t>(i)];
    const double bound = test::tolerance(out.view().dtype()) * (scale + std::abs(want));
    ASSERT_NEAR(out.get(i), want, bound) << out.name() << " at " << i;
  }
}

void expect_equal(const TestArray& a, const TestArray& b) {
  EXPECT_TRUE(a.same_bits(b)) << a.name();
}

void check(const Case& c) {
  const DType dtype = c.x.view().dtype();
  const Case::Expected expected = c.expected();
  TestArray y(dtype, c.x.shape());
  layer_norm(c.x.view(), c.weight_view(), c.bias_view(), y.view(), c.n, eps);
  expect_near(y, expected.y, 30);
  TestArray in_place = c.x;
  layer_norm(in_place.view(), c.weight_view(), c.bias_view(), in_place.view(), c.n, eps);
  expect_equal(in_place, y);

  TestArray grad_x(dtype, c.x.shape()), grad_weight(dtype, {c.n}), grad_bias(dtype, {c.n});
  const View none;
  layer_norm_grad(c.grad.view(), c.x.view(), c.weight_view(), grad_x.view(),
                  c.affine ? grad_weight.view() : none, c.affine ? grad_bias.view() : none, c.n,
                  eps);
  expect_near(grad_x, expected.grad_x, 100);
  if (c.affine) {
    expect_near(grad_weight, expected.grad_weight, 10 * static_cast<double>(c.x.shape()[0]));
    expect_near(grad_bias, expected.grad_bias, 10 * static_cast<double>(c.x.shape()[0]));
  }
  TestArray donated = c.grad;
  layer_norm_grad(donated.view(), c.x.view(), c.weight_view(), donated.view(), none, none, c.n,
                  eps);
  expect_equal(donated, grad_x);
}

TEST(LayerNormKernel, AgreesWithDoubleLoops) {
  const std::pair<int64_t, int64_t> sizes[] = {{1, 1},  {5, 1},    {1, 6},    {3, 16},  {7, 31},
                                               {4, 33}, {300, 64}, {2, 5000}, {129, 3}, {130, 700}};
  for (DType dtype : floats) {
    for (const auto& [rows, n] : sizes) {
      Case c(dtype, rows, n);
      check(c);
      c.affine = false;
      check(c);
    }
  }
}

TEST(LayerNormKernel, ANumberThatIsNoneSpoilsItsRowOnly) {
  for (DType dtype : floats) {
    for (double wrong : {nan, inf, -inf}) {
      Case c(dtype, 40, 37);
      c.x.set(5 * 37, wrong);
      c.x.set(20 * 37 + 20, wrong);
      TestArray y(dtype, c.x.shape()), grad_x(dtype, c.x.shape());
      layer_norm(c.x.view(), c.weight.view(), c.bias.view(), y.view(), 37, eps);
      layer_norm_grad(c.grad.view(), c.x.view(), c.weight.view(), grad_x.view(), {}, {}, 37, eps);
      for (int64_t i = 0; i < 40 * 37; ++i) {
        const bool bad = i / 37 == 5 || i / 37 == 20;
        ASSERT_EQ(std::isnan(y.get(i)), bad) << y.name() << " at " << i;
        ASSERT_EQ(std::isnan(grad_x.get(i)), bad) << y.name() << " at " << i;
      }
    }
  }
}

TEST(LayerNormKernel, EqualElementsGiveTheBiasExactlyAndNoGradient) {
  for (DType dtype : floats) {
    for (double value : {0.1, -1e4 / 3, 12345.678}) {
      Case c(dtype, 3, 103);
      for (int64_t i = 0; i < c.x.numel(); ++i) {
        c.x.set(i, value);
        c.grad.set(i, value);
      }
      TestArray y(dtype, c.x.shape()), grad_x(dtype, c.x.shape());
      layer_norm(c.x.view(), c.weight.view(), c.bias.view(), y.view(), 103, eps);
      layer_norm_grad(c.grad.view(), c.x.view(), {}, grad_x.view(), {}, {}, 103, eps);
      for (int64_t i = 0; i < c.x.numel(); ++i) {
        ASSERT_EQ(y.get(i), c.bias.get(i % 103)) << y.name() << " at " << i;
        ASSERT_EQ(grad_x.get(i), 0) << y.name() << " at " << i;
      }
    }
  }
}

/// Numbers whose squares, or whose sums, no float of their dtype holds.
TEST(LayerNormKernel, NeitherHugeNorTinyNumbersNorALargeMeanCostDigits) {
  for (double size : {3e37, 1e30, 1e-18, 1e-30}) {
    TestArray x(DType::f32, {2, 77}), y(DType::f32, {2, 77}), same(DType::f32, {2, 77});
    TestArray small = filled(DType::f32, {2, 77}, 5);
    for (int64_t i = 0; i < 2 * 77; ++i) x.set(i, small.get(i) * size / 8);
    layer_norm(x.view(), {}, {}, y.view(), 77, 0);
    layer_norm(small.view(), {}, {}, same.view(), 77, 0);
    expect_near(y, values(same), 1);
  }
  for (double mean : {1e3, 1e5, 65536.0 * 16}) {
    TestArray x = filled(DType::f32, {2, 77}, 5), y(DType::f32, {2, 77}), same = y;
    layer_norm(x.view(), {}, {}, same.view(), 77, eps);
    for (int64_t i = 0; i < 2 * 77; ++i) x.set(i, x.get(i) + mean);
    layer_norm(x.view(), {}, {}, y.view(), 77, eps);
    expect_near(y, values(same), 1);
  }
}

TEST(LayerNormKernel, OfDoublesWhoseSquaresOverflowIsZero) {
  TestArray x(DType::f64, {1, 5}), y = x;
  for (int64_t i = 0; i < 5; ++i) x.set(i, (static_cast<double>(i) - 1.3) * 1e200);
  layer_norm(x.view(), {}, {}, y.view(), 5, eps);
  for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(y.get(i), 0);
}

TEST(LayerNormKernel, OfNoRowsHasGradientsOfZero) {
  TestArray x(DType::f32, {0, 3}), grad_weight(DType::f32, {3}), grad_bias(DType::f32, {3});
  layer_norm(x.view(), {}, {}, x.view(), 3, eps);
  layer_norm_grad(x.view(), x.view(), {}, x.view(), grad_weight.view(), grad_bias.view(), 3, eps);
  EXPECT_EQ(values(grad_weight), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(values(grad_bias), (std::vector<double>{0, 0, 0}));
}

TEST(LayerNormKernel, TheNumberOfThreadsDoesNotMatter) {
  const int before = threads();
  for (DType dtype : floats) {
    for (const auto& [rows, n] : {std::pair{517, 600}, {20'000, 16}, {3, 100'000}}) {
      const Case c(dtype, rows, n);
      std::vector<TestArray> first;
      for (int count : {1, 2, 5}) {
        set_threads(count);
        std::vector<TestArray> out{c.x, c.x, c.weight, c.weight};
        layer_norm(c.x.view(), c.weight.view(), c.bias.view(), out[0].view(), n, eps);
        layer_norm_grad(c.grad.view(), c.x.view(), c.weight.view(), out[1].view(), out[2].view(),
                        out[3].view(), n, eps);
        if (count == 1) first = out;
        for (size_t i = 0; i < out.size(); ++i) expect_equal(out[i], first[i]);
      }
    }
  }
  set_threads(before);
}

}  // namespace
}  // namespace taper
