#pragma once

#include <algorithm>
#include <span>

#include <taper/backend/cpu/join.h>
#include <taper/core/view.h>

// Elements at places that several index tensors give together. The index tensors, i32 or i64, may
// have any strides and broadcast to each other; an index out of range throws Violation(index)
// before anything is written.

namespace taper {

/// The axes that index tensors pick along, one each; in the result the picked places stand in front
/// of the other axes but for the first `at` of them.
struct Picks {
  Shape axes;
  int64_t at = 0;

  bool along(int axis) const { return std::find(axes.begin(), axes.end(), axis) != axes.end(); }
};

/// The elements of x, of any strides, at the places; `out` is row-major.
void index(const KernelContext& context, const View& x, std::span<const View> indices,
           const Picks& picks, const View& out);

/// The adjoint of `index`: zeros with each element of a row-major `grad` added at its place. One
/// thread adds to an element, in the order of the indices.
void index_add(const KernelContext& context, const View& grad, std::span<const View> indices,
               const Picks& picks, const View& out);

/// x with the picked places of a part of it replaced by `values`, which broadcast to `target`, the
/// shape of what is picked; of equal places the last one wins. `out` may be x.
void update_places(const KernelContext& context, const View& x, const View& values,
                   std::span<const View> indices, const Part& part, const Picks& picks,
                   const Shape& target, const View& out);

/// x with the elements where `mask` is true replaced by those of `values`; both broadcast to x.
void update_masked(const View& x, const View& mask, const View& values, const View& out);

}  // namespace taper
