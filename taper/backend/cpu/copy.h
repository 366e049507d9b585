#pragma once

#include <cstddef>

#include <taper/core/shape.h>

namespace taper {

/// Copies `shape` elements of `item_size` bytes between any two layouts, in parallel if large.
/// Strides are in elements; the source may be broadcast (stride 0).
void copy_strided(std::byte* to, const Strides& to_strides, const std::byte* from,
                  const Strides& from_strides, const Shape& shape, size_t item_size);

}  // namespace taper
