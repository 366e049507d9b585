#pragma once

#include <taper/core/tensor.h>

namespace taper {

/// `pow` of two integer tensors of one dtype, which it keeps; values wrap around. Throws value for
/// a negative exponent.
Tensor integer_pow(const Tensor& x1, const Tensor& x2);

}  // namespace taper
