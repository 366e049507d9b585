// Metrics of numbers. Of several columns each counts alike.
#pragma once

#include <algorithm>
#include <cmath>

#include <taper/train/metrics/metric.h>

namespace taper::metrics {

/// By column.
struct TAPER_API DifferenceSums {
  int64_t count = 0;
  std::vector<double> sums = {};
};

/// The mean over the columns of what `Derived::score` makes of the mean of `Derived::of` of the
/// differences.
template <class Derived>
class TAPER_API MeanOfDifferences : public MetricWith<Derived, NoOptions, DifferenceSums> {
 public:
  using MetricWith<Derived, NoOptions, DifferenceSums>::MetricWith;
  bool larger_is_better() const override { return false; }
  std::string refusal(const OutputMeaning& meaning) const override {
    return unless_regression(meaning);
  }
  void update(const Measured& batch) override {
    const auto columns = static_cast<size_t>(batch.columns());
    DifferenceSums& all = this->sums();
    all.sums.resize(std::max(columns, all.sums.size()));
    for (size_t i = 0; i < batch.values().size(); ++i) {
      all.sums[i % columns] += Derived::of(batch.values()[i] - batch.targets()[i]);
    }
    all.count += std::ssize(batch.values()) / batch.columns();
  }
  double value() const override {
    const DifferenceSums& all = this->sums();
    double sum = 0;
    for (const double each : all.sums) sum += Derived::score(ratio(each, all.count));
    return ratio(sum, std::ssize(all.sums));
  }
  static double score(double mean) { return mean; }
};

class TAPER_API MAE final : public MeanOfDifferences<MAE> {
 public:
  using MeanOfDifferences::MeanOfDifferences;
  static constexpr std::string_view type_name = "mae";
  static double of(double difference) { return std::abs(difference); }
};

class TAPER_API MSE final : public MeanOfDifferences<MSE> {
 public:
  using MeanOfDifferences::MeanOfDifferences;
  static constexpr std::string_view type_name = "mse";
  static double of(double difference) { return difference * difference; }
};

/// The mean over the columns of the root of their mean, as in scikit-learn.
class TAPER_API RMSE final : public MeanOfDifferences<RMSE> {
 public:
  using MeanOfDifferences::MeanOfDifferences;
  static constexpr std::string_view type_name = "rmse";
  static double of(double difference) { return difference * difference; }
  static double score(double mean) { return std::sqrt(mean); }
};

/// By column. The targets' squares are those of their distances from the mean so far: Chan, Golub
/// and LeVeque (1979).
struct TAPER_API VarianceSums {
  int64_t count = 0;
  std::vector<double> mean = {};
  std::vector<double> squares = {};
  std::vector<double> residuals = {};  ///< squared
  void check(std::string_view owner) const {
    const bool alike = squares.size() == mean.size() && residuals.size() == mean.size();
    check_rule(alike && count >= 0, owner,
               "`mean`, `squares` and `residuals` must have one length, and count what was seen",
               count);
  }
};

/// The part of the targets' variance that the outputs explain: 1 - residuals / squares, the mean
/// over the columns. A column of one value counts 1 if it is met exactly, else 0, as in
/// scikit-learn.
class TAPER_API R2 final : public MetricWith<R2, NoOptions, VarianceSums> {
 public:
  using MetricWith::MetricWith;
  static constexpr std::string_view type_name = "r2";
  std::string refusal(const OutputMeaning& meaning) const override {
    return unless_regression(meaning);
  }
  void update(const Measured& batch) override {
    const auto columns = static_cast<size_t>(batch.columns());
    const size_t rows = batch.values().size() / columns;
    VarianceSums here{static_cast<int64_t>(rows), std::vector<double>(columns),
                      std::vector<double>(columns), std::vector<double>(columns)};
    // From the first row on, so that a column of one value has no variance.
    for (size_t i = 0; i < batch.targets().size(); ++i) {
      const double apart = batch.targets()[i] - batch.targets()[i % columns];
      here.mean[i % columns] += apart / static_cast<double>(rows);
    }
    for (size_t i = 0; rows > 0 && i < columns; ++i) here.mean[i] += batch.targets()[i];
    for (size_t i = 0; i < batch.targets().size(); ++i) {
      const double distance = batch.targets()[i] - here.mean[i % columns];
      const double residual = batch.targets()[i] - batch.values()[i];
      here.squares[i % columns] += distance * distance;
      here.residuals[i % columns] += residual * residual;
    }
    join(sums(), here);
  }
  static void join(VarianceSums& sums, const VarianceSums& more) {
    if (more.count == 0) return;
    if (sums.count == 0) {
      sums = more;
      return;
    }
    check_rule(more.mean.size() == sums.mean.size(), type_name,
               "all outputs must have as many columns", std::ssize(more.mean));
    const auto ours = static_cast<double>(sums.count);
    const auto theirs = static_cast<double>(more.count);
    for (size_t i = 0; i < sums.mean.size(); ++i) {
      const double apart = more.mean[i] - sums.mean[i];
      sums.mean[i] += apart * theirs / (ours + theirs);
      sums.squares[i] += more.squares[i] + apart * apart * ours * theirs / (ours + theirs);
      sums.residuals[i] += more.residuals[i];
    }
    sums.count += more.count;
  }
  double value() const override {
    double sum = 0;
    for (size_t i = 0; i < sums().mean.size(); ++i) {
      const double residual = sums().residuals[i];
      if (sums().squares[i] != 0) {
        sum += 1 - residual / sums().squares[i];
      } else {
        sum += residual == 0 ? 1 : 0;
      }
    }
    return ratio(sum, static_cast<double>(sums().mean.size()));
  }
};

}  // namespace taper::metrics

TAPER_METRIC(MAE, "The mean absolute difference.")
TAPER_METRIC(MSE, "The mean squared difference.")
TAPER_METRIC(RMSE, "The root of the mean squared difference.")
TAPER_METRIC(R2, "The part of the targets' variance that the outputs explain.")
