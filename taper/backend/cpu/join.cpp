#include <taper/backend/cpu/join.h>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/strided.h>

namespace taper {
namespace {

/// Writes a part of `to` that starts at `offset` elements.
void copy_into(const View& to, int64_t offset, const std::byte* from, const Strides& from_strides,
               const Shape& shape) {
  const size_t size = item_size(to.dtype());
  copy_strided(to.data + offset * static_cast<int64_t>(size), *to.strides, from, from_strides,
               shape, size);
}

/// Fills the slabs before and after x on each axis, which on earlier axes are as wide as x. Returns
/// where x's first element lies.
int64_t fill_border(const View& y, std::span<const int64_t> widths, const Shape& inner,
                    const std::byte* value) {
  Shape slab = y.shape();
  Strides still = slab;
  for (int axis = 0; axis < still.rank(); ++axis) still[axis] = 0;
  int64_t offset = 0;
  for (int axis = 0; axis < slab.rank(); ++axis) {
    const int64_t before = widths[2 * static_cast<size_t>(axis)];
    const int64_t step = (*y.strides)[axis];
    slab[axis] = before;
    copy_into(y, offset, value, still, slab);
    slab[axis] = widths[2 * static_cast<size_t>(axis) + 1];
    copy_into(y, offset + (before + inner[axis]) * step, value, still, slab);
    slab[axis] = inner[axis];
    offset += before * step;
  }
  return offset;
}

}  // namespace

void concat(std::span<const View> inputs, int axis, const View& out) {
  int64_t offset = 0;
  for (const View& x : inputs) {
    copy_into(out, offset, x.data, *x.strides, x.shape());
    offset += x.shape()[axis] * (*out.strides)[axis];
  }
}

void pad(const View& x, std::span<const int64_t> widths, const Element& value, const View& out) {
  const int64_t offset = fill_border(out, widths, x.shape(), value.data());
  copy_into(out, offset, x.data, *x.strides, x.shape());
}

void update_part(const View& x, const View& values, const Part& part, const View& out) {
  const size_t size = item_size(x.dtype());
  if (out.data != x.data) copy_strided(out.data, *out.strides, x.data, *x.strides, x.shape(), size);
  if (part.shape.numel() == 0) return;
  const Strides from = broadcast_strides(values.shape(), *values.strides, part.shape);
  copy_strided(out.data + part.offset * static_cast<int64_t>(size), part.strides, values.data, from,
               part.shape, size);
}

}  // namespace taper
