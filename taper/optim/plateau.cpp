#include <taper/optim/plateau.h>

#include <algorithm>
#include <cmath>

#include <taper/core/parse_fields.h>

namespace taper::optim {

bool ReduceLROnPlateau::is_better(double number, const std::optional<double>& than) const {
  if (!std::isfinite(number)) return false;
  if (!than) return true;
  const double sign = options().mode == PlateauMode::min ? -1 : 1;
  const double bound = options().threshold_mode == ThresholdMode::rel
                           ? *than * (1 + sign * options().threshold)
                           : *than + sign * options().threshold;
  return sign * number > sign * bound;
}

bool ReduceLROnPlateau::sees(double number, Memory& memory) const {
  if (is_better(number, memory.best)) {
    memory.best = number;
    memory.num_bad_epochs = 0;
  } else {
    ++memory.num_bad_epochs;
  }
  if (memory.cooldown_counter > 0) {
    --memory.cooldown_counter;
    memory.num_bad_epochs = 0;
  }
  if (memory.num_bad_epochs <= options().patience) return false;
  memory.cooldown_counter = options().cooldown;
  memory.num_bad_epochs = 0;
  return true;
}

double ReduceLROnPlateau::reduced(double rate, const SchedulePlace& place) const {
  const double next =
      std::max(rate * options().factor, options().min_lr.value().of(place, "min_lr"));
  return rate - next > options().eps ? next : rate;
}

Watched ReduceLROnPlateau::watch(double number, Watched before) const {
  auto memory = parse_fields<Memory>(type_name, before.memory);
  if (sees(number, memory)) {
    SchedulePlace place{.groups = before.rates.size()};
    for (; place.group < place.groups; ++place.group) {
      double& rate = before.rates[place.group];
      rate = reduced(rate, place);
    }
  }
  return {.memory = to_fields(memory), .rates = std::move(before.rates)};
}

std::string ReduceLROnPlateau::signature(int64_t /*steps*/, size_t /*groups*/) const {
  return std::string(type_name) + Value(to_fields(options())).print();
}

namespace {

const FactoryFor<Schedule, ReduceLROnPlateau> plateau_entry{
    "Multiplies the rate by factor when a number stops to improve."};

}  // namespace
}  // namespace taper::optim
