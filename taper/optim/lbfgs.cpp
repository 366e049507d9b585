#include <taper/optim/lbfgs.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <taper/core/error.h>
#include <taper/ops/ops.h>
#include <taper/optim/strong_wolfe.h>

namespace taper::optim {
namespace {

double dot(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }
double largest(const Tensor& x) { return max(abs(x)).item(); }

/// In which parameters are reckoned with.
DType dtype_of(const std::vector<State>& parameters) {
  const auto is_double = [](const State& cell) { return cell.value().dtype() == DType::f64; };
  return std::ranges::any_of(parameters, is_double) ? DType::f64 : DType::f32;
}

}  // namespace

/// One step. `memory` changes with it.
class LBFGS::Run {
 public:
  Run(const LBFGS& optimizer, Memory& memory, const std::function<Tensor()>& closure, double lr)
      : options_(optimizer.options_of(0)),
        parameters_(optimizer.parameters()),
        dtype_(dtype_of(parameters_)),
        memory_(memory),
        closure_(closure),
        lr_(lr),
        most_evals_(options_.max_eval ? options_.max_eval->value() : options_.max_iter * 5 / 4) {
    keep();
  }

  Tensor run();
  /// Puts the parameters back to where the iteration began.
  void go_back() const;

 private:
  using Trial = detail::Trial;

  void keep();
  void move(double t) const;
  Tensor evaluate();
  Tensor flat_grad() const;
  void learn_curvature(const Tensor& grad);
  Tensor direction(const Tensor& grad) const;
  bool iterate(bool is_last);
  bool search();
  bool is_optimal() const { return largest(now_.grad) <= options_.tolerance_grad; }

  const LBFGSOptions& options_;
  const std::vector<State>& parameters_;
  DType dtype_;
  Memory& memory_;
  const std::function<Tensor()>& closure_;
  double lr_;
  int64_t most_evals_;
  int64_t evals_ = 0;
  std::vector<Tensor> kept_;  // the parameters where the iteration began
  Trial now_;                 // there
};

void LBFGS::Run::keep() {
  kept_.clear();
  for (const State& parameter : parameters_) kept_.push_back(parameter.value().detach());
}

void LBFGS::Run::go_back() const {
  for (size_t i = 0; i < kept_.size(); ++i) {
    if (parameters_[i].requires_grad()) parameters_[i].set(kept_[i]);
  }
}

/// Puts the parameters t times the direction away from where the iteration began.
void LBFGS::Run::move(double t) const {
  int64_t begin = 0;
  for (size_t i = 0; i < kept_.size(); ++i) {
    const Tensor& from = kept_[i];
    const int64_t end = begin + from.numel();
    const Tensor part = slice(memory_.d, 0, std::exchange(begin, end), end);
    if (!parameters_[i].requires_grad()) continue;
    const Tensor way = reshape(part, from.shape()) * t;
    parameters_[i].set(astype(astype(from, dtype_) + way, from.dtype()));
  }
}

Tensor LBFGS::Run::evaluate() {
  ++evals_;
  ++memory_.func_evals;
  Tensor loss = closure_();
  if (!loss.defined() || loss.numel() != 1) {
    fail(ErrorKind::value, "LBFGS: the closure must return the loss, one number, it returned " +
                               (loss.defined() ? to_string(loss.spec()) : "an undefined tensor"));
  }
  return loss;
}

/// What has no gradient has zeros, as in PyTorch.
Tensor LBFGS::Run::flat_grad() const {
  std::vector<Tensor> parts;
  for (const State& parameter : parameters_) {
    const Tensor grad = parameter.requires_grad() ? parameter.grad() : Tensor();
    const int64_t count = parameter.value().numel();
    parts.push_back(grad.defined() ? astype(reshape(grad, {count}), dtype_)
                                   : zeros({count}, dtype_));
  }
  return concat(parts, 0);
}

void LBFGS::Run::learn_curvature(const Tensor& grad) {
  const Tensor change = grad - memory_.prev_flat_grad;
  const Tensor way = memory_.d * memory_.t;
  const double product = dot(change, way);
  if (!(product > 1e-10)) return;
  if (std::ssize(memory_.old_dirs) >= options_.history_size) {
    memory_.old_dirs.erase(memory_.old_dirs.begin());
    memory_.old_stps.erase(memory_.old_stps.begin());
    memory_.ro.erase(memory_.ro.begin());
  }
  memory_.old_dirs.push_back(change);
  memory_.old_stps.push_back(way);
  memory_.ro.push_back(1 / product);
  memory_.H_diag = product / dot(change, change);
}

/// The gradient times the approximate inverse Hessian, downwards: the two loops.
Tensor LBFGS::Run::direction(const Tensor& grad) const {
  const size_t count = memory_.ro.size();
  std::vector<double> shares(count);
  Tensor d = -grad;
  for (size_t i = count; i-- > 0;) {
    shares[i] = dot(memory_.old_stps[i], d) * memory_.ro[i];
    d = d - memory_.old_dirs[i] * shares[i];
  }
  d = d * memory_.H_diag;
  for (size_t i = 0; i < count; ++i) {
    const double share = dot(memory_.old_dirs[i], d) * memory_.ro[i];
    d = d + memory_.old_stps[i] * (shares[i] - share);
  }
  return d;
}

Tensor LBFGS::Run::run() {
  const Tensor loss = evaluate();
  now_ = {.loss = loss.item(), .grad = flat_grad()};
  if (!std::isfinite(now_.loss) || is_optimal()) return loss;
  const int64_t most = options_.max_iter;
  for (int64_t i = 1; i <= most && iterate(i == most); ++i) {
  }
  return loss;
}

/// False if the step is over. The last iteration does not look where it ends without a search.
bool LBFGS::Run::iterate(bool is_last) {
  const bool is_first = ++memory_.n_iter == 1;
  if (!is_first) learn_curvature(now_.grad);
  memory_.d = is_first ? -now_.grad : direction(now_.grad);
  memory_.prev_flat_grad = now_.grad;
  memory_.prev_loss = now_.loss;
  memory_.t = (is_first ? std::min(1.0, 1 / sum(abs(now_.grad)).item()) : 1.0) * lr_;
  now_.slope = dot(now_.grad, memory_.d);
  if (!(now_.slope <= -options_.tolerance_change)) return false;
  keep();
  if (options_.line_search_fn) {
    if (!search()) return false;
  } else {
    move(memory_.t);
    if (is_last) return false;
    now_ = {.loss = evaluate().item(), .grad = flat_grad()};
    if (!std::isfinite(now_.loss)) {
      go_back();
      return false;
    }
  }
  return !is_last && evals_ < most_evals_ && !is_optimal() &&
         largest(memory_.d * memory_.t) > options_.tolerance_change &&
         std::abs(now_.loss - memory_.prev_loss) >= options_.tolerance_change;
}

/// Moves along the direction to the best trial; false, without a move, if none is finite.
bool LBFGS::Run::search() {
  const auto evaluate_at = [&](double t) {
    move(t);
    Trial trial{.t = t, .loss = evaluate().item(), .grad = flat_grad()};
    trial.slope = dot(trial.grad, memory_.d);
    return trial;
  };
  now_.t = 0;
  Trial found = detail::strong_wolfe(evaluate_at, now_, memory_.t,
                                     {.change = options_.tolerance_change,
                                      .direction = largest(memory_.d),
                                      .most_tries = most_evals_ - evals_});
  memory_.t = found.t;
  now_ = std::move(found);
  if (!std::isfinite(now_.loss)) {
    go_back();
    return false;
  }
  move(memory_.t);
  return true;
}

LBFGS::LBFGS(const LBFGS& other) : OptimizerWith(other), memory_(other.memory_) {
  if (CloneScope::active() || !attached()) memory_ = std::make_shared<Memory>(*memory_);
}

Tensor LBFGS::minimise(const std::function<Tensor()>& closure, double lr) {
  Memory memory = *memory_;  // the old one stays until the step is done
  Run run(*this, memory, closure, lr);
  std::vector<Tensor> before;
  for (const State& parameter : parameters()) before.push_back(parameter.value().detach());
  try {
    Tensor loss = run.run();
    *memory_ = std::move(memory);
    return loss;
  } catch (...) {
    for (size_t i = 0; i < before.size(); ++i) parameters()[i].set(before[i]);
    throw;
  }
}

void LBFGS::update(size_t /*group*/, const State& /*parameter*/, const Tensor& /*grad*/,
                   std::span<const State> /*slots*/, const Step& /*step*/) {
  internal_failure("a step by a closure", __FILE__, __LINE__);
}

namespace {

/// Named tensors of a checkpoint, taken one by one.
class Taken {
 public:
  explicit Taken(const std::vector<std::pair<std::string, Tensor>>& values) : values_(values) {}

  /// Throws not_found or shape.
  const Tensor& take(const std::string& name, const Spec& spec) const {
    for (const auto& [known, value] : values_) {
      if (known != name) continue;
      if (value.spec() == spec) return value;
      fail(ErrorKind::shape, name + " is " + to_string(spec) + " in this training, " +
                                 to_string(value.spec()) + " in the checkpoint");
    }
    fail(ErrorKind::not_found, "the optimizer's `" + name + "` is missing");
  }
  double number(const std::string& name) const { return take(name, {DType::f64, {}, {}}).item(); }
  const Tensor* find(const std::string& name) const {
    for (const auto& [known, value] : values_) {
      if (known == name) return &value;
    }
    return nullptr;
  }

 private:
  const std::vector<std::pair<std::string, Tensor>>& values_;
};

constexpr std::string_view own_names[] = {
    "n_iter",         "func_evals", "d",        "t",        "H_diag",
    "prev_flat_grad", "prev_loss",  "old_dirs", "old_stps", "ro"};

}  // namespace

std::vector<std::pair<std::string, State>> LBFGS::state() const {
  auto all = Optimizer::state();
  const Memory& m = *memory_;
  const auto put = [&](const char* name, const Tensor& value) {
    all.emplace_back(name, State(name, value));
  };
  if (m.n_iter == 0) return all;
  put("n_iter", full({}, m.n_iter, DType::i64));
  put("func_evals", full({}, m.func_evals, DType::i64));
  put("d", m.d);
  put("prev_flat_grad", m.prev_flat_grad);
  put("t", full({}, m.t, DType::f64));
  put("H_diag", full({}, m.H_diag, DType::f64));
  put("prev_loss", full({}, m.prev_loss, DType::f64));
  if (m.ro.empty()) return all;
  put("old_dirs", stack(m.old_dirs));
  put("old_stps", stack(m.old_stps));
  put("ro", from_values<double>({std::ssize(m.ro)}, m.ro));
  return all;
}

void LBFGS::load_state(const std::vector<std::pair<std::string, Tensor>>& values) {
  std::vector<std::pair<std::string, Tensor>> common;
  std::vector<std::pair<std::string, Tensor>> own;
  for (const auto& named : values) {
    const bool is_own = std::ranges::find(own_names, named.first) != std::end(own_names);
    (is_own ? own : common).push_back(named);
  }
  Memory next;
  if (!own.empty()) {
    const Taken taken(own);
    int64_t count = 0;
    for (const State& parameter : parameters()) count += parameter.value().numel();
    const Spec flat{dtype_of(parameters()), {}, {count}};
    next.n_iter = taken.take("n_iter", {DType::i64, {}, {}}).item<int64_t>();
    next.func_evals = taken.take("func_evals", {DType::i64, {}, {}}).item<int64_t>();
    next.d = taken.take("d", flat);
    next.prev_flat_grad = taken.take("prev_flat_grad", flat);
    next.t = taken.number("t");
    next.H_diag = taken.number("H_diag");
    next.prev_loss = taken.number("prev_loss");
    if (const Tensor* ro = taken.find("ro")) {
      next.ro = ro->to_vector<double>();
      const Spec table{flat.dtype, {}, {std::ssize(next.ro), count}};
      const Tensor& dirs = taken.take("old_dirs", table);
      const Tensor& steps = taken.take("old_stps", table);
      for (int64_t i = 0; i < std::ssize(next.ro); ++i) {
        next.old_dirs.push_back(reshape(slice(dirs, 0, i, i + 1), {count}));
        next.old_stps.push_back(reshape(slice(steps, 0, i, i + 1), {count}));
      }
    }
  }
  Optimizer::load_state(common);
  *memory_ = std::move(next);
}

namespace {

const FactoryFor<Optimizer, LBFGS> lbfgs_entry{
    "A quasi-Newton method that computes the loss several times a step."};

}  // namespace
}  // namespace taper::optim

TAPER_OPTIMIZER_HERE(LBFGS)
