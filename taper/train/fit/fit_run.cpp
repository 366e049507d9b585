#include <taper/train/fit/fit_run.h>

#include <algorithm>
#include <exception>

#include <taper/autograd/anomaly.h>
#include <taper/core/error.h>
#include <taper/ops/ops.h>
#include <taper/train/checks/preflight.h>

namespace taper {
namespace {

std::vector<std::string> names_recorded(const std::vector<AnyMetric>& metrics, bool validates) {
  std::vector<std::string> names{"loss"};
  for (const AnyMetric& metric : metrics) names.push_back(metric->name());
  const size_t count = names.size();
  for (size_t i = 0; validates && i < count; ++i) {
    names.push_back(std::string(validation_prefix) + names[i]);
  }
  names.insert(names.end(), {"learning_rate", "epoch_seconds"});
  return names;
}

/// What the steps are taken on.
data::AnyDataset augmented(const data::AnyDataset& train, const FitOptions& options) {
  if (options.transforms.empty()) return train;
  return data::Transformed(train, options.transforms);
}

}  // namespace

FitRun::FitRun(Trainer& trainer, const data::AnyDataset& train,
               const std::optional<data::AnyDataset>& validation, const FitOptions& options)
    : trainer_(trainer),
      options_(options),
      loader_(augmented(train, options), {.batch_size = options.batch_size,
                                          .shuffle = options.shuffle,
                                          .seed = options.seed,
                                          .drop_last = options.drop_last,
                                          .workers = options.workers}),
      rule_{trainer.loss_, trainer.task_},
      step_(trainer, options),
      monitor_("fit: the schedule", options.schedule_monitor, MonitorMode::min),
      progress_(options.verbose, options.epochs, loader_.batches()),
      first_loader_epoch_(trainer.epochs_trained_),
      last_save_(Clock::now()) {
  if (validation) {
    validation_.emplace(*validation, data::LoaderOptions{.batch_size = options.batch_size,
                                                         .workers = options.workers});
  }
  if (loader_.batches() == 0) {
    fail(ErrorKind::value, "fit: `drop_last` leaves no batch of " +
                               std::to_string(options.batch_size) + " from " +
                               std::to_string(loader_.examples()) + " examples");
  }
  if (options.schedule) {
    schedule_interval_ = options.schedule_interval.value_or(options.schedule->interval());
  }
  if (options.checkpoint) make_digests(*train, validation ? &**validation : nullptr);
  const auto& test = options.run_details.test_data;
  trainer.graph_ =
      check_before_training(trainer.model_, trainer.loss_, *trainer.optimizer_, loader_.dataset(),
                            {.validation = validation ? &**validation : nullptr,
                             .test = test ? &**test : nullptr,
                             .unchanged = options.transforms.empty() ? nullptr : &*train},
                            {.task = trainer.task_,
                             .batch_size = options.batch_size,
                             .drop_last = options.drop_last,
                             .class_weight = options.class_weight,
                             .metrics = trainer.metrics_});
  rule_ = trainer.output_rule(loader_.dataset());
  trainer.recorded_names_ = names_recorded(trainer.metrics_, validation_.has_value());
  if (options.schedule) start_schedule();
}

void FitRun::start_schedule() {
  if (options_.schedule->watches()) {
    if (schedule_interval_ == optim::ScheduleInterval::update) {
      fail(ErrorKind::value, "fit: a schedule that watches a number moves by epochs");
    }
    monitor_.begin(trainer_);
  }
  scheduler_.emplace(trainer_.optimizer_, options_.schedule, schedule_steps());
}

int64_t FitRun::updates_of_epoch() const {
  return (loader_.batches() + options_.accumulate - 1) / options_.accumulate;
}

int64_t FitRun::schedule_steps() const {
  const bool by_update = schedule_interval_ == optim::ScheduleInterval::update;
  return options_.epochs * (by_update ? updates_of_epoch() : 1);
}

/// Before what it makes a step of.
void FitRun::move_schedule(optim::ScheduleInterval now) {
  if (!scheduler_ || schedule_interval_ != now || scheduler_->schedule().watches()) return;
  scheduler_->move_to(now == optim::ScheduleInterval::epoch
                          ? epoch_
                          : epoch_ * updates_of_epoch() + logs_.step / options_.accumulate);
}

FitRun::~FitRun() {
  if (!scheduler_) return;
  try {
    scheduler_->put_back();
  } catch (const Error&) {  // NOLINT(bugprone-empty-catch): no memory for a number
  }
}

History FitRun::run() {
  for (const auto& callback : options_.callbacks) callback->begin_anew();
  const bool complete = options_.checkpoint && options_.checkpoint->resume && !resume();
  for (const auto& callback : options_.callbacks) callback->on_train_begin(trainer_);
  while (epoch_ < options_.epochs && !stopped() && !interrupted_) run_epoch();
  finished_ = !interrupted_;
  std::exception_ptr not_saved;
  try {
    if (finished_ && !complete) save();
  } catch (const Error&) {
    not_saved = std::current_exception();
  }
  for (const auto& callback : options_.callbacks) callback->on_train_end(trainer_);
  if (not_saved) std::rethrow_exception(not_saved);
  return std::move(history_);
}

bool FitRun::stopped() const {
  return std::ranges::any_of(options_.callbacks,
                             [](const auto& callback) { return callback->stop_training; });
}

double FitRun::epoch_seconds() const {
  return seconds_before_ + std::chrono::duration<double>(Clock::now() - epoch_start_).count();
}

void FitRun::run_epoch() {
  if (in_epoch_) {
    epoch_start_ = Clock::now();
    progress_.begin_epoch(epoch_, logs_.step, meter_->examples());
  } else {
    begin_epoch();
  }
  if (run_steps()) end_epoch();
}

void FitRun::begin_epoch() {
  epoch_start_ = Clock::now();
  seconds_before_ = 0;
  move_schedule(optim::ScheduleInterval::epoch);
  for (const auto& callback : options_.callbacks) callback->on_epoch_begin(trainer_, epoch_);
  progress_.begin_epoch(epoch_);
  loader_.epoch(first_loader_epoch_ + epoch_);
  meter_.emplace(rule_, trainer_.metrics_, false);
  logs_ = {.epoch = epoch_,
           .epochs = options_.epochs,
           .steps = loader_.batches(),
           .total_step = total_step_,
           .values = {}};
  in_epoch_ = true;
}

bool FitRun::run_steps() {
  while (!stopped()) {
    const std::optional<data::Batch> batch = next_batch();
    if (!batch) break;
    run_step(*batch);
    const bool updated = logs_.step % options_.accumulate == 0 || logs_.step == logs_.steps;
    if (!updated) continue;
    if (asked_to_interrupt()) {
      interrupted_ = true;
      save();
      return false;
    }
    if (save_is_due()) save_or_warn();
  }
  return true;
}

std::optional<data::Batch> FitRun::next_batch() {
  if (logs_.step == logs_.steps) return {};  // the loader would begin its next epoch
  return loader_.next();
}

/// How many examples the update takes that this batch is a part of.
int64_t FitRun::examples_of_update(int64_t batch) const {
  const int64_t first = batch / options_.accumulate * options_.accumulate;
  const int64_t last = std::min(first + options_.accumulate, logs_.steps);
  return std::min(last * options_.batch_size, loader_.examples()) - first * options_.batch_size;
}

void FitRun::run_step(const data::Batch& batch) {
  if (options_.detect_anomaly) {
    learn_with_checks(batch);
  } else {
    learn(batch);
  }
  const bool show = progress_.is_due();
  if (!show && options_.callbacks.empty()) return;
  logs_.loss = meter_->loss();
  logs_.values = LazyNumbers([this] { return meter_->numbers(); });
  if (show) progress_.show(logs_.step, meter_->examples(), logs_.values);
  for (const auto& callback : options_.callbacks) callback->on_batch_end(trainer_, logs_);
}

void FitRun::learn(const data::Batch& batch) {
  const bool begins = logs_.step % options_.accumulate == 0;
  if (begins) move_schedule(optim::ScheduleInterval::update);
  const int64_t together = examples_of_update(batch.index);
  const double share = static_cast<double>(batch.size) / static_cast<double>(together);
  // Messages count the epochs of this fit.
  const BatchPlace place{"fit", epoch_, batch.index};
  trainer_.watch(step_.loss(), batch, place, *meter_, [&](std::optional<Spec>& output) {
    return step_.learn(batch, begins, share, output);
  });
  ++logs_.step;
  logs_.total_step = ++total_step_;
  if (logs_.step % options_.accumulate == 0 || logs_.step == logs_.steps) {
    step_.update(batch);
    for (const auto& callback : options_.callbacks) callback->on_update_end(trainer_);
  }
}

void FitRun::learn_with_checks(const data::Batch& batch) {
  const std::string place =
      " at epoch " + std::to_string(epoch_ + 1) + ", step " + std::to_string(logs_.step + 1);
  try {
    const taper::detect_anomaly on;
    learn(batch);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::value || error.op().empty()) throw;
    throw Error(error.kind(), error.what() + place, error.op(), error.layer());
  }
}

template <class Body>
void FitRun::evaluated(Body&& body) {
  size_t begun = 0;
  const auto end = [&] {
    while (begun > 0) options_.callbacks[--begun]->on_evaluation_end(trainer_);
  };
  try {
    for (const auto& callback : options_.callbacks) {
      callback->on_evaluation_begin(trainer_);
      ++begun;
    }
    body();
  } catch (...) {
    end();
    throw;
  }
  end();
}

bool FitRun::validate(NamedNumbers& numbers) {
  const auto found = trainer_.evaluate_with(validation_->epoch(0), rule_, epoch_,
                                            [&] { return asked_to_interrupt(); });
  if (!found) return false;
  const std::string prefix(validation_prefix);
  numbers.emplace_back(prefix + "loss", found->loss);
  for (const auto& [name, value] : found->metrics) numbers.emplace_back(prefix + name, value);
  return true;
}

void FitRun::end_epoch() {
  const double train_seconds = epoch_seconds();
  evaluated([&] {
    NamedNumbers numbers = meter_->numbers();
    if (validation_ && !validate(numbers)) {
      interrupted_ = true;
      return;
    }
    const double seconds = epoch_seconds();
    progress_.end_epoch(meter_->examples(), train_seconds, seconds, numbers);
    numbers.emplace_back("learning_rate", trainer_.optimizer_->lr());
    numbers.emplace_back("epoch_seconds", seconds);
    history_.append(numbers);
    logs_.loss = meter_->loss();
    logs_.values = std::move(numbers);
    ++trainer_.epochs_trained_;
    ++epoch_;
    in_epoch_ = false;
    if (scheduler_ && scheduler_->schedule().watches()) scheduler_->step(monitor_.read(logs_));
    for (const auto& callback : options_.callbacks) callback->on_epoch_end(trainer_, logs_);
  });
  if (interrupted_) {
    save();
  } else if (save_is_due()) {
    save_or_warn();
  }
}

}  // namespace taper
