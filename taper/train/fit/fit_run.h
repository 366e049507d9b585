// Private to the trainer: one call of `fit`, with what it saves and goes on from.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <taper/optim/lr_scheduler.h>
#include <taper/train/fit/monitor.h>
#include <taper/train/fit/progress.h>
#include <taper/train/fit/train_step.h>
#include <taper/train/fit/trainer.h>
#include <taper/train/metrics/meter.h>
#include <taper/train/runs/checkpoint.h>

namespace taper {

/// With their options, for checkpoints and manifests.
Value texts_of(const std::vector<data::AnyTransform>& transforms);

class FitRun {
 public:
  FitRun(Trainer& trainer, const data::AnyDataset& train,
         const std::optional<data::AnyDataset>& validation, const FitOptions& options);
  ~FitRun();
  FitRun(const FitRun&) = delete;
  FitRun& operator=(const FitRun&) = delete;

  History run();

 private:
  using Clock = std::chrono::steady_clock;

  bool stopped() const;
  bool asked_to_interrupt() const { return options_.interrupted && options_.interrupted(); }
  void run_epoch();
  void begin_epoch();
  /// False if the fit was interrupted.
  bool run_steps();
  void run_step(const data::Batch& batch);
  void learn(const data::Batch& batch);
  void learn_with_checks(const data::Batch& batch);
  /// Between what the callbacks do around an evaluation.
  template <class Body>
  void evaluated(Body&& body);
  void end_epoch();
  void start_schedule();
  void move_schedule(optim::ScheduleInterval now);
  int64_t updates_of_epoch() const;
  /// How many steps the schedule has in this fit.
  int64_t schedule_steps() const;
  /// False if the fit was interrupted.
  bool validate(NamedNumbers& numbers);
  std::optional<data::Batch> next_batch();
  int64_t examples_of_update(int64_t batch) const;
  double epoch_seconds() const;

  // Checkpoints, in fit_state.cpp.
  void make_digests(const data::Dataset& train, const data::Dataset* validation);
  Fields fixed_options() const;
  Checkpoint snapshot() const;
  /// False if the checkpoint is of a training that is complete.
  bool resume();
  void restore_training(const Checkpoint& checkpoint, const std::vector<double>& first_lr);
  void restore(const Checkpoint& checkpoint);
  void begin_resumed_epoch(int64_t step, const Fields& meter);
  void check_fixed(const Value* then) const;
  bool save_is_due() const;
  void save();
  void save_or_warn();
  void warn(const std::string& text) const;

  Trainer& trainer_;
  const FitOptions& options_;
  data::Loader loader_;
  std::optional<data::Loader> validation_;
  OutputRule rule_;
  TrainStep step_;
  std::optional<optim::LRScheduler> scheduler_;
  optim::ScheduleInterval schedule_interval_ = optim::ScheduleInterval::epoch;
  Monitor monitor_;
  Progress progress_;
  History history_;
  std::optional<Meter> meter_;  // of the epoch that runs
  Logs logs_;
  std::string data_digest_;  // these if checkpoints are saved
  std::string validation_digest_;
  std::string schedule_digest_;
  int64_t epoch_ = 0;
  int64_t first_loader_epoch_;  // the orders go on where an earlier fit ended
  int64_t total_step_ = 0;
  double seconds_before_ = 0;  // of this epoch, in processes that were cut
  bool in_epoch_ = false;      // an epoch was begun and is not complete
  bool interrupted_ = false;
  bool finished_ = false;
  bool has_saved_ = false;  // or goes on from a checkpoint

  Clock::time_point epoch_start_;
  Clock::time_point last_save_;
  std::string last_fault_;  // of a save
  double save_seconds_ = 0;
};

}  // namespace taper
