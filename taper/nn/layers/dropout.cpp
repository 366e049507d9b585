#include <taper/nn/layers/dropout.h>

#include <taper/ops/ops.h>

namespace taper::nn {

Tensor Dropout::forward(const Tensor& x) const { return dropout(x, options().p, training()); }

}  // namespace taper::nn

TAPER_LAYER(Dropout, "Zeroes elements at random in training.")
