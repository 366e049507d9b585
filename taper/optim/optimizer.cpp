#include <taper/optim/optimizer.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include <taper/autograd/autograd.h>
#include <taper/ops/ops.h>

namespace taper::optim {
namespace {

constexpr std::string_view missed_name = "missed";
constexpr std::string_view options_name = "options";

/// Begins the names of a group's cells.
std::string prefix_of(size_t group) {
  return group == 0 ? "" : "group" + std::to_string(group) + ".";
}

const Tensor* find(const std::vector<std::pair<std::string, Tensor>>& values,
                   std::string_view name) {
  for (const auto& [known, value] : values) {
    if (known == name) return &value;
  }
  return nullptr;
}

Tensor tensor_of(const std::vector<double>& numbers) {
  return from_values<double>({std::ssize(numbers)}, numbers);
}

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
                       .shared = std::make_shared<Shared>(Shared{.first_lr = lr, .options = {}})});
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
  for (Group& group : groups_) {
    group.shared = std::make_shared<Shared>(*group.shared);
    State& options = group.shared->options;
    if (options && !CloneScope::active()) options = State(options.name(), options.value());
  }
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

Tensor Optimizer::step(const std::function<Tensor()>& closure) {
  check_attached();
  if (!closure) fail(ErrorKind::value, std::string(type()) + ": the closure is empty");
  const enable_grad on;
  if (!needs_closure()) {
    Tensor loss = closure();
    step();
    return loss;
  }
  check_places();
  const no_grad off;
  Tensor loss = minimise(
      [&] {
        const enable_grad again;
        return closure();
      },
      lr());
  groups_[0].steps.set(groups_[0].steps.value() + 1);
  return loss;
}

Tensor Optimizer::minimise(const std::function<Tensor()>& /*closure*/, double /*lr*/) {
  internal_failure("a step by a closure", __FILE__, __LINE__);
}

void Optimizer::check_attached() const {
  if (attached()) return;
  fail(ErrorKind::value, "optimizer: attach(parameters) must come before the first step");
}

void Optimizer::step(const std::vector<Tensor>& grads) {
  check_attached();
  if (needs_closure()) {
    fail(ErrorKind::value, std::string(type()) +
                               ": step(closure) is needed, whose closure clears the gradients, "
                               "computes the loss, calls its backward and returns it");
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
    Step now{.lr = groups_[group].lr.value(),
             .steps = groups_[group].steps.value() + 1,
             .missed = {},
             .options = options_cell(group)};
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
double Optimizer::first_lr(size_t group) const { return groups_[checked(group)].shared->first_lr; }

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
  one.shared->first_lr = lr;
}

void Optimizer::set_lr(double lr) {
  set_rates(std::vector<double>(groups(), lr));
  for (const Group& group : groups_) group.shared->first_lr = lr;
}

void Optimizer::scale_lr(double factor) {
  check_rule(factor >= 0 && std::isfinite(factor), type(),
             "the factor of the rate must be finite and at least 0", factor);
  std::vector<double> rates;
  for (const Group& group : groups_) rates.push_back(group.shared->first_lr * factor);
  set_rates(rates);
}

void Optimizer::schedule_lr(const std::vector<double>& rates) {
  check_rule(rates.size() == groups(), type(), "there must be a rate for each group",
             static_cast<int64_t>(rates.size()));
  set_rates(rates);
}

/// Undefined while none was set. A plan that knows of none holds until there is one.
Tensor Optimizer::options_cell(size_t group) const {
  const std::shared_ptr<Shared>& shared = groups_[group].shared;
  if (interpreter != nullptr) {
    interpreter->depend_on(shared.get(),
                           [shared] { return uint64_t{static_cast<bool>(shared->options)}; });
  }
  return shared->options ? shared->options.value() : Tensor();
}

std::vector<double> Optimizer::first_numbers(size_t group) const {
  return checked_numbers(group, group_options(group));
}

std::vector<double> Optimizer::present_numbers(size_t group) const {
  const State& cell = groups_[group].shared->options;
  return cell ? cell.value().to_vector<double>() : first_numbers(group);
}

Fields Optimizer::present_options(size_t group) const {
  const State& cell = groups_[checked(group)].shared->options;
  return merged(cell ? options_with(group, present_numbers(group)) : group_options(group),
                {{"lr", Value(lr(group))}});
}

void Optimizer::set_option(std::string_view name, const Value& value, size_t group) {
  const Fields next = merged(present_options(group), {{std::string(name), value}});
  const std::vector<double> numbers = checked_numbers(group, next);
  if (name == "lr") {
    const double* real = value.get_if<double>();
    return set_lr(real != nullptr ? *real : static_cast<double>(*value.get_if<int64_t>()), group);
  }
  const Tensor values = tensor_of(numbers);
  State& cell = groups_[group].shared->options;
  if (cell) {
    cell.set(values);
  } else {
    cell = State(std::string(options_name), values);
  }
}

std::vector<std::pair<std::string, State>> Optimizer::all_cells() const {
  std::vector<std::pair<std::string, State>> all;
  size_t i = 0;
  for (size_t group = 0; group < groups_.size(); ++group) {
    const std::string prefix = prefix_of(group);
    all.emplace_back(prefix + "step", groups_[group].steps);
    all.emplace_back(prefix + "lr", groups_[group].lr);
    if (const State& options = groups_[group].shared->options) {
      all.emplace_back(prefix + options.name(), options);
    }
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

/// What a cell becomes for which a checkpoint has nothing. Throws not_found.
Tensor Optimizer::value_without(const std::string& name, const State& cell) const {
  if (cell.name() == missed_name) return zeros({}, DType::i64);
  for (size_t group = 0; group < groups_.size(); ++group) {
    if (cell == groups_[group].shared->options) return tensor_of(first_numbers(group));
  }
  fail(ErrorKind::not_found, "the optimizer's `" + name + "` is missing");
}

void Optimizer::load_state(const std::vector<std::pair<std::string, Tensor>>& values) {
  auto cells = all_cells();
  std::vector<State> options(groups());  // as they will be
  for (size_t group = 0; group < groups(); ++group) {
    options[group] = groups_[group].shared->options;
    const std::string name = prefix_of(group) + std::string(options_name);
    if (options[group] || find(values, name) == nullptr) continue;
    options[group] = State(std::string(options_name), tensor_of(first_numbers(group)));
    cells.emplace_back(name, options[group]);
  }
  std::vector<std::pair<State, Tensor>> found;
  int64_t taken = 0;
  for (const auto& [name, cell] : cells) {
    const Tensor* value = find(values, name);
    const Spec spec = cell.value().spec();
    if (value != nullptr && value->spec() != spec) {
      fail(ErrorKind::shape, name + " is " + to_string(spec) + " in this training, " +
                                 to_string(value->spec()) + " in the checkpoint");
    }
    taken += value != nullptr ? 1 : 0;
    found.emplace_back(cell, value != nullptr ? *value : value_without(name, cell));
    if (cell.name() == groups_[0].lr.name()) check_rate(found.back().second.item());
  }
  for (size_t group = 0; group < groups(); ++group) {
    const Tensor* numbers = find(values, prefix_of(group) + std::string(options_name));
    if (numbers == nullptr) continue;
    checked_numbers(group, options_with(group, numbers->to_vector<double>()));
  }
  if (taken != std::ssize(values)) {
    fail(ErrorKind::value, "the optimizer keeps " + std::to_string(taken) +
                               " of the tensors, the checkpoint has " +
                               std::to_string(values.size()));
  }
  set_together(found);
  for (size_t group = 0; group < groups(); ++group) groups_[group].shared->options = options[group];
}

}  // namespace taper::optim
