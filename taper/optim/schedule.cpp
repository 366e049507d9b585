#include <taper/optim/schedule.h>

#include <algorithm>
#include <cmath>
#include <string>

#include <taper/core/error.h>

namespace taper::optim {

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
}

double SequentialLR::factor(int64_t epoch) const {
  const auto next = std::upper_bound(milestones_.begin(), milestones_.end(), epoch);
  const auto which = static_cast<size_t>(next - milestones_.begin());
  return schedules_[which]->factor(epoch - (which > 0 ? milestones_[which - 1] : 0));
}

namespace {

const FactoryFor<Schedule, StepLR> step_entry{
    "Multiplies the rate by gamma every step_size epochs."};
const FactoryFor<Schedule, CosineAnnealingLR> cosine_entry{"Half a cosine over T_max epochs."};
const FactoryFor<Schedule, LinearLR> linear_entry{
    "A straight line of factors over total_iters epochs."};

}  // namespace
}  // namespace taper::optim
