#include <taper/optim/lr_scheduler.h>

#include <algorithm>

#include <taper/core/error.h>
#include <taper/core/parse_fields.h>

namespace taper::optim {
namespace {

/// What every schedule keeps, by PyTorch's names.
struct Kept {
  int64_t last_epoch = 0;
  std::vector<double> base_lrs = {};
  std::vector<double> _last_lr = {};
};

/// The option of the optimizer that a schedule's momentum is; null if there is none.
const std::pair<std::string, Value>* momentum_in(const Fields& options) {
  for (const auto& field : options) {
    if (field.first == "momentum" || field.first == "betas") return &field;
  }
  return nullptr;
}

std::vector<double> rates_of(const Optimizer& optimizer, double (Optimizer::*rate)(size_t) const) {
  std::vector<double> rates;
  for (size_t i = 0; i < optimizer.groups(); ++i) rates.push_back((optimizer.*rate)(i));
  return rates;
}

}  // namespace

LRScheduler::LRScheduler(AnyOptimizer optimizer, std::shared_ptr<const Schedule> schedule,
                         int64_t steps)
    : optimizer_(std::move(optimizer)), schedule_(std::move(schedule)), steps_(steps) {
  if (schedule_ == nullptr) fail(ErrorKind::value, "LRScheduler: the schedule is null");
  if (!optimizer_->attached()) {
    fail(ErrorKind::value, "LRScheduler: the optimizer has no parameters yet");
  }
  last_lr_ = rates_of(*optimizer_, &Optimizer::lr);
  if (schedule_->watches()) return;
  for (size_t i = 0; i < optimizer_->groups(); ++i) {
    // The last step, too: one that the schedule has not is found at once.
    schedule_->rate(optimizer_->first_lr(i), place(i, std::max<int64_t>(steps, 1) - 1));
    if (!schedule_->momentum(place(i, 0))) continue;
    const Fields options = optimizer_->present_options(i);
    const auto* found = momentum_in(options);
    if (found == nullptr) {
      fail(ErrorKind::value, "LRScheduler: the schedule moves the momentum, but " +
                                 std::string(optimizer_->type()) +
                                 " has neither `momentum` nor `betas`");
    }
    if (found->second == Value(0.0)) {
      fail(ErrorKind::value, "LRScheduler: the schedule moves the momentum, but " +
                                 std::string(optimizer_->type()) +
                                 " was made without one; give it a `momentum`, or the schedule "
                                 "`cycle_momentum` = false");
    }
    first_momentum_.push_back(found->second);
  }
  apply(0);
}

SchedulePlace LRScheduler::place(size_t group, int64_t step) const {
  return {.step = step, .steps = steps_, .group = group, .groups = optimizer_->groups()};
}

void LRScheduler::set_momentum(size_t group, double value) {
  const Fields options = optimizer_->present_options(group);
  const auto& [name, now] = *momentum_in(options);
  if (name == "momentum") return optimizer_->set_option(name, Value(value), group);
  auto betas = FieldCodec<std::vector<double>>::from_value(now);
  betas[0] = value;
  optimizer_->set_option(name, FieldCodec<std::vector<double>>::to_value(betas), group);
}

void LRScheduler::apply(int64_t step) {
  std::vector<double> rates;
  for (size_t i = 0; i < optimizer_->groups(); ++i) {
    rates.push_back(schedule_->rate(optimizer_->first_lr(i), place(i, step)));
  }
  for (size_t i = 0; i < optimizer_->groups(); ++i) {
    if (const auto momentum = schedule_->momentum(place(i, step))) set_momentum(i, *momentum);
  }
  optimizer_->schedule_lr(rates);
  last_lr_ = std::move(rates);
  last_epoch_ = step;
}

void LRScheduler::move_to(int64_t step) {
  if (schedule_->watches()) {
    fail(ErrorKind::value, "LRScheduler: the schedule watches a number, call step(number)");
  }
  apply(step);
}

void LRScheduler::step() { move_to(last_epoch_ + 1); }

void LRScheduler::step(double metric) {
  if (!schedule_->watches()) {
    fail(ErrorKind::value, "LRScheduler: the schedule watches no number, call step()");
  }
  Watched next =
      schedule_->watch(metric, {.memory = memory_, .rates = rates_of(*optimizer_, &Optimizer::lr)});
  optimizer_->schedule_lr(next.rates);
  last_lr_ = std::move(next.rates);
  memory_ = std::move(next.memory);
  ++last_epoch_;
}

Fields LRScheduler::state() const {
  Fields all = to_fields(Kept{.last_epoch = last_epoch_,
                              .base_lrs = rates_of(*optimizer_, &Optimizer::first_lr),
                              ._last_lr = last_lr_});
  all.insert(all.end(), memory_.begin(), memory_.end());
  return all;
}

void LRScheduler::load_state(const Fields& state) {
  Fields common;
  Fields own;
  for (const auto& field : state) {
    const auto names = field_names<Kept>();
    const bool is_common = std::ranges::find(names, field.first) != names.end();
    (is_common ? common : own).push_back(field);
  }
  const Kept kept = parse_fields<Kept>("LRScheduler", common);
  const auto fits = [&](const std::vector<double>& rates) {
    return rates.size() == optimizer_->groups();
  };
  if (!fits(kept.base_lrs) || !fits(kept._last_lr) || kept.last_epoch < 0 ||
      (!own.empty() && !schedule_->watches())) {
    fail(ErrorKind::value, "LRScheduler: the state is that of another schedule or optimizer");
  }
  // Refuses what the schedule does not know, before anything changes.
  if (!own.empty()) schedule_->watch(0, {.memory = own, .rates = kept._last_lr});
  for (size_t i = 0; i < kept.base_lrs.size(); ++i) optimizer_->set_lr(kept.base_lrs[i], i);
  if (!schedule_->watches()) apply(kept.last_epoch);
  optimizer_->schedule_lr(kept._last_lr);
  last_lr_ = kept._last_lr;
  last_epoch_ = kept.last_epoch;
  memory_ = std::move(own);
}

void LRScheduler::put_back() {
  optimizer_->scale_lr(1);
  for (size_t i = 0; i < first_momentum_.size(); ++i) {
    const Fields options = optimizer_->present_options(i);
    optimizer_->set_option(momentum_in(options)->first, first_momentum_[i], i);
  }
}

}  // namespace taper::optim
