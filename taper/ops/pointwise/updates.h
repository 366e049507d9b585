#pragma once

#include <taper/ops/op.h>

namespace taper {

// One pass over memory for each parameter of an optimizer step. A donated operand is updated in
// place if nothing else shares its buffer. A parameter, its gradient and its slots have one shape
// and dtype.

/// What the updates of a step share. A parameter's own count of steps is `steps` - `missed`.
struct StepNow {
  Tensor lr;     // floating, 0-d
  Tensor steps;  // i64, 0-d: of the optimizer, from 1
};

/// p - lr * (g + weight_decay * p).
Tensor sgd_update(const Arg& p, const Tensor& g, const Tensor& lr, double weight_decay);

struct MomentumFactors {
  double momentum = 0.9;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};
/// {p', buffer'}: d = g + weight_decay * p, p' = p - lr * (nesterov ? d + momentum * buffer' :
/// buffer'), buffer' = momentum * buffer + (1 - dampening) * d, without dampening in the
/// parameter's first step; as PyTorch computes it. `missed` (i64, 0-d) counts the steps without the
/// parameter.
Results momentum_update(const Arg& p, const Tensor& g, const Arg& buffer, const StepNow& now,
                        const Tensor& missed, const MomentumFactors& factors);

struct AdamFactors {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};
/// {p', m', v'} of Kingma and Ba, "Adam: a method for stochastic optimization" (2015), as PyTorch
/// computes it; the means are corrected by the parameter's own count of steps.
Results adam_update(const Arg& p, const Tensor& g, const Arg& m, const Arg& v, const StepNow& now,
                    const Tensor& missed, const AdamFactors& factors);

}  // namespace taper
