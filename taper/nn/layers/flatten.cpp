#include <taper/nn/layers/flatten.h>

#include <taper/core/shape.h>
#include <taper/ops/composed.h>
#include <taper/ops/index/indexing.h>
#include <taper/ops/ops.h>

namespace taper::nn {

Tensor Flatten::forward(const Tensor& x) const {
  return flatten(x, options().start_dim, options().end_dim);
}

Tensor Select::forward(const Tensor& x) const {
  return composed_of_x("select", x, [&] {
    const int axis = normalize_axis(options().dim, x.rank());
    std::vector<IndexItem> items(static_cast<size_t>(axis), Slice(0, {}));
    items.emplace_back(options().index.value());
    return index(x, items);
  });
}

}  // namespace taper::nn

TAPER_LAYER(Flatten, "Joins axes into one.")
TAPER_LAYER(Select, "One place of an axis, such as the last step of a sequence.")
