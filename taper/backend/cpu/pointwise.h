#pragma once

#include <span>

#include <taper/backend/cpu/tiles.h>
#include <taper/core/view.h>

namespace taper {

/// Runs a pointwise functor over broadcast operands of any strides. Outputs have the full shape;
/// floating inputs share one dtype, and 16-bit formats are computed in f32.
/// `nanoseconds` is the rough cost of an element on one thread: it decides on threads.
void run_pointwise(const TileSet& tiles, const void* functor, std::span<const View> inputs,
                   std::span<const View> outputs, double nanoseconds);

}  // namespace taper
