#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <taper/ops/ops.h>
#include <taper/ops/random/generator.h>

#include "tests/core/error_testing.h"

// Expected: the ranges that ops.h states.

namespace taper {
namespace {

using testing::thrown_text;

constexpr int64_t largest = std::numeric_limits<int64_t>::max();
constexpr int64_t lowest = std::numeric_limits<int64_t>::min();
constexpr int64_t odd = (int64_t{1} << 53) + 1;  // no double

TEST(Randint, CoversTheWholeRangeOfI64) {
  Generator generator(3);
  const auto values = randint(lowest, largest, {1000}, DType::i64, &generator).to_vector<int64_t>();
  EXPECT_GT(std::set<int64_t>(values.begin(), values.end()).size(), 990u);
  EXPECT_LT(*std::min_element(values.begin(), values.end()), lowest / 2);
  EXPECT_GT(*std::max_element(values.begin(), values.end()), largest / 2);
  const auto narrow = randint(odd, odd + 2, {100}, DType::i64, &generator).to_vector<int64_t>();
  EXPECT_EQ(std::set<int64_t>(narrow.begin(), narrow.end()), (std::set<int64_t>{odd, odd + 1}));
}

TEST(Randint, RefusesWhatTheDtypeDoesNotHold) {
  EXPECT_NE(thrown_text(ErrorKind::value, [] { randint(0, 300, {2}, DType::u8); })
                .find("u8 does not hold all integers of [0, 300)"),
            std::string::npos);
  thrown_text(ErrorKind::value, [] { randint(-1, 5, {2}, DType::u8); });
  thrown_text(ErrorKind::value, [] { randint(0, 3, {2}, DType::boolean); });
  EXPECT_LE(max(randint(0, 256, {1000}, DType::u8)).item<int>(), 255);
}

TEST(Rand, StaysBelowItsUpperBoundInEveryDtype) {
  for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    Generator generator(5);
    EXPECT_LT(max(rand({100'000}, dtype, &generator)).item(), 1) << dtype_name(dtype);
    for (const auto& [low, high] :
         {std::pair{-1.0, 0.0}, std::pair{-3.0, -2.0}, std::pair{2.0, 3.0},
          std::pair{10'000.0, 30'000.0}, std::pair{-30'001.0, -10'001.0}}) {
      const Tensor x = uniform({100'000}, low, high, dtype, &generator);
      EXPECT_LT(max(x).item(), high) << dtype_name(dtype);
      EXPECT_GE(min(x).item(), low) << dtype_name(dtype);
    }
  }
}

TEST(Rand, RefusesBoundsThatAreNotFiniteInTheDtype) {
  thrown_text(ErrorKind::value, [] { uniform({2}, 0, INFINITY); });
  thrown_text(ErrorKind::value, [] { uniform({2}, NAN, 1); });
  thrown_text(ErrorKind::value, [] { uniform({2}, -1e308, 1e308, DType::f64); });
  thrown_text(ErrorKind::value, [] { uniform({2}, 0, 1e6, DType::f16); });
  thrown_text(ErrorKind::value, [] { normal({2}, 0, INFINITY); });
  thrown_text(ErrorKind::value, [] { normal({2}, NAN, 1); });
}

TEST(Rand, TakesAGenerator) {
  Generator first(7);
  Generator second(7);
  EXPECT_EQ(rand({5}, DType::f32, &first).to_vector<float>(),
            uniform({5}, 0, 1, DType::f32, &second).to_vector<float>());
  EXPECT_EQ(randn({5}, DType::f32, &first).to_vector<float>(),
            normal({5}, 0, 1, DType::f32, &second).to_vector<float>());
}

}  // namespace
}  // namespace taper
