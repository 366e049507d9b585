// Private: many small pictures as one.
#pragma once

#include <cstdint>

#include <taper/core/tensor.h>

namespace taper {

/// Floating tiles [N,H,W] or [N,C,H,W] side by side as a u8 picture [H,W] or [C,H,W], at most
/// `columns` in a row, each number `zoom` pixels wide and high, with lines of `gap`, `border`
/// pixels wide, between tiles, of which `frame` on each side of a tile are white. A tile goes from
/// its least finite value (0) to its greatest (255), one of equal values is 128; what is not finite
/// is 0.
Tensor mosaic(const Tensor& tiles, int64_t columns, int64_t zoom, uint8_t gap = 255,
              int64_t border = 1, int64_t frame = 0);

}  // namespace taper
