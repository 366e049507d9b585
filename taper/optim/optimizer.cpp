#include <taper/optim/optimizer.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include <taper/autograd/autograd.h>
#include <taper/ops/ops.h>
#include <taper/ops/pointwise/updates.h>

namespace taper::optim {
namespace {

constexpr std::string_view missed_name = "missed";

}  // namespace

void Optimizer::require(bool condition, std::string_view owner, const char* rule, double got) {
  if (!condition) {
    fail(ErrorKind::value, std::string(owner) + ": " + rule + ", got " + print_real(got));
  }
}

void Optimizer::check_rate(double lr, std::string_view owner) {
  require(lr >= 0 && std::isfinite(lr), owner, "`lr` must be finite and at least 0", lr);
}

Optimizer::~Optimizer() = default;

Optimizer::Optimizer(double lr)
    : steps_("step", zeros({}, DType::i64)),
      lr_("lr", full({}, lr, DType::f64)),
      first_lr_(std::make_shared<double>(lr)) {
  check_rate(lr, "optimizer");
}

Optimizer::Optimizer(const Optimizer& other)
    : steps_(other.steps_),
      lr_(other.lr_),
      first_lr_(other.first_lr_),
      parameters_(other.parameters_),
      departures_(other.departures_),
      slots_(other.slots_),
      missed_(other.missed_),
      others_(other.others_) {
  if (CloneScope::active()) clone_state();
  if (attached() || CloneScope::active()) return;
  steps_ = State(steps_.name(), steps_.value());
  lr_ = State(lr_.name(), lr_.value());
  first_lr_ = std::make_shared<double>(*first_lr_);
}

/// Behind the copies of the cells: what those do not copy.
void Optimizer::clone_state() {
  first_lr_ = std::make_shared<double>(*first_lr_);
  for (auto& other : others_) other = other->cloned();
  for (size_t i = 0; i < parameters_.size(); ++i) departures_[i] = parameters_[i].departures();
}

std::shared_ptr<Optimizer> Optimizer::cloned() const {
  auto made = OptimizerFactory::get(type(), "optimizer").make(options());
  static_cast<Optimizer&>(*made) = *this;  // in a CloneScope the cells are copied by that
  made->clone_state();
  return made;
}

AnyOptimizer::AnyOptimizer(const AnyOptimizer& other) : inner_(other.inner_) {
  if (!CloneScope::active()) return;
  auto copy = std::static_pointer_cast<Optimizer>(CloneScope::find(inner_.get()));
  if (copy == nullptr) {
    copy = inner_->cloned();
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

void Optimizer::attach(std::vector<State> parameters) { attach_all(std::move(parameters), {}); }

void Optimizer::attach_groups(std::vector<ParameterGroup> groups, const Fields& defaults) {
  if (groups.empty()) fail(ErrorKind::value, "optimizer: there are no parameters to train");
  std::unordered_map<const StateImpl*, size_t> seen;
  for (size_t i = 0; i < groups.size(); ++i) check_parameters(groups[i].parameters, i, true, seen);
  std::vector<std::shared_ptr<Optimizer>> others;
  for (size_t i = 1; i < groups.size(); ++i) {
    const Fields options = merged(defaults, groups[i].options);
    others.push_back(OptimizerFactory::get(type(), "optimizer").make(options));
    others.back()->attach(std::move(groups[i].parameters));
  }
  attach_all(std::move(groups[0].parameters), std::move(others));
}

/// All of it, or nothing where that throws.
void Optimizer::attach_all(std::vector<State> parameters,
                           std::vector<std::shared_ptr<Optimizer>> others) {
  if (attached()) fail(ErrorKind::value, "optimizer: it has parameters already");
  std::unordered_map<const StateImpl*, size_t> seen;
  check_parameters(parameters, 0, false, seen);
  std::vector<uint32_t> departures;
  std::vector<std::vector<State>> slots;
  std::vector<State> missed;
  for (const State& parameter : parameters) {
    departures.push_back(parameter.departures());
    std::vector<State>& own = slots.emplace_back();
    for (const std::string& name : slot_names()) {
      own.emplace_back(name, zeros_like(parameter.value()));
    }
    missed.emplace_back(std::string(missed_name), zeros({}, DType::i64));
  }
  for (const auto& other : others) {
    parameters.insert(parameters.end(), other->parameters_.begin(), other->parameters_.end());
    departures.insert(departures.end(), other->departures_.begin(), other->departures_.end());
  }
  parameters_ = std::move(parameters);
  departures_ = std::move(departures);
  slots_ = std::move(slots);
  missed_ = std::move(missed);
  others_ = std::move(others);
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
    if (parameters_[i].departures() == departures_[i]) continue;
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
  for (size_t index = 0, first = 0; index < groups(); ++index) {
    const Optimizer& each = group(index);
    for (size_t i = 0; i < each.slots_.size(); ++i) {
      if (grads[first + i].defined()) each.check_slots(i, first + i);
    }
    first += each.slots_.size();
  }
}

void Optimizer::check_slots(size_t own, size_t number) const {
  const Spec now = parameters_[own].value().spec();
  for (const State& slot : slots_[own]) {
    const Spec before = slot.value().spec();
    if (before == now) continue;
    fail(before.shape == now.shape ? ErrorKind::dtype : ErrorKind::shape,
         "optimizer: `" + parameters_[own].name() + "` (parameter " + std::to_string(number) +
             ") is " + to_string(now) + ", its `" + slot.name() + "` is " + to_string(before) +
             "; attach a new optimizer");
  }
}

void Optimizer::step_checked(std::span<const Tensor> grads) {
  Step now{.lr = lr_.value(), .steps = steps_.value() + 1, .missed = {}};
  steps_.set(now.steps);
  for (size_t i = 0; i < slots_.size(); ++i) {
    now.missed = missed_[i].value();
    if (grads[i].defined() && parameters_[i].requires_grad()) {
      update(parameters_[i], grads[i], slots_[i], now);
    } else {
      missed_[i].set(now.missed + 1);
    }
  }
  grads = grads.subspan(slots_.size());
  for (const auto& other : others_) {
    other->step_checked(grads.first(other->parameters_.size()));
    grads = grads.subspan(other->parameters_.size());
  }
}

Tensor Optimizer::Step::count() const { return astype(steps - missed, DType::f64); }

void Optimizer::zero_grad() {
  for (const State& parameter : parameters_) parameter.zero_grad();
}

Optimizer& Optimizer::group(size_t index) {
  if (index >= groups()) {
    fail(ErrorKind::index, "optimizer: group " + std::to_string(index) + " was asked for, there " +
                               (groups() == 1 ? "is 1" : "are " + std::to_string(groups())));
  }
  return index == 0 ? *this : *others_[index - 1];
}

double Optimizer::lr(size_t index) const { return group(index).lr_.value().item(); }
double Optimizer::first_lr(size_t index) const { return *group(index).first_lr_; }

void Optimizer::set_rates(const std::vector<double>& rates) {
  std::vector<std::pair<State, Tensor>> values;
  for (size_t i = 0; i < rates.size(); ++i) {
    check_rate(rates[i], type());
    values.emplace_back(group(i).lr_, full({}, rates[i], DType::f64));
  }
  set_together(values);
}

void Optimizer::set_lr(double lr, size_t index) {
  Optimizer& one = group(index);
  check_rate(lr, type());
  one.lr_.set(full({}, lr, DType::f64));
  *one.first_lr_ = lr;
}

void Optimizer::set_lr(double lr) {
  set_rates(std::vector<double>(groups(), lr));
  for (size_t i = 0; i < groups(); ++i) *group(i).first_lr_ = lr;
}

void Optimizer::scale_lr(double factor) {
  require(factor >= 0 && std::isfinite(factor), type(),
          "the factor of the rate must be finite and at least 0", factor);
  std::vector<double> rates;
  for (size_t i = 0; i < groups(); ++i) rates.push_back(first_lr(i) * factor);
  set_rates(rates);
}

std::vector<std::pair<std::string, State>> Optimizer::all_cells() const {
  std::vector<std::pair<std::string, State>> all{{"step", steps_}, {"lr", lr_}};
  for (size_t i = 0; i < slots_.size(); ++i) {
    const std::string prefix = std::to_string(i) + ".";
    for (const State& slot : slots_[i]) all.emplace_back(prefix + slot.name(), slot);
    all.emplace_back(prefix + missed_[i].name(), missed_[i]);
  }
  for (size_t i = 0; i < others_.size(); ++i) {
    const std::string prefix = "group" + std::to_string(i + 1) + ".";
    for (const auto& [name, cell] : others_[i]->all_cells()) all.emplace_back(prefix + name, cell);
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
    if (cell.name() == lr_.name()) check_rate(value->second.item(), type());
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

// ---------------------------------------------------------------------------------- SGD

SGD::SGD(SGDOptions options) : Optimizer(options.lr), options_(options) {
  require(options.momentum >= 0, type_name, "`momentum` must be at least 0", options.momentum);
  require(options.weight_decay >= 0, type_name, "`weight_decay` must be at least 0",
          options.weight_decay);
  require(!options.nesterov || (options.momentum > 0 && options.dampening == 0), type_name,
          "`nesterov` needs a momentum and no dampening", options.momentum);
}

Fields SGD::options() const { return to_fields(options_); }

std::vector<std::string> SGD::slot_names() const {
  if (options_.momentum == 0) return {};
  return {"momentum_buffer"};
}

void SGD::update(const State& parameter, const Tensor& grad, const std::vector<State>& slots,
                 const Step& step) {
  if (slots.empty()) {
    taper::update(parameter, [&](Tensor& p) {
      return sgd_update(donate(p), grad, step.lr, options_.weight_decay);
    });
    return;
  }
  taper::update({parameter, slots[0]}, [&](std::span<Tensor* const> old) {
    return momentum_update(
        donate(*old[0]), grad, donate(*old[1]), {step.lr, step.steps}, step.missed,
        {options_.momentum, options_.dampening, options_.weight_decay, options_.nesterov});
  });
}

// ---------------------------------------------------------------------------------- Adam

Adam::Adam(AdamOptions options) : Optimizer(options.lr), options_(options) {
  for (double beta : options.betas) {
    require(beta >= 0 && beta < 1, type_name, "`betas` must be in [0, 1)", beta);
  }
  require(options.eps >= 0, type_name, "`eps` must be at least 0", options.eps);
  require(options.weight_decay >= 0, type_name, "`weight_decay` must be at least 0",
          options.weight_decay);
}

Fields Adam::options() const { return to_fields(options_); }

void Adam::update(const State& parameter, const Tensor& grad, const std::vector<State>& slots,
                  const Step& step) {
  taper::update({parameter, slots[0], slots[1]}, [&](std::span<Tensor* const> old) {
    return adam_update(donate(*old[0]), grad, donate(*old[1]), donate(*old[2]),
                       {step.lr, step.steps}, step.missed,
                       {options_.betas[0], options_.betas[1], options_.eps, options_.weight_decay});
  });
}

namespace {

const FactoryFor<Optimizer, SGD, SGDOptions> sgd_entry{SGD::type_name,
                                                       "Gradient descent with momentum."};
const FactoryFor<Optimizer, Adam, AdamOptions> adam_entry{Adam::type_name,
                                                          "Adaptive moment estimation."};

}  // namespace
template AnyOptimizer::AnyOptimizer(SGD);
template AnyOptimizer::AnyOptimizer(Adam);

}  // namespace taper::optim
