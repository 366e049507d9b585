// A schedule at work, as in PyTorch:
//
//   optim::SGD sgd(net.parameters(), {.lr = 0.1});
//   optim::LRScheduler scheduler(sgd, optim::StepLR({.step_size = 30}));
//   for (...) { ...; sgd.step(); scheduler.step(); }
#pragma once

#include <concepts>
#include <memory>
#include <vector>

#include <taper/optim/optimizer.h>
#include <taper/optim/schedule.h>

namespace taper::optim {

/// Moves an optimizer's learning rates, and with some schedules its momentum, along a schedule. A
/// step is an epoch or an update, as the caller counts. Rates follow from the optimizer's first
/// ones by the closed form, so `set_lr` between two steps gives the schedule another first rate.
class TAPER_API LRScheduler {
 public:
  /// Sets the rates of step 0. `steps`: how many there will be, for a schedule that wants to know.
  /// Throws value for an optimizer without parameters, for null, and if the schedule does not go
  /// with the optimizer or has fewer steps.
  LRScheduler(AnyOptimizer optimizer, std::shared_ptr<const Schedule> schedule, int64_t steps = 0);
  template <std::derived_from<Schedule> S>
  LRScheduler(AnyOptimizer optimizer, S schedule, int64_t steps = 0)
      : LRScheduler(std::move(optimizer), std::make_shared<const S>(std::move(schedule)), steps) {}

  /// The next step. Throws value if the schedule watches a number.
  void step();
  /// The next step of a schedule that watches a number. Throws value for another one.
  void step(double metric);
  /// The same from any step to any other. Throws value for a schedule that watches a number.
  void move_to(int64_t step);

  const Schedule& schedule() const { return *schedule_; }
  /// How many steps were taken.
  int64_t last_epoch() const { return last_epoch_; }
  /// The rates that the last step gave to the groups.
  const std::vector<double>& get_last_lr() const { return last_lr_; }

  /// By PyTorch's names: `last_epoch`, `base_lrs`, `_last_lr` and what the schedule remembers.
  Fields state() const;
  /// Goes on from such a state, with its first rates. Throws value for one with other groups or
  /// with what this schedule does not remember; which schedule made it, a state does not say.
  void load_state(const Fields& state);
  /// Gives the optimizer its first rates back, and the momentum from before.
  void put_back();

 private:
  SchedulePlace place(size_t group, int64_t step) const;
  void apply(int64_t step);
  void set_momentum(size_t group, double value);

  AnyOptimizer optimizer_;
  std::shared_ptr<const Schedule> schedule_;
  int64_t steps_;
  int64_t last_epoch_ = 0;
  std::vector<double> last_lr_;
  Fields memory_;                      // of a schedule that watches
  std::vector<Value> first_momentum_;  // by group, of a schedule that moves it
};

}  // namespace taper::optim
