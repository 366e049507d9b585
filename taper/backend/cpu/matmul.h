#pragma once

#include <taper/core/view.h>

namespace taper {

/// out[..., m, n] = a[..., m, k] @ b[..., k, n] (+ bias[n] to each row, if present).
///
/// All dtypes are equal; bool is not taken. Ranks are 2..8; the batch axes of a and b broadcast to
/// those of out. `a`, `b` and `bias` may have any strides; `out` is row-major and overlaps nothing.
/// f16 and bf16 accumulate in f32; integers wrap around. The order of summation over k does not
/// depend on the number of threads.
void matmul(const View& a, const View& b, const View& bias, const View& out);

}  // namespace taper
