#pragma once

#include <span>

#include <taper/core/state.h>
#include <taper/ops/op.h>
#include <taper/ops/tape_mode.h>

namespace taper {

/// Where a gradient goes: one output of a node. No node means that none is needed.
struct Edge {
  static constexpr uint16_t absent_operand = UINT16_MAX;  // as `output`, without a node
  Ptr<TapeRecord> node;
  uint16_t output = 0;
};

struct NodeExtra;

/// One recorded call, or (without an op) a leaf or a call of a user's function, whose gradient
/// stands in `extra`. Its arrays lie behind it in the same block.
struct Node final : TapeRecord {
  const OpBase* op = nullptr;
  Ptr<StateImpl> grad;  // of a leaf: the cell that backward() adds to
  Node* next_released = nullptr;
  uint32_t bytes = 0;
  uint16_t inputs = 0;
  uint16_t outputs = 0;
  bool freed : 1 = false;    // what it saved is gone
  bool of_cell : 1 = false;  // the leaf of a State, which says whether it needs a gradient
  Edge* edges = nullptr;
  Tensor* saved_inputs = nullptr;   // by operand, undefined where the row does not save it
  Tensor* saved_outputs = nullptr;  // detached twins, so that no cycle of counts arises
  Spec* input_specs = nullptr;
  Spec* output_specs = nullptr;
  void* attrs = nullptr;
  NodeExtra* extra = nullptr;  // what few nodes have: hooks, a layer path, a user's function

  bool is_leaf() const { return static_cast<bool>(grad); }
};

inline Node* node_of(const Tensor& tensor) { return static_cast<Node*>(tensor.impl()->node.get()); }

/// What a gradient rule sees of the forward call, and the gradients of its outputs.
class TAPER_API Saved {
 public:
  Saved(const Node& node, const Tensor* grads, const bool* needed)
      : node_(node), grads_(grads), needed_(needed) {}

  /// An operand that the row saves.
  const Tensor& in(size_t i) const {
    if (!node_.op->saves.operand(i)) internal_failure("a saved operand", __FILE__, __LINE__);
    return node_.saved_inputs[i];
  }
  /// A forward output, on the tape if the rule itself is being recorded.
  Tensor out(size_t i = 0) const;
  const Spec& in_spec(size_t i) const { return node_.input_specs[i]; }
  const Spec& out_spec(size_t i = 0) const { return node_.output_specs[i]; }
  /// The gradient of an output; undefined if nothing depends on that output.
  const Tensor& grad(size_t i = 0) const { return grads_[i]; }
  /// Whether the gradient of input i is wanted.
  bool needs(size_t i) const { return needed_[i]; }
  size_t inputs() const { return node_.inputs; }
  size_t outputs() const { return node_.outputs; }

 private:
  const Node& node_;
  const Tensor* grads_;
  const bool* needed_;
};

/// What a plan depends on: whether the cell needs a gradient (0: it does not) and with which hooks.
/// Two marks of a cell are equal only if both are the same.
TAPER_API uint64_t leaf_mark(const State& cell);

/// A new leaf without a gradient.
TAPER_API Ptr<TapeRecord> new_leaf();

/// The record that an update of `tensor` keeps: of a leaf of its own, while the tape is off.
inline Ptr<TapeRecord> kept_leaf(const Tensor& tensor) {
  if (tape_on || !tensor.defined() || !tensor.requires_grad()) return {};
  const Node& node = *node_of(tensor);
  return node.is_leaf() && !node.of_cell ? tensor.impl()->node : Ptr<TapeRecord>();
}

/// `updated` as the leaf with this record, so that `grad()` is the same after an update.
TAPER_API Tensor as_leaf(const Tensor& updated, Ptr<TapeRecord> leaf);

/// Puts the `count` outputs of a call on the tape.
TAPER_API void record(const OpBase& op, const void* attrs, std::span<const Arg> args,
                      Results& results, size_t count);

/// Lets go of what a node saved; its gradient cannot be computed again.
TAPER_API void free_saved(Node& node);

}  // namespace taper
