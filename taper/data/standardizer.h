#pragma once

#include <taper/core/tensor.h>

namespace taper::data {

/// Shifts and scales columns to mean 0 and variance 1, as measured on the examples that it is made
/// from: the training part, so that nothing of the test part leaks. A column without variance is
/// only shifted.
class TAPER_API Standardizer {
 public:
  /// `examples` is [N, columns...] with N >= 1, floating. Throws shape, dtype.
  explicit Standardizer(const Tensor& examples);

  /// (x - mean) / deviation for any number of examples. Throws shape if the columns differ.
  Tensor operator()(const Tensor& x) const;
  /// x * deviation + mean: the way back.
  Tensor inverse(const Tensor& x) const;

  const Tensor& mean() const { return mean_; }            ///< [columns...]
  const Tensor& deviation() const { return deviation_; }  ///< [columns...], 1 where it would be 0

 private:
  Tensor mean_;
  Tensor deviation_;
};

/// Throws value if means or deviations are not finite: `what` are numbers that are too large.
TAPER_API void check_scale(const Standardizer& standardizer, const std::string& what);

}  // namespace taper::data
