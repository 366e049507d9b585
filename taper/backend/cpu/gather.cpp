#include <taper/backend/cpu/gather.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <vector>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/indices.h>
#include <taper/backend/cpu/strided.h>

namespace taper {
namespace {

template <class T>
void take_rows(const T* from, int64_t inner, const int64_t* indices, int64_t count, T* to) {
  if (inner == 1) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[indices[i]];
    return;
  }
  const size_t bytes = sizeof(T) * static_cast<size_t>(inner);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * inner, from + indices[i] * inner, bytes);
  }
}

/// Single elements by indices that are checked on the way. False for an index out of range: then
/// what was written means nothing.
template <class T, class Index>
bool take_checked(const T* from, int64_t size, const Index* indices, int64_t count, bool from_end,
                  T* to) {
  const int64_t turn = from_end ? size : 0;
  std::atomic<bool> good{true};
  parallel_for(count, index_grain(sizeof(T)), [&](int64_t begin, int64_t end) {
    bool all_good = true;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t index = indices[i] < 0 ? indices[i] + turn : indices[i];
      const bool is_good = index >= 0 && index < size;
      all_good &= is_good;
      to[i] = from[is_good ? index : 0];
    }
    if (!all_good) good = false;
  });
  return good;
}

/// A part of an output to add to: the output itself, or f32 memory that is rounded in the end.
template <class T>
class SumPart {
 public:
  SumPart(T* out, int64_t count) : out_(out), count_(count), sums_(nullptr) {
    if constexpr (std::is_same_v<T, Sum<T>>) {
      sums_ = out;
    } else {
      memory_ = std::make_unique_for_overwrite<Sum<T>[]>(static_cast<size_t>(count));
      sums_ = memory_.get();
    }
    std::fill_n(sums_, count, Sum<T>(0));
  }
  Sum<T>* sums() { return sums_; }
  void finish() {
    if constexpr (!std::is_same_v<T, Sum<T>>) {
      for (int64_t i = 0; i < count_; ++i) out_[i] = static_cast<T>(sums_[i]);
    }
  }

 private:
  T* out_;
  int64_t count_;
  Sum<T>* sums_;
  std::unique_ptr<Sum<T>[]> memory_;
};

/// Each thread owns rows of the output and looks through all indices for them.
template <class T>
void add_own_rows(const T* grad, T* out, const AxisSplit& to, const Indices& indices, int64_t count,
                  int64_t begin, int64_t end) {
  SumPart<T> part(out + begin * to.inner, (end - begin) * to.inner);
  for (int64_t o = begin / to.size; o * to.size < end; ++o) {
    for (int64_t j = 0; j < count; ++j) {
      const int64_t row = o * to.size + indices[j];
      if (row < begin || row >= end) continue;
      const T* from = grad + (o * count + j) * to.inner;
      Sum<T>* sum = part.sums() + (row - begin) * to.inner;
      for (int64_t i = 0; i < to.inner; ++i) sum[i] += static_cast<Sum<T>>(from[i]);
    }
  }
  part.finish();
}

/// A row-major view under the shape to which it broadcasts: itself or, if that is another, a copy.
class Spread {
 public:
  Spread(const KernelContext& context, const View& x, const Shape& shape) : view_(x) {
    if (x.shape() == shape) return;
    spec_ = *x.spec;
    spec_.shape = shape;
    strides_ = row_major_strides(shape);
    const size_t item = item_size(x.dtype());
    copy_.emplace(context.workspace(item * static_cast<size_t>(shape.numel())));
    copy_strided(copy_->data(), strides_, x.data, broadcast_strides(x.shape(), *x.strides, shape),
                 shape, item);
    view_ = {copy_->data(), &spec_, &strides_, true};
  }
  Spread(const Spread&) = delete;
  Spread& operator=(const Spread&) = delete;
  const View& view() const { return view_; }

 private:
  View view_;
  Spec spec_;
  Strides strides_;
  std::optional<Buffer> copy_;
};

/// Fills columns [begin, end) of one outer part of the output, summing in `width` columns.
template <class T>
void put_columns(const T* values, const int64_t* indices, T* out, const AxisSplit& to,
                 int64_t count, int64_t begin, int64_t end, std::vector<Sum<T>>& sums) {
  const int64_t width = end - begin;
  sums.assign(static_cast<size_t>(to.size * width), Sum<T>(0));
  for (int64_t j = 0; j < count; ++j) {
    const int64_t row = j * to.inner + begin;
    for (int64_t i = 0; i < width; ++i) {
      sums[static_cast<size_t>(indices[row + i] * width + i)] +=
          static_cast<Sum<T>>(values[row + i]);
    }
  }
  for (int64_t j = 0; j < to.size; ++j) {
    for (int64_t i = 0; i < width; ++i) {
      out[j * to.inner + begin + i] = static_cast<T>(sums[static_cast<size_t>(j * width + i)]);
    }
  }
}

}  // namespace

void take(const KernelContext& context, const View& x, const View& indices, int axis, bool from_end,
          const View& out) {
  const AxisSplit from = split_at(x.shape(), axis);
  const int64_t count = indices.numel();
  if (from.outer == 1 && from.inner == 1 && from.size > 0) {
    bool good = false;
    visit_width(x.dtype(), [&]<class T>(T) {
      const bool wide = indices.dtype() == DType::i64;
      const auto run = [&]<class Index>(const Index* all) {
        return take_checked(x.as<T>(), from.size, all, count, from_end, out.as<T>());
      };
      good = wide ? run(indices.as<int64_t>()) : run(indices.as<int32_t>());
    });
    if (good) return;
  }
  const Indices checked = axis_indices(context, indices, from.size, axis, from_end);
  if (out.numel() == 0) return;
  visit_width(x.dtype(), [&]<class T>(T) {
    const auto bytes = static_cast<int64_t>(sizeof(T)) * from.inner;
    parallel_for(from.outer * count, index_grain(bytes), [&](int64_t begin, int64_t end) {
      while (begin < end) {  // what is taken from one outer element
        const int64_t first = begin % count;
        const int64_t rows = std::min(count - first, end - begin);
        take_rows(x.as<T>() + begin / count * from.size * from.inner, from.inner,
                  checked.get() + first, rows, out.as<T>() + begin * from.inner);
        begin += rows;
      }
    });
  });
}

void take_add(const KernelContext& context, const View& grad, const View& indices, int axis,
              const View& out) {
  const AxisSplit to = split_at(out.shape(), axis);
  const int64_t count = indices.numel();
  const Indices checked = axis_indices(context, indices, to.size, axis);
  if (out.numel() == 0) return;
  const auto size = static_cast<int64_t>(item_size(grad.dtype()));
  const int64_t work = (to.inner + count * to.inner / to.size) * size;
  visit<kinds::inexact>(grad.dtype(), [&]<class T>() {
    parallel_for(to.outer * to.size, index_grain(work), [&](int64_t begin, int64_t end) {
      add_own_rows(grad.as<T>(), out.as<T>(), to, checked, count, begin, end);
    });
  });
}

void take_along(const KernelContext& context, const View& x, const View& indices, int axis,
                bool from_end, const View& out) {
  Shape whole = out.shape();
  whole[axis] = x.shape()[axis];
  const Spread source(context, x, whole);
  const Spread chosen(context, indices, out.shape());
  const AxisSplit from = split_at(whole, axis);
  const int64_t count = out.shape()[axis];
  const Indices checked = axis_indices(context, chosen.view(), from.size, axis, from_end);
  if (out.numel() == 0) return;
  visit_width(x.dtype(), [&]<class T>(T) {
    T* const to = out.as<T>();
    const int64_t grain = index_grain(from.inner * static_cast<int64_t>(sizeof(T)));
    parallel_for(from.outer * count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* first = source.view().as<T>() + row / count * from.size * from.inner;
        for (int64_t i = 0; i < from.inner; ++i) {
          const int64_t at = row * from.inner + i;
          to[at] = first[checked[at] * from.inner + i];
        }
      }
    });
  });
}

/// Each thread owns columns of the output along the axis.
void put_along_add(const KernelContext& context, const View& values, const View& indices, int axis,
                   const View& out) {
  const AxisSplit to = split_at(out.shape(), axis);
  const int64_t count = values.shape()[axis];
  const Indices checked = axis_indices(context, indices, to.size, axis);
  if (out.numel() == 0) return;
  const auto size = static_cast<int64_t>(item_size(values.dtype()));
  visit<kinds::inexact>(values.dtype(), [&]<class T>() {
    const int64_t grain = index_grain((to.size + count) * size);
    parallel_for(to.outer * to.inner, grain, [&](int64_t begin, int64_t end) {
      std::vector<Sum<T>> sums;
      while (begin < end) {
        const int64_t o = begin / to.inner;
        const int64_t first = begin - o * to.inner;
        const int64_t last = std::min(to.inner, end - o * to.inner);
        const int64_t from = o * count * to.inner;
        put_columns(values.as<T>() + from, checked.get() + from,
                    out.as<T>() + o * to.size * to.inner, to, count, first, last, sums);
        begin += last - first;
      }
    });
  });
}

void one_hot(const KernelContext& context, const View& indices, int64_t classes, const View& out) {
  const auto says = [&](int64_t value, int64_t position) {
    return "index " + std::to_string(value) + " at position " + std::to_string(position) +
           " is not in [0, " + std::to_string(classes) + ")";
  };
  const Indices checked = checked_indices(context, indices, 0, classes, says);
  visit<kinds::every>(out.dtype(), [&]<class T>() {
    T* const to = out.as<T>();
    const int64_t grain = index_grain(classes * static_cast<int64_t>(sizeof(T)));
    parallel_for(indices.numel(), grain, [&](int64_t begin, int64_t end) {
      std::fill(to + begin * classes, to + end * classes, static_cast<T>(0.f));
      for (int64_t i = begin; i < end; ++i) {
        to[i * classes + checked[i]] = static_cast<T>(1.f);
      }
    });
  });
}

}  // namespace taper
