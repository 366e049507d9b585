// Private: what layers and losses say would fit, empty if nothing is known; and what they share.
#pragma once

#include <string>

#include <taper/core/tensor.h>
#include <taper/nn/parameter.h>

namespace taper::nn {

/// Empty if it has that dtype.
std::string hint_for_dtype(const char* name, const Tensor& x, DType wanted);
/// For what is no batch of images [N,C,H,W]; `channels` is 0 if any number fits.
std::string hint_for_images(const Tensor& x, int64_t channels);
/// For losses of each element.
std::string hint_for_elements(const Tensor& input, const Tensor& target);
int64_t elements_of_example(const Tensor& x);

/// The cell's value; undefined without a cell.
inline Tensor value_of(const Parameter& cell) { return cell ? cell.value() : Tensor(); }

}  // namespace taper::nn
