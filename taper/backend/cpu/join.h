#pragma once

#include <span>

#include <taper/core/number.h>
#include <taper/core/view.h>

// Tensors put together, and tensors made larger. Operands may have any strides.

namespace taper {

/// Writes the inputs one after the other along `axis`, which counts from the start.
void concat(std::span<const View> inputs, int axis, const View& out);

/// Writes x with `value`, of its dtype, around it; `widths` holds {before, after} for each axis.
void pad(const View& x, std::span<const int64_t> widths, const Element& value, const View& out);

/// A part of a tensor: where its first element lies behind that of the tensor, in elements, and how
/// the others follow.
struct Part {
  Shape shape;
  Strides strides;
  int64_t offset = 0;
};

/// x with a part of it replaced by `values`, which broadcast to the part's shape; `out` may be x.
void update_part(const View& x, const View& values, const Part& part, const View& out);

}  // namespace taper
