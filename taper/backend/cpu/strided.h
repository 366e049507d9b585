#pragma once

#include <span>

#include <taper/core/shape.h>

namespace taper {

/// A walk over several operands of one (broadcast) shape: axes of size one dropped, the rest sorted
/// so that the first operand is written in memory order, neighbours merged where all allow it.
/// Strides are in bytes; a broadcast axis has stride 0.
struct StridedLoop {
  static constexpr int most_operands = 16;

  /// `strides[k]` belongs to operand k and may have fewer axes than `shape` (broadcast on the
  /// left); an axis where an operand has size one must carry stride 0 (see `broadcast_strides`).
  StridedLoop(const Shape& shape, std::span<const Strides> strides,
              std::span<const size_t> item_sizes);

  int operands = 0;
  int rank = 0;  // at least 1; the last axis is the innermost
  int64_t size[Shape::max_rank];
  int64_t stride[most_operands][Shape::max_rank];

  int64_t inner() const { return size[rank - 1]; }
  int64_t inner_stride(int operand) const { return stride[operand][rank - 1]; }
  void swap_axes(int a, int b);
  /// Number of innermost rows.
  int64_t rows() const;

  /// Calls `visit(std::byte* const* pointers)` for rows [begin, end), pointers at each row's start.
  template <class Visit>
  void for_rows(std::byte* const* bases, int64_t begin, int64_t end, Visit&& visit) const {
    int64_t index[Shape::max_rank] = {};
    std::byte* at[most_operands];
    for (int k = 0; k < operands; ++k) at[k] = bases[k];
    int64_t rest = begin;
    for (int axis = rank - 2; axis >= 0; --axis) {
      index[axis] = rest % size[axis];
      rest /= size[axis];
      for (int k = 0; k < operands; ++k) at[k] += index[axis] * stride[k][axis];
    }
    for (int64_t row = begin; row < end; ++row) {
      visit(static_cast<std::byte* const*>(at));
      for (int axis = rank - 2; axis >= 0; --axis) {
        for (int k = 0; k < operands; ++k) at[k] += stride[k][axis];
        if (++index[axis] < size[axis]) break;
        for (int k = 0; k < operands; ++k) at[k] -= size[axis] * stride[k][axis];
        index[axis] = 0;
      }
    }
  }
};

/// Strides of an operand seen as `shape`: 0 on axes that are broadcast.
Strides broadcast_strides(const Shape& own, const Strides& strides, const Shape& shape);

}  // namespace taper
