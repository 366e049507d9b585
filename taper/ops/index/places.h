#pragma once

#include <vector>

#include <taper/backend/cpu/copy.h>
#include <taper/backend/cpu/strided.h>
#include <taper/ops/index/indices.h>
#include <taper/ops/index/walk.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// What the ops on places that several index tensors give together share.

namespace taper {

/// The axes of a tensor, seen from index tensors that pick along some of them: those in front of
/// the picked places in the result, the picked ones in the order of the index tensors, the rest.
struct Parts {
  Walk before;
  Walk picked;
  Walk after;
};

/// Whether index tensors pick along the axis.
inline bool picks(const Shape& axes, int axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

inline Parts parts_of(const Shape& shape, const Strides& strides, const Shape& axes, int64_t at) {
  Parts parts;
  int64_t others = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!picks(axes, i)) (others++ < at ? parts.before : parts.after).add(shape[i], strides[i]);
  }
  for (int64_t axis : axes) {
    const int i = static_cast<int>(axis);
    parts.picked.add(shape[i], strides[i]);
  }
  return parts;
}

/// The operands from `first` on, as the index tensors of `axes` of a tensor of `rank` axes,
/// checked. Returns their broadcast shape.
inline Shape check_picks(const InSpecs& in, size_t first, const Shape& axes, int64_t at, int rank) {
  if (in.size() - first != static_cast<size_t>(axes.rank())) {
    violate(ErrorKind::value, "takes one index tensor for each of its axes " + to_string(axes));
  }
  Shape common;
  bool seen[Shape::max_rank] = {};
  for (int i = 0; i < axes.rank(); ++i) {
    check_index_dtype(in[first + static_cast<size_t>(i)]);
    if (axes[i] < 0 || axes[i] >= rank || seen[axes[i]]) {
      violate(ErrorKind::value, "axes must be different ones in [0, " + std::to_string(rank) +
                                    "), got " + to_string(axes));
    }
    seen[axes[i]] = true;
    common = broadcast_shapes(common, in[first + static_cast<size_t>(i)].shape);
  }
  if (at < 0 || at > rank - axes.rank()) {
    violate(ErrorKind::value, "at must be in [0, " + std::to_string(rank - axes.rank()) +
                                  "], got " + std::to_string(at));
  }
  return common;
}

/// The shape of what index tensors of the broadcast shape `picked` select.
inline Shape selected_shape(const Shape& shape, const Shape& axes, int64_t at,
                            const Shape& picked) {
  Shape selected;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!picks(axes, i)) selected.push_back(shape[i]);
  }
  for (int i = 0; i < picked.rank(); ++i) {
    selected.insert(static_cast<int>(at) + i, picked[i]);
  }
  return selected;
}

/// The picked places, numbered in the order of the index tensors' axes.
struct Picked {
  Shape shape;
  int64_t count = 1;
  Indices places;
};

/// Reads the operands of a kernel from `first` on, for axes of these sizes; the error about an
/// index names its axis.
inline Picked read_picks(const Kernel& k, size_t first, const Shape& shape, const Shape& axes) {
  Picked picked;
  for (size_t i = first; i < k.inputs.size(); ++i) {
    picked.shape = broadcast_shapes(picked.shape, k.in(i).shape());
  }
  picked.count = picked.shape.numel();
  picked.places = std::make_unique<int64_t[]>(static_cast<size_t>(picked.count));
  for (size_t i = first; i < k.inputs.size(); ++i) {
    View view = k.in(i);
    const Strides dense = row_major_strides(view.shape());
    std::vector<std::byte> copy;
    if (!view.row_major) {
      const size_t size = item_size(view.dtype());
      copy.resize(static_cast<size_t>(view.numel()) * size);
      copy_strided(copy.data(), dense, view.data, *view.strides, view.shape(), size);
      view = {copy.data(), view.spec, &dense, true};
    }
    const int64_t axis = axes[static_cast<int>(i - first)];
    const int64_t size = shape[static_cast<int>(axis)];
    const Indices indices = axis_indices(view, size, axis);
    int64_t* place = picked.places.get();
    for_each_offset(picked.shape, broadcast_strides(view.shape(), dense, picked.shape),
                    [&](int64_t offset) {
                      *place = *place * size + indices[static_cast<size_t>(offset)];
                      ++place;
                    });
  }
  return picked;
}

/// The grain of `rows` items whose work is that of `bytes` together.
inline int64_t row_grain(int64_t rows, int64_t bytes) {
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
      const int64_t place = picked.places[static_cast<size_t>(i)];
      if (place >= low && place < high) visit(outer, i);
    }
  }
}

}  // namespace taper
