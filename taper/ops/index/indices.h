#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>

#include <taper/core/threads.h>
#include <taper/core/view.h>
#include <taper/ops/op.h>

// What the ops on parts of tensors share.

namespace taper {
namespace detail {

/// slice_update whose x may be donated.
Tensor slice_update(const Arg& x, const Tensor& values, int64_t axis, std::optional<int64_t> start,
                    std::optional<int64_t> stop, int64_t step);

/// Zeros of `shape` with each value added at its index along `axis`: the adjoint of take.
Tensor put_add(const Tensor& values, const Tensor& indices, const Shape& shape, int64_t axis);

}  // namespace detail

using Indices = std::unique_ptr<int64_t[]>;

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
          const int64_t index = in[i];
          if (index < low || index >= size) {
            int64_t first = wrong.load();
            while (i < first && !wrong.compare_exchange_weak(first, i)) {
            }
            return;
          }
          result[static_cast<size_t>(i)] = index < 0 ? index + size : index;
        }
      });
      if (wrong < count) violate(ErrorKind::index, says(int64_t{in[wrong]}, wrong.load()));
    }
  });
  return result;
}

/// Items of so many bytes that are worth a thread.
inline int64_t index_grain(int64_t bytes_an_item) {
  constexpr int64_t bytes_a_thread = int64_t{1} << 17;
  return std::max<int64_t>(1, bytes_a_thread / std::max<int64_t>(1, bytes_an_item));
}

}  // namespace taper
