// Private to the trainer: what can be known to be wrong before the first step of a training.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <taper/data/dataset.h>
#include <taper/graph/graph.h>
#include <taper/nn/any_module.h>
#include <taper/nn/loss.h>
#include <taper/optim/optimizer.h>
#include <taper/train/metrics/metric.h>
#include <taper/train/metrics/outputs.h>

namespace taper {

struct PreflightOptions {
  std::optional<Task> task = {};  ///< of a loss that does not say it
  int64_t batch_size = 32;
  bool drop_last = false;
  std::vector<double> class_weight = {};
  std::vector<AnyMetric> metrics = {};
};

/// Data that a model is not trained on but measured on; null if there are none.
struct MeasuredData {
  const data::Dataset* validation = nullptr;  ///< after each epoch
  const data::Dataset* test = nullptr;        ///< at the end
  /// The training data without transforms, of the shape that new data have.
  const data::Dataset* unchanged = nullptr;
};

/// Runs model and loss, weights included, on tensors without data of the first batch's shapes, of
/// the last batch's where that is smaller, and of the validation and test data's. Looks for NaN in
/// the examples, for labels that are no class of the model, and for binary targets outside [0, 1]
/// (with metrics: other than 0 and 1): in all examples of a TensorDataset and its Subsets,
/// transformed or not (the first 2^24 elements), else in the first batch. Warns of unscaled pixels,
/// of a loss of logits behind a softmax or sigmoid, of BCELoss behind a layer that gives logits, of
/// classes without an example, and of trainable cells that are not the model's.
///
/// Nothing is changed: cells, generators and modes keep their values. The model's `forward` is
/// called, though; one that asks a tensor for its value or has hooks is left to the first step.
///
/// Returns the calls of model and loss, the model's output being the graph's; null if the model
/// could not be captured.
///
/// Throws what model and loss throw, and value naming the field and example.
std::shared_ptr<const Graph> check_before_training(
    const nn::AnyModule& model, const nn::AnyLoss& loss, const optim::Optimizer& optimizer,
    const data::Dataset& train, const MeasuredData& measured, const PreflightOptions& options);

/// True if the op that makes the graph's output gives probabilities.
bool ends_in_probabilities(const Graph& graph);

/// The same for a model and `rows` examples whose first fields are its inputs; false if it cannot
/// be captured.
bool ends_in_probabilities(const nn::AnyModule& model, std::span<const Spec> examples,
                           int64_t rows);

}  // namespace taper
