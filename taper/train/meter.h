// Private to the trainer: the running loss and metrics of a pass over a dataset.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <taper/train/evaluation.h>
#include <taper/train/outputs.h>

namespace taper {

/// Where a batch comes from, for messages.
struct BatchPlace {
  std::string_view pass;  // "fit" or "evaluate"
  int64_t epoch = 0;
  int64_t batch = 0;
};

/// Throws unsupported if the metrics need classes, which the output and target have not.
void check_metrics(std::string_view pass, const std::vector<const Metric*>& metrics,
                   std::string_view loss_name, Task task, const Spec& output, const Spec& target);

class Meter {
 public:
  /// With `always_count` classes are counted where that is possible, else for metrics only.
  Meter(OutputRule rule, std::vector<const Metric*> metrics, bool always_count)
      : rule_(std::move(rule)), metrics_(std::move(metrics)), always_count_(always_count) {}

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
  const std::optional<ConfusionMatrix>& confusion() const { return confusion_; }
  /// Of the outputs of the last batch.
  const OutputMeaning& meaning() const { return meaning_; }

 private:
  void check_classes(const Spec& output, const Tensor& target, const BatchPlace& place);
  void check_binary(const Spec& output, const Tensor& target, const BatchPlace& place);
  void check_probabilities(const Tensor& output, const BatchPlace& place) const;

  OutputRule rule_;
  std::vector<const Metric*> metrics_;
  bool always_count_;
  OutputMeaning meaning_;
  double loss_sum_ = 0;
  int64_t examples_ = 0;
  std::optional<ConfusionMatrix> confusion_;
};

}  // namespace taper
