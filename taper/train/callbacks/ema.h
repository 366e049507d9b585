// Averages of the weights over the updates of a training.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <taper/nn/module.h>
#include <taper/train/fit/callback.h>

namespace taper {

struct TAPER_API EMAOptions {
  Decay<double> decay = 0.999;  ///< what an average keeps of itself in an update
  /// Averages follow faster at first: of the n-th update (from 0) the decay is no more than
  /// (1 + n) / (10 + n).
  bool warm_up = false;
  bool use_buffers = false;  ///< averages floating buffers, too; others are the model's own
  /// The validation of each epoch, and `on_epoch_end` of all callbacks, see the averages: what
  /// EarlyStopping or BestWeights keep is then averaged, too.
  bool evaluate = true;
  bool apply = true;  ///< at the end the model gets the averages
};
/// Keeps an exponential moving average of a model's parameters: average = decay * average +
/// (1 - decay) * parameter after each update of the optimizer, where the first one copies, as
/// PyTorch's `AveragedModel` with `get_ema_multi_avg_fn` does. Polyak and Juditsky, "Acceleration
/// of stochastic approximation by averaging" (1992).
///
/// The averages are a part of a checkpoint, so that a resumed training ends as one that was not
/// cut. Put it before callbacks that put weights back at the end, which then have the last word.
///
/// Without a Trainer: `ema.update(model)` after each step, and a scope with the averages:
///
///   { const EMA::Scope averaged(ema, model); accuracy(model); }
class TAPER_API EMA final : public WithOptions<EMA, Callback, EMAOptions> {
 public:
  using WithOptions::WithOptions;

  /// Averages in the present values; the first call copies them. Throws value within a `Scope`,
  /// and for a module with other parameters than before.
  void update(const nn::Module& module);
  /// How many updates it has averaged.
  int64_t updates() const { return memory_.updates; }
  /// By the names of the model's `state_dict`; empty before the first update.
  const NamedTensors& averages() const { return averages_; }
  /// Gives the model the averages for good; nothing before the first update. Throws value as
  /// `update` does.
  void apply_to(const nn::Module& module) const;
  /// Begins anew.
  void reset();

  using Values = std::vector<std::pair<State, Tensor>>;
  /// While it lives, the module has the averages, and its own values afterwards. Nothing changes
  /// before the first update.
  class TAPER_API Scope {
   public:
    Scope(EMA& ema, const nn::Module& module);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    EMA& ema_;
    Values own_;
  };

  void on_train_begin(Trainer& trainer) override;
  void on_update_end(Trainer& trainer) override;
  void on_evaluation_begin(Trainer& trainer) override;
  void on_evaluation_end(Trainer& trainer) noexcept override;
  void on_train_end(Trainer& trainer) override;
  CallbackState state() const override;
  void load_state(const CallbackState& state) override;

 private:
  struct Memory {
    int64_t updates = 0;
  };
  double decay() const;
  nn::NamedStates averaged_cells(const nn::Module& module) const;
  const Tensor& average_of(const std::string& name, const State& cell, size_t place) const;
  /// The module's cells with their averages; none before the first update.
  Values averages_for(const nn::Module& module) const;

  Memory memory_;
  NamedTensors averages_;
  bool in_scope_ = false;
  std::optional<Scope> evaluation_;
};

}  // namespace taper

TAPER_CALLBACK(EMA, "Keeps an exponential moving average of the weights.")
