#pragma once

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/ops/op_cases.h"

// The values of a tensor in memory of another order.

namespace taper::testing {

/// The values of `x` where `strides` and `offset` put them, in a buffer whose other bytes are all
/// ones: NaN in floats. Strides of 0 keep the last value that comes.
inline Tensor laid_out(const Tensor& x, const Strides& strides, int64_t offset) {
  int64_t least = offset;
  int64_t most = offset;
  for (int i = 0; i < x.rank() && x.numel() > 0; ++i) {
    const int64_t reach = strides[i] * (x.shape()[i] - 1);
    (reach < 0 ? least : most) += reach;
  }
  const Tensor buffer = empty({most - std::min<int64_t>(least, 0) + 3}, x.dtype());
  const int64_t first = offset - std::min<int64_t>(least, 0);
  const size_t item = item_size(x.dtype());
  std::byte* const bytes = buffer.raw();
  std::memset(bytes, 0xff, item * static_cast<size_t>(buffer.numel()));
  std::vector<int64_t> to;
  for_each_offset(x.shape(), strides, [&](int64_t place) { to.push_back(first + place); });
  size_t next = 0;
  for_each_offset(x.shape(), x.strides(), [&](int64_t place) {
    std::memcpy(bytes + static_cast<size_t>(to[next++]) * item,
                x.raw() + place * static_cast<int64_t>(item), item);
  });
  return view_of(buffer, x.spec(), strides, first);
}

inline Strides reversed_strides(const Shape& shape) {
  Strides strides = shape;
  int64_t step = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    strides[i] = step;
    step *= std::max<int64_t>(shape[i], 1);
  }
  return strides;
}

inline Tensor behind_others(const Tensor& x) {
  return laid_out(x, row_major_strides(x.shape()), 5);
}

inline Tensor with_reversed_axes(const Tensor& x) {
  return laid_out(x, reversed_strides(x.shape()), 3);
}

/// Every second element of a buffer.
inline Tensor with_gaps(const Tensor& x) {
  Strides strides = row_major_strides(x.shape());
  for (int64_t& stride : strides) stride *= 2;
  return laid_out(x, strides, 1);
}

/// From the end of a buffer to its beginning.
inline Tensor backwards(const Tensor& x) {
  Strides strides = row_major_strides(x.shape());
  for (int64_t& stride : strides) stride = -stride;
  return laid_out(x, strides, std::max<int64_t>(x.numel() - 1, 0));
}

inline Tensor with_channels_last(const Tensor& x) {
  if (x.rank() != 4) return behind_others(x);
  return laid_out(x, channels_last_strides(x.shape()), 2);
}

/// One value along the first axis, or along the last.
inline Tensor with_stride_zero_first(const Tensor& x) {
  if (x.rank() == 0) return x;
  Strides strides = row_major_strides(x.shape());
  strides[0] = 0;
  return laid_out(x, strides, 4);
}
inline Tensor with_stride_zero_last(const Tensor& x) {
  if (x.rank() == 0) return x;
  Strides strides = row_major_strides(x.shape());
  strides[-1] = 0;
  return laid_out(x, strides, 4);
}

inline constexpr std::pair<std::string_view, Tensor (*)(const Tensor&)> layouts[] = {
    {"behind others", behind_others},
    {"reversed axes", with_reversed_axes},
    {"gaps", with_gaps},
    {"backwards", backwards},
    {"channels last", with_channels_last},
    {"stride zero first", with_stride_zero_first},
    {"stride zero last", with_stride_zero_last}};

/// The strides by which elements differ in place: those of axes with more than one element.
inline std::vector<int64_t> strides_that_count(const Shape& shape, const Strides& strides) {
  std::vector<int64_t> counting;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] > 1) counting.push_back(strides[i]);
  }
  return counting;
}

/// Whether the elements fill memory without gaps in some order of the axes.
inline bool fills_memory(const Tensor& x) {
  std::vector<std::pair<int64_t, int64_t>> axes;
  for (int i = 0; i < x.rank(); ++i) {
    if (x.shape()[i] > 1) axes.emplace_back(x.strides()[i], x.shape()[i]);
  }
  std::ranges::sort(axes);
  int64_t step = 1;
  for (const auto& [stride, size] : axes) {
    if (stride != step) return false;
    step *= size;
  }
  return true;
}

inline bool is_in_order(const Tensor& x, const Strides& strides) {
  return strides_that_count(x.shape(), x.strides()) == strides_that_count(x.shape(), strides);
}

}  // namespace taper::testing
