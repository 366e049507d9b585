#pragma once

#include <taper/core/view.h>

namespace taper {

/// Height first. `dilation` 1 is a dense kernel; `padding` adds zeros on both sides.
struct ConvParams {
  int64_t stride[2] = {1, 1};
  int64_t padding[2] = {0, 0};
  int64_t dilation[2] = {1, 1};
  int64_t groups = 1;
};

/// out[N,O,OH,OW] = x[N,C,H,W] * w[O,C/groups,KH,KW] (+ bias[O], if present).
///
/// For all three: dtypes are equal and f32, f64, f16 or bf16 (the last two accumulate in f32);
/// inputs may have any strides; results are written with the strides of their views, fastest when
/// channels-last or row-major. The sizes must agree: the caller has checked them.
void conv2d(const View& x, const View& w, const View& bias, const View& out,
            const ConvParams& params);

/// The gradient with respect to x.
void conv2d_input_grad(const View& grad_out, const View& w, const View& grad_x,
                       const ConvParams& params);

/// The gradients with respect to w and, if `grad_bias` is present, the bias.
void conv2d_weight_grad(const View& x, const View& grad_out, const View& grad_w,
                        const View& grad_bias, const ConvParams& params);

}  // namespace taper
