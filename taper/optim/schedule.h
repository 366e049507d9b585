#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <taper/core/factory.h>
#include <taper/core/fields.h>

namespace taper::optim {

/// What a schedule counts.
enum class ScheduleInterval { epoch, update };

/// Where a schedule is asked for its numbers.
struct SchedulePlace {
  int64_t step = 0;   ///< from 0, in epochs or updates
  int64_t steps = 0;  ///< how many there will be; 0 if nobody knows
  size_t group = 0;   ///< of the optimizer's parameters
  size_t groups = 1;
};

/// What a schedule goes on from that watches a number of the training.
struct Watched {
  Fields memory;              ///< its own; empty at the begin
  std::vector<double> rates;  ///< of each group
};

/// How the learning rate of an optimizer changes, and with some schedules its momentum: a function
/// of the number of steps, whose memory, if it has one, is handed in. An LRScheduler
/// (optim/lr_scheduler.h) or `FitOptions::schedule` applies it. A schedule of your own overrides
/// `factor`, or `rate` if it is no factor.
class TAPER_API Schedule {
 public:
  virtual ~Schedule() = default;
  /// Of the first rate, after `step` steps.
  virtual double factor(int64_t step) const;
  /// The rate of a group whose first one is `first`. Throws value for a place beyond the schedule.
  virtual double rate(double first, const SchedulePlace& place) const;
  /// The momentum of a group, or beta1 of Adam and its kin; nothing leaves it as it is.
  virtual std::optional<double> momentum(const SchedulePlace& place) const;
  /// What a fit makes a step of it where it is not told.
  virtual ScheduleInterval interval() const { return ScheduleInterval::epoch; }
  /// Whether it goes by a number, such as a validation loss, and `watch` is asked for the rates.
  virtual bool watches() const { return false; }
  virtual Watched watch(double number, Watched before) const;
  /// What tells it from others over so many steps: its rates if they follow from the steps.
  virtual std::string signature(int64_t steps, size_t groups) const;
};

/// A training for which a schedule is made by name.
struct ScheduleRun {
  int64_t epochs = 1;
  double lr = 0;  ///< the optimizer's own
};

/// A number for all groups, or one for each.
struct TAPER_API PerGroup : std::vector<double> {
  PerGroup(double all = 0) : vector{all} {}                        // NOLINT: implicit on purpose
  PerGroup(std::vector<double> each) : vector(std::move(each)) {}  // NOLINT
  PerGroup(std::initializer_list<double> each) : vector(each) {}
  /// Throws value unless there is one number or one for each group; `name` for the message.
  double of(const SchedulePlace& place, std::string_view name) const;
};

struct TAPER_API StepLROptions {
  Required<Positive<int64_t>> step_size;
  FiniteReal gamma = 0.1;
  /// A fall after each third of the epochs.
  static Fields for_run(const ScheduleRun& run) {
    return {{"step_size", Value((run.epochs + 2) / 3)}};
  }
};
/// Multiplies by `gamma` every `step_size` epochs.
class TAPER_API StepLR final : public WithOptions<StepLR, Schedule, StepLROptions> {
 public:
  using WithOptions::WithOptions;
  double factor(int64_t epoch) const override;
};

struct TAPER_API CosineAnnealingLROptions {
  Required<Positive<int64_t>> T_max;
  FiniteReal eta_min_factor = 0;    ///< the last rate as a part of the first one
  NonNegative<double> eta_min = 0;  ///< or itself, as PyTorch's
  /// Throws value if both are given.
  void check(std::string_view owner) const {
    check_rule(eta_min_factor == 0 || eta_min == 0, owner,
               "give `eta_min` or `eta_min_factor`, not both", eta_min.value());
  }
  static Fields for_run(const ScheduleRun& run) { return {{"T_max", Value(run.epochs)}}; }
};
/// Half a cosine from the first rate to the last one over T_max epochs, then constant: Loshchilov
/// and Hutter, "SGDR" (2017), without restarts.
class TAPER_API CosineAnnealingLR final
    : public WithOptions<CosineAnnealingLR, Schedule, CosineAnnealingLROptions> {
 public:
  using WithOptions::WithOptions;
  double factor(int64_t epoch) const override;
  double rate(double first, const SchedulePlace& place) const override;
};

/// The factor runs in a straight line from `start_factor` to `end_factor` over total_iters epochs,
/// then stays.
struct TAPER_API LinearLROptions {
  FiniteReal start_factor = 1.0 / 3;
  FiniteReal end_factor = 1;
  Positive<int64_t> total_iters = 5;
};
class TAPER_API LinearLR final : public WithOptions<LinearLR, Schedule, LinearLROptions> {
 public:
  using WithOptions::WithOptions;
  double factor(int64_t epoch) const override;
};

/// One schedule after the other, each counting from its own first epoch: the i-th holds until the
/// epoch `milestones[i]`, the last to the end. Not registered: schedules are no plain options.
class TAPER_API SequentialLR final : public Schedule {
 public:
  static constexpr std::string_view type_name = "SequentialLR";
  /// Throws value unless there is one milestone fewer than schedules, in ascending order, and for
  /// a schedule that watches a number.
  SequentialLR(std::vector<std::shared_ptr<Schedule>> schedules, std::vector<int64_t> milestones);
  double factor(int64_t epoch) const override;
  double rate(double first, const SchedulePlace& place) const override;
  std::optional<double> momentum(const SchedulePlace& place) const override;
  ScheduleInterval interval() const override;

 private:
  struct Part {
    const Schedule& schedule;
    int64_t begin;
    int64_t end;  // -1: none
  };
  Part part_at(int64_t step) const;
  static SchedulePlace within(const Part& part, SchedulePlace place);

  std::vector<std::shared_ptr<Schedule>> schedules_;
  std::vector<int64_t> milestones_;
};

/// Registered schedules, by name.
using ScheduleFactory = Factory<Schedule>;

/// Which options a schedule has in a training where nobody gives them, by its name.
class TAPER_API RunOptions final : public Registered<RunOptions> {
 public:
  using Function = Fields (*)(const ScheduleRun& run);
  RunOptions(std::string_view schedule, Function function)
      : Registered(schedule, ""), function_(function) {}
  Fields operator()(const ScheduleRun& run) const { return function_(run); }

 private:
  Function function_;
};

/// `options` of the schedule `name`, and behind them those of the run that they leave out.
TAPER_API Fields options_for_run(std::string_view name, Fields options, const ScheduleRun& run);

/// The entry of a schedule. What its options must be told and a training knows, these say by
/// `static Fields for_run(const ScheduleRun& run)`; the command `taper train` asks for it.
template <class S>
class ScheduleEntry {
 public:
  explicit ScheduleEntry(std::string_view doc)
      : entry_(doc), run_options_(S::type_name, &for_run) {}

 private:
  static Fields for_run([[maybe_unused]] const ScheduleRun& run) {
    if constexpr (requires { S::Options::for_run(run); }) {
      return S::Options::for_run(run);
    } else {
      return {};
    }
  }

  FactoryFor<Schedule, S> entry_;
  RunOptions run_options_;
};

}  // namespace taper::optim

namespace taper {

template <>
struct EnumNames<optim::ScheduleInterval> {
  static constexpr std::array<std::string_view, 2> names{"epoch", "update"};
};

template <>
struct TAPER_API FieldCodec<optim::PerGroup> {
  static constexpr FieldType type = FieldType::other;
  static std::string kind() { return "float or list of float"; }
  static Value to_value(const optim::PerGroup& numbers);
  static optim::PerGroup from_value(const Value& value);
};

}  // namespace taper
