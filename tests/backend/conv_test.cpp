#include <taper/backend/cpu/conv.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <taper/core/threads.h>

namespace taper {
namespace {

/// An array with any strides, over memory of its own, read and written as double.
class Array {
 public:
  Array(DType dtype, const Shape& shape, const Strides& strides)
      : spec_{dtype, {}, shape}, strides_(strides) {
    int64_t low = 0;
    int64_t high = 0;
    for (int i = 0; i < shape.rank(); ++i) {
      const int64_t reach = std::max<int64_t>(0, shape[i] - 1) * strides_[i];
      (reach < 0 ? low : high) += reach;
    }
    start_ = -low;
    memory_.resize(static_cast<size_t>(high - low + 1) * item_size(dtype));
  }
  Array(DType dtype, const Shape& shape) : Array(dtype, shape, row_major_strides(shape)) {}

  View view() {
    return {memory_.data() + start_ * static_cast<int64_t>(item_size(spec_.dtype)), &spec_,
            &strides_, is_row_major(spec_.shape, strides_)};
  }
  const Shape& shape() const { return spec_.shape; }
  const std::vector<std::byte>& memory() const { return memory_; }

  double get(int64_t n, int64_t c, int64_t h, int64_t w) const {
    return at(n * strides_[0] + c * strides_[1] + h * strides_[2] + w * strides_[3]);
  }
  double get(int64_t i) const { return at(i * strides_[0]); }

  void fill(uint32_t seed) {
    std::mt19937 random(seed);
    visit_dtype(spec_.dtype, [&]<class T>() {
      for (size_t i = 0; i < memory_.size() / sizeof(T); ++i) {
        const T value = static_cast<T>(static_cast<float>(random() % 2001) / 1000.0f - 1.0f);
        std::memcpy(memory_.data() + i * sizeof(T), &value, sizeof value);
      }
    });
  }

 private:
  double at(int64_t offset) const {
    return visit_dtype(spec_.dtype, [&]<class T>() {
      return static_cast<double>(reinterpret_cast<const T*>(memory_.data())[start_ + offset]);
    });
  }

  Spec spec_;
  Strides strides_;
  int64_t start_ = 0;
  std::vector<std::byte> memory_;
};

struct Case {
  int64_t images;
  int64_t channels;
  int64_t height;
  int64_t width;
  int64_t out_channels;
  int64_t kernel[2];
  ConvParams params = {};

  Shape x() const { return {images, channels, height, width}; }
  Shape w() const { return {out_channels, channels / params.groups, kernel[0], kernel[1]}; }
  Shape out() const { return {images, out_channels, out_size(0), out_size(1)}; }
  int64_t out_size(int axis) const {
    const int64_t size = axis == 0 ? height : width;
    const int64_t reach = (kernel[axis] - 1) * params.dilation[axis];
    return (size + 2 * params.padding[axis] - reach - 1) / params.stride[axis] + 1;
  }
};

/// Calls `body(n, o, oy, ox, c of x, c of w, i, j, y, x)` for every product of the convolution.
template <class Body>
void for_products(const Case& c, Body&& body) {
  const Shape out = c.out();
  const Shape w = c.w();
  const int64_t group_out = c.out_channels / c.params.groups;
  auto inner = [&](int64_t n, int64_t o, int64_t oy, int64_t ox) {
    for (int64_t k = 0; k < w[1] * w[2] * w[3]; ++k) {
      const int64_t channel = k / (w[2] * w[3]);
      const int64_t i = k / w[3] % w[2];
      const int64_t j = k % w[3];
      const int64_t y = oy * c.params.stride[0] - c.params.padding[0] + i * c.params.dilation[0];
      const int64_t x = ox * c.params.stride[1] - c.params.padding[1] + j * c.params.dilation[1];
      if (y < 0 || y >= c.height || x < 0 || x >= c.width) continue;
      body(n, o, oy, ox, o / group_out * w[1] + channel, channel, i, j, y, x);
    }
  };
  for (int64_t n = 0; n < out[0]; ++n) {
    for (int64_t o = 0; o < out[1]; ++o) {
      for (int64_t oy = 0; oy < out[2]; ++oy) {
        for (int64_t ox = 0; ox < out[3]; ++ox) inner(n, o, oy, ox);
      }
    }
  }
}

/// A row-major array of doubles, the expected values.
struct Expected {
  explicit Expected(const Shape& sizes)
      : shape(sizes), values(static_cast<size_t>(sizes.numel()), 0.0) {}
  double& at(int64_t n, int64_t c, int64_t h, int64_t w) {
    return values[static_cast<size_t>(((n * shape[1] + c) * shape[2] + h) * shape[3] + w)];
  }
  Shape shape;
  std::vector<double> values;
};

void expect_near(const Array& got, Expected& expected, double tolerance, const char* what) {
  const Shape& s = expected.shape;
  for (int64_t n = 0; n < s[0]; ++n) {
    for (int64_t c = 0; c < s[1]; ++c) {
      for (int64_t h = 0; h < s[2]; ++h) {
        for (int64_t w = 0; w < s[3]; ++w) {
          const double value = expected.at(n, c, h, w);
          ASSERT_NEAR(got.get(n, c, h, w), value, tolerance * (1 + std::abs(value)))
              << what << " at " << n << " " << c << " " << h << " " << w;
        }
      }
    }
  }
}

/// Relative to the sums' sizes; `terms` is how many products make one element.
double tolerance(DType dtype, int64_t terms) {
  const double grows = std::sqrt(static_cast<double>(terms + 1));
  switch (dtype) {
    case DType::f64:
      return 1e-14 * grows;
    case DType::f32:
      return 2e-6 * grows;
    case DType::f16:
      return 1e-3;
    default:
      return 8e-3;
  }
}

using MakeStrides = Strides (*)(const Shape&);

/// Axes in the order W, N, C, H with the height backwards.
Strides odd_strides(const Shape& shape) {
  const int64_t h = std::max<int64_t>(1, shape[2]);
  const int64_t c = std::max<int64_t>(1, shape[1]);
  const int64_t n = std::max<int64_t>(1, shape[0]);
  return {h * c, h, -1, h * c * n};
}

void check_forward(const Case& c, DType dtype, MakeStrides x_strides, MakeStrides out_strides,
                   bool with_bias) {
  Array x(dtype, c.x(), x_strides(c.x()));
  Array w(dtype, c.w());
  Array bias(dtype, {c.out_channels});
  Array out(dtype, c.out(), out_strides(c.out()));
  x.fill(1);
  w.fill(2);
  bias.fill(3);
  out.fill(4);
  conv2d(x.view(), w.view(), with_bias ? bias.view() : View{}, out.view(), c.params);
  Expected expected(c.out());
  for_products(c, [&](auto n, auto o, auto oy, auto ox, auto channel, auto wc, auto i, auto j,
                      auto y, auto column) {
    expected.at(n, o, oy, ox) += x.get(n, channel, y, column) * w.get(o, wc, i, j);
  });
  const int64_t pixels = c.out()[2] * c.out()[3];
  for (size_t i = 0; with_bias && i < expected.values.size(); ++i) {
    expected.values[i] += bias.get(static_cast<int64_t>(i) / pixels % c.out_channels);
  }
  expect_near(out, expected, tolerance(dtype, c.w().numel() / std::max<int64_t>(1, c.w()[0])),
              "out");
}

void check_input_grad(const Case& c, DType dtype, MakeStrides x_strides, MakeStrides out_strides) {
  Array grad_x(dtype, c.x(), x_strides(c.x()));
  Array w(dtype, c.w());
  Array grad_out(dtype, c.out(), out_strides(c.out()));
  grad_x.fill(1);
  w.fill(2);
  grad_out.fill(4);
  conv2d_input_grad(grad_out.view(), w.view(), grad_x.view(), c.params);
  Expected expected(c.x());
  for_products(c, [&](auto n, auto o, auto oy, auto ox, auto channel, auto wc, auto i, auto j,
                      auto y, auto column) {
    expected.at(n, channel, y, column) += grad_out.get(n, o, oy, ox) * w.get(o, wc, i, j);
  });
  expect_near(grad_x, expected, tolerance(dtype, c.w()[0] * c.w()[2] * c.w()[3]), "grad_x");
}

void check_weight_grad(const Case& c, DType dtype, MakeStrides x_strides, MakeStrides out_strides,
                       bool with_bias) {
  Array x(dtype, c.x(), x_strides(c.x()));
  Array grad_w(dtype, c.w());
  Array grad_bias(dtype, {c.out_channels});
  Array grad_out(dtype, c.out(), out_strides(c.out()));
  x.fill(1);
  grad_w.fill(2);
  grad_bias.fill(3);
  grad_out.fill(4);
  conv2d_weight_grad(x.view(), grad_out.view(), grad_w.view(),
                     with_bias ? grad_bias.view() : View{}, c.params);
  Expected expected(c.w());
  for_products(c, [&](auto n, auto o, auto oy, auto ox, auto channel, auto wc, auto i, auto j,
                      auto y, auto column) {
    expected.at(o, wc, i, j) += grad_out.get(n, o, oy, ox) * x.get(n, channel, y, column);
  });
  const Shape out = c.out();
  const double close = tolerance(dtype, out[0] * out[2] * out[3]);
  expect_near(grad_w, expected, close, "grad_w");
  for (int64_t o = 0; with_bias && o < c.out_channels; ++o) {
    double sum = 0;
    for (int64_t i = 0; i < out[0] * out[2] * out[3]; ++i) {
      sum += grad_out.get(i / (out[2] * out[3]), o, i / out[3] % out[2], i % out[3]);
    }
    ASSERT_NEAR(grad_bias.get(o), sum, close * (1 + std::abs(sum))) << "grad_bias " << o;
  }
}

void check(const Case& c, DType dtype, MakeStrides x_strides, MakeStrides out_strides,
           bool with_bias) {
  SCOPED_TRACE(std::string(dtype_name(dtype)) + " x " + to_string(c.x()) + " w " +
               to_string(c.w()) + " groups " + std::to_string(c.params.groups));
  check_forward(c, dtype, x_strides, out_strides, with_bias);
  check_input_grad(c, dtype, x_strides, out_strides);
  check_weight_grad(c, dtype, x_strides, out_strides, with_bias);
}

ConvParams params(std::pair<int64_t, int64_t> stride, std::pair<int64_t, int64_t> padding,
                  std::pair<int64_t, int64_t> dilation, int64_t groups) {
  return {{stride.first, stride.second},
          {padding.first, padding.second},
          {dilation.first, dilation.second},
          groups};
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {2, 1, 9, 8, 4, {3, 3}},
      {3, 3, 9, 8, 16, {3, 3}},
      {2, 8, 7, 7, 8, {3, 3}, params({1, 1}, {1, 1}, {1, 1}, 1)},
      {2, 16, 7, 6, 24, {1, 1}},
      {2, 5, 11, 10, 7, {3, 2}, params({2, 3}, {1, 0}, {1, 1}, 1)},
      {2, 6, 12, 11, 9, {3, 3}, params({1, 2}, {2, 1}, {2, 3}, 3)},
      {2, 8, 10, 10, 8, {3, 3}, params({1, 1}, {1, 1}, {1, 1}, 8)},  // depthwise
      {2, 4, 10, 10, 8, {3, 3}, params({2, 2}, {1, 1}, {1, 1}, 4)},  // two outputs a channel
      {2, 16, 8, 8, 32, {5, 5}, params({1, 1}, {4, 4}, {1, 1}, 2)},  // padding beyond "same"
      {2, 3, 8, 8, 4, {2, 2}, params({3, 3}, {0, 0}, {1, 1}, 1)},    // the last rows unused
      {1, 4, 1, 1, 6, {1, 1}},                                       // both layouts at once
      {2, 4, 5, 5, 6, {5, 5}},
      {2, 32, 7, 8, 40, {3, 3}},
      {1, 1, 4, 9, 1, {1, 3}},
  };
  return all;
}

class ConvOf : public testing::TestWithParam<DType> {};

TEST_P(ConvOf, ChannelsLastAgreesWithLoops) {
  for (const Case& c : cases()) {
    check(c, GetParam(), channels_last_strides, channels_last_strides, true);
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvOf, RowMajorAgreesWithLoops) {
  for (const Case& c : cases()) {
    check(c, GetParam(), row_major_strides, row_major_strides, true);
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvOf, MixedAndOddStridesAgreeWithLoops) {
  for (const Case& c : cases()) {
    check(c, GetParam(), row_major_strides, channels_last_strides, false);
    check(c, GetParam(), channels_last_strides, row_major_strides, false);
    check(c, GetParam(), odd_strides, odd_strides, true);
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvOf, EmptyOperandsGiveZerosOrBias) {
  const Case all[] = {{0, 3, 5, 5, 4, {3, 3}},   // no images
                      {2, 0, 5, 5, 4, {3, 3}},   // no input channels: the bias is left
                      {2, 3, 5, 5, 0, {3, 3}},   // no output channels
                      {2, 3, 2, 5, 4, {3, 3}}};  // no rows of output
  for (const Case& c : all) {
    check(c, GetParam(), channels_last_strides, channels_last_strides, true);
    check(c, GetParam(), row_major_strides, row_major_strides, false);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Floats, ConvOf,
                         testing::Values(DType::f32, DType::f64, DType::f16, DType::bf16),
                         [](const auto& param) { return std::string(dtype_name(param.param)); });

/// Restores the number of threads.
class Conv : public testing::Test {
 protected:
  void TearDown() override { set_threads(before_); }

 private:
  int before_ = threads();
};

std::vector<std::byte> weight_grad_bytes(DType dtype) {
  const Case c = {6, 16, 13, 13, 24, {3, 3}};
  Array x(dtype, c.x(), channels_last_strides(c.x()));
  Array grad_out(dtype, c.out(), channels_last_strides(c.out()));
  Array grad_w(dtype, c.w());
  x.fill(1);
  grad_out.fill(2);
  conv2d_weight_grad(x.view(), grad_out.view(), grad_w.view(), {}, c.params);
  return grad_w.memory();
}

TEST_F(Conv, AgreesWithLoopsOnAnyNumberOfThreads) {
  for (int count : {1, 2, 5}) {
    set_threads(count);
    for (DType dtype : {DType::f32, DType::f64}) {
      check({6, 16, 13, 13, 24, {3, 3}}, dtype, channels_last_strides, channels_last_strides, true);
      check({9, 1, 20, 20, 8, {3, 3}}, dtype, row_major_strides, row_major_strides, true);
    }
  }
}

TEST_F(Conv, GivesTheSameBitsEachTime) {
  set_threads(2);
  for (DType dtype : {DType::f32, DType::f64, DType::bf16}) {
    const auto first = weight_grad_bytes(dtype);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(weight_grad_bytes(dtype), first);
  }
}

TEST_F(Conv, RunsInsideAParallelRegion) {
  set_threads(1);
  const auto expected = weight_grad_bytes(DType::f32);
  set_threads(2);
  std::vector<std::vector<std::byte>> got(4);
  parallel_for(4, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      got[static_cast<size_t>(i)] = weight_grad_bytes(DType::f32);
    }
  });
  for (const auto& bytes : got) EXPECT_EQ(bytes, expected);
}

TEST_F(Conv, TwoThreadsMayRunTheSameConvolution) {
  set_threads(2);
  const auto expected = weight_grad_bytes(DType::f32);
  auto repeat = [&](bool* good) {
    *good = true;
    for (int i = 0; i < 30; ++i) *good &= weight_grad_bytes(DType::f32) == expected;
  };
  bool first = false;
  bool second = false;
  std::thread other(repeat, &second);
  repeat(&first);
  other.join();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
}

}  // namespace
}  // namespace taper
