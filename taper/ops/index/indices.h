#pragma once

#include <optional>
#include <string>
#include <vector>

#include <taper/ops/op.h>

// What the ops on parts of tensors share.

namespace taper {
namespace detail {

/// The places start, start + step, ... of one axis, `count` of them, all within it.
struct Range {
  int axis;
  int64_t start;
  int64_t step;
  int64_t count;
};

/// What a Python slice of an axis selects. Throws Violation for a step of 0.
Range sliced_range(const Shape& shape, int64_t axis, std::optional<int64_t> start,
                   std::optional<int64_t> stop, int64_t step);

/// A part of x: on each axis `count` places from `start` on, `step` apart; of those along `axes`,
/// which index tensors pick from, the picked ones, whose broadcast shape stands in front of the
/// other axes but for the first `at` of them.
struct PlaceAttrs {
  Shape start;
  Shape step;
  Shape count;
  Shape axes;
  int64_t at = 0;
};

/// The elements of x at the places that index tensors, one for each of `axes`, give together.
Tensor index_places(const Tensor& x, const std::vector<Tensor>& indices, const Shape& axes,
                    int64_t at);

/// x with those places replaced by `values`, which broadcast; of equal places the last one wins.
Tensor update_places(const Arg& x, const Tensor& values, const std::vector<Tensor>& indices,
                     const PlaceAttrs& attrs);

/// x with the elements where `mask` is true replaced by those of `values`; both broadcast to x.
Tensor update_masked(const Arg& x, const Tensor& mask, const Tensor& values);

/// The names of the first two ops, which are those of the functions that are made of them.
std::string_view name_of_index();
std::string_view name_of_index_update();

}  // namespace detail

inline void check_index_dtype(const Spec& indices) {
  if (indices.dtype != DType::i32 && indices.dtype != DType::i64) {
    violate(ErrorKind::dtype,
            "indices must be i32 or i64, got " + std::string(dtype_name(indices.dtype)));
  }
}

/// The type in which an oracle of sums computes.
template <class F>
auto visit_sums(DType dtype, F&& f) {
  return is_complex(dtype) ? f.template operator()<Complex<double>>()
                           : f.template operator()<double>();
}

}  // namespace taper
