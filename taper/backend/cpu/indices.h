#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>

#include <taper/core/error.h>
#include <taper/core/threads.h>
#include <taper/core/view.h>

// What the kernels that read indices share.

namespace taper {

/// A shape around one axis.
struct AxisSplit {
  int64_t outer = 1;
  int64_t size = 1;
  int64_t inner = 1;
};

inline AxisSplit split_at(const Shape& shape, int axis) {
  AxisSplit result;
  for (int i = 0; i < axis; ++i) result.outer *= shape[i];
  result.size = shape[axis];
  for (int i = axis + 1; i < shape.rank(); ++i) result.inner *= shape[i];
  return result;
}

/// Checked indices, counted from the start.
class Indices {
 public:
  Indices(const KernelContext& context, int64_t count)
      : memory_(context.workspace(sizeof(int64_t) * static_cast<size_t>(count))) {}
  int64_t* get() const { return reinterpret_cast<int64_t*>(memory_.data()); }
  int64_t& operator[](int64_t i) const { return get()[i]; }

 private:
  Buffer memory_;
};

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
/// Violation is about the first wrong one, whatever the threads; `says(value, position)` is its
/// text.
template <class Says>
Indices checked_indices(const KernelContext& context, const View& indices, int64_t low,
                        int64_t size, Says&& says) {
  const int64_t count = indices.numel();
  Indices result(context, count);
  std::atomic<int64_t> wrong{count};
  visit<kinds::integer>(indices.dtype(), [&]<class T>() {
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
        result[i] = index < 0 ? index + size : index;
      }
    });
    if (wrong < count) violate(ErrorKind::index, says(as_index(in[wrong]), wrong.load()));
  });
  return result;
}

/// Indices into an axis of `size` elements, negative ones counted from the end.
inline Indices axis_indices(const KernelContext& context, const View& indices, int64_t size,
                            int64_t axis, bool from_end = true) {
  return checked_indices(context, indices, from_end ? -size : 0, size,
                         [&](int64_t value, int64_t position) {
                           return "index " + std::to_string(value) + " at position " +
                                  std::to_string(position) + " is out of range for axis " +
                                  std::to_string(axis) + " of size " + std::to_string(size);
                         });
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

/// Items of so many bytes that are worth a thread.
inline int64_t index_grain(int64_t bytes_an_item) {
  constexpr int64_t bytes_a_thread = int64_t{1} << 17;
  return std::max<int64_t>(1, bytes_a_thread / std::max<int64_t>(1, bytes_an_item));
}

}  // namespace taper
