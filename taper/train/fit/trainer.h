// The training loop:
//
//   Trainer trainer(net, {.loss = nn::CrossEntropyLoss(),
//                         .optimizer = optim::Adam({.lr = 1e-3}),
//                         .metrics = {"accuracy"}});
//   History history = trainer.fit(train, {.epochs = 10, .batch_size = 64});
//   std::cout << trainer.evaluate(test) << '\n';
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <taper/data/dataset.h>
#include <taper/data/loader.h>
#include <taper/data/source.h>
#include <taper/data/transform.h>
#include <taper/graph/graph.h>
#include <taper/nn/any_module.h>
#include <taper/nn/loss.h>
#include <taper/optim/optimizer.h>
#include <taper/optim/schedule.h>
#include <taper/train/fit/callback.h>
#include <taper/train/metrics/evaluation.h>
#include <taper/train/metrics/history.h>
#include <taper/train/metrics/metric.h>
#include <taper/train/metrics/outputs.h>
#include <taper/train/runs/run_folder.h>

namespace taper {

class BatchLoss;
class Meter;
struct BatchResult;
struct BatchPlace;

struct TrainerOptions {
  nn::AnyLoss loss;
  optim::AnyOptimizer optimizer;
  std::vector<AnyMetric> metrics = {};  ///< by name, such as "accuracy", or by type
  /// What the outputs mean where the loss does not say it (one of your own), see
  /// taper/train/metrics/outputs.h.
  std::optional<Task> task = {};
};

/// Where and how often a fit saves itself, see taper/train/runs/checkpoint.h.
struct CheckpointOptions {
  std::filesystem::path folder = {};
  /// A save comes after the first update that ends this long after the last save, and so late that
  /// saving takes at most 2 % of the time; also at the fit's end and when it is interrupted. If the
  /// last one fails, `fit` throws io: the model is trained, but the training cannot go on.
  double seconds = 10;
  /// Goes on from the newest whole checkpoint in the folder; starts anew if there is none. What
  /// follows is equal bit for bit to a fit that was never cut, for the same build, kind of CPU and
  /// number of threads; `on_warning` hears of a difference and of damaged checkpoints.
  bool resume = false;
  std::function<void(const std::string&)> on_warning = {};
  std::function<void()> on_save = {};  ///< called when a checkpoint is on the disk
};

/// What a run folder tells besides what the fit knows.
struct RunDetails {
  RunFolderUse use = RunFolderUse::fresh;
  std::string model = {};  ///< a name for the model, for reports
  std::string data = {};   ///< and for the data
  /// What the run is measured on at its end; without it the validation data, else the training
  /// data.
  std::optional<data::AnyDataset> test_data = {};
  data::DataForm form = {};  ///< how new data become inputs, see taper/data/source.h
  Fields options = {};       ///< how the run is made, for the manifest and the report
  std::vector<std::string> files =
      {};  ///< that callbacks write in its folder, by their paths there
};

struct FitOptions {
  int64_t epochs = 1;  ///< in all: a resumed fit counts those that were done before
  int64_t batch_size = 32;
  bool shuffle = true;
  uint64_t seed = 0;            ///< of the order of the examples
  double validation_split = 0;  ///< the part of the examples, the last ones, set aside
  std::optional<data::AnyDataset> validation_data = {};
  /// Random changes of the images that are trained on, in this order (see taper/data/transform.h);
  /// what is validated, measured and predicted on is left as it is, so that the model must take
  /// images of that shape, too. A training is resumed with the same ones only.
  std::vector<data::AnyTransform> transforms = {};
  bool drop_last = false;
  int workers = 1;
  bool verbose = true;
  std::vector<std::shared_ptr<Callback>> callbacks = {};
  /// Gives the learning rates, and with some schedules the momentum, of this fit; afterwards they
  /// are what they were before. One that wants to know how many steps there will be is told.
  std::shared_ptr<optim::Schedule> schedule = {};
  /// What it makes a step of: by its nature an epoch, of OneCycleLR an update.
  std::optional<optim::ScheduleInterval> schedule_interval = {};
  /// The number of the history that a schedule such as ReduceLROnPlateau watches.
  std::string schedule_monitor = "val_loss";

  /// Batches whose gradients are added up for one update, as if they were one batch.
  int64_t accumulate = 1;
  double clip_norm = 0;   ///< the largest common norm of the gradients; 0: any
  double clip_value = 0;  ///< the largest absolute value in a gradient; 0: any
  /// Penalties added to the loss: l1 * sum |w| + l2 * sum w^2 over all parameters of two or more
  /// axes (weights, not biases and scales).
  double l1 = 0;
  double l2 = 0;
  /// A factor for the loss of each example by its class; as in Keras the sum over the batch is
  /// divided by the number of examples. A third field of the examples gives each one's own factor.
  std::vector<double> class_weight = {};
  /// Checks every op for NaN and infinity (see taper/autograd/anomaly.h) and throws value naming
  /// op, layer, epoch and step of the first one. Slow: for finding a fault.
  bool detect_anomaly = false;
  /// Records step and update once for each shape of a batch and replays them (graph/compile.h): the
  /// same bits in less time. Hooks run while they are recorded only. Throws unsupported for a model
  /// that looks at values. With `detect_anomaly` nothing is recorded.
  bool compile = false;

  std::optional<CheckpointOptions> checkpoint = {};
  /// A folder for the whole run: checkpoints, model, numbers and a report for people, as `taper
  /// train` leaves it (see taper/train/runs/run.h). Of `checkpoint` all but the folder counts.
  /// Throws io if something else is there.
  std::filesystem::path run = {};
  RunDetails run_details = {};
  /// Asked after each update; true saves a checkpoint, if there is a place for it, and ends the fit
  /// at once.
  std::function<bool()> interrupted = {};
};

struct EvaluateOptions {
  int64_t batch_size = 256;
  int workers = 1;
};

/// Trains, evaluates and applies a model. It holds the module itself, whose cells it shares: what
/// it trains is the caller's model.
class TAPER_API Trainer {
 public:
  /// `model` is any module that maps tensors to tensors. Throws not_found for an unknown metric,
  /// value for one that is given twice.
  Trainer(nn::AnyModule model, TrainerOptions options);
  Trainer(const Trainer& other);
  Trainer(Trainer&& other) noexcept;
  Trainer& operator=(const Trainer& other);
  Trainer& operator=(Trainer&& other) noexcept;
  ~Trainer();

  /// Trains on examples {input, target} or {input, target, weight}. A model that must have several
  /// operands takes as many fields, and so does a loss: {x, mask, target}. Of several outputs the
  /// loss takes the first, unless its meaning (nn/loss.h) says more. Floating inputs are cast to
  /// the model's dtype; a target [N] fits outputs [N,1]. A second fit goes on where the first one
  /// ended, optimizer included.
  ///
  /// Each step clears the gradients, runs the model in training mode, computes the loss and its
  /// gradients, and updates the parameters. The losses and metrics of an epoch are means over its
  /// examples as they were seen. With a callback's `stop_training` the epoch ends early.
  ///
  /// Returns the history of all epochs, those before a resumed checkpoint included; with
  /// `interrupted` those that were complete.
  ///
  /// Throws value for options out of range, for a checkpoint of another training (naming what
  /// differs), for labels that are no class of the model (naming
  /// the row), and naming epoch and step for a loss that is not finite: the parameters are then
  /// those before that step. Each module is put back into the mode it was in.
  History fit(const data::AnyDataset& dataset, const FitOptions& options = {});

  /// The loss, the metrics and (where there are classes) the scores of each class, in evaluation
  /// mode. Throws value as `fit` does.
  Evaluation evaluate(const data::AnyDataset& dataset, const EvaluateOptions& options = {}) const;

  /// The model's outputs, the first one of several, for the inputs among the fields of every
  /// example, in evaluation mode without gradients.
  Tensor predict(const data::AnyDataset& dataset, const EvaluateOptions& options = {}) const;
  /// The same for the rows of a tensor, or of one for each operand of the model.
  Tensor predict(const Tensor& input, const EvaluateOptions& options = {}) const;
  Tensor predict(const std::vector<Tensor>& inputs, const EvaluateOptions& options = {}) const;

  const nn::AnyModule& model() const { return model_; }
  const nn::AnyLoss& loss() const { return loss_; }
  const std::vector<AnyMetric>& metrics() const { return metrics_; }
  const optim::AnyOptimizer& optimizer() const { return optimizer_; }
  /// What the history of the last fit records for each epoch: "loss", "accuracy", "val_loss" ...
  const std::vector<std::string>& recorded_names() const { return recorded_names_; }
  /// The calls of model and loss for the first batch of the last fit, the model's output being the
  /// graph's; null before a fit and for a model that cannot be captured.
  const Graph* graph() const { return graph_.get(); }

 private:
  friend class FitRun;
  friend class TrainStep;
  void check_fit(const data::AnyDataset& dataset, const FitOptions& options) const;
  /// `fit` without a run folder.
  History fit_here(const data::AnyDataset& dataset, const FitOptions& options);
  Tensor forward(std::vector<Tensor> inputs) const;
  /// Of the last fit's graph, without one of a dry run of the model on this dataset.
  OutputRule output_rule(const data::Dataset& dataset) const;
  /// Takes a step and then looks at the values: labels in range, a finite loss, the metrics.
  void watch(const BatchLoss& batch_loss, const data::Batch& batch, const BatchPlace& place,
             Meter& meter, FunctionRef<BatchResult(std::optional<Spec>& output)> step) const;
  Tensor penalty(double l1, double l2) const;
  /// Nothing if `interrupted` says so after a batch.
  std::optional<Evaluation> evaluate_with(data::Loader& loader, const OutputRule& rule,
                                          int64_t epoch,
                                          const std::function<bool()>& interrupted = {}) const;

  nn::AnyModule model_;
  nn::AnyLoss loss_;
  optim::AnyOptimizer optimizer_;
  std::vector<AnyMetric> metrics_;
  std::optional<Task> task_;
  std::shared_ptr<const Graph> graph_;
  std::vector<std::string> recorded_names_;
  int64_t epochs_trained_ = 0;
};

}  // namespace taper
