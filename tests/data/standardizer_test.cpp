#include <taper/data/standardizer.h>

#include <gtest/gtest.h>

#include <cmath>

#include <taper/ops/ops.h>

#include "../io/file_testing.h"

namespace taper {
namespace {

using testing::error_of;

TEST(Standardizer, GivesMeanZeroAndVarianceOne) {
  const Tensor x = from_values<double>({4, 2}, std::vector<double>{1, 5, 2, 5, 3, 5, 6, 5});
  const data::Standardizer standardize(x);
  const Tensor z = standardize(x);
  // Mean 3, variance (4 + 1 + 0 + 9) / 4 = 3.5; the second column has no variance.
  EXPECT_DOUBLE_EQ(z.to_vector<double>()[0], -2 / std::sqrt(3.5));
  EXPECT_DOUBLE_EQ(z.to_vector<double>()[1], 0);
  EXPECT_DOUBLE_EQ(standardize.inverse(z).to_vector<double>()[6], 6);
  error_of(ErrorKind::shape, [&] { data::Standardizer(zeros({0, 2})); });
  error_of(ErrorKind::dtype, [&] { data::Standardizer(arange(3)); });
}

TEST(Standardizer, MakesZeroOfEqualNumbersHoweverLarge) {
  const double stamp = 1700000000123456789.0;
  const std::vector<double> values(61, stamp);
  const data::Standardizer standardizer(from_values<double>({61, 1}, values));
  EXPECT_EQ(standardizer.deviation().item(), 1);
  EXPECT_EQ(standardizer(full({2, 1}, stamp, DType::f64)).to_vector<double>(),
            (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace taper
