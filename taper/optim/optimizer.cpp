#include <taper/optim/optimizer.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include <taper/autograd/autograd.h>
#include <taper/ops/ops.h>

namespace taper::optim {
namespace {

constexpr std::string_view missed_name = "missed";

}  // namespace

namespace {

void check_rate(double lr, std::string_view owner) {
  check_rule(lr >= 0 && std::isfinite(lr), owner, "`lr` must be finite and at least 0", lr);
}

}  // namespace

void Optimizer::check_rate(double lr) const { optim::check_rate(lr, type()); }

void Optimizer::begin(const std::vector<double>& rates) {
  groups_.clear();
  for (const double lr : rates) {
    groups_.push_back({.steps = State("step", zeros({}, DType::i64)),
                       .lr = State("lr", full({}, lr, DType::f64)),
                       .first_lr = std::make_shared<double>(lr)});
  }
}

Optimizer::Optimizer(const Optimizer& other)
    : groups_(other.groups_), parameters_(other.parameters_), kept_(other.kept_) {
  if (CloneScope::active()) {  // the cells are copied by that
    for (size_t i = 0; i < parameters_.size(); ++i) {
      kept_[i].departures = parameters_[i].departures();
    }
  } else if (attached()) {
    return;
  } else {
    for (Group& group : groups_) {
      group.steps = State(group.steps.name(), group.steps.value());
      group.lr = State(group.lr.name(), group.lr.value());
    }
  }
  for (Group& group : groups_) group.first_lr = std::make_shared<double>(*group.first_lr);
}

AnyOptimizer::AnyOptimizer(const AnyOptimizer& other) : inner_(other.inner_) {
  if (!CloneScope::active()) return;
  auto copy = std::static_pointer_cast<Optimizer>(CloneScope::find(inner_.get()));
  if (copy == nullptr) {
    copy = inner_->copied();
    CloneScope::remember(inner_.get(), copy);
  }
  inner_ = std::move(copy);
}

Fields merged(Fields defaults, const Fields& given) {
  for (const auto& [name, value] : given) {
    const auto same = [&](const auto& field) { return field.first == name; };
    const auto found = std::find_if(defaults.begin(), defaults.end(), same);
    if (found != defaults.end()) {
      found->second = value;
    } else {
      defaults.emplace_back(name, value);
    }
  }
  return defaults;
}

namespace {

/// Throws for what cannot be trained. `seen` has the group of each cell.
void check_parameters(const std::vector<State>& parameters, size_t group, bool several,
                      std::unordered_map<const StateImpl*, size_t>& seen) {
  const std::string where = several ? "optimizer: group " + std::to_string(group) : "optimizer";
  if (parameters.empty()) {
    fail(ErrorKind::value,
         several ? where + " has no parameters" : "optimizer: there are no parameters to train");
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const State& cell = parameters[i];
    if (!cell || !cell.value().defined()) {
      fail(ErrorKind::value, where + ": parameter " + std::to_string(i) + " is null");
    }
    const auto [before, fresh] = seen.emplace(cell.impl(), group);
    if (fresh) continue;
    const std::string name = "`" + cell.name() + "` (parameter " + std::to_string(i) + ")";
    fail(ErrorKind::value,
         where + ": " + name +
             (before->second == group ? std::string(" is given twice")
                                      : " is in group " + std::to_string(before->second) + " too"));
  }
}

}  // namespace

void Optimizer::attach(std::vector<State> parameters) {
  take(std::span<const std::vector<State>>(&parameters, 1), false);
}

void Optimizer::attach_groups(const std::vector<ParameterGroup>& groups) {
  std::vector<std::vector<State>> parameters;
  for (const ParameterGroup& group : groups) parameters.push_back(group.parameters);
  take(parameters, true);
}

void Optimizer::take(std::span<const std::vector<State>> groups, bool several) {
  if (attached()) fail(ErrorKind::value, "optimizer: it has parameters already");
  if (groups.empty()) fail(ErrorKind::value, "optimizer: there are no parameters to train");
  std::unordered_map<const StateImpl*, size_t> seen;
  for (size_t i = 0; i < groups.size(); ++i) check_parameters(groups[i], i, several, seen);
  std::vector<State> parameters;
  std::vector<Kept> kept;
  std::vector<size_t> ends;
  for (size_t i = 0; i < groups.size(); ++i) {
    for (const State& parameter : groups[i]) {
      Kept& own = kept.emplace_back();
      for (const std::string& name : slot_names(i)) {
        own.slots.emplace_back(name, zeros_like(parameter.value()));
      }
      own.missed = State(std::string(missed_name), zeros({}, DType::i64));
      own.departures = parameter.departures();
      parameters.push_back(parameter);
    }
    ends.push_back(parameters.size());
  }
  for (size_t i = 0; i < groups.size(); ++i) groups_[i].end = ends[i];
  parameters_ = std::move(parameters);
  kept_ = std::move(kept);
}

void Optimizer::step() {
  std::vector<Tensor> grads;
  for (const State& parameter : parameters_) grads.push_back(parameter.grad());
  step(grads);
}

void Optimizer::step(const std::vector<Tensor>& grads) {
  if (!attached()) {
    fail(ErrorKind::value, "optimizer: attach(parameters) must come before the first step");
  }
  check_places();
  if (grads.size() != parameters_.size()) {
    fail(ErrorKind::value, "optimizer: " + std::to_string(grads.size()) + " gradients for " +
                               std::to_string(parameters_.size()) + " parameters");
  }
  check_grads(grads);
  const no_grad off;
  step_checked(grads);
}

void Optimizer::check_places() const {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i].departures() == kept_[i].departures) continue;
    fail(ErrorKind::value, "optimizer: `" + parameters_[i].name() + "` (parameter " +
                               std::to_string(i) + ") was attached before " +
                               parameters_[i].last_departure() +
                               "; make a new optimizer of the module's parameters()");
  }
}

void Optimizer::check_grads(const std::vector<Tensor>& grads) const {
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!grads[i].defined()) continue;
    const Tensor value = parameters_[i].value();
    if (value.defined() && grads[i].spec() == value.spec()) {
      grads[i].check_data();
      continue;
    }
    const std::string who =
        "optimizer: `" + parameters_[i].name() + "` (parameter " + std::to_string(i) + ")";
    if (!value.defined()) fail(ErrorKind::value, who + " has lost its value");
    fail(grads[i].shape() == value.shape() ? ErrorKind::dtype : ErrorKind::shape,
         who + " is " + to_string(value.spec()) + ", its gradient must be too, got " +
             to_string(grads[i].spec()));
  }
  for (size_t i = 0; i < grads.size(); ++i) {
    if (grads[i].defined()) check_slots(i);
  }
}

void Optimizer::check_slots(size_t number) const {
  const Spec now = parameters_[number].value().spec();
  for (const State& slot : kept_[number].slots) {
    const Spec before = slot.value().spec();
    if (before == now) continue;
    fail(before.shape == now.shape ? ErrorKind::dtype : ErrorKind::shape,
         "optimizer: `" + parameters_[number].name() + "` (parameter " + std::to_string(number) +
             ") is " + to_string(now) + ", its `" + slot.name() + "` is " + to_string(before) +
             "; attach a new optimizer");
  }
}

void Optimizer::step_checked(std::span<const Tensor> grads) {
  size_t i = 0;
  for (size_t group = 0; group < groups_.size(); ++group) {
    Step now{
        .lr = groups_[group].lr.value(), .steps = groups_[group].steps.value() + 1, .missed = {}};
    groups_[group].steps.set(now.steps);
    for (; i < groups_[group].end; ++i) {
      now.missed = kept_[i].missed.value();
      if (grads[i].defined() && parameters_[i].requires_grad()) {
        update(group, parameters_[i], grads[i], kept_[i].slots, now);
      } else {
        kept_[i].missed.set(now.missed + 1);
      }
    }
  }
}

Tensor Optimizer::Step::count() const { return astype(steps - missed, DType::f64); }

void Optimizer::zero_grad() {
  for (const State& parameter : parameters_) parameter.zero_grad();
}

size_t Optimizer::checked(size_t group) const {
  if (group < groups()) return group;
  fail(ErrorKind::index, "optimizer: group " + std::to_string(group) + " was asked for, there " +
                             (groups() == 1 ? "is 1" : "are " + std::to_string(groups())));
}

double Optimizer::lr(size_t group) const { return groups_[checked(group)].lr.value().item(); }
double Optimizer::first_lr(size_t group) const { return *groups_[checked(group)].first_lr; }

void Optimizer::set_rates(const std::vector<double>& rates) {
  std::vector<std::pair<State, Tensor>> values;
  for (size_t i = 0; i < rates.size(); ++i) {
    check_rate(rates[i]);
    values.emplace_back(groups_[i].lr, full({}, rates[i], DType::f64));
  }
  set_together(values);
}

void Optimizer::set_lr(double lr, size_t group) {
  const Group& one = groups_[checked(group)];
  check_rate(lr);
  one.lr.set(full({}, lr, DType::f64));
  *one.first_lr = lr;
}

void Optimizer::set_lr(double lr) {
  set_rates(std::vector<double>(groups(), lr));
  for (const Group& group : groups_) *group.first_lr = lr;
}

void Optimizer::scale_lr(double factor) {
  check_rule(factor >= 0 && std::isfinite(factor), type(),
             "the factor of the rate must be finite and at least 0", factor);
  std::vector<double> rates;
  for (const Group& group : groups_) rates.push_back(*group.first_lr * factor);
  set_rates(rates);
}

std::vector<std::pair<std::string, State>> Optimizer::all_cells() const {
  std::vector<std::pair<std::string, State>> all;
  size_t i = 0;
  for (size_t group = 0; group < groups_.size(); ++group) {
    const std::string prefix = group == 0 ? "" : "group" + std::to_string(group) + ".";
    all.emplace_back(prefix + "step", groups_[group].steps);
    all.emplace_back(prefix + "lr", groups_[group].lr);
    for (const size_t first = i; i < groups_[group].end; ++i) {
      const std::string own = prefix + std::to_string(i - first) + ".";
      for (const State& slot : kept_[i].slots) all.emplace_back(own + slot.name(), slot);
      all.emplace_back(own + kept_[i].missed.name(), kept_[i].missed);
    }
  }
  return all;
}

std::vector<std::pair<std::string, State>> Optimizer::state() const {
  auto cells = all_cells();
  std::erase_if(cells, [](const auto& named) {
    return named.second.name() == missed_name && named.second.value().item() == 0;
  });
  return cells;
}

void Optimizer::load_state(const std::vector<std::pair<std::string, Tensor>>& values) {
  const auto cells = all_cells();
  std::vector<std::pair<State, Tensor>> found;
  int64_t taken = 0;
  for (const auto& [name, cell] : cells) {
    const auto is_it = [&](const auto& value) { return value.first == name; };
    const auto value = std::ranges::find_if(values, is_it);
    const Spec spec = cell.value().spec();
    const bool is_there = value != values.end();
    if (!is_there && cell.name() != missed_name) {
      fail(ErrorKind::not_found, "the optimizer's `" + name + "` is missing");
    }
    if (is_there && value->second.spec() != spec) {
      fail(ErrorKind::shape, name + " is " + to_string(spec) + " in this training, " +
                                 to_string(value->second.spec()) + " in the checkpoint");
    }
    if (cell.name() == groups_[0].lr.name()) check_rate(value->second.item());
    taken += is_there ? 1 : 0;
    found.emplace_back(cell, is_there ? value->second : zeros({}, DType::i64));
  }
  if (taken != std::ssize(values)) {
    fail(ErrorKind::value, "the optimizer keeps " + std::to_string(taken) +
                               " of the tensors, the checkpoint has " +
                               std::to_string(values.size()));
  }
  set_together(found);
}

}  // namespace taper::optim
