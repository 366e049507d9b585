#pragma once

#include <functional>
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

/// The input and the parameters of a module: `gradcheck_module(layer, x)`.
template <class M>
bool gradcheck_module(M module, const Tensor& x, const GradcheckOptions& options = {}) {
  std::vector<State> cells = module.parameters();
  for (const auto& [name, cell] : module.named_buffers()) cells.push_back(cell);
  return gradcheck_cells(
      [&](const std::vector<Tensor>& inputs) { return Tensor(module(inputs[0])); },
      std::vector<Tensor>{x}, cells, options);
}

}  // namespace taper
