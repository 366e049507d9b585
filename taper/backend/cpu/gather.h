#pragma once

#include <taper/core/view.h>

// Elements picked by integer tensors, and the adjoints that add them back. An adjoint gives every
// element of its output to one thread, which adds in the order of the indices: the same bits
// whatever the number of threads, and no atomics. Operands are row-major, `axis` counts from the
// start; an index out of range throws Violation(index) before anything is written.

namespace taper {

/// The slices of x at `indices`, i32 or i64, along `axis`; negative ones count from the end if
/// `from_end`, else they are out of range.
void take(const KernelContext& context, const View& x, const View& indices, int axis, bool from_end,
          const View& out);

/// The adjoint of `take`: zeros with each slice of `grad` added at its index.
void take_add(const KernelContext& context, const View& grad, const View& indices, int axis,
              const View& out);

/// One element of x along `axis` for each index; the other axes broadcast to those of `out`.
void take_along(const KernelContext& context, const View& x, const View& indices, int axis,
                bool from_end, const View& out);

/// The adjoint of `take_along`: zeros with each value added at its index.
void put_along_add(const KernelContext& context, const View& values, const View& indices, int axis,
                   const View& out);

/// 1 at the index, 0 elsewhere, along a new last axis of size `classes`.
void one_hot(const KernelContext& context, const View& indices, int64_t classes, const View& out);

}  // namespace taper
