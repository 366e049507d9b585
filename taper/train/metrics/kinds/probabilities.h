// Metrics of the probabilities.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <taper/train/metrics/metric.h>

namespace taper::metrics {

struct TAPER_API LogLossSums {
  double sum = 0;
  int64_t count = 0;
};

/// The mean of -log of the probability of what is true, in nats; of several labels over all of
/// them. Probabilities of 0 and 1 are taken as one ULP off, as in scikit-learn.
class TAPER_API LogLoss final : public MetricWith<LogLoss, NoOptions, LogLossSums> {
 public:
  using MetricWith::MetricWith;
  static constexpr std::string_view type_name = "log_loss";
  bool larger_is_better() const override { return false; }
  std::string refusal(const OutputMeaning& meaning) const override {
    return unless_labels(meaning);
  }
  void update(const Measured& batch) override {
    const bool labels = batch.meaning().task == Task::labels;
    for (size_t i = 0; i < batch.labels().size(); ++i) {
      const bool truth = batch.labels()[i] != 0;
      if (!truth && !labels) continue;
      sums().sum -= log_of(truth ? batch.probabilities()[i] : 1 - batch.probabilities()[i]);
      ++sums().count;
    }
  }
  double value() const override { return ratio(sums().sum, sums().count); }

  static double log_of(double probability) {
    constexpr double least = std::numeric_limits<double>::epsilon();
    return std::log(std::clamp(probability, least, 1 - least));
  }
};

/// e to the mean of -log of the probability of the class that is true: how many equally probable
/// classes would be as hard.
class TAPER_API Perplexity final : public MetricWith<Perplexity, NoOptions, LogLossSums> {
 public:
  using MetricWith::MetricWith;
  static constexpr std::string_view type_name = "perplexity";
  bool larger_is_better() const override { return false; }
  std::string refusal(const OutputMeaning& meaning) const override {
    return unless_classes(meaning);
  }
  void update(const Measured& batch) override {
    const auto count = static_cast<size_t>(batch.classes());
    for (size_t i = 0; i < batch.truth().size(); ++i) {
      const size_t place = i * count + static_cast<size_t>(batch.truth()[i]);
      sums().sum -= LogLoss::log_of(batch.probabilities()[place]);
    }
    sums().count += std::ssize(batch.truth());
  }
  double value() const override {
    return sums().count == 0 ? 0 : std::exp(ratio(sums().sum, sums().count));
  }
};

/// All that was seen: rows of `columns` probabilities and as many 0 or 1.
struct TAPER_API SeenScores {
  int64_t columns = 0;
  std::vector<double> scores = {};
  std::vector<uint8_t> labels = {};
  void check(std::string_view owner) const;
};

/// The area under the receiver operating characteristic: the probability that an example of a class
/// has a higher score than one that is not, equal ones counting half. The mean over the classes
/// (one against the rest) or labels, as scikit-learn's `roc_auc_score(multi_class="ovr")`; of a
/// binary task that of class 1. Those that all or no examples have are left out: 0 if there is no
/// other. NaN for a score that is NaN. Keeps all scores.
class TAPER_API AUC final : public MetricWith<AUC, NoOptions, SeenScores> {
 public:
  using MetricWith::MetricWith;
  static constexpr std::string_view type_name = "auc";
  std::string refusal(const OutputMeaning& meaning) const override {
    return unless_labels(meaning);
  }
  void update(const Measured& batch) override;
  static void join(SeenScores& sums, const SeenScores& more);
  double value() const override;

 private:
  double area_of(size_t column) const;
};

}  // namespace taper::metrics

TAPER_METRIC(LogLoss, "The mean of -log of the probability of what is true.")
TAPER_METRIC(Perplexity, "e to the mean of -log of the probability of the class that is true.")
TAPER_METRIC(AUC, "The area under the receiver operating characteristic.")
