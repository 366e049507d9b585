#pragma once

#include <vector>

#include <taper/backend/cpu/places.h>
#include <taper/ops/index/indices.h>
#include <taper/ops/ops.h>
#include <taper/ops/tape.h>

// What the ops on places that several index tensors give together share.

namespace taper {

/// The operands from `first` on, as the index tensors of `axes` of a tensor of `rank` axes,
/// checked. Returns their broadcast shape.
inline Shape check_picks(const InSpecs& in, size_t first, const Picks& picks, int rank) {
  const auto& [axes, at] = picks;
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
inline Shape selected_shape(const Shape& shape, const Picks& picks, const Shape& picked) {
  Shape selected;
  for (int i = 0; i < shape.rank(); ++i) {
    if (!picks.along(i)) selected.push_back(shape[i]);
  }
  for (int i = 0; i < picked.rank(); ++i) {
    selected.insert(static_cast<int>(picks.at) + i, picked[i]);
  }
  return selected;
}

}  // namespace taper
