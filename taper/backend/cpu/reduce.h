#pragma once

#include <taper/core/view.h>

namespace taper {

enum class ReduceKind : uint8_t { sum, mean, max, min, any, all };

/// Reduces `axes` of `x`, of any strides and dtype, into `out`, whose elements are in row-major
/// order of the axes that are kept; a reduced axis may be absent from `out` or have size one.
///
/// `axes` are normalised and distinct, in any order, possibly none. Floats are summed in double and
/// integers in int64, wrapping around; `out.dtype()` may be any (bools are counted, so the sum of a
/// bool tensor goes to an integer). The mean is for floats. The maximum and minimum of floats are
/// NaN if an element is, and need at least one element. `any` and `all` look for elements that are
/// (not) zero, no further than to the first that decides; `out` is bool. An empty sum is 0, an
/// empty mean NaN, of none `any` is false and `all` true. The bits of the result do not depend on
/// the number of threads.
void reduce(ReduceKind kind, const View& x, const View& out, const Shape& axes);

/// Whether no element is zero.
bool all_true(const View& x);

/// The index along `axis` of the first maximum (or minimum) of `x`, a NaN counting as the extreme;
/// `axis` -1 takes all elements in row-major order. `out` is i64, in row-major order, with `axis`
/// absent or of size one.
void arg_reduce(bool max, const View& x, const View& out, int axis);

}  // namespace taper
