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
};

/// Runs `function` on tensors without data like `inputs` and records its op calls, on this thread.
/// Cells keep their values. Throws what `function` throws, and unsupported where it asks a tensor
/// for its value.
TAPER_API Captured capture(const std::vector<Tensor>& inputs,
                           FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function);

}  // namespace taper
