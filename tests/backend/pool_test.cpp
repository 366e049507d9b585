// Pooling and its gradients against naive loops, over layouts, dtypes and windows.
#include <taper/backend/cpu/pool.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <taper/core/threads.h>

#include "tests/backend/test_array.h"

namespace taper {
namespace {

using test::Layout;
using test::TestArray;

constexpr DType floats[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
constexpr Layout layouts[] = {Layout::row_major, Layout::channels_last, Layout::reversed,
                              Layout::sliced};

int64_t out_size(const PoolParams& params, int axis, int64_t size) {
  return (size + 2 * params.padding[axis] - params.kernel[axis]) / params.stride[axis] + 1;
}

Shape out_shape(const PoolParams& params, const Shape& x) {
  return {x[0], x[1], out_size(params, 0, x[2]), out_size(params, 1, x[3])};
}

/// Calls `f(output position, plane's first position, position in the plane)` for the elements of
/// all windows; the last is -1 once for each window, before its elements.
template <class F>
void for_windows(const PoolParams& params, const Shape& x, F f) {
  const Shape out = out_shape(params, x);
  for (int64_t i = 0; i < out.numel(); ++i) {
    const int64_t column = i % out[3] * params.stride[1] - params.padding[1];
    const int64_t row = i / out[3] % out[2] * params.stride[0] - params.padding[0];
    const int64_t plane = i / (out[2] * out[3]) * x[2] * x[3];
    f(i, plane, int64_t{-1});
    for (int64_t r = row; r < row + params.kernel[0]; ++r) {
      for (int64_t c = column; c < column + params.kernel[1]; ++c) {
        if (r >= 0 && r < x[2] && c >= 0 && c < x[3]) f(i, plane, r * x[3] + c);
      }
    }
  }
}

void expect_near(const TestArray& out, const std::vector<double>& expected, double scale) {
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double want = expected[static_cast<size_t>(i)];
    const double got = out.get(i);
    if (std::isnan(want) || std::isinf(want)) {
      ASSERT_TRUE(std::isnan(want) ? std::isnan(got) : got == want) << out.name() << " at " << i;
    } else {
      ASSERT_NEAR(got, want, scale * test::tolerance(out.view().dtype()) * (1 + std::abs(want)))
          << out.name() << " at " << i;
    }
  }
}

struct Maxima {
  std::vector<double> best;
  std::vector<int64_t> index;
};

Maxima naive_maxima(const PoolParams& params, const TestArray& x) {
  Maxima result;
  for_windows(params, x.shape(), [&](int64_t, int64_t plane, int64_t position) {
    if (position < 0) {
      result.best.push_back(-std::numeric_limits<double>::infinity());
      result.index.push_back(-1);
      return;
    }
    const double value = x.get(plane + position);
    double& best = result.best.back();
    const bool better = value > best || (std::isnan(value) && !std::isnan(best));
    if (result.index.back() >= 0 && !better) return;
    best = value;
    result.index.back() = position;
  });
  return result;
}

void check_max(const PoolParams& params, TestArray& x, Layout out_layout) {
  const Shape shape = out_shape(params, x.shape());
  TestArray out(x.view().dtype(), shape, out_layout);
  TestArray indices(DType::i32, shape, out_layout);
  max_pool2d(x.view(), out.view(), indices.view(), params);
  const Maxima expected = naive_maxima(params, x);
  expect_near(out, expected.best, 0);
  for (int64_t i = 0; i < out.numel(); ++i) {
    ASSERT_EQ(indices.get(i), static_cast<double>(expected.index[static_cast<size_t>(i)]))
        << x.name() << " to " << out.name() << " at " << i;
  }

  TestArray grad(x.view().dtype(), shape, out_layout);
  grad.fill(31);
  const int64_t plane = x.shape()[2] * x.shape()[3];
  const int64_t out_plane = shape[2] * shape[3];
  std::vector<double> grad_x(static_cast<size_t>(x.numel()));
  std::vector<double> gathered(static_cast<size_t>(out.numel()));
  for (int64_t i = 0; i < out.numel(); ++i) {
    const int64_t index = expected.index[static_cast<size_t>(i)];
    if (index < 0) continue;
    grad_x[static_cast<size_t>(i / out_plane * plane + index)] += grad.get(i);
    gathered[static_cast<size_t>(i)] = x.get(i / out_plane * plane + index);
  }
  TestArray back = x;
  max_pool2d_grad(grad.view(), indices.view(), back.view());
  expect_near(back, grad_x, 4);
  max_pool2d_gather(x.view(), indices.view(), out.view());
  expect_near(out, gathered, 0);
}

void check_average(const PoolParams& params, TestArray& x, Layout out_layout) {
  const Shape shape = out_shape(params, x.shape());
  TestArray out(x.view().dtype(), shape, out_layout);
  avg_pool2d(x.view(), out.view(), params);
  std::vector<double> count(static_cast<size_t>(out.numel()));
  std::vector<double> mean(count.size());
  for_windows(params, x.shape(), [&](int64_t i, int64_t plane, int64_t position) {
    if (position < 0) return;
    count[static_cast<size_t>(i)] += 1;
    mean[static_cast<size_t>(i)] += x.get(plane + position);
  });
  for (size_t i = 0; i < count.size(); ++i) {
    const auto whole = static_cast<double>(params.kernel[0] * params.kernel[1]);
    count[i] = params.count_include_pad ? whole : std::max(1.0, count[i]);
    mean[i] /= count[i];
  }
  expect_near(out, mean, 4);

  TestArray grad(x.view().dtype(), shape, out_layout);
  grad.fill(37);
  std::vector<double> grad_x(static_cast<size_t>(x.numel()));
  for_windows(params, x.shape(), [&](int64_t i, int64_t plane, int64_t position) {
    if (position < 0) return;
    grad_x[static_cast<size_t>(plane + position)] += grad.get(i) / count[static_cast<size_t>(i)];
  });
  TestArray back = x;
  avg_pool2d_grad(grad.view(), back.view(), params);
  expect_near(back, grad_x, 10);
}

const PoolParams windows[] = {
    {{2, 2}, {2, 2}, {0, 0}, true},  {{3, 3}, {2, 2}, {1, 1}, true},
    {{3, 3}, {1, 1}, {1, 1}, false}, {{2, 3}, {3, 1}, {1, 0}, false},
    {{3, 2}, {1, 3}, {0, 1}, true},  {{5, 5}, {5, 5}, {0, 0}, true},
};

TEST(Pool, AgreesWithNaiveLoops) {
  for (DType dtype : floats) {
    for (Layout layout : layouts) {
      for (const PoolParams& params : windows) {
        for (const Shape& shape :
             {Shape{2, 3, 7, 9}, Shape{1, 37, 5, 6}, Shape{3, 1, 8, 5}, Shape{17, 16, 5, 5}}) {
          TestArray x(dtype, shape, layout);
          x.fill(41);
          check_max(params, x, layout);
          check_average(params, x, layout);
        }
      }
    }
  }
}

TEST(Pool, LayoutsMayDiffer) {
  TestArray x(DType::f32, {2, 9, 8, 7}, Layout::channels_last);
  x.fill(43);
  check_max(windows[1], x, Layout::row_major);
  check_average(windows[1], x, Layout::row_major);
}

TEST(Pool, WideRows) {
  TestArray x(DType::f32, {1, 2, 3, 1100});
  x.fill(47);
  for (const PoolParams& params : {windows[1], windows[2], windows[4]}) {
    check_max(params, x, Layout::row_major);
    check_average(params, x, Layout::row_major);
  }
}

TEST(Pool, TheFirstNanWins) {
  for (DType dtype : floats) {
    for (Layout layout : layouts) {
      TestArray x(dtype, {2, 19, 6, 6}, layout);
      x.fill(53);
      for (int64_t i = 0; i < x.numel(); i += 7) {
        x.set(i, std::numeric_limits<double>::quiet_NaN());
      }
      for (int64_t i = 3; i < x.numel(); i += 5) x.set(i, -std::numeric_limits<double>::infinity());
      const Shape shape = out_shape(windows[1], x.shape());
      TestArray out(dtype, shape, layout);
      TestArray indices(DType::i32, shape, layout);
      max_pool2d(x.view(), out.view(), indices.view(), windows[1]);
      const Maxima expected = naive_maxima(windows[1], x);
      expect_near(out, expected.best, 0);
      for (int64_t i = 0; i < out.numel(); ++i) {
        ASSERT_EQ(indices.get(i), static_cast<double>(expected.index[static_cast<size_t>(i)]));
      }
    }
  }
}

TEST(Pool, WindowsInThePadding) {
  const PoolParams params = {{1, 1}, {1, 1}, {1, 1}, true};
  for (Layout layout : {Layout::row_major, Layout::channels_last}) {
    TestArray x(DType::f32, {1, 4, 2, 2}, layout);
    x.fill(3);
    check_max(params, x, layout);
    check_average(params, x, layout);
  }
}

TEST(Pool, TheNumberOfThreadsDoesNotMatter) {
  const int before = threads();
  for (Layout layout : {Layout::row_major, Layout::channels_last}) {
    TestArray grad(DType::f32, {6, 40, 30, 30}, layout);
    grad.fill(61);
    std::vector<TestArray> results;
    for (int count : {1, 2, 3}) {
      set_threads(count);
      results.emplace_back(DType::f32, Shape{6, 40, 30, 30}, layout);
      avg_pool2d_grad(grad.view(), results.back().view(), windows[2]);
      EXPECT_TRUE(results.back().same_bits(results.front()));
    }
  }
  set_threads(before);
}

}  // namespace
}  // namespace taper
