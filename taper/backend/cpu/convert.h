#pragma once

#include <cstddef>

#include <taper/core/buffer.h>
#include <taper/core/shape.h>

namespace taper {

/// Copies elements between two layouts and dtypes, in parallel if large; strides in elements.
/// Floats become integers by truncation, NaN gives 0, out of range the nearest end; integers keep
/// their low bits; bool is x != 0; the 16-bit formats are rounded once.
void copy_convert(std::byte* to, DType to_dtype, const Strides& to_strides, const std::byte* from,
                  DType from_dtype, const Strides& from_strides, const Shape& shape);

}  // namespace taper
