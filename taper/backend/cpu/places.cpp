#include <taper/backend/cpu/places.h>

#include <array>
#include <cstring>
#include <optional>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/indices.h>
#include <taper/backend/cpu/strided.h>
#include <taper/backend/cpu/walk.h>
#include <taper/core/tensor.h>

namespace taper {
namespace {

/// The axes of a tensor, seen from index tensors that pick along some of them: those in front of
/// the picked places in the result, the picked ones in the order of the index tensors, the rest.
struct Parts {
  Walk before;
  Walk picked;
  Walk after;
};

Parts parts_of(const Shape& shape, const Strides& strides, const Picks& picks) {
  Parts parts;
  int64_t others = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!picks.along(i))
      (others++ < picks.at ? parts.before : parts.after).add(shape[i], strides[i]);
  }
  for (int64_t axis : picks.axes) {
    const int i = static_cast<int>(axis);
    parts.picked.add(shape[i], strides[i]);
  }
  return parts;
}

/// The picked places, numbered in the order of the index tensors' axes.
struct Picked {
  Shape shape;
  int64_t count;
  Indices places;
};

Shape common_shape(std::span<const View> indices) {
  Shape common;
  for (const View& view : indices) common = broadcast_shapes(common, view.shape());
  return common;
}

/// A row-major copy.
Buffer packed(const KernelContext& context, const View& view) {
  const size_t size = item_size(view.dtype());
  Buffer copy = context.workspace(static_cast<size_t>(view.numel()) * size);
  copy_strided(copy.data(), row_major_strides(view.shape()), view.data, *view.strides, view.shape(),
               size);
  return copy;
}

/// Reads the index tensors of axes of these sizes; the error about an index names its axis.
Picked read_picks(const KernelContext& context, std::span<const View> indices, const Shape& shape,
                  const Picks& picks) {
  const Shape common = common_shape(indices);
  Picked picked{common, common.numel(), Indices(context, common.numel())};
  std::fill_n(picked.places.get(), picked.count, 0);
  for (size_t i = 0; i < indices.size(); ++i) {
    View view = indices[i];
    const Strides dense = row_major_strides(view.shape());
    std::optional<Buffer> copy;
    if (!view.row_major) {
      copy.emplace(packed(context, view));
      view = {copy->data(), view.spec, &dense, true};
    }
    const int64_t axis = picks.axes[static_cast<int>(i)];
    const int64_t size = shape[static_cast<int>(axis)];
    const Indices checked = axis_indices(context, view, size, axis);
    int64_t* place = picked.places.get();
    for_each_offset(common, broadcast_strides(view.shape(), dense, common), [&](int64_t offset) {
      *place = *place * size + checked[offset];
      ++place;
    });
  }
  return picked;
}

/// The grain of `rows` items whose work is that of `bytes` together.
int64_t row_grain(int64_t rows, int64_t bytes) {
  return index_grain(bytes / std::max<int64_t>(1, rows) + 1);
}

/// For rows [begin, end) of an output, of which one is a place for one outer element: calls
/// visit(outer, position) for what is picked in them, in the order of the positions. So each row is
/// written by one thread, and the result does not depend on their number.
template <class Visit>
void for_own_rows(const Picked& picked, int64_t places, int64_t begin, int64_t end, Visit&& visit) {
  for (int64_t outer = begin / places; outer * places < end; ++outer) {
    const int64_t low = begin - outer * places;
    const int64_t high = end - outer * places;
    for (int64_t i = 0; i < picked.count; ++i) {
      const int64_t place = picked.places[i];
      if (place >= low && place < high) visit(outer, i);
    }
  }
}

/// Copies the elements of a walk into a row.
template <class T>
void gather_row(T* to, const T* from, const Walk& walk) {
  const int64_t count = walk.count();
  if (walk.rank() <= 1 && (count == 1 || walk.stride() == 1)) {
    if (count == 1) {
      *to = *from;
    } else {
      std::memcpy(to, from, sizeof(T) * static_cast<size_t>(count));
    }
  } else if (walk.rank() == 1) {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i * walk.stride()];
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = from[walk.at(i)];
  }
}

/// Adds what is picked to rows [begin, end) of the sums, which start at zero.
template <class T>
void add_rows(const T* grad, Sum<T>* sums, const Parts& parts, const Picked& picked, int64_t begin,
              int64_t end) {
  const int64_t places = parts.picked.count();
  const int64_t inner = parts.after.count();
  const auto row = [&](int64_t outer, int64_t place) {
    return sums + parts.before.at(outer) + parts.picked.at(place);
  };
  for (int64_t i = begin; i < end; ++i) {
    Sum<T>* to = row(i / places, i % places);
    for (int64_t j = 0; j < inner; ++j) to[parts.after.at(j)] = 0;
  }
  for_own_rows(picked, places, begin, end, [&](int64_t outer, int64_t at) {
    Sum<T>* to = row(outer, picked.places[at]);
    const T* from = grad + (outer * picked.count + at) * inner;
    if (parts.after.rank() <= 1) {
      const int64_t stride = parts.after.stride();
      for (int64_t j = 0; j < inner; ++j) to[j * stride] += static_cast<Sum<T>>(from[j]);
    } else {
      for (int64_t j = 0; j < inner; ++j) to[parts.after.at(j)] += static_cast<Sum<T>>(from[j]);
    }
  });
}

/// The axes of `values` that stand for those before, at and behind the picked places.
Parts parts_of_values(const Shape& target, const Strides& strides, int64_t at, int picked) {
  Parts parts;
  for (int i = 0; i < target.rank(); ++i) {
    Walk& part = i < at ? parts.before : i < at + picked ? parts.picked : parts.after;
    part.add(target[i], strides[i]);
  }
  return parts;
}

template <class T>
void copy_row(T* to, const Walk& to_walk, const T* from, const Walk& from_walk) {
  const int64_t count = to_walk.count();
  if (to_walk.rank() <= 1 && from_walk.rank() <= 1) {
    for (int64_t i = 0; i < count; ++i) to[i * to_walk.stride()] = from[i * from_walk.stride()];
  } else {
    for (int64_t i = 0; i < count; ++i) to[to_walk.at(i)] = from[from_walk.at(i)];
  }
}

void put_rows(const View& values, const Part& part, const Picks& picks, const Picked& picked,
              const Shape& target, const View& out) {
  if (target.numel() == 0) return;
  const Parts to = parts_of(part.shape, part.strides, picks);
  const Parts from =
      parts_of_values(target, broadcast_strides(values.shape(), *values.strides, target), picks.at,
                      picked.shape.rank());
  const int64_t places = to.picked.count();
  const int64_t rows = to.before.count() * places;
  visit_width(out.dtype(), [&]<class T>(T) {
    T* const first = out.as<T>() + part.offset;
    const int64_t bytes = target.numel() * static_cast<int64_t>(sizeof(T));
    parallel_for(rows, row_grain(rows, bytes), [&](int64_t begin, int64_t end) {
      for_own_rows(picked, places, begin, end, [&](int64_t outer, int64_t at) {
        copy_row(first + to.before.at(outer) + to.picked.at(picked.places[at]), to.after,
                 values.as<T>() + from.before.at(outer) + from.picked.at(at), from.after);
      });
    });
  });
}

}  // namespace

void index(const KernelContext& context, const View& x, std::span<const View> indices,
           const Picks& picks, const View& out) {
  const Parts parts = parts_of(x.shape(), *x.strides, picks);
  const Picked picked = read_picks(context, indices, x.shape(), picks);
  if (out.numel() == 0) return;
  visit_width(x.dtype(), [&]<class T>(T) {
    const int64_t inner = parts.after.count();
    const int64_t grain = index_grain(inner * static_cast<int64_t>(sizeof(T)));
    const bool single = inner == 1 && parts.picked.rank() <= 1;
    parallel_for(parts.before.count() * picked.count, grain, [&](int64_t begin, int64_t end) {
      while (begin < end) {  // what is picked from one outer element
        const int64_t first = begin % picked.count;
        const int64_t rows = std::min(picked.count - first, end - begin);
        const T* from = x.as<T>() + parts.before.at(begin / picked.count);
        const int64_t* places = picked.places.get() + first;
        T* to = out.as<T>() + begin * inner;
        if (single) {
          for (int64_t i = 0; i < rows; ++i) to[i] = from[places[i] * parts.picked.stride()];
        } else {
          for (int64_t i = 0; i < rows; ++i) {
            gather_row(to + i * inner, from + parts.picked.at(places[i]), parts.after);
          }
        }
        begin += rows;
      }
    });
  });
}

void index_add(const KernelContext& context, const View& grad, std::span<const View> indices,
               const Picks& picks, const View& out) {
  const Parts parts = parts_of(out.shape(), *out.strides, picks);
  const Picked picked = read_picks(context, indices, out.shape(), picks);
  const int64_t count = out.numel();
  if (count == 0) return;
  const int64_t rows = parts.before.count() * parts.picked.count();
  visit<kinds::inexact>(grad.dtype(), [&]<class T>() {
    constexpr bool is_short = !std::is_same_v<T, Sum<T>>;
    const Buffer memory =
        context.workspace(is_short ? sizeof(Sum<T>) * static_cast<size_t>(count) : 0);
    const auto sums = reinterpret_cast<Sum<T>*>(is_short ? memory.data() : out.data);
    const int64_t bytes = (grad.numel() + count) * static_cast<int64_t>(sizeof(T));
    const int64_t grain = row_grain(rows, bytes);
    parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
      add_rows(grad.as<T>(), sums, parts, picked, begin, end);
    });
    if constexpr (is_short) {
      for (int64_t i = 0; i < count; ++i) out.as<T>()[i] = static_cast<T>(sums[i]);
    }
  });
}

void update_places(const KernelContext& context, const View& x, const View& values,
                   std::span<const View> indices, const Part& part, const Picks& picks,
                   const Shape& target, const View& out) {
  const Picked picked = read_picks(context, indices, part.shape, picks);
  if (picks.axes.rank() == 0) return update_part(x, values, part, out);
  const size_t size = item_size(x.dtype());
  if (out.data != x.data) copy_strided(out.data, *out.strides, x.data, *x.strides, x.shape(), size);
  put_rows(values, part, picks, picked, target, out);
}

void update_masked(const View& x, const View& mask, const View& values, const View& out) {
  const size_t size = item_size(x.dtype());
  if (out.data != x.data) copy_strided(out.data, *out.strides, x.data, *x.strides, x.shape(), size);
  if (out.numel() == 0) return;
  const auto spread = [&](const View& view) {
    return broadcast_strides(view.shape(), *view.strides, out.shape());
  };
  const std::array strides = {*out.strides, spread(mask), spread(values)};
  const std::array sizes = {size, size_t{1}, size};
  const StridedLoop loop(out.shape(), strides, sizes);
  visit_width(out.dtype(), [&]<class T>(T) {
    const int64_t grain = index_grain(loop.inner() * static_cast<int64_t>(size + 1));
    parallel_for(loop.rows(), grain, [&](int64_t begin, int64_t end) {
      std::byte* const bases[] = {out.data, mask.data, values.data};
      loop.for_rows(bases, begin, end, [&](std::byte* const* at) {
        for (int64_t i = 0; i < loop.inner(); ++i) {
          if (at[1][i * loop.inner_stride(1)] == std::byte{0}) continue;
          *reinterpret_cast<T*>(at[0] + i * loop.inner_stride(0)) =
              *reinterpret_cast<const T*>(at[2] + i * loop.inner_stride(2));
        }
      });
    });
  });
}

}  // namespace taper
