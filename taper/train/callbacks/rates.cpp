#include <taper/train/callbacks/rates.h>

#include <algorithm>
#include <utility>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/train/fit/trainer.h>

namespace taper {

void ReduceLROnPlateau::on_train_begin(Trainer& trainer) {
  monitor_.begin(trainer);
  if (!resumed()) memory_ = {};
}

void ReduceLROnPlateau::on_epoch_end(Trainer& trainer, const Logs& logs) {
  const double value = monitor_.read(logs);
  if (memory_.cooldown > 0) {
    --memory_.cooldown;
    memory_.wait = 0;
  }
  if (monitor_.improves(value, memory_.best)) {
    memory_.best = value;
    memory_.wait = 0;
    return;
  }
  if (memory_.cooldown > 0 || ++memory_.wait < options().patience) return;
  const double lr = trainer.optimizer()->lr();
  if (lr <= options().min_lr) return;
  trainer.optimizer()->set_lr(std::max(lr * options().factor, options().min_lr.value()));
  memory_.cooldown = options().cooldown;
  memory_.wait = 0;
}

CallbackState ReduceLROnPlateau::state() const {
  return {.values = to_fields(memory_), .tensors = {}};
}

void ReduceLROnPlateau::load_state(const CallbackState& state) {
  memory_ = parse_fields<Memory>(type_name, state.values);
}

LearningRateScheduler::LearningRateScheduler(Function function) : function_(std::move(function)) {
  if (!function_) fail(ErrorKind::value, "LearningRateScheduler: the function is empty");
}

void LearningRateScheduler::on_epoch_begin(Trainer& trainer, int64_t epoch) {
  trainer.optimizer()->set_lr(function_(epoch, trainer.optimizer()->lr()));
}

namespace {

const FactoryFor<Callback, ReduceLROnPlateau> reduce_entry{
    "Reduces the learning rate when a number stops to improve."};

}  // namespace
}  // namespace taper
