#pragma once

#include <span>

#include <taper/backend/cpu/tiles.h>
#include <taper/core/view.h>

namespace taper {

/// Runs a pointwise functor over broadcast operands of any strides. Outputs have the full shape;
/// floating inputs share one dtype, and 16-bit formats are computed in f32.
/// `grain` is the number of elements worth about 25 µs on one thread.
void run_pointwise(const TileSet& tiles, const void* functor, std::span<const View> inputs,
                   std::span<const View> outputs, int64_t grain);

}  // namespace taper
