#pragma once

#include <unordered_map>

#include <taper/core/function_ref.h>
#include <taper/graph/graph.h>

namespace taper {

/// What recorded code looked at, such as a module's training mode, and saw there.
struct Guard {
  const void* key;
  std::function<uint64_t()> look;
  uint64_t value;
};

/// A recorded function and what it silently depends on.
struct Captured {
  Graph graph;
  std::vector<Guard> guards;
  /// Whether a backward pass could start from an output: it needs a gradient, and none inside the
  /// function has freed what it would need.
  bool on_tape = false;
};

/// What a capture does with tensors that were made before it and are no operands.
enum class OutsideTensors : uint8_t {
  refused,  ///< only `constant(t)` lets one in
  held,     ///< constants, each with its present values: for a look at the graph
};

/// Runs `function` on tensors without data like `inputs` and records its op calls, on this thread.
/// Cells keep their values; tensors that `function` makes from values are constants. Throws what
/// `function` throws, and unsupported where it asks a tensor for its value, uses a tensor that
/// another capture left without data, or (unless `outside` says `held`) one made before.
TAPER_API Captured capture(const std::vector<Tensor>& inputs,
                           FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function,
                           OutsideTensors outside = OutsideTensors::refused);

/// The tensor itself. Inside a captured function it says that the graph may hold `tensor`, made
/// before, with its present values: later calls compute with these, whatever `tensor` has become.
TAPER_API Tensor constant(const Tensor& tensor);

}  // namespace taper
