// Private to the trainer: the running loss and metrics of a pass over a dataset.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <taper/train/metrics/evaluation.h>
#include <taper/train/metrics/metric.h>
#include <taper/train/metrics/outputs.h>

namespace taper {

/// Where a batch comes from, for messages.
struct BatchPlace {
  std::string_view pass;  // "fit" or "evaluate"
  int64_t epoch = 0;
  int64_t batch = 0;
};

/// Throws unsupported if a metric cannot measure such outputs.
void check_metrics(std::string_view pass, const std::vector<AnyMetric>& metrics,
                   std::string_view loss_name, const OutputMeaning& meaning, const Spec& output,
                   const Spec& target);

/// Whether one of them is of classes or labels: targets must be 0 or 1 then, not between.
bool count_classes(const std::vector<AnyMetric>& metrics);

class Meter {
 public:
  /// With `with_confusion` classes are counted where that is possible.
  Meter(OutputRule rule, const std::vector<AnyMetric>& metrics, bool with_confusion);

  /// Checks the labels of a batch. Throws value naming the row, unsupported for metrics where there
  /// are no classes.
  void check(const Spec& output, const Tensor& target, const BatchPlace& place);
  /// Counts a batch whose labels were checked. Throws value if the loss is not finite or the loss
  /// takes probabilities and the outputs are none.
  void add(const Tensor& loss, const Tensor& output, const Tensor& target, const BatchPlace& place);

  /// What was counted so far, for a checkpoint in the middle of an epoch.
  Fields state() const;
  /// Goes on from there. Throws value if it is not what `state` gave.
  void load_state(const Fields& state);

  int64_t examples() const { return examples_; }
  /// The means so far.
  double loss() const;
  NamedNumbers metrics() const;
  /// The loss and the metrics.
  NamedNumbers numbers() const;
  const std::optional<ConfusionMatrix>& confusion() const { return confusion_; }
  /// Of the outputs of the last batch.
  const OutputMeaning& meaning() const { return meaning_; }

 private:
  void check_classes(const Spec& output, const Tensor& target, const BatchPlace& place);
  void check_binary(const Spec& output, const Tensor& target, const BatchPlace& place);
  void check_probabilities(const Tensor& output, const BatchPlace& place) const;

  OutputRule rule_;
  std::vector<AnyMetric> kinds_;
  std::vector<std::shared_ptr<Metric>> metrics_;
  bool with_confusion_;
  bool can_measure_ = true;  // the last batch
  OutputMeaning meaning_;
  double loss_sum_ = 0;
  int64_t examples_ = 0;
  std::optional<ConfusionMatrix> confusion_;
};

}  // namespace taper
