#include <taper/core/shape.h>

#include <gtest/gtest.h>

#include <sstream>

#include <cstdint>
#include <vector>

#include "tests/core/error_testing.h"

namespace taper {
namespace {

using testing::thrown_text;
using testing::violated_rule;

TEST(Shape, HoldsUpToEightSizes) {
  const Shape shape = {2, 3, 4};
  EXPECT_EQ(shape.rank(), 3);
  EXPECT_EQ(shape.numel(), 24);
  EXPECT_EQ(shape.back(), 4);
  EXPECT_EQ(shape.to_vector(), (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(Shape().numel(), 1);
  EXPECT_EQ((Shape{3, 0, 5}).numel(), 0);
  EXPECT_EQ((Shape{1, 2, 3, 4, 5, 6, 7, 8}).rank(), 8);
}

TEST(Shape, RefusesANinthSize) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { Shape(std::vector<int64_t>(9, 1)); }),
            "a shape has at most 8 axes, got 9");
  Shape full(std::vector<int64_t>(8, 1));
  EXPECT_EQ(thrown_text(ErrorKind::value, [&] { full.push_back(1); }),
            "a shape has at most 8 axes, got one more");
  EXPECT_EQ(full.rank(), 8);
}

TEST(Shape, IsChangedInPlace) {
  Shape shape = {2, 4};
  shape.insert(1, 3);
  shape.push_back(5);
  EXPECT_EQ(shape, (Shape{2, 3, 4, 5}));
  shape.insert(0, 1);
  shape.erase(4);
  shape.erase(1);
  EXPECT_EQ(shape, (Shape{1, 3, 4}));
}

TEST(Shape, IsComparedBySizesAndRank) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 1}));
  EXPECT_NE(Shape(), (Shape{1}));
  EXPECT_NE((Spec{DType::f32, {}, {2}}), (Spec{DType::f64, {}, {2}}));
}

TEST(Shape, IsPrinted) {
  EXPECT_EQ(to_string(Shape{8, 32, 28, 28}), "[8,32,28,28]");
  EXPECT_EQ(to_string(Shape()), "[]");
  EXPECT_EQ(to_string(Spec{DType::bf16, {}, {2, 0}}), "bf16[2,0]");
}

// ---------------------------------------------------------------------------------- broadcasting

TEST(Broadcasting, GivesTheCommonShapeAsNumPyDoes) {
  struct Case {
    Shape a, b, expected;
  };
  const std::vector<Case> cases = {
      {{}, {}, {}},
      {{}, {3}, {3}},
      {{3}, {3}, {3}},
      {{1}, {3}, {3}},
      {{8, 1, 6, 1}, {7, 1, 5}, {8, 7, 6, 5}},
      {{256, 256, 3}, {3}, {256, 256, 3}},
      {{5, 4}, {1}, {5, 4}},
      {{15, 3, 5}, {15, 1, 5}, {15, 3, 5}},
      {{15, 3, 5}, {3, 1}, {15, 3, 5}},
      {{0}, {1}, {0}},
      {{0}, {0}, {0}},
      {{2, 1}, {0}, {2, 0}},
      {{1, 1, 1}, {}, {1, 1, 1}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(to_string(broadcast_shapes(c.a, c.b)), to_string(c.expected));
    EXPECT_EQ(to_string(broadcast_shapes(c.b, c.a)), to_string(c.expected));
  }
}

TEST(Broadcasting, NamesTheAxisThatDoesNotFit) {
  EXPECT_EQ(violated_rule(ErrorKind::shape, [] { broadcast_shapes({3}, {4}); }),
            "shapes [3] and [4] do not broadcast: axis -1 has 3 and 4");
  EXPECT_EQ(violated_rule(ErrorKind::shape, [] { broadcast_shapes({2, 1}, {8, 4, 3}); }),
            "shapes [2,1] and [8,4,3] do not broadcast: axis -2 has 2 and 4");
  EXPECT_EQ(violated_rule(ErrorKind::shape, [] { broadcast_shapes({0}, {2}); }),
            "shapes [0] and [2] do not broadcast: axis -1 has 0 and 2");
}

// ---------------------------------------------------------------------------------- axes

TEST(Axes, AreCountedFromTheEndIfNegative) {
  EXPECT_EQ(normalize_axis(0, 3), 0);
  EXPECT_EQ(normalize_axis(2, 3), 2);
  EXPECT_EQ(normalize_axis(-1, 3), 2);
  EXPECT_EQ(normalize_axis(-3, 3), 0);
}

TEST(Axes, OutsideOfTheRankAreRefused) {
  EXPECT_EQ(violated_rule(ErrorKind::index, [] { normalize_axis(3, 3); }),
            "axis must be in [-3, 2], got 3");
  EXPECT_EQ(violated_rule(ErrorKind::index, [] { normalize_axis(-4, 3); }),
            "axis must be in [-3, 2], got -4");
  EXPECT_EQ(violated_rule(ErrorKind::index, [] { normalize_axis(0, 0); }),
            "axis 0 of a 0-d tensor");
  EXPECT_EQ(violated_rule(ErrorKind::index, [] { normalize_axis(INT64_MIN, 1); }),
            "axis must be in [-1, 0], got -9223372036854775808");
}

// ---------------------------------------------------------------------------------- strides

TEST(StridesOf, DenseArrays) {
  EXPECT_EQ(row_major_strides({2, 3, 4}), (Strides{12, 4, 1}));
  EXPECT_EQ(row_major_strides({2, 0, 4}), (Strides{4, 4, 1}));
  EXPECT_EQ(row_major_strides({}), Strides());
  EXPECT_EQ(channels_last_strides({2, 3, 5, 7}), (Strides{105, 1, 21, 3}));
}

TEST(StridesOf, ResultsFollowTheOrderOfAnotherArray) {
  EXPECT_EQ(strides_in_order_of({2, 3, 4}, {12, 4, 1}), (Strides{12, 4, 1}));
  EXPECT_EQ(strides_in_order_of({2, 3}, {1, 2}), (Strides{1, 2}));
  EXPECT_EQ(strides_in_order_of({2, 3, 5, 7}, channels_last_strides({2, 3, 5, 7})),
            channels_last_strides({2, 3, 5, 7}));
  EXPECT_EQ(strides_in_order_of({2, 3}, {20, 2}), (Strides{3, 1}));           // gaps are closed
  EXPECT_EQ(strides_in_order_of({2, 3, 4}, {0, 0, 0}), (Strides{12, 4, 1}));  // equal: row-major
}

TEST(RowMajor, IsWhatCanBeReadWithoutGaps) {
  EXPECT_TRUE(is_row_major({2, 3}, {3, 1}));
  EXPECT_TRUE(is_row_major({}, {}));
  EXPECT_TRUE(is_row_major({1, 3}, {77, 1}));  // a size of one is not walked
  EXPECT_TRUE(is_row_major({3, 1}, {1, 77}));
  EXPECT_TRUE(is_row_major({2, 0}, {5, 9}));  // nothing is
  EXPECT_TRUE(is_row_major({0, 3}, {5, 9}));
  EXPECT_FALSE(is_row_major({2, 3}, {1, 2}));
  EXPECT_FALSE(is_row_major({2, 3}, {6, 2}));
  EXPECT_FALSE(is_row_major({2, 3}, {0, 1}));
  EXPECT_FALSE(is_row_major({3}, {-1}));
}

TEST(Dense, IsAnyOrderWithoutGaps) {
  EXPECT_TRUE(is_dense({2, 3}, {3, 1}));
  EXPECT_TRUE(is_dense({2, 3}, {1, 2}));
  EXPECT_TRUE(is_dense({}, {}));
  EXPECT_TRUE(is_dense({2, 3, 5, 7}, channels_last_strides({2, 3, 5, 7})));
  EXPECT_TRUE(is_dense({1, 3}, {77, 1}));
  EXPECT_TRUE(is_dense({3, 0}, {0, 1}));
  EXPECT_FALSE(is_dense({2, 3}, {6, 2}));
  EXPECT_FALSE(is_dense({2, 3}, {0, 1}));
  EXPECT_FALSE(is_dense({3}, {-1}));
  EXPECT_FALSE(is_dense({3, 3}, {2, 2}));  // 9 elements within 9 places, but some in one place
}

// ---------------------------------------------------------------------------------- bytes

TEST(CheckedBytes, CountsTheElements) {
  EXPECT_EQ(checked_bytes({}, DType::f64), 8u);
  EXPECT_EQ(checked_bytes({2, 3}, DType::f16), 12u);
  EXPECT_EQ(checked_bytes({5, 0, 7}, DType::f32), 0u);
  EXPECT_EQ(checked_bytes({INT64_MAX}, DType::u8), static_cast<size_t>(INT64_MAX));
}

TEST(CheckedBytes, RefusesNegativeSizes) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { checked_bytes({2, -1}, DType::f32); }),
            "a shape has no negative sizes, got [2,-1]");
  thrown_text(ErrorKind::value, [] { checked_bytes({0, INT64_MIN}, DType::f32); });
  thrown_text(ErrorKind::value, [] { checked_bytes({INT64_MAX, INT64_MAX, -1}, DType::u8); });
}

TEST(CheckedBytes, RefusesWhatCannotBeAddressed) {
  EXPECT_EQ(thrown_text(ErrorKind::value, [] { checked_bytes({INT64_MAX}, DType::i16); }),
            "a tensor of shape [9223372036854775807] is too large to address");
  const int64_t half = int64_t{1} << 32;
  thrown_text(ErrorKind::value, [&] { checked_bytes({half, half}, DType::u8); });  // wraps to 0
  thrown_text(ErrorKind::value, [&] { checked_bytes({half, half, 3}, DType::f32); });
  thrown_text(ErrorKind::value, [&] { checked_bytes({half, half / 2}, DType::u8); });  // 2^63
  // A size of 0 does not hide it: the element count of a part may overflow all the same.
  thrown_text(ErrorKind::value, [&] { checked_bytes({half, half, 0}, DType::f32); });
}

TEST(CheckedBytes, StridesOfRefusedShapesAreDefined) {
  const int64_t huge = int64_t{1} << 40;
  EXPECT_EQ(row_major_strides({huge, huge, 2}), (Strides{huge * 2, 2, 1}));
  is_row_major({huge, huge, huge}, {1, 2, 3});
  channels_last_strides({huge, huge, huge, huge});
}

TEST(Shape, CountsAxesFromTheEndIfNegative) {
  Shape shape{2, 3, 5};
  EXPECT_EQ(shape[-1], 5);
  EXPECT_EQ(shape[-3], 2);
  shape[-2] = 7;
  EXPECT_EQ(shape, (Shape{2, 7, 5}));
}

TEST(Shape, HasNoAxesBeyondItsRank) {
  const Shape shape{2, 3};
  EXPECT_EQ(testing::thrown_text(ErrorKind::index, [&] { (void)shape[5]; }),
            "shape: axis must be in [-2, 1], got 5 ([2,3])");
  testing::thrown_text(ErrorKind::index, [&] { (void)shape[2]; });
  testing::thrown_text(ErrorKind::index, [&] { (void)shape[-3]; });
  testing::thrown_text(ErrorKind::index, [] { (void)Shape().back(); });
}

TEST(Shape, TakesAxesInAndOutWhereTheyCanBe) {
  Shape shape{1, 2};
  shape.insert(2, 7);
  shape.insert(0, 5);
  EXPECT_EQ(shape, (Shape{5, 1, 2, 7}));
  shape.erase(-1);
  shape.erase(1);
  EXPECT_EQ(shape, (Shape{5, 2}));
  testing::thrown_text(ErrorKind::index, [&] { shape.erase(2); });
  testing::thrown_text(ErrorKind::index, [&] { shape.erase(-3); });
  testing::thrown_text(ErrorKind::index, [&] { shape.insert(3, 1); });
  testing::thrown_text(ErrorKind::index, [&] { shape.insert(-1, 1); });
  testing::thrown_text(ErrorKind::index, [&] { (void)shape[int64_t{1} << 32]; });
  testing::thrown_text(ErrorKind::index, [] { Shape().erase(0); });
  EXPECT_EQ(shape, (Shape{5, 2}));
}

TEST(Shape, IsPrintedAlikeSpecsAndDtypes) {
  std::ostringstream out;
  out << Shape{2, 3} << ' ' << DType::bf16 << ' ' << Spec{DType::i64, {}, {4}};
  EXPECT_EQ(out.str(), "[2,3] bf16 i64[4]");
}

}  // namespace
}  // namespace taper
