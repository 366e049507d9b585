// What a model is made of, as a table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <taper/nn/any_module.h>

namespace taper {

/// A module that has no modules within, and its part in one forward pass.
struct LayerSummary {
  std::string path;                ///< such as `0` or `block.conv1`; empty for the model itself
  std::string type;                ///< the registered name; empty for a module of your own
  std::vector<Spec> outputs = {};  ///< for one example; none if it did not run
  int64_t parameters = 0;
  double seconds = 0;  ///< of its forward pass, the least of three

  bool ran() const { return !outputs.empty(); }
  TAPER_API int64_t output_bytes() const;
};

struct ModelSummary {
  std::vector<Spec> inputs;
  std::vector<LayerSummary> layers;  ///< in order of definition
  int64_t parameters = 0;
  int64_t parameter_bytes = 0;
  int64_t output_bytes = 0;  ///< of all layers together, what training keeps for one example
};

/// Runs the model on `example`, a batch of one, in evaluation mode without gradients. Throws what
/// the model throws.
TAPER_API ModelSummary summarize(const nn::AnyModule& model, const Tensor& example);
/// The same for a model of several operands.
TAPER_API ModelSummary summarize(const nn::AnyModule& model, const std::vector<Tensor>& example);

/// "f32[1,3], f32[2]"
TAPER_API std::string to_string(const std::vector<Spec>& specs);

/// A line for each layer, and the totals.
TAPER_API std::string to_string(const ModelSummary& summary);

}  // namespace taper
