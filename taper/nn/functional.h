#pragma once

#include <taper/ops/ops.h>

/// The functional forms of layers and losses, under PyTorch's name for the place.
namespace taper::nn::functional {

using taper::avg_pool2d;
using taper::batch_norm;
using taper::binary_cross_entropy;
using taper::binary_cross_entropy_with_logits;
using taper::conv2d;
using taper::cross_entropy;
using taper::dropout;
using taper::gelu;
using taper::linear;
using taper::log_softmax;
using taper::max_pool2d;
using taper::mse_loss;
using taper::relu;
using taper::sigmoid;
using taper::silu;
using taper::softmax;
using taper::tanh;

}  // namespace taper::nn::functional
