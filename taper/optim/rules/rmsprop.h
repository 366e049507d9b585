#pragma once

#include "taper/optim/elementwise.h"

namespace taper::optim {

/// Hinton, "Neural networks for machine learning" (2012), lecture 6e, as PyTorch defines it: steps
/// divided by the root of a running mean of squares, `centered` by that of the variance.
struct TAPER_API RMSpropOptions {
  NonNegative<double> lr = 1e-2;
  Decay<double> alpha = 0.99;
  NonNegative<double> eps = 1e-8;
  NonNegative<double> weight_decay = 0;
  NonNegative<double> momentum = 0;
  bool centered = false;

  static constexpr std::array<Slot, 3> slots{
      {{"square_avg"}, {"momentum_buffer", true}, {"grad_avg", true}}};
  bool keeps(size_t slot) const { return slot == 1 ? momentum > 0 : centered; }

  template <class T>
  TAPER_FN T operator()(const StepNumbers& now, const T& p, const T& grad, Slots<T, 3>& s) const {
    const T d = fma(T(weight_decay), p, grad);
    s[0] = fma(T(alpha), s[0], T(1 - alpha) * (d * d));
    T square = s[0];
    if (centered) {
      s[2] = fma(T(1 - alpha), d - s[2], s[2]);
      square = fma(-s[2], s[2], square);
    }
    T step = d / (sqrt(square) + T(eps));
    if (momentum > 0) step = s[1] = fma(T(momentum), s[1], step);
    return p - T(now.lr) * step;
  }
};

}  // namespace taper::optim

TAPER_OPTIMIZER(RMSprop, "Steps divided by the root of a running mean of squares.")
