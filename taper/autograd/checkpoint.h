#pragma once

#include <functional>
#include <vector>

#include <taper/autograd/autograd.h>

namespace taper {

namespace detail {
TAPER_API Tensor checkpoint_of_list(TensorFunction f, std::vector<Tensor> inputs);
}

/// f(inputs), but nothing within f is kept for the backward pass: it runs f once more there, which
/// takes time and saves memory (Chen et al., "Training deep nets with sublinear memory cost",
/// 2016). The gradients are those of the plain call, bit for bit: the second run sees the cells
/// that f assigns (random generators, running means) as the first did, and leaves them as they are.
/// Gradients also flow to the parameters that f uses. f must compute the same from the same values.
template <detail::ListFunction F>
Tensor checkpoint(F f, std::vector<Tensor> inputs) {
  return detail::checkpoint_of_list(std::move(f), std::move(inputs));
}

/// `checkpoint(f, x, y)` for any callable of tensors, such as a module. The callable is copied; a
/// copy of a module shares its parameters.
template <class F, class... Tensors>
  requires(std::convertible_to<const Tensors&, Tensor> && ...)
Tensor checkpoint(F f, const Tensor& first, const Tensors&... rest) {
  return detail::checkpoint_of_list(
      [f = std::move(f)](const std::vector<Tensor>& inputs) mutable {
        return [&]<size_t... index>(std::index_sequence<index...>) -> Tensor {
          return f(inputs[index]...);
        }(std::make_index_sequence<1 + sizeof...(Tensors)>());
      },
      std::vector<Tensor>{first, Tensor(rest)...});
}

}  // namespace taper
