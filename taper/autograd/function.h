#pragma once

#include <functional>
#include <string>
#include <vector>

#include <taper/autograd/autograd.h>

namespace taper {

/// A function with a gradient of its own, for programs that use the library.
struct CustomFunction {
  /// Stands in messages.
  std::string name = "custom function";
  /// Runs without the tape: it may be written in ops or on the elements.
  TensorFunction forward;
  /// The gradient of each input (undefined: none) from that of the output. Written in ops it can be
  /// differentiated again.
  std::function<std::vector<Tensor>(const Tensor& grad, const std::vector<Tensor>& inputs,
                                    const Tensor& output)>
      backward;
};

/// Makes it callable and differentiable; `gradcheck` tells whether the two agree. Calls throw value
/// where forward gives no tensor; a backward pass throws value for a wrong number of gradients and
/// shape for one that is not like its input.
TAPER_API TensorFunction custom_function(CustomFunction function);

}  // namespace taper
