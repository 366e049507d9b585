// Callbacks that set the learning rate. A `schedule` of the fit sets it before they do.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <taper/optim/plateau.h>
#include <taper/train/fit/monitor.h>

namespace taper {

struct TAPER_API ReduceOnPlateauOptions {
  std::string monitor = "val_loss";
  Bounded<double, BetweenZeroAndOne> factor = 0.1;
  NonNegative<int64_t> patience = 10;
  MonitorMode mode = MonitorMode::automatic;
  FiniteReal min_delta = 1e-4;
  NonNegative<int64_t> cooldown = 0;  ///< epochs after a reduction in which none is counted
  NonNegative<double> min_lr = 0;
};
/// Multiplies the learning rate of each group by `factor` after `patience` epochs without
/// improvement: the rule of optim::ReduceLROnPlateau with Keras' options. As a callback it leaves
/// the rates reduced when the fit ends; as the fit's schedule it would not.
class TAPER_API ReduceOnPlateau final
    : public WithOptions<ReduceOnPlateau, Callback, ReduceOnPlateauOptions> {
 public:
  using WithOptions::WithOptions;
  /// Throws not_found if the fit records no such number.
  void on_train_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const Logs& logs) override;
  CallbackState state() const override;
  void load_state(const CallbackState& state) override;

 private:
  /// By Keras' names and counts.
  struct Memory {
    std::optional<double> best = {};
    int64_t wait = 0;
    int64_t cooldown = 0;
  };

  optim::ReduceLROnPlateau rule() const;

  Monitor monitor_{type_name, options().monitor, options().mode, options().min_delta};
  optim::ReduceLROnPlateau::Memory memory_;
};

/// Sets the learning rate at the begin of each epoch to what a function makes of the epoch (from 0)
/// and the present rate.
class TAPER_API LearningRateScheduler final : public Callback {
 public:
  using Function = std::function<double(int64_t epoch, double lr)>;
  /// Throws value for no function.
  explicit LearningRateScheduler(Function function);
  void on_epoch_begin(Trainer& trainer, int64_t epoch) override;

 private:
  Function function_;
};

}  // namespace taper

TAPER_CALLBACK(ReduceOnPlateau, "Reduces the learning rate when a number stops to improve.")
