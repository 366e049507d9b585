#include <taper/train/callbacks/stopping.h>

#include <taper/core/parse_fields.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/runs/run.h>

namespace taper {
namespace {

NamedTensors weights_of(const Trainer& trainer) {
  NamedTensors weights;
  for (const auto& [name, value] : trainer.model().state_dict()) {
    weights.emplace_back(name, value.detach());
  }
  return weights;
}

void restore(const Trainer& trainer, const NamedTensors& weights) {
  nn::AnyModule model = trainer.model();
  model.load_state_dict(weights);
}

}  // namespace

// ---------------------------------------------------------------------------------------------
// EarlyStopping

void EarlyStopping::on_train_begin(Trainer& trainer) {
  monitor_.begin(trainer);
  restored_.reset();
  if (!resumed()) {
    memory_ = {};
    best_weights_.clear();
  }
  memory_.stopped = memory_.stopped && memory_.wait >= options().patience;
  stop_training = memory_.stopped;
}

void EarlyStopping::on_epoch_end(Trainer& trainer, const Logs& logs) {
  const double value = monitor_.read(logs);
  if (logs.epoch < options().start_from_epoch) return;
  const bool improved = monitor_.improves(value, memory_.best);
  if (options().restore_best_weights && (improved || best_weights_.empty())) {
    best_weights_ = weights_of(trainer);
    memory_.best_epoch = logs.epoch;
  }
  ++memory_.wait;
  if (improved) {
    memory_.best = value;
    memory_.best_epoch = logs.epoch;
    if (!options().baseline || monitor_.improves(value, options().baseline)) memory_.wait = 0;
  } else if (memory_.wait >= options().patience && logs.epoch > 0) {
    memory_.stopped = true;
    stop_training = true;
  }
}

void EarlyStopping::on_train_end(Trainer& trainer) {
  if (best_weights_.empty()) return;
  restore(trainer, best_weights_);
  restored_ = memory_.best_epoch;
}

CallbackState EarlyStopping::state() const {
  return {.values = to_fields(memory_), .tensors = best_weights_};
}

void EarlyStopping::load_state(const CallbackState& state) {
  memory_ = parse_fields<Memory>(type_name, state.values);
  best_weights_ = state.tensors;
  if (!state.ended || !memory_.stopped) return;
  memory_.stopped = false;  // who asks for more epochs gives it its patience again
  memory_.wait = 0;
}

// ---------------------------------------------------------------------------------------------
// BestWeights

void BestWeights::on_train_begin(Trainer& trainer) {
  monitor_.begin(trainer);
  restored_.reset();
  if (resumed()) return;
  memory_ = {};
  weights_.clear();
}

void BestWeights::on_epoch_end(Trainer& trainer, const Logs& logs) {
  const double value = monitor_.read(logs);
  if (!monitor_.improves(value, memory_.best)) return;
  memory_ = {.best = value, .best_epoch = logs.epoch};
  weights_ = weights_of(trainer);
  if (!options().path.empty()) save(trainer.model(), options().path);
}

void BestWeights::on_train_end(Trainer& trainer) {
  if (!options().restore || weights_.empty()) return;
  restore(trainer, weights_);
  restored_ = memory_.best_epoch;
}

CallbackState BestWeights::state() const {
  return {.values = to_fields(memory_), .tensors = weights_};
}

void BestWeights::load_state(const CallbackState& state) {
  memory_ = parse_fields<Memory>(type_name, state.values);
  weights_ = state.tensors;
}

}  // namespace taper
