#include <taper/train/rates.h>

#include <algorithm>
#include <utility>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/train/trainer.h>

namespace taper {

ReduceLROnPlateau::ReduceLROnPlateau(ReduceLROnPlateauOptions options)
    : options_(std::move(options)),
      monitor_(type_name, options_.monitor, options_.mode, options_.min_delta) {
  require_option(options_.factor > 0 && options_.factor < 1, type_name,
                 "`factor` must be above 0 and below 1", options_.factor);
  require_option(options_.patience >= 0, type_name, "`patience` must be at least 0",
                 static_cast<double>(options_.patience));
  require_option(options_.cooldown >= 0, type_name, "`cooldown` must be at least 0",
                 static_cast<double>(options_.cooldown));
  require_option(options_.min_lr >= 0, type_name, "`min_lr` must be at least 0", options_.min_lr);
}

void ReduceLROnPlateau::on_train_begin(Trainer& trainer) {
  monitor_.check(trainer);
  if (!std::exchange(resumed_, false)) memory_ = {};
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
  if (memory_.cooldown > 0 || ++memory_.wait < options_.patience) return;
  const double lr = trainer.optimizer()->lr();
  if (lr <= options_.min_lr) return;
  trainer.optimizer()->set_lr(std::max(lr * options_.factor, options_.min_lr));
  memory_.cooldown = options_.cooldown;
  memory_.wait = 0;
}

CallbackState ReduceLROnPlateau::state() const {
  return {.values = to_fields(memory_), .tensors = {}};
}

void ReduceLROnPlateau::load_state(const CallbackState& state) {
  memory_ = parse_fields<Memory>(type_name, state.values);
  resumed_ = true;
}

LearningRateScheduler::LearningRateScheduler(Function function) : function_(std::move(function)) {
  if (!function_) fail(ErrorKind::value, "LearningRateScheduler: the function is empty");
}

void LearningRateScheduler::on_epoch_begin(Trainer& trainer, int64_t epoch) {
  trainer.optimizer()->set_lr(function_(epoch, trainer.optimizer()->lr()));
}

namespace {

const FactoryFor<Callback, ReduceLROnPlateau, ReduceLROnPlateauOptions> reduce_entry{
    ReduceLROnPlateau::type_name, "Reduces the learning rate when a number stops to improve."};

}  // namespace
}  // namespace taper
