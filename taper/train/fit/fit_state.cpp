// What a fit saves, and how it goes on from there.

#include <algorithm>
#include <iostream>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>
#include <taper/io/sha256.h>
#include <taper/ops/random/generator.h>
#include <taper/train/fit/fit_run.h>

namespace taper {
namespace {

/// Saving may take this part of the time.
constexpr double time_for_saving = 0.02;

/// Where a fit stands. What is also needed are objects of their own: `options`, `history`, `meter`,
/// `callbacks` and `scheduler`.
struct Position {
  int64_t epoch = 0;
  bool in_epoch = false;
  int64_t step = 0;  // of the epoch, in batches
  int64_t total_step = 0;
  int64_t first_loader_epoch = 0;
  int64_t epochs = 0;         // that were asked for
  std::string schedule = {};  // tells its factors for these from others
  bool finished = false;
  double seconds = 0;                 // spent on the epoch
  std::vector<double> first_lr = {};  // of each group, before the schedule's factor
};

constexpr const char* random_name = "random";
const std::string model_prefix = "model.";
const std::string optimizer_prefix = "optimizer.";

std::string callback_prefix(size_t number) { return "callback." + std::to_string(number) + "."; }

/// The tensors whose names begin with `prefix`, without it.
NamedTensors part(const NamedTensors& all, const std::string& prefix) {
  NamedTensors found;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) found.emplace_back(name.substr(prefix.size()), tensor);
  }
  return found;
}

const Value* find(const Fields& fields, std::string_view name) {
  for (const auto& [known, value] : fields) {
    if (known == name) return &value;
  }
  return nullptr;
}

/// The object of this name. Throws value.
const Fields& object(const Fields& fields, std::string_view name) {
  const Value* value = find(fields, name);
  const Fields* found = value != nullptr ? value->get_if<Fields>() : nullptr;
  if (found == nullptr) fail(ErrorKind::value, "`" + std::string(name) + "` must be an object");
  return *found;
}

/// Tells a schedule from another; without one the factors of all epochs are 1.
std::string schedule_digest(const optim::Schedule* schedule, optim::ScheduleInterval interval,
                            int64_t steps, size_t groups) {
  const optim::Schedule constant;
  const optim::Schedule& of = schedule != nullptr ? *schedule : constant;
  const std::string signature = of.signature(steps, groups);
  return sha256(interval == optim::ScheduleInterval::epoch ? signature : "update\n" + signature);
}

Value names_of(const std::vector<AnyMetric>& metrics) {
  Value::List names;
  for (const AnyMetric& metric : metrics) names.push_back(Value(metric->name()));
  return Value(std::move(names));
}

Value kinds_of(const std::vector<std::shared_ptr<Callback>>& callbacks) {
  Value::List kinds;
  for (const auto& callback : callbacks) kinds.push_back(Value(callback->kind()));
  return Value(std::move(kinds));
}

/// One object, a list of them for several groups.
Value options_of_groups(const optim::Optimizer& optimizer) {
  if (optimizer.groups() == 1) return Value(optimizer.group_options(0));
  Value::List all;
  for (size_t i = 0; i < optimizer.groups(); ++i) all.push_back(Value(optimizer.group_options(i)));
  return Value(std::move(all));
}

std::vector<double> first_rates(const optim::Optimizer& optimizer) {
  std::vector<double> rates;
  for (size_t i = 0; i < optimizer.groups(); ++i) rates.push_back(optimizer.first_lr(i));
  return rates;
}

void restore_first_rates(optim::Optimizer& optimizer, const std::vector<double>& rates) {
  if (rates.size() != optimizer.groups()) {
    fail(ErrorKind::value, "the optimizer has " + std::to_string(optimizer.groups()) +
                               " groups, the checkpoint " + std::to_string(rates.size()));
  }
  for (size_t i = 0; i < rates.size(); ++i) optimizer.set_lr(rates[i], i);
}

}  // namespace

Value texts_of(const std::vector<data::AnyTransform>& transforms) {
  Value::List texts;
  for (const data::AnyTransform& each : transforms) texts.push_back(Value(to_string(*each)));
  return Value(std::move(texts));
}

/// What a resumed fit is compared by and that takes time to make.
void FitRun::make_digests(const data::Dataset& train, const data::Dataset* validation) {
  data_digest_ = train.digest();
  if (validation != nullptr) validation_digest_ = validation->digest();
  schedule_digest_ = schedule_digest(options_.schedule.get(), schedule_interval_, schedule_steps(),
                                     trainer_.optimizer_->groups());
}

/// What must be the same when a fit goes on.
Fields FitRun::fixed_options() const {
  const nn::AnyModule& model = trainer_.model_;
  return {{"model", model.is_described() ? model.config() : Value()},
          {"examples", Value(loader_.examples())},
          {"data", Value(data_digest_)},
          {"validation", Value(validation_digest_)},
          {"transforms", texts_of(options_.transforms)},
          {"batch_size", Value(options_.batch_size)},
          {"shuffle", Value(options_.shuffle)},
          {"seed", Value(std::to_string(options_.seed))},
          {"drop_last", Value(options_.drop_last)},
          {"accumulate", Value(options_.accumulate)},
          {"clip_norm", Value(options_.clip_norm)},
          {"clip_value", Value(options_.clip_value)},
          {"l1", Value(options_.l1)},
          {"l2", Value(options_.l2)},
          {"class_weight", Value(options_.class_weight)},
          {"loss", Value(trainer_.loss_.type())},
          {"loss_options", Value(trainer_.loss_.options())},
          {"metrics", names_of(trainer_.metrics_)},
          {"optimizer", Value(trainer_.optimizer_->type())},
          {"optimizer_options", options_of_groups(*trainer_.optimizer_)},
          {"callbacks", kinds_of(options_.callbacks)}};
}

Checkpoint FitRun::snapshot() const {
  Checkpoint made;
  for (const auto& [name, value] : trainer_.model_.state_dict()) {
    made.tensors.emplace_back(model_prefix + name, value);
  }
  for (const auto& [name, cell] : trainer_.optimizer_->state()) {
    made.tensors.emplace_back(optimizer_prefix + name, cell.value());
  }
  made.tensors.emplace_back(random_name, default_generator().state());
  Value::List callbacks;
  for (size_t i = 0; i < options_.callbacks.size(); ++i) {
    CallbackState state = options_.callbacks[i]->state();
    callbacks.push_back(Value(std::move(state.values)));
    for (auto& [name, tensor] : state.tensors) {
      made.tensors.emplace_back(callback_prefix(i) + name, std::move(tensor));
    }
  }
  made.progress = to_fields(Position{.epoch = epoch_,
                                     .in_epoch = in_epoch_,
                                     .step = in_epoch_ ? logs_.step : 0,
                                     .total_step = total_step_,
                                     .first_loader_epoch = first_loader_epoch_,
                                     .epochs = options_.epochs,
                                     .schedule = schedule_digest_,
                                     .finished = finished_,
                                     .seconds = in_epoch_ ? epoch_seconds() : 0,
                                     .first_lr = first_rates(*trainer_.optimizer_)});
  made.progress.emplace_back("options", Value(fixed_options()));
  made.progress.emplace_back("meter", Value(in_epoch_ ? meter_->state() : Fields()));
  made.progress.emplace_back("callbacks", Value(std::move(callbacks)));
  made.progress.emplace_back("history", history_.to_value());
  if (scheduler_) made.progress.emplace_back("scheduler", Value(scheduler_->state()));
  return made;
}

void FitRun::check_fixed(const Value* then) const {
  const Fields now = fixed_options();
  for (const auto& [name, value] : now) {
    const Value* was = then != nullptr ? then->find(name) : nullptr;
    if (was != nullptr && (*was == value || was->print() == value.print())) continue;
    // A checkpoint from before there were any.
    if (name == "transforms" && was == nullptr && options_.transforms.empty()) continue;
    if (name == "model" && was != nullptr) {
      fail(ErrorKind::value, "the model's layers are not those that it began with");
    }
    if ((name == "data" || name == "validation") && was != nullptr) {
      fail(ErrorKind::value, std::string("the ") + (name == "data" ? "training" : "validation") +
                                 " data are not those that it began with");
    }
    fail(ErrorKind::value, "`" + name + "` was " + (was != nullptr ? was->print() : "not known") +
                               ", is " + value.print());
  }
}

bool FitRun::resume() {
  const CheckpointFolder folder(options_.checkpoint->folder);
  const std::optional<FoundCheckpoint> found = folder.load();
  if (!found) return true;
  has_saved_ = true;
  for (const std::string& fault : found->faults) warn(fault + "; the one before it is taken");
  const Checkpoint before = snapshot();
  const std::vector<double> rates_before = first_rates(*trainer_.optimizer_);
  const int64_t epochs_before = trainer_.epochs_trained_;
  try {
    restore(found->checkpoint);
  } catch (const Error& error) {
    restore_training(before, rates_before);
    trainer_.epochs_trained_ = epochs_before;
    throw Error(error.kind(),
                "fit: cannot go on from " + folder.path().string() + ": " + error.what(),
                error.op(), error.layer());
  }
  if (finished_ && epoch_ >= options_.epochs) return false;
  const std::string differs = difference(found->environment, this_environment());
  if (!differs.empty()) warn("the checkpoint was made elsewhere, bits may differ: " + differs);
  finished_ = false;
  progress_.go_on(epoch_, in_epoch_ ? logs_.step : 0);
  return true;
}

/// Model, optimizer and default generator.
void FitRun::restore_training(const Checkpoint& checkpoint, const std::vector<double>& first_lr) {
  trainer_.model_.load_state_dict(part(checkpoint.tensors, model_prefix));
  restore_first_rates(*trainer_.optimizer_, first_lr);
  trainer_.optimizer_->load_state(part(checkpoint.tensors, optimizer_prefix));
  for (const auto& [name, tensor] : checkpoint.tensors) {
    if (name == random_name) default_generator().set_state(tensor);
  }
}

void FitRun::restore(const Checkpoint& checkpoint) {
  Fields known;
  for (const auto& field : checkpoint.progress) {
    const bool own_object = field.first == "options" || field.first == "meter" ||
                            field.first == "callbacks" || field.first == "history" ||
                            field.first == "scheduler";
    if (!own_object) known.push_back(field);
  }
  const auto position = parse_fields<Position>("progress", known);
  check_fixed(find(checkpoint.progress, "options"));
  const int64_t begun = position.epoch + (position.in_epoch ? 1 : 0);
  if (options_.epochs < begun) {
    fail(ErrorKind::value, "`epochs` is " + std::to_string(options_.epochs) +
                               ", but the training is in epoch " + std::to_string(begun));
  }
  // More epochs may have a schedule of their own.
  if (options_.epochs == position.epochs && position.schedule != schedule_digest_) {
    fail(ErrorKind::value, "`schedule` gives other learning rates than it did");
  }
  // First, since a callback may have changed the optimizer's rate behind it.
  const bool same_schedule = position.schedule == schedule_digest_;
  if (scheduler_ && same_schedule && find(checkpoint.progress, "scheduler") != nullptr) {
    scheduler_->load_state(object(checkpoint.progress, "scheduler"));
  }
  restore_training(checkpoint, position.first_lr);
  if (const Value* history = find(checkpoint.progress, "history")) {
    history_ = History::from_value(*history);
  }
  epoch_ = position.epoch;
  total_step_ = position.total_step;
  first_loader_epoch_ = position.first_loader_epoch;
  trainer_.epochs_trained_ = first_loader_epoch_ + epoch_;
  seconds_before_ = position.seconds;
  // What ended early stays ended unless more epochs are asked for than then.
  finished_ = position.finished;
  if (finished_ && options_.epochs <= position.epochs) epoch_ = options_.epochs;
  if (position.in_epoch) {
    begin_resumed_epoch(position.step, object(checkpoint.progress, "meter"));
  }
  const Value* states = find(checkpoint.progress, "callbacks");
  const auto* list = states != nullptr ? states->get_if<Value::List>() : nullptr;
  for (size_t i = 0; list != nullptr && i < std::min(list->size(), options_.callbacks.size());
       ++i) {
    const Fields* values = (*list)[i].get_if<Fields>();
    options_.callbacks[i]->resume({.values = values != nullptr ? *values : Fields(),
                                   .tensors = part(checkpoint.tensors, callback_prefix(i)),
                                   .ended = finished_ && epoch_ < options_.epochs});
  }
}

void FitRun::begin_resumed_epoch(int64_t step, const Fields& meter) {
  logs_ = {.epoch = epoch_,
           .epochs = options_.epochs,
           .step = step,
           .steps = loader_.batches(),
           .total_step = total_step_,
           .values = {}};
  loader_.seek({first_loader_epoch_ + epoch_, step});
  meter_.emplace(rule_, trainer_.metrics_, false);
  meter_->load_state(meter);
  in_epoch_ = true;
  epoch_start_ = Clock::now();
}

bool FitRun::save_is_due() const {
  if (!options_.checkpoint) return false;
  const double since = std::chrono::duration<double>(Clock::now() - last_save_).count();
  const double asked = options_.checkpoint->seconds;
  const double affordable = save_seconds_ * (1 - time_for_saving) / time_for_saving;
  return asked == 0 || since >= std::max(asked, affordable);
}

void FitRun::save() {
  if (!options_.checkpoint) return;
  const Clock::time_point start = Clock::now();
  CheckpointFolder(options_.checkpoint->folder).save(snapshot(), !has_saved_);
  has_saved_ = true;
  if (options_.checkpoint->on_save) options_.checkpoint->on_save();
  last_save_ = Clock::now();
  save_seconds_ = std::chrono::duration<double>(last_save_ - start).count();
}

/// A disk that is full for a while must not end a training.
void FitRun::save_or_warn() {
  try {
    save();
    last_fault_.clear();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::io) throw;
    last_save_ = Clock::now();
    const std::string text = std::string("no checkpoint was saved: ") + error.what();
    if (text != last_fault_) warn(text);  // a full disk stays full
    last_fault_ = text;
  }
}

void FitRun::warn(const std::string& text) const {
  if (options_.checkpoint->on_warning) {
    options_.checkpoint->on_warning(text);
  } else if (options_.verbose) {
    std::cerr << "taper: " << text << std::endl;
  }
}

}  // namespace taper
