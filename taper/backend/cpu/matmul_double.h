#pragma once

#include <cstdint>

namespace taper {

/// One f64 product out[m,n] = a[m,k] @ b[k,n]; strides in elements. Of each operand one stride is 1
/// and the other at least the size of that axis; `out` is dense.
struct DoubleMatmul {
  const double* a;
  const double* b;
  double* out;
  int64_t m;
  int64_t n;
  int64_t k;
  int64_t a_row;
  int64_t a_col;
  int64_t b_row;
  int64_t b_col;
};

// What `simd/matmul_double.cpp` gives for each instruction set.
namespace v3 {
void multiply_double(const DoubleMatmul& product);
}
namespace v4 {
void multiply_double(const DoubleMatmul& product);
}

}  // namespace taper
