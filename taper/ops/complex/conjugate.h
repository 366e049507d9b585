#pragma once

#include <taper/ops/ops.h>

namespace taper {

/// What gradients of complex factors take instead of the factor: PyTorch's convention, by which a
/// gradient points where a real loss grows fastest. x itself if it is real.
inline Tensor conjugate(const Tensor& x) { return is_complex(x.dtype()) ? conj(x) : x; }

}  // namespace taper
