// The callback that shows a training in TensorBoard.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <taper/graph/graph.h>
#include <taper/io/tensorboard.h>
#include <taper/nn/any_module.h>
#include <taper/train/fit/callback.h>

namespace taper {

struct TAPER_API TensorBoardOptions {
  Required<std::string> log_dir;
  NonNegative<int64_t> histograms =
      0;                            ///< every so many epochs the values of all parameters; 0: never
  NonNegative<int64_t> images = 0;  ///< the same for the filters that can be seen; 0: never
  bool graph = true;                ///< the calls of the model
  NonNegative<double> seconds =
      5;  ///< every so many the numbers of the epoch so far, by steps; 0: never
};
/// Writes what `tensorboard --logdir LOG_DIR` shows, after each epoch with the epoch as the step:
///
/// - `epoch_loss`, `epoch_accuracy` ... in the runs `train` and `validation`, so that both curves
///   are in one chart, and `epoch_learning_rate`, `epoch_seconds` in `train`;
/// - `batch_loss`, `batch_accuracy` ... in the run `steps`: the epoch's means so far every few
///   seconds, with the step of the fit;
/// - histograms of the parameters by their paths, such as `conv1/weight`;
/// - pictures of convolution weights [N,1,H,W] or [N,3,H,W], each filter from its least number
///   (black) to its largest (white);
/// - the graph of the model's calls as the first batch goes through it, grouped by layers; of a
///   model that cannot be captured the tree of its modules, in order of definition.
///
/// A resumed training writes new files that hide what was written after its checkpoint.
class TAPER_API TensorBoard final : public WithOptions<TensorBoard, Callback, TensorBoardOptions> {
 public:
  /// Seconds since 1970.
  using Clock = std::function<double()>;
  /// Throws value for options out of range. Without `clock` it is the system's.
  explicit TensorBoard(TensorBoardOptions options, Clock clock = {});
  /// Throws io if the files cannot be made. Later on it is warned of, and nothing more is written.
  void on_train_begin(Trainer& trainer) override;
  void on_batch_end(Trainer& trainer, const Logs& logs) override;
  void on_epoch_end(Trainer& trainer, const Logs& logs) override;
  void on_train_end(Trainer& trainer) override;
  CallbackState state() const override;
  void load_state(const CallbackState& state) override;

 private:
  struct Memory {
    int64_t epochs = 0;  // that are written
    int64_t steps = 0;   // of the last numbers by steps
  };

  void write_epoch(const Trainer& trainer, const Logs& logs);
  void write_steps(const Logs& logs, double now);
  /// Hides what earlier files have from this step on, if they are to be hidden.
  std::unique_ptr<EventWriter> open(const char* run, int64_t first_step) const;
  void write_numbers(const Logs& logs, double now);
  void write_parameters(const Trainer& trainer, int64_t epoch, double now);

  Clock clock_;
  Memory memory_;
  std::unique_ptr<EventWriter> train_;
  std::unique_ptr<EventWriter> validation_;
  std::unique_ptr<EventWriter> steps_;
  bool hide_later_ = false;  // in files of this training
  int64_t first_epoch_ = 0;  // of this process
  double last_steps_ = 0;    // when numbers by steps were written
};

/// The calls of a captured model, from its first input to its first output, as boxes for
/// TensorBoard in groups by layers, with the parameters and buffers that they read.
TAPER_API std::vector<EventGraphNode> graph_of(const Graph& graph, const nn::AnyModule& model);

/// The modules within a model as boxes for TensorBoard: an input, each layer with its parameters in
/// order of definition, and an output.
TAPER_API std::vector<EventGraphNode> graph_of(const nn::AnyModule& model);

}  // namespace taper

TAPER_CALLBACK(TensorBoard, "Writes numbers, histograms, pictures and the graph for TensorBoard.")
