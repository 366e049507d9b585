// The training loop:
//
//   Trainer trainer(net, {.loss = nn::CrossEntropyLoss(),
//                         .optimizer = optim::Adam({.lr = 1e-3}),
//                         .metrics = {"accuracy"}});
//   History history = trainer.fit(train, {.epochs = 10, .batch_size = 64});
//   std::cout << trainer.evaluate(test) << '\n';
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <taper/data/dataset.h>
#include <taper/data/loader.h>
#include <taper/nn/any_module.h>
#include <taper/nn/losses.h>
#include <taper/optim/optimizer.h>
#include <taper/optim/schedule.h>
#include <taper/train/callbacks.h>
#include <taper/train/evaluation.h>
#include <taper/train/history.h>

namespace taper {

class Meter;

struct TrainerOptions {
  nn::AnyLoss loss;
  optim::AnyOptimizer optimizer;
  std::vector<std::string> metrics = {};  ///< names such as "accuracy", "f1"
};

struct FitOptions {
  int64_t epochs = 1;
  int64_t batch_size = 32;
  bool shuffle = true;
  uint64_t seed = 0;            ///< of the order of the examples
  double validation_split = 0;  ///< the part of the examples, the last ones, set aside
  std::optional<data::AnyDataset> validation_data = {};
  bool drop_last = false;
  int workers = 1;
  bool verbose = true;
  std::vector<std::shared_ptr<Callback>> callbacks = {};
  /// Gives the factor of the learning rate for each epoch of this fit; afterwards the rate is what
  /// it was before.
  std::shared_ptr<optim::Schedule> schedule = {};
};

struct EvaluateOptions {
  int64_t batch_size = 256;
  int workers = 1;
};

/// Trains, evaluates and applies a model. It holds the module itself, whose cells it shares: what
/// it trains is the caller's model.
class TAPER_API Trainer {
 public:
  /// `model` is any module that maps a tensor to a tensor. Throws not_found for an unknown metric.
  Trainer(nn::AnyModule model, TrainerOptions options);

  /// Trains on examples {input, target}. Floating inputs are cast to the model's dtype; a target
  /// [N] fits outputs [N,1]. A second fit goes on where the first one ended, optimizer included.
  ///
  /// Each step clears the gradients, runs the model in training mode, computes the loss and its
  /// gradients, and updates the parameters. The losses and metrics of an epoch are means over its
  /// examples as they were seen. With a callback's `stop_training` the epoch ends early.
  ///
  /// Throws value for options out of range, for labels that are no class of the model (naming
  /// the row), and naming epoch and step for a loss that is not finite: the parameters are then
  /// those before that step. Each module is put back into the mode it was in.
  History fit(const data::AnyDataset& dataset, const FitOptions& options = {});

  /// The loss, the metrics and (where there are classes) the scores of each class, in evaluation
  /// mode. Throws value as `fit` does.
  Evaluation evaluate(const data::AnyDataset& dataset, const EvaluateOptions& options = {}) const;

  /// The model's outputs for the first field of every example, in evaluation mode without
  /// gradients.
  Tensor predict(const data::AnyDataset& dataset, const EvaluateOptions& options = {}) const;
  /// The same for the rows of a tensor.
  Tensor predict(const Tensor& inputs, const EvaluateOptions& options = {}) const;

  const nn::AnyModule& model() const { return model_; }
  const optim::AnyOptimizer& optimizer() const { return optimizer_; }

 private:
  friend class FitRun;
  Tensor forward(const Tensor& input) const;
  /// Runs the model on a batch, checks the target and gives the loss.
  Tensor loss_of(const data::Batch& batch, Meter& meter, bool training) const;
  Evaluation evaluate_with(data::Loader& loader, int64_t epoch) const;

  nn::AnyModule model_;
  nn::AnyLoss loss_;
  optim::AnyOptimizer optimizer_;
  std::vector<const Metric*> metrics_;
  int64_t epochs_trained_ = 0;
};

}  // namespace taper
