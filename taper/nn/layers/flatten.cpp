#include <taper/nn/layers/flatten.h>

#include <taper/ops/ops.h>

namespace taper::nn {

Tensor Flatten::forward(const Tensor& x) const {
  return flatten(x, options().start_dim, options().end_dim);
}

}  // namespace taper::nn

TAPER_LAYER(Flatten, "Joins axes into one.")
