#include <memory>
#include <string>

#include <taper/autograd/gradients_until.h>
#include <taper/ops/node_extra.h>

// The gradient of an op that has no rule of its own: its expansion runs once more, on the tape.

namespace taper {
namespace {

/// Hands a gradient on as it is.
class Identity final : public FunctionGradient {
 public:
  explicit Identity(std::string_view owner) : owner_(owner) {}
  std::string name() const override { return owner_; }
  Grads backward(Node&, const Tensor* grads, const bool*) override { return {grads[0]}; }
  void free() override {}
  bool is_transparent() const override { return true; }

 private:
  std::string owner_;
};

}  // namespace

Tensor own_operand(const Tensor& operand, bool outer_tape, std::string_view owner) {
  Tensor own = operand.detach();
  if (!outer_tape || !operand.requires_grad()) return own.set_requires_grad();
  std::vector<Edge> edges;
  edges.push_back({operand.impl()->node, operand.impl()->output});
  record_function(std::make_unique<Identity>(owner), std::move(edges), {operand.spec()}, {&own, 1});
  return own;
}

Grads function_gradients(std::vector<Tensor> operands, FunctionRef<bool(size_t)> wanted,
                         std::span<const Tensor> grads,
                         FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function,
                         std::string_view owner) {
  const bool outer_tape = tape_on;
  std::vector<Tensor> targets;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (wanted(i)) {
      operands[i] = own_operand(operands[i], outer_tape, owner);
      targets.push_back(operands[i]);
    } else if (!outer_tape && operands[i].defined()) {
      operands[i] = operands[i].detach();
    }
  }
  std::vector<Tensor> results;
  {
    const TapeMode on(true);
    results = function(operands);
  }
  const std::vector<Tensor> found = gradients_until(results, grads, targets);
  Grads all(operands.size());
  size_t next = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (wanted(i)) all[i] = found[next++];
  }
  return all;
}

Grads expansion_gradients(const Node& node, const Tensor* grads, const bool* wanted) {
  const auto expansion = [&](const std::vector<Tensor>& operands) {
    const std::vector<Arg> args(operands.begin(), operands.end());
    Results expanded = node.op->expand(Inputs(args), node.attrs);
    std::vector<Tensor> results;
    for (int i = 0; i < node.outputs; ++i) results.push_back(std::move(expanded[i]));
    return results;
  };
  return function_gradients(
      {node.saved_inputs, node.saved_inputs + node.inputs}, [&](size_t i) { return wanted[i]; },
      {grads, node.outputs}, expansion, node.op->name);
}

}  // namespace taper
