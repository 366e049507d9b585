// Metrics of the predicted classes. Of several labels each is predicted where its probability is
// above one half.
#pragma once

#include <taper/train/metrics/metric.h>

namespace taper::metrics {

struct TAPER_API RightSums {
  int64_t right = 0;
  int64_t total = 0;
  void check(std::string_view owner) const {
    check_rule(right >= 0 && right <= total, owner, "`right` must be within `total`", right);
  }
};

/// The part of the examples predicted right; of several labels those of which all are.
class TAPER_API Accuracy final : public MetricWith<Accuracy, NoOptions, RightSums> {
 public:
  using MetricWith::MetricWith;
  static constexpr std::string_view type_name = "accuracy";
  std::string refusal(const OutputMeaning& meaning) const override {
    return unless_labels(meaning);
  }
  void update(const Measured& batch) override {
    if (batch.meaning().task != Task::labels) {
      for (size_t i = 0; i < batch.truth().size(); ++i) {
        sums().right += batch.truth()[i] == batch.predicted()[i] ? 1 : 0;
      }
      sums().total += std::ssize(batch.truth());
      return;
    }
    const auto count = static_cast<size_t>(batch.classes());
    for (size_t i = 0; i < batch.labels().size(); i += count) {
      bool all = true;
      for (size_t j = i; j < i + count; ++j) {
        all &= (batch.labels()[j] != 0) == (batch.probabilities()[j] > 0.5);
      }
      sums().right += all ? 1 : 0;
      ++sums().total;
    }
  }
  double value() const override { return ratio(sums().right, sums().total); }
};

/// By class or label.
struct TAPER_API ClassSums {
  std::vector<int64_t> right = {};  ///< predicted and true
  std::vector<int64_t> predicted = {};
  std::vector<int64_t> support = {};  ///< true
  void check(std::string_view owner) const {
    const bool alike = predicted.size() == right.size() && support.size() == right.size();
    check_rule(alike, owner, "`right`, `predicted` and `support` must have one length",
               std::ssize(right));
  }
};

/// A mean over the classes, each counting alike, of the score that `Derived` takes.
template <class Derived>
class TAPER_API MeanOfClasses : public MetricWith<Derived, NoOptions, ClassSums> {
 public:
  using MetricWith<Derived, NoOptions, ClassSums>::MetricWith;
  std::string refusal(const OutputMeaning& meaning) const override {
    return unless_labels(meaning);
  }
  void update(const Measured& batch) override {
    const auto count = static_cast<size_t>(batch.classes());
    ClassSums& sums = this->sums();
    for (auto* each : {&sums.right, &sums.predicted, &sums.support}) {
      if (each->size() < count) each->resize(count);
    }
    if (batch.meaning().task != Task::labels) {
      for (size_t i = 0; i < batch.truth().size(); ++i) {
        const auto truth = static_cast<size_t>(batch.truth()[i]);
        const auto guess = static_cast<size_t>(batch.predicted()[i]);
        sums.right[truth] += truth == guess ? 1 : 0;
        ++sums.predicted[guess];
        ++sums.support[truth];
      }
      return;
    }
    for (size_t i = 0; i < batch.labels().size(); ++i) {
      const bool truth = batch.labels()[i] != 0;
      const bool guess = batch.probabilities()[i] > 0.5;
      sums.right[i % count] += truth && guess ? 1 : 0;
      sums.predicted[i % count] += guess ? 1 : 0;
      sums.support[i % count] += truth ? 1 : 0;
    }
  }
  double value() const override {
    const ClassSums& sums = this->sums();
    double sum = 0;
    for (size_t i = 0; i < sums.right.size(); ++i) {
      sum += Derived::score(class_scores(sums.right[i], sums.predicted[i], sums.support[i]));
    }
    return ratio(sum, static_cast<double>(sums.right.size()));
  }
};

class TAPER_API Precision final : public MeanOfClasses<Precision> {
 public:
  using MeanOfClasses::MeanOfClasses;
  static constexpr std::string_view type_name = "precision";
  static double score(const ClassScores& scores) { return scores.precision; }
};

class TAPER_API Recall final : public MeanOfClasses<Recall> {
 public:
  using MeanOfClasses::MeanOfClasses;
  static constexpr std::string_view type_name = "recall";
  static double score(const ClassScores& scores) { return scores.recall; }
};

class TAPER_API F1 final : public MeanOfClasses<F1> {
 public:
  using MeanOfClasses::MeanOfClasses;
  static constexpr std::string_view type_name = "f1";
  static double score(const ClassScores& scores) { return scores.f1; }
};

struct TAPER_API TopKAccuracyOptions {
  Positive<int64_t> k = 5;
};
/// The part of the examples whose class is among the k that are most probable. Of equal ones the
/// last classes count as more probable, as in scikit-learn. `update` throws value unless there are
/// more than k classes: of k all are among them.
class TAPER_API TopKAccuracy final
    : public MetricWith<TopKAccuracy, TopKAccuracyOptions, RightSums> {
 public:
  using MetricWith::MetricWith;
  static constexpr std::string_view type_name = "top_k_accuracy";
  std::string name() const override {
    return "top_" + std::to_string(options().k.value()) + "_accuracy";
  }
  std::string refusal(const OutputMeaning& meaning) const override {
    return unless_classes(meaning);
  }
  void update(const Measured& batch) override {
    check_rule(options().k < batch.classes(), type_name, "`k` must be less than there are classes",
               options().k.value());
    const auto count = static_cast<size_t>(batch.classes());
    for (size_t i = 0; i < batch.truth().size(); ++i) {
      const double* row = batch.probabilities().data() + i * count;
      const auto truth = static_cast<size_t>(batch.truth()[i]);
      int64_t before = 0;
      for (size_t j = 0; j < count; ++j) {  // NaN is before all, so that a row of it is not right
        const bool behind = row[j] < row[truth] || (row[j] == row[truth] && j < truth);
        before += j == truth || behind ? 0 : 1;
      }
      sums().right += before < options().k ? 1 : 0;
    }
    sums().total += std::ssize(batch.truth());
  }
  double value() const override { return ratio(sums().right, sums().total); }
};

}  // namespace taper::metrics

TAPER_METRIC(Accuracy, "The part of the examples predicted right.")
TAPER_METRIC(Precision, "The mean precision of the classes.")
TAPER_METRIC(Recall, "The mean recall of the classes.")
TAPER_METRIC(F1, "The mean F1 score of the classes.")
TAPER_METRIC(TopKAccuracy, "The part of the examples whose class is among the k most probable.")
