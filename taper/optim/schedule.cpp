#include <taper/optim/schedule.h>

#include <algorithm>
#include <cmath>
#include <string>

#include <taper/core/error.h>

namespace taper::optim {
namespace {

void require_positive(std::string_view owner, const char* field, int64_t value) {
  if (value >= 1) return;
  fail(ErrorKind::value,
       std::string(owner) + ": `" + field + "` must be at least 1, got " + std::to_string(value));
}

}  // namespace

StepLR::StepLR(StepLROptions options) : options_(options) {
  check_required(type_name, options_);
  require_positive(type_name, "step_size", options_.step_size);
}

double StepLR::factor(int64_t epoch) const {
  const int64_t steps = epoch / options_.step_size;
  return std::pow(options_.gamma, static_cast<double>(steps));
}

CosineAnnealingLR::CosineAnnealingLR(CosineAnnealingLROptions options) : options_(options) {
  check_required(type_name, options_);
  require_positive(type_name, "T_max", options_.T_max);
}

double CosineAnnealingLR::factor(int64_t epoch) const {
  const double progress =
      std::min(1.0, static_cast<double>(epoch) / static_cast<double>(options_.T_max));
  const double low = options_.eta_min_factor;
  return low + (1 - low) * (1 + std::cos(progress * 3.14159265358979323846)) / 2;
}

LinearLR::LinearLR(LinearLROptions options) : options_(options) {
  require_positive(type_name, "total_iters", options_.total_iters);
}

double LinearLR::factor(int64_t epoch) const {
  const double progress =
      std::min(1.0, static_cast<double>(epoch) / static_cast<double>(options_.total_iters));
  return options_.start_factor + (options_.end_factor - options_.start_factor) * progress;
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

const FactoryFor<Schedule, StepLR, StepLROptions> step_entry{
    StepLR::type_name, "Multiplies the rate by gamma every step_size epochs."};
const FactoryFor<Schedule, CosineAnnealingLR, CosineAnnealingLROptions> cosine_entry{
    CosineAnnealingLR::type_name, "Half a cosine over T_max epochs."};
const FactoryFor<Schedule, LinearLR, LinearLROptions> linear_entry{
    LinearLR::type_name, "A straight line of factors over total_iters epochs."};

}  // namespace
}  // namespace taper::optim
