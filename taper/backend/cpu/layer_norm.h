#pragma once

#include <taper/core/view.h>

namespace taper {

// All views are row-major and of one floating dtype; f16 and bf16 are computed in f32. Rows are of
// `n` elements, the elements of the last axes, and so are weight and bias and their gradients. What
// is not `present` is not there. The bits do not depend on the number of threads, and nothing fails
// once an output is written.

/// (x - mean) / sqrt(variance + eps) * weight + bias for each row. `out` may be x.
void layer_norm(const View& x, const View& weight, const View& bias, const View& out, int64_t n,
                double eps);

/// The gradients by x, and by weight and bias both or none. `grad_x` may be `grad`.
void layer_norm_grad(const View& grad, const View& x, const View& weight, const View& grad_x,
                     const View& grad_weight, const View& grad_bias, int64_t n, double eps);

}  // namespace taper
