// Callbacks that end a training or choose what is left of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <taper/train/fit/monitor.h>

namespace taper {

struct TAPER_API EarlyStoppingOptions {
  std::string monitor = "val_loss";
  FiniteReal min_delta = 0;           ///< what counts as better must be better by more than this
  NonNegative<int64_t> patience = 0;  ///< epochs without improvement after which training ends
  MonitorMode mode = MonitorMode::automatic;
  std::optional<double> baseline =
      {};                             ///< epochs that are not better than it do not renew patience
  bool restore_best_weights = false;  ///< at the end, whether it stopped early or not
  NonNegative<int64_t> start_from_epoch = 0;  ///< earlier epochs (from 0) are not looked at
};
/// Ends the training when a number stops to improve, as Keras 3 defines it. A resumed training that
/// it had stopped stays stopped unless it has more patience now or is resumed for more epochs.
class TAPER_API EarlyStopping final
    : public WithOptions<EarlyStopping, Callback, EarlyStoppingOptions> {
 public:
  using WithOptions::WithOptions;
  /// Throws not_found if the fit records no such number.
  void on_train_begin(Trainer& trainer) override;
  void on_epoch_end(Trainer& trainer, const Logs& logs) override;
  void on_train_end(Trainer& trainer) override;
  CallbackState state() const override;
  void load_state(const CallbackState& state) override;

  std::optional<int64_t> restored_epoch() const override { return restored_; }

  /// The best number so far and its epoch; nothing before the first.
  std::optional<double> best() const { return memory_.best; }
  int64_t best_epoch() const { return memory_.best_epoch; }

 private:
  struct Memory {
    std::optional<double> best = {};
    int64_t best_epoch = 0;
    int64_t wait = 0;
    bool stopped = false;
  };

  Monitor monitor_{type_name, options().monitor, options().mode, options().min_delta};
  Memory memory_;
  NamedTensors best_weights_;
  std::optional<int64_t> restored_;
};

struct TAPER_API BestWeightsOptions {
  std::string monitor = "val_loss";
  MonitorMode mode = MonitorMode::automatic;
  std::string path = {};  ///< a safetensors file to save each new best to; empty: none
  bool restore = true;    ///< puts them into the model at the end
};
/// Keeps the parameters and buffers of the best epoch.
class TAPER_API BestWeights final : public WithOptions<BestWeights, Callback, BestWeightsOptions> {
 public:
  using WithOptions::WithOptions;
  /// Throws not_found if the fit records no such number.
  void on_train_begin(Trainer& trainer) override;
  /// Throws io if the file cannot be written.
  void on_epoch_end(Trainer& trainer, const Logs& logs) override;
  void on_train_end(Trainer& trainer) override;
  CallbackState state() const override;
  void load_state(const CallbackState& state) override;

  std::optional<int64_t> restored_epoch() const override { return restored_; }

  std::optional<double> best() const { return memory_.best; }
  int64_t best_epoch() const { return memory_.best_epoch; }

 private:
  struct Memory {
    std::optional<double> best = {};
    int64_t best_epoch = 0;
  };

  Monitor monitor_{type_name, options().monitor, options().mode};
  Memory memory_;
  NamedTensors weights_;
  std::optional<int64_t> restored_;
};

}  // namespace taper

TAPER_CALLBACK(EarlyStopping, "Ends the training when a number stops to improve.")
TAPER_CALLBACK(BestWeights, "Keeps the weights of the best epoch.")
