// Private: the line search of LBFGS.
#pragma once

#include <taper/core/function_ref.h>
#include <taper/core/tensor.h>

namespace taper::optim::detail {

/// The loss at `t` steps along a direction, with its gradient and its slope along there.
struct Trial {
  double t = 0;
  double loss = 0;
  double slope = 0;
  Tensor grad = {};
};

/// What bounds a search.
struct SearchLimits {
  double change = 1e-9;  ///< a bracket in which the parameters change less is not looked into
  double direction = 1;  ///< the largest part of the direction
  int64_t most_tries = 25;
};

/// A trial that satisfies the strong Wolfe conditions, begun at the step `t` from `start`, or the
/// best one that was found: Nocedal and Wright, "Numerical optimization" (2006), algorithms 3.5
/// and 3.6 with cubic interpolation (3.59). A loss that is not finite counts as infinite.
Trial strong_wolfe(FunctionRef<Trial(double t)> evaluate, const Trial& start, double t,
                   const SearchLimits& limits);

}  // namespace taper::optim::detail
