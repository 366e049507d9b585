#include <taper/optim/clipping.h>

#include <cmath>
#include <limits>

#include <taper/autograd/autograd.h>
#include <taper/ops/ops.h>

namespace taper::optim {
namespace {

void require_positive(const char* function, const char* name, double value) {
  if (value > 0 && std::isfinite(value)) return;
  fail(ErrorKind::value, std::string(function) + ": `" + name +
                             "` must be finite and above 0, got " + print_real(value));
}

}  // namespace

Tensor grad_norm(const std::vector<State>& parameters) {
  const no_grad off;
  Tensor squares;
  for (const State& parameter : parameters) {
    const Tensor grad = parameter.grad();
    if (!grad.defined()) continue;
    const Tensor square_sum = sum(square(grad));
    squares = squares.defined() ? squares + square_sum : square_sum;
  }
  return squares.defined() ? sqrt(squares) : zeros({});
}

Tensor clip_grad_norm(const std::vector<State>& parameters, double max_norm) {
  if (max_norm == std::numeric_limits<double>::infinity()) return grad_norm(parameters);
  require_positive("clip_grad_norm", "max_norm", max_norm);
  const no_grad off;
  const Tensor norm = grad_norm(parameters);
  const Tensor scale = minimum(max_norm / (norm + 1e-6), 1.0);
  for (const State& parameter : parameters) {
    const Tensor grad = parameter.grad();
    if (grad.defined()) parameter.set_grad(grad * astype(scale, grad.dtype()));
  }
  return norm;
}

void clip_grad_value(const std::vector<State>& parameters, double limit) {
  require_positive("clip_grad_value", "limit", limit);
  const no_grad off;
  for (const State& parameter : parameters) {
    const Tensor grad = parameter.grad();
    if (grad.defined()) parameter.set_grad(clip(grad, -limit, limit));
  }
}

}  // namespace taper::optim
