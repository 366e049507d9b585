#pragma once

#include "taper/optim/elementwise.h"

namespace taper::optim {

/// Gradient descent with momentum, as PyTorch defines it: the first buffer is the gradient itself,
/// without dampening.
struct TAPER_API SGDOptions {
  NonNegative<double> lr = 1e-3;
  NonNegative<double> momentum = 0;
  FiniteReal dampening = 0;
  NonNegative<double> weight_decay = 0;
  bool nesterov = false;
  /// Throws value for `nesterov` without a momentum or with dampening.
  void check(std::string_view owner) const {
    const bool good = !nesterov || (momentum > 0 && dampening == 0);
    check_rule(good, owner, "`nesterov` needs a momentum and no dampening", momentum.value());
  }

  static constexpr std::array<Slot, 1> slots{{{"momentum_buffer", true}}};
  bool keeps(size_t) const { return momentum > 0; }

  struct Numbers {
    double lr;
    double gain;
  };
  Numbers numbers(const StepNumbers& now) const {
    return {now.lr, now.count <= 1 ? 1 : 1 - dampening};
  }
  template <class T>
  TAPER_FN T operator()(const Numbers& now, const T& p, const T& grad, Slots<T, 1>& s) const {
    const T d = fma(T(weight_decay), p, grad);
    if (momentum == 0) return p - T(now.lr) * d;
    s[0] = fma(T(momentum), s[0], T(now.gain) * d);
    return p - T(now.lr) * (nesterov ? fma(T(momentum), s[0], d) : s[0]);
  }
};

}  // namespace taper::optim

TAPER_OPTIMIZER(SGD, "Gradient descent with momentum.")
