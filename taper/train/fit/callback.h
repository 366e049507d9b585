// What a fit calls while it trains; the callbacks themselves are in train/callbacks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <taper/core/factory.h>
#include <taper/io/safetensors.h>
#include <taper/train/metrics/history.h>

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
  /// The optimizer has stepped: comes before `on_batch_end` of the update's last batch.
  virtual void on_update_end(Trainer&) {}
  /// Around the validation of an epoch and `on_epoch_end` of all callbacks: the model may hold
  /// other weights there than those that are trained. The end comes whatever is thrown in between,
  /// and must not throw.
  virtual void on_evaluation_begin(Trainer&) {}
  virtual void on_evaluation_end(Trainer&) noexcept {}

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

}  // namespace taper

// Behind a callback of the library, outside of namespaces: what it would make each program compile.
// Its source (callback_entry.h) makes that, and the entry.
#ifndef TAPER_CALLBACK
#define TAPER_CALLBACK(Name, doc)                                   \
  namespace taper {                                                 \
  extern template class WithOptions<Name, Callback, Name::Options>; \
  }
#endif
