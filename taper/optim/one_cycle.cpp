#include <taper/optim/one_cycle.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <taper/core/error.h>

namespace taper::optim {

void OneCycleLROptions::check(std::string_view owner) const {
  check_rule(epochs.has_value() == steps_per_epoch.has_value(), owner,
             "`epochs` and `steps_per_epoch` go together",
             epochs ? Value(epochs->value()) : Value());
}

/// Throws value if nobody knows them, or for a step behind them.
int64_t OneCycleLR::steps_in_all(const SchedulePlace& place) const {
  const OneCycleLROptions& o = options();
  int64_t total = place.steps;
  if (o.total_steps) {
    total = *o.total_steps;
  } else if (o.epochs) {
    total = o.epochs->value() * o.steps_per_epoch->value();
  }
  if (total == 0) {
    fail(ErrorKind::value,
         "OneCycleLR: give `total_steps`, or `epochs` and `steps_per_epoch`; only a fit knows them "
         "by itself");
  }
  if (place.step > total) {
    fail(ErrorKind::value, "OneCycleLR: it has " + std::to_string(total) + " steps, step " +
                               std::to_string(place.step) + " was asked for");
  }
  return total;
}

double OneCycleLR::between(const Ends& ends, const SchedulePlace& place) const {
  const auto total = static_cast<double>(steps_in_all(place));
  const auto step = static_cast<double>(place.step);
  const double rise_end = options().pct_start * total - 1;
  const double fall_end = 2 * options().pct_start * total - 2;
  struct Phase {
    double begin;
    double end;
    double from;
    double to;
  };
  Phase phase{0, rise_end, ends.first, ends.peak};
  if (step > rise_end && options().three_phase && step <= fall_end) {
    phase = {rise_end, fall_end, ends.peak, ends.first};
  } else if (step > rise_end) {
    const bool third = options().three_phase;
    phase = {third ? fall_end : rise_end, total - 1, third ? ends.first : ends.peak, ends.last};
  }
  const double length = phase.end - phase.begin;
  const double part = length == 0 ? 1 : (step - phase.begin) / length;
  if (options().anneal_strategy == AnnealStrategy::linear) {
    // Behind the last step, where no rate is used, it would fall below 0.
    return (phase.to - phase.from) * std::min(part, 1.0) + phase.from;
  }
  constexpr double pi = 3.14159265358979323846;
  return phase.to + (phase.from - phase.to) / 2 * (std::cos(pi * part) + 1);
}

double OneCycleLR::rate(double /*first*/, const SchedulePlace& place) const {
  const double peak = options().max_lr.value().of(place, "max_lr");
  const double first = peak / options().div_factor;
  return between({first, peak, first / options().final_div_factor}, place);
}

std::optional<double> OneCycleLR::momentum(const SchedulePlace& place) const {
  if (!options().cycle_momentum) return {};
  const double high = options().max_momentum.value().of(place, "max_momentum");
  const double low = options().base_momentum.value().of(place, "base_momentum");
  return between({high, low, high}, place);
}

namespace {

const ScheduleEntry<OneCycleLR> one_cycle_entry{
    "The rate rises to max_lr and falls far below the first one, update by update."};

}  // namespace
}  // namespace taper::optim
