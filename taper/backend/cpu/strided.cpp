#include <taper/backend/cpu/strided.h>

#include <utility>

namespace taper {

Strides broadcast_strides(const Shape& own, const Strides& strides, const Shape& shape) {
  Strides result = shape;
  const int shift = shape.rank() - own.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    result[i] = i < shift || own[i - shift] == 1 ? 0 : strides[i - shift];
  }
  return result;
}

namespace {

/// True if axis `outer` lies directly outside axis `inner` for every operand.
bool mergeable(const StridedLoop& loop, int outer, int inner) {
  for (int k = 0; k < loop.operands; ++k) {
    if (loop.stride[k][outer] != loop.stride[k][inner] * loop.size[inner]) return false;
  }
  return true;
}

/// True if axis `a` should be outside axis `b`: larger steps of the first operand that moves.
bool outside(const StridedLoop& loop, int a, int b) {
  for (int k = 0; k < loop.operands; ++k) {
    const int64_t step_a = loop.stride[k][a];
    const int64_t step_b = loop.stride[k][b];
    if (step_a != step_b) return (step_a < 0 ? -step_a : step_a) > (step_b < 0 ? -step_b : step_b);
  }
  return false;
}

}  // namespace

StridedLoop::StridedLoop(const Shape& shape, std::span<const Strides> strides,
                         std::span<const size_t> item_sizes)
    : operands(static_cast<int>(strides.size())) {
  TAPER_CHECK(operands <= most_operands);
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    size[rank] = shape[axis];
    for (int k = 0; k < operands; ++k) {
      const int own_axis = axis - (shape.rank() - strides[k].rank());
      stride[k][rank] =
          own_axis < 0 ? 0 : strides[k][own_axis] * static_cast<int64_t>(item_sizes[k]);
    }
    ++rank;
  }
  for (int i = 1; i < rank; ++i) {
    for (int j = i; j > 0 && outside(*this, j, j - 1); --j) swap_axes(j, j - 1);
  }
  int kept = 0;
  for (int axis = 1; axis < rank; ++axis) {
    if (mergeable(*this, kept, axis)) {
      size[kept] *= size[axis];
    } else {
      ++kept;
      size[kept] = size[axis];
    }
    for (int k = 0; k < operands; ++k) stride[k][kept] = stride[k][axis];
  }
  if (rank == 0) {
    size[0] = 1;
    for (int k = 0; k < operands; ++k) stride[k][0] = 0;
  }
  rank = kept + 1;
}

void StridedLoop::swap_axes(int a, int b) {
  std::swap(size[a], size[b]);
  for (int k = 0; k < operands; ++k) std::swap(stride[k][a], stride[k][b]);
}

int64_t StridedLoop::rows() const {
  int64_t count = 1;
  for (int axis = 0; axis + 1 < rank; ++axis) count *= size[axis];
  return count;
}

}  // namespace taper
