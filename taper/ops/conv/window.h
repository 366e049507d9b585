#pragma once

#include <cstdint>
#include <string>

#include <taper/ops/op.h>

// The one rule of windows that move along an axis: convolutions and pooling.

namespace taper {

/// A stride, padding or the like: `least` to 2^31 - 1, so that no arithmetic on it overflows.
inline void check_window_attr(const char* name, int64_t value, int64_t least) {
  if (value >= least && value <= INT32_MAX) return;
  violate(ErrorKind::value, std::string(name) + " must be in [" + std::to_string(least) +
                                ", 2147483647], got " + std::to_string(value));
}

/// How many elements a kernel of `size` covers with its gaps.
inline int64_t window_reach(int64_t size, int64_t dilation) {
  int64_t reach = 0;
  if (size < 1 || __builtin_mul_overflow(dilation, size - 1, &reach) || reach > INT64_MAX / 2) {
    violate(ErrorKind::shape, "a kernel of " + std::to_string(size) + " places is no kernel");
  }
  return reach + 1;
}

/// How many places a window has on an axis of `size` with `padding` on both sides.
inline int64_t window_places(const char* window, int64_t reach, int64_t size, int64_t padding,
                             int64_t stride) {
  const int64_t padded = size + 2 * padding;
  if (reach > padded) {
    violate(ErrorKind::shape, std::string(window) + " covers " + std::to_string(reach) +
                                  " places, the padded x has " + std::to_string(padded));
  }
  return (padded - reach) / stride + 1;
}

}  // namespace taper
