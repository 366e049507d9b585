#pragma once

#include <taper/core/view.h>

namespace taper {

/// The window of a two-dimensional pooling, in the order height, width.
struct PoolParams {
  int64_t kernel[2];
  int64_t stride[2];
  int64_t padding[2];
  bool count_include_pad = true;
};

// Views are [N,C,H,W] of any strides; channels-last and row-major ones are fast. The values have
// one floating dtype; `indices` are i32: the position h * W + w in the plane of the input, or -1
// for a window that lies wholly in the padding (whose maximum is -inf).

/// The maximum of each window and where it is: the first one, or the first NaN.
void max_pool2d(const View& x, const View& out, const View& indices, const PoolParams& params);

/// The gradient: zeroes `grad_x`, then adds each element of `grad` at its index.
void max_pool2d_grad(const View& grad, const View& indices, const View& grad_x);

/// out = x at `indices`, the adjoint of `max_pool2d_grad`.
void max_pool2d_gather(const View& x, const View& indices, const View& out);

/// The mean of each window, over the kernel's size or, without `count_include_pad`, over the
/// elements that lie inside of the input.
void avg_pool2d(const View& x, const View& out, const PoolParams& params);

void avg_pool2d_grad(const View& grad, const View& grad_x, const PoolParams& params);

}  // namespace taper
