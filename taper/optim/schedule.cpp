#include <taper/optim/schedule.h>

#include <algorithm>
#include <cmath>
#include <string>

#include <taper/core/error.h>

namespace taper {

Value FieldCodec<optim::PerGroup>::to_value(const optim::PerGroup& numbers) {
  if (numbers.size() == 1) return Value(numbers[0]);
  return FieldCodec<std::vector<double>>::to_value(numbers);
}

optim::PerGroup FieldCodec<optim::PerGroup>::from_value(const Value& value) {
  if (value.get_if<Value::List>() != nullptr || value.get_if<Value::Reals>() != nullptr) {
    return FieldCodec<std::vector<double>>::from_value(value);
  }
  return FieldCodec<double>::from_value(value);
}

}  // namespace taper

namespace taper::optim {

double Schedule::factor(int64_t /*step*/) const { return 1; }

double Schedule::rate(double first, const SchedulePlace& place) const {
  return first * factor(place.step);
}

std::optional<double> Schedule::momentum(const SchedulePlace& /*place*/) const { return {}; }

Watched Schedule::watch(double /*number*/, Watched before) const { return before; }

std::string Schedule::signature(int64_t steps, size_t groups) const {
  constexpr int64_t most_compared = 10000;
  std::string text;
  for (int64_t step = 0; step < std::min(steps, most_compared); ++step) {
    const auto numbers = [&](size_t group) {
      const SchedulePlace place{.step = step, .steps = steps, .group = group, .groups = groups};
      const std::optional<double> now = momentum(place);
      return print_real(rate(1, place)) + (now ? " " + print_real(*now) : std::string());
    };
    const std::string first = numbers(0);
    text += first;
    for (size_t group = 1; group < groups; ++group) {
      const std::string own = numbers(group);
      if (own != first) text += ", " + std::to_string(group) + ": " + own;
    }
    text += "\n";
  }
  return text;
}

Fields options_for_run(std::string_view name, Fields options, const ScheduleRun& run) {
  const RunOptions* run_options = Registry<RunOptions>::find(name);
  if (run_options == nullptr) return options;
  for (auto& [option, value] : (*run_options)(run)) {
    const auto same = [&](const auto& given) { return given.first == option; };
    if (std::ranges::none_of(options, same)) options.emplace_back(option, value);
  }
  return options;
}

double PerGroup::of(const SchedulePlace& place, std::string_view name) const {
  if (size() == 1) return front();
  if (size() == place.groups) return (*this)[place.group];
  fail(ErrorKind::value, "schedule: `" + std::string(name) + "` has " + std::to_string(size()) +
                             " numbers, the optimizer " + std::to_string(place.groups) +
                             (place.groups == 1 ? " group" : " groups"));
}

double StepLR::factor(int64_t epoch) const {
  const int64_t steps = epoch / options().step_size.value();
  return std::pow(options().gamma, static_cast<double>(steps));
}

double CosineAnnealingLR::factor(int64_t epoch) const {
  const double progress =
      std::min(1.0, static_cast<double>(epoch) / static_cast<double>(options().T_max.value()));
  const double low = options().eta_min_factor;
  return low + (1 - low) * (1 + std::cos(progress * 3.14159265358979323846)) / 2;
}

double CosineAnnealingLR::rate(double first, const SchedulePlace& place) const {
  if (options().eta_min == 0) return Schedule::rate(first, place);
  return options().eta_min + (first - options().eta_min) * factor(place.step);
}

double LinearLR::factor(int64_t epoch) const {
  const double progress =
      std::min(1.0, static_cast<double>(epoch) / static_cast<double>(options().total_iters));
  return options().start_factor + (options().end_factor - options().start_factor) * progress;
}

SequentialLR::SequentialLR(std::vector<std::shared_ptr<Schedule>> schedules,
                           std::vector<int64_t> milestones)
    : schedules_(std::move(schedules)), milestones_(std::move(milestones)) {
  if (schedules_.size() != milestones_.size() + 1) {
    fail(ErrorKind::value, "SequentialLR: needs one milestone fewer than schedules, got " +
                               std::to_string(milestones_.size()) + " for " +
                               std::to_string(schedules_.size()));
  }
  if (!std::is_sorted(milestones_.begin(), milestones_.end())) {
    fail(ErrorKind::value, "SequentialLR: `milestones` must ascend");
  }
  for (const auto& schedule : schedules_) {
    if (schedule == nullptr) fail(ErrorKind::value, "SequentialLR: a schedule is null");
    if (!schedule->watches()) continue;
    fail(ErrorKind::value, "SequentialLR: a schedule that watches a number cannot be a part");
  }
}

SequentialLR::Part SequentialLR::part_at(int64_t step) const {
  const auto next = std::upper_bound(milestones_.begin(), milestones_.end(), step);
  const auto which = static_cast<size_t>(next - milestones_.begin());
  return {.schedule = *schedules_[which],
          .begin = which > 0 ? milestones_[which - 1] : 0,
          .end = next != milestones_.end() ? *next : -1};
}

SchedulePlace SequentialLR::within(const Part& part, SchedulePlace place) {
  place.step -= part.begin;
  if (part.end >= 0) {
    place.steps = part.end - part.begin;
  } else if (place.steps > 0) {
    place.steps = std::max<int64_t>(place.steps - part.begin, 1);
  }
  return place;
}

double SequentialLR::factor(int64_t epoch) const {
  const Part part = part_at(epoch);
  return part.schedule.factor(epoch - part.begin);
}

double SequentialLR::rate(double first, const SchedulePlace& place) const {
  const Part part = part_at(place.step);
  return part.schedule.rate(first, within(part, place));
}

std::optional<double> SequentialLR::momentum(const SchedulePlace& place) const {
  const Part part = part_at(place.step);
  return part.schedule.momentum(within(part, place));
}

ScheduleInterval SequentialLR::interval() const { return schedules_[0]->interval(); }

namespace {

const ScheduleEntry<StepLR> step_entry{"Multiplies the rate by gamma every step_size epochs."};
const ScheduleEntry<CosineAnnealingLR> cosine_entry{"Half a cosine over T_max epochs."};
const ScheduleEntry<LinearLR> linear_entry{"A straight line of factors over total_iters epochs."};

}  // namespace
}  // namespace taper::optim
