#include <taper/autograd/function.h>

#include <memory>

#include <taper/ops/node_extra.h>

namespace taper {
namespace {

class CustomGradient final : public FunctionGradient {
 public:
  CustomGradient(std::shared_ptr<const CustomFunction> function, std::vector<Tensor> inputs,
                 Tensor output)
      : function_(std::move(function)), inputs_(std::move(inputs)), output_(std::move(output)) {}

  std::string name() const override { return function_->name; }

  Grads backward(Node& node, const Tensor* grads, const bool* wanted) override {
    const Tensor output = tape_on ? attach_output(output_, node, 0) : output_;
    Grads found = function_->backward(grads[0], inputs_, output);
    if (found.size() != inputs_.size()) {
      violate(ErrorKind::value, "backward gave " + std::to_string(found.size()) +
                                    " gradients for " + std::to_string(inputs_.size()) + " inputs");
    }
    for (size_t i = 0; i < found.size(); ++i) {
      if (!wanted[i] || !found[i].defined() || found[i].spec() == node.input_specs[i]) continue;
      violate(ErrorKind::shape, "the gradient of input " + std::to_string(i) + " is " +
                                    to_string(found[i].spec()) + ", the input " +
                                    to_string(node.input_specs[i]));
    }
    return found;
  }

  void free() override {
    inputs_.clear();
    output_ = Tensor();
  }

 private:
  std::shared_ptr<const CustomFunction> function_;
  std::vector<Tensor> inputs_;
  Tensor output_;  // not on the tape, so that no cycle of counts arises
};

Tensor run(const std::shared_ptr<const CustomFunction>& function,
           const std::vector<Tensor>& inputs) {
  Tensor output;
  {
    const no_grad off;
    output = function->forward(inputs);
  }
  if (!output.defined()) {
    fail(ErrorKind::value, function->name + ": forward gave an undefined tensor");
  }
  output = output.detach();  // it may be an input
  bool on_tape = false;
  std::vector<Edge> edges;
  std::vector<Spec> specs;
  for (const Tensor& input : inputs) {
    if (!input.defined()) {
      edges.push_back({{}, Edge::absent_operand});
      specs.emplace_back();
      continue;
    }
    on_tape |= input.requires_grad();
    edges.push_back({input.impl()->node, input.impl()->output});
    specs.push_back(input.spec());
  }
  if (tape_on && on_tape && is_inexact(output.dtype())) {
    record_function(std::make_unique<CustomGradient>(function, inputs, output), std::move(edges),
                    specs, {&output, 1});
  }
  return output;
}

/// A copy that a cloned module gets has functions of its own, with copies of what they hold.
struct Callable {
  explicit Callable(std::shared_ptr<const CustomFunction> made) : function(std::move(made)) {}
  Callable(const Callable& other)
      : function(CloneScope::active() ? std::make_shared<const CustomFunction>(*other.function)
                                      : other.function) {}
  Tensor operator()(const std::vector<Tensor>& inputs) const { return run(function, inputs); }

  std::shared_ptr<const CustomFunction> function;
};

}  // namespace

TensorFunction custom_function(CustomFunction function) {
  if (!function.forward || !function.backward) {
    fail(ErrorKind::value, "custom_function: `" + function.name + "` needs forward and backward");
  }
  return Callable(std::make_shared<const CustomFunction>(std::move(function)));
}

}  // namespace taper
