#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <taper/core/factory.h>
#include <taper/core/fields.h>

namespace taper::optim {

/// A schedule gives the factor of the first learning rate for each epoch, from 0.
class TAPER_API Schedule {
 public:
  virtual ~Schedule() = default;
  virtual double factor(int64_t epoch) const = 0;
};

struct StepLROptions {
  Required<Positive<int64_t>> step_size;
  FiniteReal gamma = 0.1;
};
/// Multiplies by `gamma` every `step_size` epochs.
class TAPER_API StepLR final : public WithOptions<StepLR, Schedule, StepLROptions> {
 public:
  using WithOptions::WithOptions;
  double factor(int64_t epoch) const override;
};

struct CosineAnnealingLROptions {
  Required<Positive<int64_t>> T_max;
  FiniteReal eta_min_factor = 0;
};
/// Half a cosine from 1 to `eta_min_factor` over T_max epochs, then constant: Loshchilov and
/// Hutter, "SGDR" (2017), without restarts.
class TAPER_API CosineAnnealingLR final
    : public WithOptions<CosineAnnealingLR, Schedule, CosineAnnealingLROptions> {
 public:
  using WithOptions::WithOptions;
  double factor(int64_t epoch) const override;
};

/// The factor runs in a straight line from `start_factor` to `end_factor` over total_iters epochs,
/// then stays.
struct LinearLROptions {
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
  /// Throws value unless there is one milestone fewer than schedules, in ascending order.
  SequentialLR(std::vector<std::shared_ptr<Schedule>> schedules, std::vector<int64_t> milestones);
  double factor(int64_t epoch) const override;

 private:
  std::vector<std::shared_ptr<Schedule>> schedules_;
  std::vector<int64_t> milestones_;
};

/// Registered schedules, by name.
using ScheduleFactory = Factory<Schedule>;

}  // namespace taper::optim
