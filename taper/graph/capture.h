#pragma once

#include <unordered_map>

#include <taper/core/function_ref.h>
#include <taper/graph/graph.h>

namespace taper {

/// A flag that recorded code looked at, such as a module's training mode.
struct FlagGuard {
  std::shared_ptr<const bool> flag;
  bool value;
};

/// A recorded function and what it silently depends on.
struct Captured {
  Graph graph;
  std::vector<FlagGuard> flags;
};

/// Runs `function` on tensors without data like `inputs` and records its op calls, on this thread.
/// Cells keep their values. Throws what `function` throws, and unsupported where it asks a tensor
/// for its value.
TAPER_API Captured capture(const std::vector<Tensor>& inputs,
                           FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function);

}  // namespace taper
