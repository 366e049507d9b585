#pragma once

#include <vector>

#include <taper/core/state.h>

namespace taper::optim {

/// The Euclidean norm over all gradients, a 0-d tensor of the first one's dtype; 0 if no cell has
/// a gradient.
TAPER_API Tensor grad_norm(const std::vector<State>& parameters);

/// Scales all gradients by max_norm / (norm + 1e-6) where their common norm is larger than
/// `max_norm`, as PyTorch's clip_grad_norm_. Returns the norm before. Throws value unless
/// `max_norm` is above 0.
TAPER_API Tensor clip_grad_norm(const std::vector<State>& parameters, double max_norm);

/// Puts every element of the gradients into [-limit, limit]. Throws value unless `limit` is above
/// 0.
TAPER_API void clip_grad_value(const std::vector<State>& parameters, double limit);

}  // namespace taper::optim
