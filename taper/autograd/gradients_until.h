#pragma once

#include <span>
#include <vector>

#include <taper/core/tensor.h>

namespace taper {

/// The gradients of `targets` from those of `results` (undefined: none), as the tape goes on this
/// thread. The pass ends at the targets: what they were computed from is not visited.
std::vector<Tensor> gradients_until(std::span<const Tensor> results, std::span<const Tensor> grads,
                                    std::span<const Tensor> targets);

}  // namespace taper
