#pragma once

#include <taper/graph/graph.h>

namespace taper {

/// How a value of a graph lies in memory.
struct ValueLayout {
  Strides strides;
  int64_t offset = 0;  // in elements, from the start of the buffer
  bool row_major = true;
  /// The value whose buffer it shows: itself, unless it is a view. no_value if that is not known,
  /// as of what a loop or a choice gives, which may be an operand; then `offset` is not known
  /// either.
  ValueId buffer = no_value;
};

/// The layout of each value of the graph as a replay makes it. `given` says those of the values
/// that no node makes (inputs, cells): one for each value of the graph, only theirs are read;
/// without it they are row-major. Constants lie as they are.
std::vector<ValueLayout> infer_layouts(const Graph& graph,
                                       const std::vector<ValueLayout>& given = {});

}  // namespace taper
