#include <taper/nn/layers/activation.h>

#include <taper/ops/ops.h>

namespace taper::nn {

Tensor ReLU::forward(const Tensor& x) const { return relu(x); }
Tensor Sigmoid::forward(const Tensor& x) const { return sigmoid(x); }
Tensor Tanh::forward(const Tensor& x) const { return tanh(x); }
Tensor GELU::forward(const Tensor& x) const { return gelu(x); }
Tensor SiLU::forward(const Tensor& x) const { return silu(x); }
Tensor Identity::forward(const Tensor& x) const { return x; }
Tensor Softmax::forward(const Tensor& x) const { return softmax(x, options().dim); }

}  // namespace taper::nn

TAPER_LAYER(ReLU, "x where it is positive, else 0.")
TAPER_LAYER(Sigmoid, "1 / (1 + exp(-x)).")
TAPER_LAYER(Tanh, "The hyperbolic tangent.")
TAPER_LAYER(GELU, "x times the normal distribution function of x.")
TAPER_LAYER(SiLU, "x * sigmoid(x).")
TAPER_LAYER(Identity, "x itself.")
TAPER_LAYER(Softmax, "Exponentials that sum to one.")
