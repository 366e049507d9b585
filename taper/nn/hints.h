// Private: the way out at the end of an error's message.
#pragma once

#include <string>
#include <utility>

#include <taper/core/error.h>
#include <taper/core/tensor.h>

namespace taper::nn {

/// The error with `; hint` behind its text; as it is if there is no hint.
inline Error with_hint(const Error& error, const std::string& hint) {
  if (hint.empty()) return error;
  return {error.kind(), std::string(error.what()) + "; " + hint, error.op(), error.layer()};
}

/// What `forward` returns. If its op refuses the operands, `hint` says what would fit.
template <class Forward, class Hint>
Tensor explained(Forward&& forward, Hint&& hint) {
  try {
    return forward();
  } catch (const Error& error) {
    const bool of_operands = error.kind() == ErrorKind::shape || error.kind() == ErrorKind::dtype;
    if (!of_operands) throw;
    throw with_hint(error, hint());
  }
}

// What would fit, empty if nothing is known. `x` is the operand, `weight` the layer's own.

std::string hint_for_dtype(const char* name, const Tensor& x, DType wanted);
std::string hint_for_linear(const Tensor& x, const Tensor& weight, bool bias);
/// `channels` are those that the layer takes, of all groups together.
std::string hint_for_conv2d(const Tensor& x, const Tensor& weight, int64_t channels);
std::string hint_for_pool2d(const Tensor& x);
std::string hint_for_batch_norm(std::string_view type, const Tensor& x, int64_t features);
/// For class numbers [N,...] and logits [N,C,...].
std::string hint_for_classes(const Tensor& input, const Tensor& target);
/// For losses of each element.
std::string hint_for_elements(const Tensor& input, const Tensor& target);

}  // namespace taper::nn
