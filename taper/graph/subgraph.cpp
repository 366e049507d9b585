#include <taper/graph/subgraph.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include <taper/graph/recorder.h>
#include <taper/ops/node_extra.h>
#include <taper/ops/ops.h>
#include <taper/ops/promotion.h>
#include <taper/ops/tape.h>

namespace taper {
namespace {

/// Records a function whose graph is an attribute: what it uses from outside becomes an operand.
class SubgraphRecorder final : public Recorder {
 public:
  SubgraphRecorder(std::string_view owner, std::vector<Tensor>& lifted)
      : Recorder(OutsideTensors::refused), owner_(owner), lifted_(lifted) {}

  /// An operand that gradients flow to, if they do here.
  Tensor add_operand(const Spec& spec) {
    Tensor operand = add_input(spec);
    if (tape_on && is_inexact(spec.dtype)) {
      operand.impl()->node = new_leaf();
      operand_gradients_.push_back(node_of(operand)->grad.get());
    }
    return operand;
  }
  /// To be called behind the function's own operands.
  void add_lifted() {
    for (const Tensor& tensor : lifted_) symbols_.push_back(add_input(tensor.spec()));
  }
  /// What stands for a result in this graph: a value from outside is an operand.
  Tensor symbol_of(const Tensor& result) {
    const ValueId id = lift(result);
    if (id == no_value) return result.detach();
    return *std::ranges::find_if(
        symbols_, [&](const Tensor& symbol) { return symbol.impl()->value_id == id; });
  }
  /// Not through a leaf that the function made itself, over what it detached.
  bool flows(const Tensor& tensor) const override {
    if (!Recorder::flows(tensor)) return false;
    if (is_foreign(*tensor.impl())) return true;
    const Node* node = node_of(tensor);
    while (node != nullptr && hands_on(*node)) {
      node = static_cast<const Node*>(node->edges[0].node.get());
    }
    if (node == nullptr || !node->is_leaf()) return node != nullptr;
    return std::ranges::find(operand_gradients_, node->grad.get()) != operand_gradients_.end();
  }
  /// The function has ended: nobody keeps an operand.
  void forget_symbols() { symbols_.clear(); }

  Tensor read(const State& state) override {
    if (state.impl()->capture == number()) return Recorder::read(state);
    const InterpreterScope scope = aside();
    return state.value();
  }
  void write(const State& state, const Tensor& value) override {
    if (std::ranges::find(operand_gradients_, state.impl()) != operand_gradients_.end()) {
      fail(
          ErrorKind::unsupported,
          std::string(owner_) +
              ": backward() inside the function reaches its operand, whose gradient would be lost; "
              "return gradients(...), or call backward() behind the call");
    }
    if (state.impl()->capture == number()) return Recorder::write(state, value);
    fail(ErrorKind::unsupported, std::string(owner_) + ": cell `" + state.name() +
                                     "` is assigned inside the function; return the value and "
                                     "assign it behind the call");
  }
  Tensor move_on(const State&, FunctionRef<Tensor(const Tensor&)>) override {
    fail(ErrorKind::unsupported, "no random numbers can be drawn inside the function of " +
                                     std::string(owner_) +
                                     "; draw them before the call and pass them as operands");
  }
  void depend_on(const void* key, std::function<uint64_t()> look) override {
    const InterpreterScope scope = aside();
    if (interpreter != nullptr) interpreter->depend_on(key, std::move(look));
  }
  void hold(const Tensor& tensor) override {
    const InterpreterScope scope = aside();
    if (interpreter != nullptr) interpreter->hold(tensor);
  }

 protected:
  ValueId lift(const Tensor& tensor) override {
    if (!tensor.defined()) return no_value;
    const TensorImpl& impl = *tensor.impl();
    if (!is_foreign(impl)) return no_value;
    for (size_t i = 0; i < lifted_.size(); ++i) {
      if (lifted_[i].impl() == &impl) return symbols_[i].impl()->value_id;
    }
    lifted_.push_back(tensor);
    symbols_.push_back(add_input(tensor.spec()));
    return symbols_.back().impl()->value_id;
  }

 private:
  bool is_foreign(const TensorImpl& impl) const {
    return impl.storage ? !is_own(*impl.storage) : impl.capture != number();
  }
  /// Whether a node stands for its operand, as that of a transform's operand does.
  static bool hands_on(const Node& node) {
    return node.extra != nullptr && node.extra->function != nullptr &&
           node.extra->function->is_transparent();
  }

  std::string_view owner_;
  std::vector<Tensor>& lifted_;
  std::vector<Tensor> symbols_;  // of the lifted ones
  std::vector<const StateImpl*> operand_gradients_;
};

/// Throws where a gradient would go another way than through the ops of the graph, which is all
/// that is kept: a user's function, a recomputation, a hook.
void refuse_lost_gradients(std::string_view owner, const std::vector<Tensor>& outputs,
                           const std::vector<Tensor>& lifted) {
  std::vector<const Node*> open;
  std::unordered_set<const Node*> seen;
  for (const Tensor& tensor : lifted) seen.insert(node_of(tensor));  // from before
  const auto visit = [&](const Node* node) {
    if (node != nullptr && seen.insert(node).second) open.push_back(node);
  };
  for (const Tensor& output : outputs) {
    if (output.defined()) visit(node_of(output));
  }
  while (!open.empty()) {
    const Node& node = *open.back();
    open.pop_back();
    for (size_t i = 0; i < node.inputs; ++i) {
      visit(static_cast<const Node*>(node.edges[i].node.get()));
    }
    if (node.extra == nullptr) continue;
    std::string what;
    if (!node.extra->hooks.empty()) what = "a hook of a tensor";
    const FunctionGradient* function = node.extra->function.get();
    if (function != nullptr && !function->is_transparent()) {
      what = "`" + function->name() + "`, whose gradient is its own,";
    }
    if (what.empty()) continue;
    fail(ErrorKind::unsupported,
         std::string(owner) + ": " + what +
             " inside the function would be lost; the graph holds ops only");
  }
}

Captured capture_one(std::string_view owner, const std::vector<Spec>& operands,
                     std::vector<Tensor>& lifted, const FunctionOfTensors& function) {
  SubgraphRecorder recorder(owner, lifted);
  std::vector<Tensor> outputs;
  std::vector<bool> on_tape;
  {
    std::vector<Tensor> symbols;
    for (const Spec& spec : operands) symbols.push_back(recorder.add_operand(spec));
    recorder.add_lifted();
    outputs = function(symbols);
    refuse_lost_gradients(owner, outputs, lifted);
    for (Tensor& output : outputs) {  // the tape only said where gradients flow
      on_tape.push_back(recorder.flows(output));
      if (output.defined()) output = recorder.symbol_of(output);
    }
    recorder.forget_symbols();
  }
  Captured captured = recorder.finish(std::move(outputs));
  captured.graph.outputs_on_tape = std::move(on_tape);
  return captured;
}

/// Makes operands of what only the functions behind this one use.
void add_operands(Graph& graph, size_t count, const std::vector<Tensor>& lifted) {
  for (size_t i = graph.inputs.size() - count; i < lifted.size(); ++i) {
    graph.inputs.push_back(static_cast<ValueId>(graph.specs.size()));
    graph.specs.push_back(lifted[i].spec());
  }
}

}  // namespace

Subgraphs capture_subgraphs(std::string_view owner, const std::vector<Spec>& operands,
                            std::span<const FunctionOfTensors> functions) {
  Subgraphs result;
  std::vector<Captured> captured;
  for (const FunctionOfTensors& function : functions) {
    captured.push_back(capture_one(owner, operands, result.lifted, function));
  }
  const InterpreterScope eager(nullptr, 0);  // a plan makes small tensors
  for (Captured& each : captured) {
    add_operands(each.graph, operands.size(), result.lifted);
    verify(each.graph);
    result.functions.emplace_back(
        std::make_shared<const Plan>(std::move(each), std::vector<Tensor>()));
  }
  return result;
}

std::vector<Tensor> Subgraph::call(const std::vector<Tensor>& operands) const {
  const Graph& graph = plan_->graph();
  std::vector<Tensor> values(graph.specs.size());
  const auto at = [&](ValueId id) -> Tensor& { return values[static_cast<size_t>(id)]; };
  for (size_t i = 0; i < graph.inputs.size(); ++i) at(graph.inputs[i]) = operands[i];
  for (const auto& [id, tensor] : graph.constants) at(id) = constant(tensor);
  std::unordered_set<ValueId> numbers;
  for (const auto& [id, number] : graph.immediates) {
    at(id) = number_tensor(number, graph.specs[static_cast<size_t>(id)].dtype);
    numbers.insert(id);
  }
  for (const GraphNode& node : graph.nodes) {
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      inputs.push_back(node.inputs[i] == no_value ? Tensor() : at(node.inputs[i]));
      if (inputs[i].defined() && !node.on_tape[i]) inputs[i] = inputs[i].detach();
    }
    std::vector<Arg> args(inputs.begin(), inputs.end());
    for (size_t i = 0; i < args.size(); ++i) args[i].immediate = numbers.contains(node.inputs[i]);
    Results results = taper::call(*node.op, node.attrs.get(), args);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      at(node.outputs[i]) = std::move(results[static_cast<int>(i)]);
    }
  }
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    outputs.push_back(graph.outputs[i] == no_value ? Tensor() : at(graph.outputs[i]));
    if (outputs[i].defined() && !graph.outputs_on_tape[i]) outputs[i] = outputs[i].detach();
  }
  return outputs;
}

void check_operands(const Subgraph& function, const InSpecs& in, size_t first) {
  if (function.graph() == nullptr) violate(ErrorKind::value, "needs its functions");
  const Graph& graph = *function.graph();
  if (in.size() - first != graph.inputs.size()) {
    violate(ErrorKind::value, "its function takes " + std::to_string(graph.inputs.size()) +
                                  " operands, got " + std::to_string(in.size() - first));
  }
  for (size_t i = 0; i < graph.inputs.size(); ++i) check_operand(function, i, in[first + i]);
}

void check_operand(const Subgraph& function, size_t i, const Spec& given) {
  const Graph& graph = *function.graph();
  const Spec& wanted = graph.specs[static_cast<size_t>(graph.inputs[i])];
  if (given == wanted) return;
  violate(given.dtype != wanted.dtype ? ErrorKind::dtype : ErrorKind::shape,
          "operand " + std::to_string(i) + " of its function must be " + to_string(wanted) +
              ", got " + to_string(given));
}

std::vector<Spec> result_specs(const Subgraph& function) {
  const Graph& graph = *function.graph();
  std::vector<Spec> specs;
  for (ValueId id : graph.outputs) {
    if (id == no_value) violate(ErrorKind::value, "a result of its function is undefined");
    specs.push_back(graph.specs[static_cast<size_t>(id)]);
  }
  return specs;
}

void check_kept(const Spec& given, const Spec& wanted, size_t index) {
  if (given == wanted) return;
  violate(given.dtype != wanted.dtype ? ErrorKind::dtype : ErrorKind::shape,
          "value " + std::to_string(index) + " must stay " + to_string(wanted) +
              ", its function gives " + to_string(given));
}

void check_count(size_t given, size_t wanted) {
  if (given == wanted) return;
  violate(ErrorKind::value, "its function gives " + std::to_string(given) + " results for " +
                                std::to_string(wanted) + " values");
}

void check_truth(const Spec& spec, const std::string& what) {
  if (is_bool(spec.dtype) && spec.shape.numel() == 1) return;
  violate(is_bool(spec.dtype) ? ErrorKind::shape : ErrorKind::dtype,
          what + " must be one bool, such as `x > 0` gives, got " + to_string(spec));
}

void check_defined(std::string_view name, const std::vector<Tensor>& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].defined()) continue;
    violate(ErrorKind::value, std::string(name) + "[" + std::to_string(i) + "] is undefined");
  }
}

Specs as_specs(const std::vector<Spec>& list) {
  Specs specs;
  for (const Spec& spec : list) specs.push_back(spec);
  return specs;
}

std::vector<Tensor> tensors_from(const Inputs& in, size_t first) {
  std::vector<Tensor> tensors;
  for (size_t i = first; i < in.size(); ++i) tensors.push_back(in[i]);
  return tensors;
}

std::vector<Tensor> DefinedResults::operator()(const std::vector<Tensor>& operands) {
  std::vector<Tensor> results = function_(operands);
  mask_.clear();
  for (const Tensor& each : results) mask_.push_back(each.defined());
  std::erase_if(results, [](const Tensor& each) { return !each.defined(); });
  return results;
}

std::vector<Tensor> DefinedResults::complete(std::vector<Tensor> results) const {
  std::vector<Tensor> all(mask_.size());
  size_t next = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (mask_[i]) all[i] = std::move(results[next++]);
  }
  return all;
}

std::vector<Spec> specs_of(const std::vector<Tensor>& tensors) {
  std::vector<Spec> specs;
  for (const Tensor& tensor : tensors) specs.push_back(tensor.spec());
  return specs;
}

std::vector<Tensor> joined(std::vector<Tensor> a, std::span<const Tensor> b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Results as_results(const std::vector<Tensor>& tensors) {
  Results results;
  for (size_t i = 0; i < tensors.size(); ++i) {
    results[static_cast<int>(i)] = contiguous(tensors[i]);
  }
  return results;
}

std::vector<Tensor> off_tape(std::vector<Tensor> results) {
  for (Tensor& each : results) {
    if (!tape_on && each.defined()) each = each.detach();
  }
  return results;
}

std::vector<Tensor> call_list(const OpBase& op, const void* attrs,
                              const std::vector<Tensor>& operands, size_t count) {
  const std::vector<Arg> args(operands.begin(), operands.end());
  Results results = call(op, attrs, args);
  std::vector<Tensor> list;
  for (size_t i = 0; i < count; ++i) list.push_back(std::move(results[static_cast<int>(i)]));
  return list;
}

Value FieldCodec<Subgraph>::to_value(const Subgraph& function) {
  if (function.graph() == nullptr) return Value();
  return Value("function of " + std::to_string(function.graph()->inputs.size()) + " operands");
}

Subgraph FieldCodec<Subgraph>::from_value(const Value& value) {
  throw FieldMismatch(kind(), value);
}

}  // namespace taper
