#pragma once

#include <taper/optim/schedule.h>

namespace taper::optim {

enum class AnnealStrategy { cos, linear };

struct TAPER_API OneCycleLROptions {
  Required<Bounded<PerGroup, Above<0>>> max_lr;
  /// How many steps in all: these, or epochs times steps_per_epoch; a fit knows them by itself.
  std::optional<Positive<int64_t>> total_steps = {};
  std::optional<Positive<int64_t>> epochs = {};
  std::optional<Positive<int64_t>> steps_per_epoch = {};
  Probability pct_start = 0.3;  ///< the part of the steps in which the rate rises
  AnnealStrategy anneal_strategy = AnnealStrategy::cos;
  bool cycle_momentum = true;  ///< the momentum falls while the rate rises, and the other way round
  Bounded<PerGroup, WithinOne> base_momentum = 0.85;
  Bounded<PerGroup, WithinOne> max_momentum = 0.95;
  Positive<double> div_factor = 25;         ///< the first rate is max_lr / div_factor
  Positive<double> final_div_factor = 1e4;  ///< the last one is the first / final_div_factor
  bool three_phase = false;  ///< falls to the first rate as it rose, then to the last one
  /// Throws value for one of `epochs` and `steps_per_epoch` alone.
  void check(std::string_view owner) const;
  static Fields for_run(const ScheduleRun& run) { return {{"max_lr", Value(run.lr)}}; }
};
/// The rate rises to `max_lr` and falls far below the first one: Smith and Topin,
/// "Super-convergence: very fast training of neural networks using large learning rates" (2018), as
/// PyTorch defines it. It counts updates. The optimizer's own rate has no part in it.
class TAPER_API OneCycleLR final : public WithOptions<OneCycleLR, Schedule, OneCycleLROptions> {
 public:
  using WithOptions::WithOptions;
  double rate(double first, const SchedulePlace& place) const override;
  std::optional<double> momentum(const SchedulePlace& place) const override;
  ScheduleInterval interval() const override { return ScheduleInterval::update; }

 private:
  /// The three numbers between which a rate or a momentum goes.
  struct Ends {
    double first;
    double peak;
    double last;
  };
  int64_t steps_in_all(const SchedulePlace& place) const;
  double between(const Ends& ends, const SchedulePlace& place) const;
};

}  // namespace taper::optim

template <>
struct taper::EnumNames<taper::optim::AnnealStrategy> {
  static constexpr std::array<std::string_view, 2> names{"cos", "linear"};
};
