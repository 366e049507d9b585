#pragma once

#include <taper/ops/ops.h>

namespace taper::nn {

/// The functional forms of layers and losses under PyTorch's name for the place: every op is one.
namespace functional = taper;

}  // namespace taper::nn
