#pragma once

#include <taper/ops/op.h>

namespace taper {

// One pass over memory for each parameter of an optimizer step. A donated operand is updated in
// place if nothing else shares its buffer.

/// p - lr * (g + weight_decay * p); `lr` is 0-d.
Tensor sgd_update(const Arg& p, const Tensor& g, const Tensor& lr, double weight_decay);

/// What a momentum update needs besides its operands.
struct MomentumFactors {
  double momentum = 0.9;
  double weight_decay = 0;
  bool nesterov = false;
};
/// {p', buffer'}: d = g + weight_decay * p, buffer' = momentum * buffer + gain * d,
/// p' = p - lr * (nesterov ? d + momentum * buffer' : buffer').
Results momentum_update(const Arg& p, const Tensor& g, const Arg& buffer, const Tensor& lr,
                        const Tensor& gain, const MomentumFactors& factors);

struct AdamFactors {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};
/// {p', m', v'} of Kingma and Ba, "Adam: a method for stochastic optimization" (2015), as PyTorch
/// computes it; `step_size` is lr / (1 - beta1^t), `root` is sqrt(1 - beta2^t), both 0-d.
Results adam_update(const Arg& p, const Tensor& g, const Arg& m, const Arg& v,
                    const Tensor& step_size, const Tensor& root, const AdamFactors& factors);

}  // namespace taper
