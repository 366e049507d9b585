// Reductions against naive loops, over dtypes, layouts and all subsets of the axes.
#include <taper/backend/cpu/reduce.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include <taper/core/threads.h>

#include "tests/backend/test_array.h"

namespace taper {
namespace {

using test::all_layouts;
using test::Layout;
using test::TestArray;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

Shape kept_shape(const Shape& shape, uint32_t reduced) {
  Shape kept;
  for (int i = 0; i < shape.rank(); ++i) {
    if ((reduced >> i & 1) == 0) kept.push_back(shape[i]);
  }
  return kept;
}

/// The row-major position in the result of the element at `position`.
int64_t kept_position(const Shape& shape, uint32_t reduced, int64_t position) {
  int64_t result = 0;
  int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    const int64_t index = position % shape[i];
    position /= shape[i];
    if ((reduced >> i & 1) != 0) continue;
    result += index * step;
    step *= shape[i];
  }
  return result;
}

double merged(ReduceKind kind, double a, double b) {
  if (kind == ReduceKind::max) return std::isnan(a) || a > b ? a : b;
  if (kind == ReduceKind::min) return std::isnan(a) || a < b ? a : b;
  return a + b;
}

std::vector<double> naive(ReduceKind kind, const TestArray& x, uint32_t reduced) {
  const int64_t count = kept_shape(x.shape(), reduced).numel();
  std::vector<double> result(static_cast<size_t>(count));
  std::vector<int64_t> seen(static_cast<size_t>(count));
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto at = static_cast<size_t>(kept_position(x.shape(), reduced, i));
    result[at] = seen[at]++ == 0 ? x.get(i) : merged(kind, result[at], x.get(i));
  }
  if (kind == ReduceKind::mean) {
    for (size_t i = 0; i < result.size(); ++i) result[i] /= static_cast<double>(seen[i]);
  }
  return result;
}

Shape axes_of(uint32_t reduced) {
  Shape axes;
  for (int i = 0; i < Shape::max_rank; ++i) {
    if ((reduced >> i & 1) != 0) axes.push_back(i);
  }
  return axes;
}

DType result_dtype(ReduceKind kind, DType dtype) {
  return kind == ReduceKind::sum && !is_float(dtype) ? DType::i64 : dtype;
}

void check(ReduceKind kind, const TestArray& x, uint32_t reduced) {
  const DType dtype = x.view().dtype();
  TestArray out(result_dtype(kind, dtype), kept_shape(x.shape(), reduced));
  reduce(kind, x.view(), out.view(), axes_of(reduced));
  const std::vector<double> expected = naive(kind, x, reduced);
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double want = expected[static_cast<size_t>(i)];
    const double bound = test::tolerance(dtype) * (1 + std::abs(want));
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(out.get(i))) << x.name() << " axes " << reduced << " at " << i;
    } else if (std::isinf(want)) {
      ASSERT_EQ(out.get(i), want) << x.name() << " axes " << reduced << " at " << i;
    } else {
      ASSERT_NEAR(out.get(i), want, bound)
          << x.name() << " kind " << static_cast<int>(kind) << " axes " << reduced << " at " << i;
    }
  }
}

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = {Shape{},           Shape{1},          Shape{7},
                                         Shape{70},         Shape{4, 8},       Shape{3, 33},
                                         Shape{65, 5},      Shape{2, 3, 4},    Shape{5, 1, 67},
                                         Shape{2, 9, 3, 5}, Shape{3, 40, 1, 6}};
  return all;
}

TEST(Reduce, AgreesWithNaiveLoops) {
  for (DType dtype : all_dtypes) {
    if (is_complex(dtype)) continue;
    for (const Shape& shape : shapes()) {
      for (Layout layout : all_layouts) {
        TestArray x(dtype, shape, layout);
        x.fill(7);
        for (uint32_t reduced = 0; reduced < 1u << shape.rank(); ++reduced) {
          check(ReduceKind::sum, x, reduced);
          check(ReduceKind::max, x, reduced);
          check(ReduceKind::min, x, reduced);
          if (is_float(dtype)) check(ReduceKind::mean, x, reduced);
        }
      }
    }
  }
}

TEST(Reduce, ChannelsLastGradientOfABias) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    TestArray x(dtype, {3, 20, 9, 11}, Layout::channels_last);
    x.fill(3);
    for (uint32_t reduced = 0; reduced < 16; ++reduced) check(ReduceKind::sum, x, reduced);
  }
}

TEST(Reduce, LongReductionsInBlocks) {
  for (DType dtype : {DType::f32, DType::i32, DType::u8, DType::bf16}) {
    for (const Shape& shape :
         {Shape{300000}, Shape{50000, 3}, Shape{3, 50000}, Shape{2000, 1500}}) {
      TestArray x(dtype, shape);
      x.fill(11);
      for (uint32_t reduced = 1; reduced < 1u << shape.rank(); ++reduced) {
        check(ReduceKind::sum, x, reduced);
        check(ReduceKind::max, x, reduced);
      }
    }
  }
}

TEST(Reduce, KeptAxesOfSizeOne) {
  TestArray x(DType::f32, {3, 4, 5});
  x.fill(1);
  TestArray kept(DType::f32, {3, 1, 5});
  TestArray dropped(DType::f32, {3, 5});
  reduce(ReduceKind::sum, x.view(), kept.view(), {1});
  reduce(ReduceKind::sum, x.view(), dropped.view(), {1});
  for (int64_t i = 0; i < 15; ++i) EXPECT_EQ(kept.get(i), dropped.get(i));
}

TEST(Reduce, ExtremesPropagateNan) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    for (Layout layout : {Layout::row_major, Layout::reversed, Layout::sliced}) {
      for (int64_t place = 0; place < 300; place += 17) {
        TestArray x(dtype, {3, 100}, layout);
        x.fill(5);
        x.set(place, nan);
        x.set((place + 40) % 300, place % 2 == 0 ? inf : -inf);
        for (uint32_t reduced = 1; reduced < 4; ++reduced) {
          check(ReduceKind::max, x, reduced);
          check(ReduceKind::min, x, reduced);
        }
      }
    }
  }
}

TEST(Reduce, InfiniteRows) {
  TestArray x(DType::f32, {2, 50});
  for (int64_t i = 0; i < 100; ++i) x.set(i, i < 50 ? -inf : inf);
  check(ReduceKind::max, x, 2);
  check(ReduceKind::min, x, 2);
  check(ReduceKind::sum, x, 2);
}

TEST(Reduce, Empty) {
  TestArray x(DType::f32, {3, 0});
  TestArray rows(DType::f32, {3});
  reduce(ReduceKind::sum, x.view(), rows.view(), {1});
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(rows.get(i), 0);
  reduce(ReduceKind::mean, x.view(), rows.view(), {1});
  for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(rows.get(i)));
  TestArray columns(DType::f32, {0});
  reduce(ReduceKind::sum, x.view(), columns.view(), {0});
  TestArray integers(DType::i32, {0, 4});
  TestArray sums(DType::i64, {4});
  reduce(ReduceKind::sum, integers.view(), sums.view(), {0});
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(sums.get(i), 0);
}

/// x is `other` but at `place`, where it is `value`: `kind` over the axes finds that out.
void check_truth(ReduceKind kind, TestArray& x, double other, int64_t place, double value) {
  for (int64_t i = 0; i < x.numel(); ++i) x.set(i, i == place ? value : other);
  for (uint32_t reduced = 0; reduced < 1u << x.shape().rank(); ++reduced) {
    TestArray out(DType::boolean, kept_shape(x.shape(), reduced));
    reduce(kind, x.view(), out.view(), axes_of(reduced));
    const int64_t hit = kept_position(x.shape(), reduced, place);
    const int64_t group = x.numel() / out.numel();  // of elements that are reduced together
    for (int64_t i = 0; i < out.numel(); ++i) {
      const bool some = (i == hit && value != 0) || (other != 0 && (i != hit || group > 1));
      const bool none_is_zero =
          (i != hit || value != 0) && (other != 0 || (i == hit && group == 1));
      ASSERT_EQ(out.get(i) != 0, kind == ReduceKind::any ? some : none_is_zero)
          << x.name() << " place " << place << " axes " << reduced << " at " << i;
    }
  }
}

TEST(Reduce, AnyAndAllFindTheElementThatDecides) {
  for (DType dtype : all_dtypes) {
    if (is_complex(dtype)) continue;  // tests/ops/complex_test.cpp
    for (const Shape& shape : {Shape{}, Shape{70}, Shape{2111}, Shape{3, 33}, Shape{37, 70},
                               Shape{1, 1100}, Shape{2, 9, 3, 5}}) {
      for (Layout layout : {Layout::row_major, Layout::reversed, Layout::sliced}) {
        TestArray x(dtype, shape, layout);
        for (int64_t place : {int64_t{0}, x.numel() / 2, x.numel() - 1}) {
          check_truth(ReduceKind::any, x, 0, place, 1);
          check_truth(ReduceKind::all, x, 1, place, 0);
        }
      }
    }
  }
}

TEST(Reduce, ANanIsTrueAndANegativeZeroIsNot) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    TestArray x(dtype, {3, 40});
    check_truth(ReduceKind::any, x, -0.0, 77, nan);
    check_truth(ReduceKind::all, x, nan, 77, -0.0);
    x.fill(7);
    x.set(100, -0.0);
    EXPECT_FALSE(all_true(x.view()));
  }
}

TEST(Reduce, OfNoElementsAnyIsFalseAndAllTrue) {
  const TestArray x(DType::f32, {0, 3});
  TestArray out(DType::boolean, {3});
  reduce(ReduceKind::any, x.view(), out.view(), {0});
  EXPECT_EQ(out.get(2), 0);
  reduce(ReduceKind::all, x.view(), out.view(), {0});
  EXPECT_EQ(out.get(2), 1);
  EXPECT_TRUE(all_true(x.view()));
}

TEST(Reduce, IntegersWrapAround) {
  TestArray x(DType::i64, {64});
  int64_t* data = x.view().as<int64_t>();
  for (int i = 0; i < 64; ++i) data[i] = i < 2 ? INT64_MAX : 1;
  TestArray out(DType::i64, Shape{});
  reduce(ReduceKind::sum, x.view(), out.view(), {0});
  EXPECT_EQ(*out.view().as<int64_t>(), 60);
  reduce(ReduceKind::max, x.view(), out.view(), {0});
  EXPECT_EQ(*out.view().as<int64_t>(), INT64_MAX);
}

TEST(Reduce, FloatsAreSummedInDouble) {
  TestArray x(DType::f32, {20001});
  x.set(0, 0x1p24);
  for (int64_t i = 1; i < 20001; ++i) x.set(i, 1);
  TestArray out(DType::f64, Shape{});
  reduce(ReduceKind::sum, x.view(), out.view(), {0});
  EXPECT_EQ(out.get(0), 0x1p24 + 20000);
}

TEST(Reduce, TheNumberOfThreadsDoesNotMatter) {
  const int before = threads();
  for (const Shape& shape : {Shape{999999}, Shape{700, 1000}, Shape{100000, 7}, Shape{7, 100000}}) {
    TestArray x(DType::f32, shape);
    for (int64_t i = 0; i < x.numel(); ++i) x.set(i, std::sin(static_cast<double>(i)));
    for (uint32_t reduced = 1; reduced < 1u << shape.rank(); ++reduced) {
      std::vector<TestArray> results;
      for (int count : {1, 2, 5}) {
        set_threads(count);
        results.emplace_back(DType::f64, kept_shape(shape, reduced));
        reduce(ReduceKind::sum, x.view(), results.back().view(), axes_of(reduced));
        EXPECT_TRUE(results.back().same_bits(results.front()));
      }
    }
  }
  set_threads(before);
}

// -------------------------------------------------------------------------- positions of extremes

void check_arg(bool max, const TestArray& x, int axis) {
  const uint32_t reduced = axis < 0 ? (1u << x.shape().rank()) - 1 : 1u << axis;
  TestArray out(DType::i64, kept_shape(x.shape(), reduced));
  arg_reduce(max, x.view(), out.view(), axis);
  std::vector<double> best(static_cast<size_t>(out.numel()));
  std::vector<int64_t> seen(best.size());
  std::vector<int64_t> index(best.size());
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto at = static_cast<size_t>(kept_position(x.shape(), reduced, i));
    const double value = x.get(i);
    const bool better =
        std::isnan(value) ? !std::isnan(best[at]) : (max ? value > best[at] : value < best[at]);
    if (seen[at] == 0 || better) {
      best[at] = value;
      index[at] = seen[at];
    }
    ++seen[at];
  }
  for (int64_t i = 0; i < out.numel(); ++i) {
    ASSERT_EQ(out.view().as<int64_t>()[i], index[static_cast<size_t>(i)])
        << x.name() << " axis " << axis << " at " << i;
  }
}

TEST(ArgReduce, AgreesWithNaiveLoops) {
  for (DType dtype : all_dtypes) {
    if (is_complex(dtype)) continue;
    for (const Shape& shape : shapes()) {
      for (Layout layout : all_layouts) {
        TestArray x(dtype, shape, layout);
        x.fill(19);
        for (int axis = -1; axis < shape.rank(); ++axis) {
          check_arg(true, x, axis);
          check_arg(false, x, axis);
        }
      }
    }
  }
}

TEST(ArgReduce, TheFirstNanWins) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    for (Layout layout : {Layout::row_major, Layout::reversed, Layout::sliced}) {
      for (int64_t place = 0; place < 450; place += 31) {
        TestArray x(dtype, {3, 150}, layout);
        x.fill(5);
        x.set(place, nan);
        x.set((place + 77) % 450, nan);
        for (int axis = -1; axis < 2; ++axis) {
          check_arg(true, x, axis);
          check_arg(false, x, axis);
        }
      }
    }
  }
}

TEST(ArgReduce, LongRowsAndInfinities) {
  TestArray x(DType::f32, {200000});
  x.fill(23);
  x.set(150001, 1000);
  x.set(190001, 1000);
  check_arg(true, x, -1);
  check_arg(true, x, 0);
  check_arg(false, x, -1);
  TestArray low(DType::f32, {4, 6});
  for (int64_t i = 0; i < 24; ++i) low.set(i, -inf);
  for (int axis = -1; axis < 2; ++axis) check_arg(true, low, axis);
  TestArray smallest(DType::i64, {5});
  for (int64_t i = 0; i < 5; ++i) smallest.view().as<int64_t>()[i] = INT64_MIN;
  check_arg(true, smallest, 0);
}

}  // namespace
}  // namespace taper
