#pragma once

#include <taper/ops/ops.h>

namespace taper {

/// A tensor in f32 if it has 16 bits: for rules and expansions whose steps would overflow or lose
/// digits in these. What they give is rounded once, by `narrowed`.
inline Tensor widened(const Tensor& x) {
  return x.defined() && item_size(x.dtype()) < 4 ? astype(x, DType::f32) : x;
}
inline Tensor narrowed(const Tensor& x, DType dtype) {
  return x.dtype() == dtype ? x : astype(x, dtype);
}

}  // namespace taper
