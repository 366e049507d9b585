// Streams of random numbers against the scalar generator, their moments and their independence of
// the number of threads.
#include <taper/backend/cpu/random.h>

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include <taper/core/philox.h>
#include <taper/core/threads.h>

#include "tests/backend/test_array.h"

namespace taper {
namespace {

using test::all_layouts;
using test::Layout;
using test::TestArray;

constexpr DType floats[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
constexpr uint64_t key = 0x0123456789abcdef;
constexpr uint64_t offset = 0xfffffffd;  // the counter carries into its second word

uint32_t word_of(int64_t element) {
  return philox(key, offset + static_cast<uint64_t>(element) / 4)[static_cast<size_t>(element % 4)];
}

uint64_t pair_of(int64_t element) {
  const auto block = philox(key, offset + static_cast<uint64_t>(element) / 2);
  const auto first = static_cast<size_t>(element % 2 * 2);
  return static_cast<uint64_t>(block[first]) << 32 | block[first + 1];
}

double unit_of(DType dtype, int64_t element) {
  if (dtype != DType::f64) return uniform_float(word_of(element));
  const uint64_t pair = pair_of(element);
  return uniform_double(static_cast<uint32_t>(pair >> 32), static_cast<uint32_t>(pair));
}

TEST(Random, PhiloxKnownAnswers) {
  const auto zeros = philox(0, 0);
  EXPECT_EQ(zeros, (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const auto ones = philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0});
  EXPECT_EQ(ones, (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  const auto pi = philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e);
  EXPECT_EQ(pi, (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, UniformTakesTheWordsOfTheStream) {
  for (DType dtype : {DType::f32, DType::f64}) {
    for (int64_t n : {0, 1, 3, 4, 5, 31, 33, 512, 513, 5000}) {
      TestArray out(dtype, {n});
      fill_uniform(out.view(), key, offset, 0, 1);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(out.get(i), unit_of(dtype, i)) << i << " of " << n;
    }
  }
}

TEST(Random, UniformStaysBelowTheEnd) {
  for (DType dtype : floats) {
    TestArray out(dtype, {100000});
    fill_uniform(out.view(), key, offset, -3, 5);
    double sum = 0;
    for (int64_t i = 0; i < out.numel(); ++i) {
      const double want = -3 + 8 * unit_of(dtype, i);
      ASSERT_NEAR(out.get(i), want, 8 * test::tolerance(dtype));
      sum += out.get(i);
    }
    EXPECT_NEAR(sum / 1e5, 1, 0.05);
  }
  TestArray narrow(DType::f32, {1 << 20});
  fill_uniform(narrow.view(), 1, 0, 0x1p20, 0x1p20 + 0.25);
  for (int64_t i = 0; i < narrow.numel(); ++i) ASSERT_LT(narrow.get(i), 0x1p20 + 0.25);
}

TEST(Random, NormalIsBoxMuller) {
  const double pi = std::acos(-1.0);
  for (DType dtype : floats) {
    for (int64_t n : {1, 2, 7, 64, 515, 3001}) {
      TestArray out(dtype, {n});
      fill_normal(out.view(), key, offset, 1.5, 2);
      for (int64_t i = 0; i < n; ++i) {
        const double u = unit_of(dtype, i & ~int64_t{1});
        const double angle = 2 * pi * unit_of(dtype, i | 1);
        const double z =
            std::sqrt(-2 * std::log(1 - u)) * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
        ASSERT_NEAR(out.get(i), 1.5 + 2 * z, 10 * test::tolerance(dtype)) << i << " of " << n;
      }
    }
  }
}

TEST(Random, MomentsOfTheNormal) {
  for (DType dtype : {DType::f32, DType::f64}) {
    TestArray out(dtype, {400000});
    fill_normal(out.view(), 42, 0, 0, 1);
    double moment[5] = {};
    for (int64_t i = 0; i < out.numel(); ++i) {
      double power = 1;
      for (double& sum : moment) {
        sum += power / static_cast<double>(out.numel());
        power *= out.get(i);
      }
    }
    EXPECT_NEAR(moment[1], 0, 0.01);
    EXPECT_NEAR(moment[2], 1, 0.01);
    EXPECT_NEAR(moment[3], 0, 0.03);
    EXPECT_NEAR(moment[4], 3, 0.06);
  }
}

TEST(Random, MomentsOfTheUniform) {
  TestArray out(DType::f32, {400000});
  fill_uniform(out.view(), 43, 0, 0, 1);
  double mean = 0;
  double square = 0;
  for (int64_t i = 0; i < out.numel(); ++i) {
    mean += out.get(i) / 4e5;
    square += out.get(i) * out.get(i) / 4e5;
  }
  EXPECT_NEAR(mean, 0.5, 0.002);
  EXPECT_NEAR(square - mean * mean, 1.0 / 12, 0.001);
}

TEST(Random, IntegersAreScaledPairs) {
  for (DType dtype : {DType::i8, DType::i16, DType::i32, DType::i64}) {
    TestArray out(dtype, {4001});
    fill_integers(out.view(), key, offset, -7, 100);
    for (int64_t i = 0; i < out.numel(); ++i) {
      const double unit = static_cast<double>(pair_of(i) >> 11) * 0x1p-53;
      ASSERT_EQ(out.get(i), std::floor(unit * 107) - 7);
    }
  }
  TestArray coins(DType::boolean, {10000});
  fill_integers(coins.view(), 5, 0, 0, 2);
  double heads = 0;
  for (int64_t i = 0; i < coins.numel(); ++i) heads += coins.get(i);
  EXPECT_NEAR(heads / 1e4, 0.5, 0.02);
  TestArray all(DType::i64, {1000});
  fill_integers(all.view(), 5, 0, INT64_MIN, INT64_MAX);
  int64_t negative = 0;
  for (int64_t i = 0; i < 1000; ++i) negative += all.get(i) < 0;
  EXPECT_NEAR(static_cast<double>(negative), 500, 80);
}

TEST(Random, AStreamIsCutAnywhere) {
  for (DType dtype : {DType::f32, DType::f64}) {
    TestArray whole(dtype, {2000});
    fill_normal(whole.view(), key, offset, 0, 1);
    TestArray rest(dtype, {1000});
    const auto used = static_cast<uint64_t>(blocks_used(RandomKind::normal, 1000, dtype));
    fill_normal(rest.view(), key, offset + used, 0, 1);
    for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(whole.get(1000 + i), rest.get(i));
  }
  EXPECT_EQ(blocks_used(RandomKind::uniform, 5, DType::f32), 2);
  EXPECT_EQ(blocks_used(RandomKind::uniform, 5, DType::f64), 3);
  EXPECT_EQ(blocks_used(RandomKind::integers, 5, DType::i32), 3);
  EXPECT_EQ(blocks_used(RandomKind::dropout, 5, DType::f64), 2);
}

TEST(Random, StridesDoNotMatter) {
  for (DType dtype : floats) {
    TestArray flat(dtype, {7, 11, 13});
    TestArray sliced(dtype, {7, 11, 13}, Layout::sliced);
    TestArray reversed(dtype, {7, 11, 13}, Layout::reversed);
    for (const TestArray* out : {&flat, &sliced, &reversed}) {
      fill_normal(out->view(), key, offset, 0, 1);
    }
    for (int64_t i = 0; i < flat.numel(); ++i) {
      ASSERT_EQ(flat.get(i), sliced.get(i));
      ASSERT_EQ(flat.get(i), reversed.get(i));
    }
  }
}

void check_dropout(DType dtype, Layout layout, double p) {
  const Shape shape = {3, 50, 17};
  TestArray x(dtype, shape, layout);
  x.fill(3);
  TestArray out(dtype, shape, Layout::sliced);
  TestArray mask(DType::boolean, shape);
  dropout(x.view(), out.view(), mask.view(), key, offset, p);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const bool kept = static_cast<double>(word_of(i)) * 0x1p-32 >= p;
    ASSERT_EQ(mask.get(i) != 0, kept) << p << " at " << i;
    const double want = kept ? x.get(i) / (1 - p) : 0;
    ASSERT_NEAR(out.get(i), want, test::tolerance(dtype) * (1 + std::abs(want)));
  }
}

TEST(Random, DropoutTakesTheWordsOfTheStream) {
  for (DType dtype : floats) {
    for (Layout layout : all_layouts) {
      for (double p : {0.0, 0.1, 0.5, 0.999, 1.0}) check_dropout(dtype, layout, p);
    }
  }
}

TEST(Random, DropoutOfInfinityIsZero) {
  TestArray x(DType::f32, {1000});
  for (int64_t i = 0; i < 1000; ++i) x.set(i, INFINITY);
  TestArray out(DType::f32, {1000});
  TestArray mask(DType::u8, {1000});
  dropout(x.view(), out.view(), mask.view(), 1, 2, 0.5);
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(out.get(i), mask.get(i) != 0 ? INFINITY : 0);
}

TEST(Random, DropoutOfChannelsLastWalksMemory) {
  const Shape shape = {2, 5, 6, 7};
  TestArray x(DType::f32, shape, Layout::channels_last);
  x.fill(8);
  TestArray out(DType::f32, shape, Layout::channels_last);
  TestArray mask(DType::boolean, shape, Layout::channels_last);
  dropout(x.view(), out.view(), mask.view(), key, offset, 0.25);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const bool kept = static_cast<double>(word_of(x.offset(i))) * 0x1p-32 >= 0.25;
    ASSERT_EQ(mask.get(i) != 0, kept);
    ASSERT_FLOAT_EQ(static_cast<float>(out.get(i)),
                    kept ? static_cast<float>(x.get(i)) / 0.75f : 0);
  }
}

TEST(Random, TheNumberOfThreadsDoesNotMatter) {
  const int before = threads();
  for (DType dtype : floats) {
    std::vector<TestArray> results;
    for (int count : {1, 2, 3}) {
      set_threads(count);
      results.emplace_back(dtype, Shape{300001});
      fill_normal(results.back().view(), key, offset, 0, 1);
      EXPECT_TRUE(results.back().same_bits(results.front()));
    }
  }
  set_threads(before);
}

}  // namespace
}  // namespace taper
