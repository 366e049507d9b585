// Private: the loss of a batch whose examples may weigh differently.
#pragma once

#include <span>
#include <vector>

#include <taper/nn/loss.h>

namespace taper {

/// That of the loss's options; the mean if they say none.
Reduction reduction_of(const nn::AnyLoss& loss);

/// The loss of each element, which weights need. Throws unsupported for a loss of the user's own,
/// and for one whose mean is not that of its elements.
nn::AnyLoss loss_of_elements(const nn::AnyLoss& loss);

/// The loss of a batch, whose operands are so many outputs and then targets. `sample_weight`
/// (undefined: none) holds a factor for each example, `class_weight` (empty: none) one for each
/// class; with either it is the mean (the sum, if that is the loss's reduction) of the weighed
/// losses of the elements, the sum being divided by their number, as in Keras.
///
/// Throws value and shape for weights that do not fit.
Tensor loss_of_batch(const nn::AnyLoss& loss, std::span<const Tensor> operands, size_t outputs,
                     const Tensor& sample_weight, const std::vector<double>& class_weight);

}  // namespace taper
