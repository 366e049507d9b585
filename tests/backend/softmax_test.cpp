// Softmax, its logarithm and their gradients against double loops.
#include <taper/backend/cpu/softmax.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <taper/core/threads.h>

#include "tests/backend/test_array.h"

namespace taper {
namespace {

using test::TestArray;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr DType floats[] = {DType::f32, DType::f64, DType::f16, DType::bf16};

/// Calls `f(first, step, n)` for each line along `axis` of a row-major array.
template <class F>
void for_lines(const Shape& shape, int axis, F f) {
  int64_t step = 1;
  for (int i = axis + 1; i < shape.rank(); ++i) step *= shape[i];
  const int64_t n = shape[axis];
  for (int64_t i = 0; i < shape.numel(); ++i) {
    if (i / step % n == 0) f(i, step, n);
  }
}

std::vector<double> values(const TestArray& x) {
  std::vector<double> all;
  for (int64_t i = 0; i < x.numel(); ++i) all.push_back(x.get(i));
  return all;
}

void softmax_line(const double* x, double* y, int64_t step, int64_t n, bool log) {
  double top = -inf;
  for (int64_t i = 0; i < n; ++i) top = std::max(top, x[i * step]);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x[i * step] - top);
  for (int64_t i = 0; i < n; ++i) {
    const double shifted = x[i * step] - top;
    y[i * step] = log ? shifted - std::log(sum) : std::exp(shifted) / sum;
  }
}

void gradient_line(const double* y, const double* g, double* out, int64_t step, int64_t n,
                   bool log) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += g[i * step] * (log ? 1 : y[i * step]);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t k = i * step;
    out[k] = log ? g[k] - std::exp(y[k]) * sum : y[k] * (g[k] - sum);
  }
}

void expect_near(const TestArray& out, const std::vector<double>& expected, double scale) {
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double want = expected[static_cast<size_t>(i)];
    const double bound = test::tolerance(out.view().dtype()) * (scale + std::abs(want));
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(out.get(i))) << out.name() << " at " << i;
    } else if (std::isinf(want)) {
      ASSERT_EQ(out.get(i), want) << out.name() << " at " << i;
    } else {
      ASSERT_NEAR(out.get(i), want, bound) << out.name() << " at " << i;
    }
  }
}

void check(const TestArray& x, int axis) {
  const DType dtype = x.view().dtype();
  const std::vector<double> input = values(x);
  std::vector<double> expected(input.size());
  for (bool log : {false, true}) {
    TestArray out(dtype, x.shape());
    (log ? log_softmax : softmax)(x.view(), out.view(), axis);
    for_lines(x.shape(), axis, [&](int64_t first, int64_t step, int64_t n) {
      softmax_line(&input[static_cast<size_t>(first)], &expected[static_cast<size_t>(first)], step,
                   n, log);
    });
    expect_near(out, expected, 1);
    TestArray in_place = x;
    (log ? log_softmax : softmax)(in_place.view(), in_place.view(), axis);
    for (int64_t i = 0; i < x.numel(); ++i) {
      if (std::isnan(out.get(i))) continue;
      ASSERT_EQ(in_place.get(i), out.get(i)) << x.name() << " at " << i;
    }
  }
}

void check_gradients(const TestArray& x, int axis) {
  const DType dtype = x.view().dtype();
  TestArray grad(dtype, x.shape());
  grad.fill(99);
  const std::vector<double> g = values(grad);
  std::vector<double> expected(g.size());
  for (bool log : {false, true}) {
    TestArray y(dtype, x.shape());
    (log ? log_softmax : softmax)(x.view(), y.view(), axis);
    const std::vector<double> outputs = values(y);
    TestArray out(dtype, x.shape());
    (log ? log_softmax_grad : softmax_grad)(y.view(), grad.view(), out.view(), axis);
    for_lines(x.shape(), axis, [&](int64_t first, int64_t step, int64_t n) {
      const auto at = static_cast<size_t>(first);
      gradient_line(&outputs[at], &g[at], &expected[at], step, n, log);
    });
    expect_near(out, expected, 30 + static_cast<double>(x.shape()[axis]));
  }
}

TEST(Softmax, AgreesWithDoubleLoops) {
  for (DType dtype : floats) {
    for (const Shape& shape :
         {Shape{1}, Shape{10}, Shape{5, 10}, Shape{3, 1000}, Shape{64, 33}, Shape{4, 31, 3},
          Shape{2, 5, 300}, Shape{3, 4, 5, 6}, Shape{700, 40}, Shape{7, 1, 2}}) {
      TestArray x(dtype, shape);
      x.fill(13);
      for (int axis = 0; axis < shape.rank(); ++axis) {
        check(x, axis);
        check_gradients(x, axis);
      }
    }
  }
}

TEST(Softmax, MinusInfinityIsZero) {
  for (DType dtype : floats) {
    for (int axis = 0; axis < 2; ++axis) {
      TestArray x(dtype, {40, 40});
      x.fill(2);
      for (int64_t i = 0; i < 1600; i += 3) x.set(i, -inf);
      check(x, axis);
    }
  }
}

TEST(Softmax, NanWhereNoElementIsFinite) {
  for (DType dtype : floats) {
    for (int axis = 0; axis < 2; ++axis) {
      TestArray x(dtype, {37, 37});
      x.fill(2);
      for (int64_t i = 0; i < 37; ++i) x.set(axis == 0 ? i * 37 + 5 : 5 * 37 + i, -inf);
      x.set(20 * 37 + 20, inf);
      x.set(30 * 37 + 30, std::numeric_limits<double>::quiet_NaN());
      TestArray out(dtype, {37, 37});
      softmax(x.view(), out.view(), axis);
      for (int64_t i = 0; i < 37 * 37; ++i) {
        const int64_t line = axis == 0 ? i % 37 : i / 37;
        const bool bad = line == 5 || line == 20 || line == 30;
        ASSERT_EQ(std::isnan(out.get(i)), bad) << out.name() << " at " << i;
      }
    }
  }
}

TEST(Softmax, LargeNumbersDoNotOverflow) {
  TestArray x(DType::f32, {2, 50});
  for (int64_t i = 0; i < 100; ++i) x.set(i, static_cast<double>(i) * 1e30);
  check(x, 0);
  check(x, 1);
}

TEST(Softmax, Empty) {
  TestArray x(DType::f32, {3, 0});
  TestArray out(DType::f32, {3, 0});
  softmax(x.view(), out.view(), 1);
  log_softmax(x.view(), out.view(), 0);
}

TEST(Softmax, TheNumberOfThreadsDoesNotMatter) {
  const int before = threads();
  TestArray x(DType::f32, {300, 700});
  x.fill(4);
  for (int axis = 0; axis < 2; ++axis) {
    TestArray one(DType::f32, x.shape());
    TestArray two(DType::f32, x.shape());
    set_threads(1);
    softmax(x.view(), one.view(), axis);
    set_threads(2);
    softmax(x.view(), two.view(), axis);
    EXPECT_TRUE(one.same_bits(two));
  }
  set_threads(before);
}

}  // namespace
}  // namespace taper
