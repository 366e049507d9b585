#pragma once

#include <memory>
#include <string>
#include <vector>

#include <taper/core/number.h>
#include <taper/core/state.h>

namespace taper {

/// The number of a value in a graph; `no_value` stands for an absent operand or an empty cell.
using ValueId = int32_t;
inline constexpr ValueId no_value = -1;

/// One recorded call.
struct GraphNode {
  const OpBase* op = nullptr;
  std::shared_ptr<const void> attrs;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::string layer;               // where it was called, for messages
  std::string_view function = {};  // what the user called, if that is not the op
  std::vector<bool> on_tape = {};  // operands that a gradient flows to: `detach` and no_grad cut it
};

/// A cell that the recorded code read or assigned.
struct GraphCell {
  State cell;
  bool read = false;           // its value at the start is an input
  ValueId initial = no_value;  // that value; no_value if the cell was empty
  uint64_t leaf = 0;           // its `leaf_mark` when it was first read or assigned
  bool assigned = false;       // it is an output
  ValueId result = no_value;   // what it is assigned; no_value empties it
};

/// A recorded function: values numbered in order of definition, nodes in order of execution.
struct Graph {
  std::vector<Spec> specs;  // of each value
  std::vector<ValueId> inputs;
  std::vector<std::pair<ValueId, Tensor>> constants;
  std::vector<std::pair<ValueId, Number>> immediates;  // numbers that were operands: 0-d values
  std::vector<GraphCell> cells;
  std::vector<GraphNode> nodes;
  std::vector<ValueId> outputs;
  /// Of the graph of an attribute: outputs that a gradient flows from.
  std::vector<bool> outputs_on_tape = {};
};

/// Checks that every value is defined once and before its use, that nodes are calls of their ops,
/// whose rules give the recorded specs, that constants have theirs and that no cell stands twice,
/// in the graphs of attributes, too. An output may be `no_value`: undefined. Throws internal naming
/// the node.
TAPER_API void verify(const Graph& graph);

/// A line for each node: `%7 f32[64,10] = linear(%2, %3, %4) in model.fc`. Numbers stand where they
/// are operands; the captured functions of a node follow it, each in braces.
TAPER_API std::string to_string(const Graph& graph);

}  // namespace taper
