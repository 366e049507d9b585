#pragma once

#include <taper/core/view.h>

namespace taper {

// All views are row-major, of one shape and one floating dtype; `axis` is normalised. f16 and bf16
// are computed in f32. An output may be an input.

/// exp(x) / sum(exp(x)) along `axis`. -inf gives 0; where all are -inf, NaN.
void softmax(const View& x, const View& out, int axis);

/// x - log(sum(exp(x))) along `axis`.
void log_softmax(const View& x, const View& out, int axis);

/// y * (g - sum(y * g)) along `axis`: the gradient of y = softmax(x).
void softmax_grad(const View& y, const View& grad, const View& out, int axis);

/// g - exp(y) * sum(g) along `axis`: the gradient of y = log_softmax(x).
void log_softmax_grad(const View& y, const View& grad, const View& out, int axis);

}  // namespace taper
