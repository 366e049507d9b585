#pragma once

#include <cmath>

#include "taper/optim/elementwise.h"

namespace taper::optim {

/// What Adam and its kin make of the options and the parameter's own count of steps.
struct AdamNumbers {
  double lr;
  double step_size;  // lr / (1 - beta1^t)
  double root;       // sqrt(1 - beta2^t)
};
template <class Options>
AdamNumbers adam_numbers(const Options& o, const StepNumbers& now) {
  return {now.lr, now.lr / (1 - std::pow(o.betas[0], now.count)),
          std::sqrt(1 - std::pow(o.betas[1], now.count))};
}
/// The running means of d and its square, and the step that they say.
template <class Options, class T>
TAPER_FN T adam_step(const Options& o, const AdamNumbers& now, const T& d, Slots<T, 2>& s) {
  s[0] = fma(T(1 - o.betas[0]), d - s[0], s[0]);
  s[1] = fma(T(o.betas[1]), s[1], T(1 - o.betas[1]) * (d * d));
  return T(now.step_size) * (s[0] / (sqrt(s[1]) / T(now.root) + T(o.eps)));
}
inline constexpr std::array<Slot, 2> adam_slots{{{"exp_avg"}, {"exp_avg_sq"}}};

/// Kingma and Ba, "Adam: a method for stochastic optimization" (2015), as PyTorch defines it.
struct TAPER_API AdamOptions {
  NonNegative<double> lr = 1e-3;
  Decay<std::array<double, 2>> betas = {0.9, 0.999};
  NonNegative<double> eps = 1e-8;
  NonNegative<double> weight_decay = 0;

  static constexpr auto slots = adam_slots;
  AdamNumbers numbers(const StepNumbers& now) const { return adam_numbers(*this, now); }
  template <class T>
  TAPER_FN T operator()(const AdamNumbers& now, const T& p, const T& grad, Slots<T, 2>& s) const {
    return p - adam_step(*this, now, fma(T(weight_decay), p, grad), s);
  }
};

/// Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), as PyTorch defines it.
struct TAPER_API AdamWOptions {
  NonNegative<double> lr = 1e-3;
  Decay<std::array<double, 2>> betas = {0.9, 0.999};
  NonNegative<double> eps = 1e-8;
  NonNegative<double> weight_decay = 1e-2;

  static constexpr auto slots = adam_slots;
  AdamNumbers numbers(const StepNumbers& now) const { return adam_numbers(*this, now); }
  template <class T>
  TAPER_FN T operator()(const AdamNumbers& now, const T& p, const T& grad, Slots<T, 2>& s) const {
    return p * T(1 - now.lr * weight_decay) - adam_step(*this, now, grad, s);
  }
};

}  // namespace taper::optim

TAPER_OPTIMIZER(Adam, "Adaptive moment estimation.")
TAPER_OPTIMIZER(AdamW, "Adam whose weights decay by themselves.")
