#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <taper/ops/tape.h>

namespace taper {

/// The gradient of a function that is no op: a user's own, or a recomputation.
class FunctionGradient {
 public:
  virtual ~FunctionGradient() = default;
  virtual std::string name() const = 0;
  /// Gradients of the node's inputs, in their order; undefined where `wanted` is false. Throws
  /// Violation for what the user's function does wrong.
  virtual Grads backward(Node& node, const Tensor* grads, const bool* wanted) = 0;
  /// Lets go of what it keeps for the backward pass.
  virtual void free() = 0;
  /// Whether it hands gradients on as they are, as if it were not there.
  virtual bool is_transparent() const { return false; }
};

struct TensorHook {
  uint64_t id = 0;
  uint16_t output = 0;
  std::function<Tensor(const Tensor&)> call;
};

/// What only few nodes have.
struct NodeExtra {
  std::string layer;
  std::vector<TensorHook> hooks;
  uint64_t hooks_change = 0;  // the number of the last one in the process; 0: there was none
  std::unique_ptr<FunctionGradient> function;
};

/// Whether `record` keeps the path of the running layers, for messages of the backward pass.
extern constinit thread_local bool keep_layer_paths TAPER_TLS_FAST;

/// To be called where the hooks of a node come or go.
void note_hooks_change(NodeExtra& extra);

/// The node's extra part, made on first use.
NodeExtra& extra_of(Node& node);

/// Puts the floating outputs of a function on the tape. `edges` lead to its inputs, whose specs are
/// given.
void record_function(std::unique_ptr<FunctionGradient> function, std::vector<Edge> edges,
                     const std::vector<Spec>& input_specs, std::span<Tensor> outputs);

/// A tensor like `output` that is output `index` of the node.
Tensor attach_output(const Tensor& output, Node& node, uint16_t index);

/// The operand's name in a message: the last declared one serves all the rest.
std::string operand_name(const OpBase& op, size_t index);
/// The same for an output.
std::string output_name(const OpBase& op, size_t index);

}  // namespace taper
