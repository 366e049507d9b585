#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <taper/core/threads.h>
#include <taper/core/view.h>
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

using Indices = std::unique_ptr<int64_t[]>;

/// An index; of u64 that no i64 holds the largest of these, which is out of every range.
template <class T>
int64_t as_index(T index) {
  if constexpr (std::is_same_v<T, uint64_t>) {
    return static_cast<int64_t>(std::min<uint64_t>(index, INT64_MAX));
  } else {
    return index;
  }
}

/// Row-major indices counted from the start and checked; `low` is the least allowed one. The
/// error is about the first wrong one, whatever the threads; `says(value, position)` is its text.
template <class Says>
Indices checked_indices(const View& indices, int64_t low, int64_t size, Says&& says) {
  const int64_t count = indices.numel();
  Indices result = std::make_unique_for_overwrite<int64_t[]>(static_cast<size_t>(count));
  std::atomic<int64_t> wrong{count};
  visit_dtype(indices.dtype(), [&]<class T>() {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      const T* in = indices.as<T>();
      parallel_for(count, 1 << 15, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t index = as_index(in[i]);
          if (index < low || index >= size) {
            int64_t first = wrong.load();
            while (i < first && !wrong.compare_exchange_weak(first, i)) {
            }
            return;
          }
          result[static_cast<size_t>(i)] = index < 0 ? index + size : index;
        }
      });
      if (wrong < count) violate(ErrorKind::index, says(as_index(in[wrong]), wrong.load()));
    }
  });
  return result;
}

/// Indices into an axis of `size` elements, negative ones counted from the end.
inline Indices axis_indices(const View& indices, int64_t size, int64_t axis, bool from_end = true) {
  return checked_indices(indices, from_end ? -size : 0, size, [&](int64_t value, int64_t position) {
    return "index " + std::to_string(value) + " at position " + std::to_string(position) +
           " is out of range for axis " + std::to_string(axis) + " of size " + std::to_string(size);
  });
}

inline void check_index_dtype(const Spec& indices) {
  if (indices.dtype != DType::i32 && indices.dtype != DType::i64) {
    violate(ErrorKind::dtype,
            "indices must be i32 or i64, got " + std::string(dtype_name(indices.dtype)));
  }
}

/// Calls copy(T{}) with an integer type as wide as an element.
template <class Copy>
void visit_width(DType dtype, Copy&& copy) {
  switch (item_size(dtype)) {
    case 1:
      return copy(uint8_t{});
    case 2:
      return copy(uint16_t{});
    case 4:
      return copy(uint32_t{});
    case 8:
      return copy(uint64_t{});
    default:
      return copy(Complex<double>{});  // by parts, which are aligned where a word of 16 is not
  }
}

/// Sums of 16-bit floats are made in f32.
template <class T>
using Sum = std::conditional_t<sizeof(T) == 2, float, T>;

/// The type in which an oracle of sums computes.
template <class F>
auto visit_sums(DType dtype, F&& f) {
  return is_complex(dtype) ? f.template operator()<Complex<double>>()
                           : f.template operator()<double>();
}

/// Items of so many bytes that are worth a thread.
inline int64_t index_grain(int64_t bytes_an_item) {
  constexpr int64_t bytes_a_thread = int64_t{1} << 17;
  return std::max<int64_t>(1, bytes_a_thread / std::max<int64_t>(1, bytes_an_item));
}

}  // namespace taper
