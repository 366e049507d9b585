#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include <taper/core/factory.h>
#include <taper/io/safetensors.h>
#include <taper/train/history.h>

namespace taper {

class Trainer;

/// Where training stands and what it has come to.
struct Logs {
  int64_t epoch = 0;  ///< of this fit, from 0
  int64_t epochs = 0;
  int64_t step = 0;  ///< how many steps of the epoch are done
  int64_t steps = 0;
  int64_t total_step = 0;  ///< how many steps of this fit are done, over all its epochs
  double loss = 0;         ///< over the epoch's batches so far
  /// The loss and the metrics over the epoch's batches so far, computed when they are looked at; at
  /// its end with `val_` numbers, `learning_rate` and `epoch_seconds`.
  LazyNumbers values;
};

/// What a callback must keep so that a resumed training goes on as if it had not been cut.
struct CallbackState {
  Fields values = {};
  NamedTensors tensors = {};
  /// Set for `load_state`: the training had ended, and is resumed for more epochs.
  bool ended = false;
};

/// Derive from it and override what you need. An exception ends the training and goes to the
/// caller of `fit`.
class TAPER_API Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_train_begin(Trainer&) {}
  virtual void on_train_end(Trainer&) {}
  virtual void on_epoch_begin(Trainer&, int64_t /*epoch*/) {}
  virtual void on_epoch_end(Trainer&, const Logs&) {}
  virtual void on_batch_end(Trainer&, const Logs&) {}

  /// What it is, for checkpoints: a training goes on with callbacks of the same kinds.
  virtual std::string kind() const;
  /// For checkpoints: asked between two steps.
  virtual CallbackState state() const { return {}; }

  /// The training goes on from what `state` gave: comes before `on_train_begin`.
  void resume(const CallbackState& state);
  /// The next training is a new one, and nothing has stopped it.
  void begin_anew();

  /// Of a callback that put an earlier epoch's weights back at the end: that epoch, from 0.
  virtual std::optional<int64_t> restored_epoch() const { return {}; }

  /// Set it to end the training after this batch; the epoch then ends as usual.
  bool stop_training = false;

 protected:
  /// Takes what `state` gave.
  virtual void load_state(const CallbackState&) {}
  /// Whether the training goes on with one that was cut: what is kept counts only then.
  bool resumed() const { return resumed_; }

 private:
  bool resumed_ = false;
};

/// Registered callbacks, by name.
using CallbackFactory = Factory<Callback>;

struct CSVLoggerOptions {
  Required<std::string> path;
  bool append = false;
};
/// Writes a table with a row for each epoch: `epoch` and all numbers of the history. A resumed
/// training cuts the rows that were written after its checkpoint, writes those again that were
/// lost, and goes on.
class TAPER_API CSVLogger final : public WithOptions<CSVLogger, Callback, CSVLoggerOptions> {
 public:
  using WithOptions::WithOptions;
  /// Opens the file. Throws io. Later on it is warned of, and nothing more is written.
  void on_train_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const Logs& logs) override;
  void on_train_end(Trainer& trainer) override;
  CallbackState state() const override;
  void load_state(const CallbackState& state) override;

 private:
  struct Memory {
    int64_t bytes = 0;      // of the file
    std::string text = {};  // what this training wrote of it
  };
  void check() const;
  void write(const std::string& text);
  void write_epoch(const Logs& logs);

  std::ofstream file_;
  bool header_written_ = false;
  Memory memory_;  // how far the file is written
};

/// What is called when; what is empty is not called.
struct LambdaCallbackOptions {
  std::function<void(Trainer&)> on_train_begin = {};
  std::function<void(Trainer&)> on_train_end = {};
  std::function<void(Trainer&, int64_t epoch)> on_epoch_begin = {};
  std::function<void(Trainer&, const Logs&)> on_epoch_end = {};
  std::function<void(Trainer&, const Logs&)> on_batch_end = {};
};
/// A callback of functions. To stop the training from one, derive from Callback instead.
class TAPER_API LambdaCallback final : public Callback {
 public:
  explicit LambdaCallback(LambdaCallbackOptions options) : options_(std::move(options)) {}
  void on_train_begin(Trainer& trainer) override;
  void on_train_end(Trainer& trainer) override;
  void on_epoch_begin(Trainer& trainer, int64_t epoch) override;
  void on_epoch_end(Trainer& trainer, const Logs& logs) override;
  void on_batch_end(Trainer& trainer, const Logs& logs) override;

 private:
  LambdaCallbackOptions options_;
};

}  // namespace taper
