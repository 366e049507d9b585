#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <taper/autograd/autograd.h>

namespace taper {

struct GradcheckOptions {
  double eps = 1e-6;   ///< the step of the differences
  double atol = 1e-5;  ///< |analytical - numerical| may be atol + rtol * |numerical|
  double rtol = 1e-3;
  bool raise_exception = true;  ///< throw where they differ; otherwise the result is false
  bool fast_mode = false;       ///< one random direction for each input instead of every element
  uint64_t seed = 0;            ///< of the directions
};

/// Compares the gradients of f with central differences, for every floating input. Inputs must be
/// float64 (throws dtype), since differences need the digits. Throws value where they differ:
/// `gradcheck: the gradient of output[1] by input 0 at [0,2] is 3, differences give 2 (input 0
/// f64[2,3])`.
TAPER_API bool gradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                         const GradcheckOptions& options = {});

/// The same for the gradients of f's gradients, with a fixed random gradient of the output.
TAPER_API bool gradgradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                             const GradcheckOptions& options = {});

/// `gradcheck` with respect to floating inputs and to cells, such as the parameters and buffers of
/// the module that f calls. Floating cells are float64 while it runs and hold what they held
/// afterwards; those that need no gradient are not checked. f must compute the same at each call: a
/// layer that draws random numbers goes into evaluation mode.
TAPER_API bool gradcheck_cells(const TensorFunction& f, const std::vector<Tensor>& inputs,
                               const std::vector<State>& cells,
                               const GradcheckOptions& options = {});

/// The same for the gradients of the gradients.
TAPER_API bool gradgradcheck_cells(const TensorFunction& f, const std::vector<Tensor>& inputs,
                                   const std::vector<State>& cells,
                                   const GradcheckOptions& options = {});

namespace detail {

/// The module's result for so many operands; throws value if it takes another number of them.
template <class M>
Tensor call_module(const char* check, M& module, const std::vector<Tensor>& inputs) {
  const auto call = [&]<size_t... index>(std::index_sequence<index...>, Tensor& result) {
    constexpr bool takes = requires { Tensor(module(inputs[index]...)); };
    if constexpr (takes) {
      if (inputs.size() == sizeof...(index)) result = module(inputs[index]...);
    }
    return takes && inputs.size() == sizeof...(index);
  };
  Tensor result;
  const bool called = [&]<size_t... count>(std::index_sequence<count...>) {
    return (call(std::make_index_sequence<count + 1>(), result) || ...);
  }(std::make_index_sequence<8>());
  if (called) return result;
  fail(ErrorKind::value, std::string(check) + ": `" + module.name() + "` does not take " +
                             std::to_string(inputs.size()) + " tensors and give one");
}

/// Modules, known by what `gradcheck` asks of them.
template <class M>
concept HasCells = requires(const M& module) {
  module.parameters();
  module.named_buffers();
};

template <HasCells M>
std::vector<State> cells_of(const M& module) {
  std::vector<State> cells = module.parameters();
  for (const auto& [name, cell] : module.named_buffers()) cells.push_back(cell);
  return cells;
}

}  // namespace detail

/// The operands and the parameters of a module: `gradcheck(layer, {x, y})`.
template <detail::HasCells M>
bool gradcheck(M module, const std::vector<Tensor>& inputs, const GradcheckOptions& options = {}) {
  return gradcheck_cells(
      [&](const auto& operands) { return detail::call_module("gradcheck", module, operands); },
      inputs, detail::cells_of(module), options);
}
template <detail::HasCells M>
bool gradcheck(M module, const Tensor& x, const GradcheckOptions& options = {}) {
  return gradcheck(std::move(module), std::vector<Tensor>{x}, options);
}

/// The same for the gradients of the gradients.
template <detail::HasCells M>
bool gradgradcheck(M module, const std::vector<Tensor>& inputs,
                   const GradcheckOptions& options = {}) {
  return gradgradcheck_cells(
      [&](const auto& operands) { return detail::call_module("gradgradcheck", module, operands); },
      inputs, detail::cells_of(module), options);
}
template <detail::HasCells M>
bool gradgradcheck(M module, const Tensor& x, const GradcheckOptions& options = {}) {
  return gradgradcheck(std::move(module), std::vector<Tensor>{x}, options);
}

/// The first gradients of a module of one operand.
template <detail::HasCells M>
bool gradcheck_module(M module, const Tensor& x, const GradcheckOptions& options = {}) {
  return gradcheck(std::move(module), std::vector<Tensor>{x}, options);
}

}  // namespace taper
