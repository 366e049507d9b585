#include <taper/train/callbacks/rates.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/train/fit/trainer.h>

namespace taper {

void ReduceOnPlateau::on_train_begin(Trainer& trainer) {
  monitor_.begin(trainer);
  if (!resumed()) memory_ = {};
}

/// Keras reduces in the epoch in which its patience is full, PyTorch in the next one, and Keras
/// counts the last epoch of a cooldown.
optim::ReduceLROnPlateau ReduceOnPlateau::rule() const {
  return optim::ReduceLROnPlateau(optim::ReduceLROnPlateauOptions{
      .mode = monitor_.larger_is_better() ? optim::PlateauMode::max : optim::PlateauMode::min,
      .factor = options().factor.value(),
      .patience = std::max<int64_t>(options().patience - 1, 0),
      .threshold = std::abs(options().min_delta),
      .threshold_mode = optim::ThresholdMode::abs,
      .cooldown = std::max<int64_t>(options().cooldown - 1, 0),
      .min_lr = options().min_lr.value(),
      .eps = 0});
}

void ReduceOnPlateau::on_epoch_end(Trainer& trainer, const Logs& logs) {
  const optim::ReduceLROnPlateau rule = this->rule();
  if (!rule.sees(monitor_.read(logs), memory_)) return;
  optim::Optimizer& optimizer = *trainer.optimizer();
  optim::SchedulePlace place{.groups = optimizer.groups()};
  for (; place.group < place.groups; ++place.group) {
    const double lr = optimizer.lr(place.group);
    const double next = rule.reduced(lr, place);
    if (next != lr) optimizer.set_lr(next, place.group);
  }
}

CallbackState ReduceOnPlateau::state() const {
  const int64_t left = memory_.cooldown_counter;
  return {.values = to_fields(Memory{.best = memory_.best,
                                     .wait = memory_.num_bad_epochs,
                                     .cooldown = left > 0 ? left + 1 : 0}),
          .tensors = {}};
}

void ReduceOnPlateau::load_state(const CallbackState& state) {
  const auto kept = parse_fields<Memory>(type_name, state.values);
  memory_ = {.best = kept.best,
             .num_bad_epochs = kept.wait,
             .cooldown_counter = std::max<int64_t>(kept.cooldown - 1, 0)};
}

LearningRateScheduler::LearningRateScheduler(Function function) : function_(std::move(function)) {
  if (!function_) fail(ErrorKind::value, "LearningRateScheduler: the function is empty");
}

void LearningRateScheduler::on_epoch_begin(Trainer& trainer, int64_t epoch) {
  trainer.optimizer()->set_lr(function_(epoch, trainer.optimizer()->lr()));
}

}  // namespace taper
