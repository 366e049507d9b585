#pragma once

#include <cstdint>

namespace taper {

/// One f32 product out[m,n] = a[m,k] @ b[k,n] (+ bias) with n and k up to `limit`; strides in
/// elements, any sign. `out` is dense; `bias` may be null.
struct SmallMatmul {
  static constexpr int64_t limit = 64;

  const float* a;
  const float* b;
  const float* bias;
  float* out;
  int64_t m;
  int64_t n;
  int64_t k;
  int64_t a_row;
  int64_t a_col;
  int64_t b_row;
  int64_t b_col;
  int64_t bias_stride;
};

/// What `simd/matmul_small.cpp` gives for one instruction set.
struct SmallMatmulKernels {
  void (*f32)(const SmallMatmul& product);
};

namespace v3 {
extern const SmallMatmulKernels small_matmul_kernels;
}
namespace v4 {
extern const SmallMatmulKernels small_matmul_kernels;
}

}  // namespace taper
