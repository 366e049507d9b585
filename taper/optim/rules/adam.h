#pragma once

#include <cmath>

#include "taper/optim/elementwise.h"

namespace taper::optim {

/// Kingma and Ba, "Adam: a method for stochastic optimization" (2015), as PyTorch defines it; the
/// means are corrected by the parameter's own count of steps.
struct AdamOptions {
  NonNegative<double> lr = 1e-3;
  Decay<std::array<double, 2>> betas = {0.9, 0.999};
  NonNegative<double> eps = 1e-8;
  NonNegative<double> weight_decay = 0;

  static constexpr std::array<Slot, 2> slots{{{"exp_avg"}, {"exp_avg_sq"}}};
  struct Numbers {
    double step_size;  // lr / (1 - beta1^t)
    double root;       // sqrt(1 - beta2^t)
  };
  Numbers numbers(const StepNumbers& now) const {
    return {now.lr / (1 - std::pow(betas[0], now.count)),
            std::sqrt(1 - std::pow(betas[1], now.count))};
  }
  template <class T>
  TAPER_FN T operator()(const Numbers& now, const T& p, const T& grad, Slots<T, 2>& s) const {
    const T d = fma(T(weight_decay), p, grad);
    s[0] = fma(T(1 - betas[0]), d - s[0], s[0]);
    s[1] = fma(T(betas[1]), s[1], T(1 - betas[1]) * (d * d));
    return p - T(now.step_size) * (s[0] / (sqrt(s[1]) / T(now.root) + T(eps)));
  }
};

}  // namespace taper::optim

TAPER_OPTIMIZER(Adam, "Adaptive moment estimation.")
