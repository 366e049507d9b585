#include <taper/optim/optimizer.h>

#include <cmath>

#include <taper/autograd/autograd.h>
#include <taper/ops/ops.h>
#include <taper/ops/pointwise/updates.h>

namespace taper::optim {

void Optimizer::require(bool condition, std::string_view owner, const char* rule, double got) {
  if (!condition) {
    fail(ErrorKind::value, std::string(owner) + ": " + rule + ", got " + print_real(got));
  }
}

Optimizer::Optimizer(double lr)
    : steps_("step", zeros({}, DType::i64)), lr_("lr", full({}, lr, DType::f64)) {
  require(lr >= 0 && std::isfinite(lr), "optimizer", "`lr` must be finite and at least 0", lr);
}

void Optimizer::attach(std::vector<State> parameters) {
  if (attached()) fail(ErrorKind::value, "optimizer: it has parameters already");
  if (parameters.empty()) fail(ErrorKind::value, "optimizer: there are no parameters to train");
  parameters_ = std::move(parameters);
  for (const State& parameter : parameters_) {
    std::vector<State> slots;
    for (const std::string& name : slot_names()) {
      slots.emplace_back(name, zeros_like(parameter.value()));
    }
    slots_.push_back(std::move(slots));
  }
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
  if (grads.size() != parameters_.size()) {
    fail(ErrorKind::value, "optimizer: " + std::to_string(grads.size()) + " gradients for " +
                               std::to_string(parameters_.size()) + " parameters");
  }
  const no_grad off;
  const Tensor steps = steps_.value() + 1;
  steps_.set(steps);
  begin_step(lr_.value(), astype(steps, DType::f64));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (grads[i].defined()) update(parameters_[i], grads[i], slots_[i]);
  }
}

void Optimizer::zero_grad() {
  for (const State& parameter : parameters_) parameter.zero_grad();
}

double Optimizer::lr() const { return lr_.value().item(); }

void Optimizer::set_lr(double lr) {
  require(lr >= 0 && std::isfinite(lr), type(), "`lr` must be finite and at least 0", lr);
  lr_.set(full({}, lr, DType::f64));
}

std::vector<std::pair<std::string, State>> Optimizer::state() const {
  std::vector<std::pair<std::string, State>> all{{"step", steps_}, {"lr", lr_}};
  for (size_t i = 0; i < slots_.size(); ++i) {
    for (const State& slot : slots_[i]) {
      all.emplace_back(std::to_string(i) + "." + slot.name(), slot);
    }
  }
  return all;
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
std::shared_ptr<Optimizer> SGD::fresh() const { return std::make_shared<SGD>(options_); }

std::vector<std::string> SGD::slot_names() const {
  if (options_.momentum == 0) return {};
  return {"momentum_buffer"};
}

void SGD::begin_step(const Tensor& lr, const Tensor& steps) {
  lr_now_ = lr;
  // The first buffer is the gradient itself, without dampening.
  gain_ = where(less_equal(steps, 1), 1.0, full({}, 1 - options_.dampening, DType::f64));
}

void SGD::update(const State& parameter, const Tensor& grad, const std::vector<State>& slots) {
  const Tensor p = parameter.take();
  const Tensor lr = astype(lr_now_, p.dtype());
  if (slots.empty()) {
    parameter.set(sgd_update(donate(p), grad, lr, options_.weight_decay));
    return;
  }
  const Tensor buffer = slots[0].take();
  const Results results =
      momentum_update(donate(p), grad, donate(buffer), lr, astype(gain_, p.dtype()),
                      {options_.momentum, options_.weight_decay, options_.nesterov});
  parameter.set(results[0]);
  slots[0].set(results[1]);
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
std::shared_ptr<Optimizer> Adam::fresh() const { return std::make_shared<Adam>(options_); }

void Adam::begin_step(const Tensor& lr, const Tensor& steps) {
  step_size_ = lr / (1 - pow(options_.betas[0], steps));
  root_ = sqrt(1 - pow(options_.betas[1], steps));
}

void Adam::update(const State& parameter, const Tensor& grad, const std::vector<State>& slots) {
  const Tensor p = parameter.take();
  const Tensor m = slots[0].take();
  const Tensor v = slots[1].take();
  const Results results =
      adam_update(donate(p), grad, donate(m), donate(v), astype(step_size_, p.dtype()),
                  astype(root_, p.dtype()),
                  {options_.betas[0], options_.betas[1], options_.eps, options_.weight_decay});
  parameter.set(results[0]);
  slots[0].set(results[1]);
  slots[1].set(results[2]);
}

namespace {

const FactoryFor<Optimizer, SGD, SGDOptions> sgd_entry{SGD::type_name,
                                                       "Gradient descent with momentum."};
const FactoryFor<Optimizer, Adam, AdamOptions> adam_entry{Adam::type_name,
                                                          "Adaptive moment estimation."};

}  // namespace
}  // namespace taper::optim
