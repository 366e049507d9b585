#include <taper/graph/graph.h>

#include <set>
#include <unordered_map>

#include <taper/ops/op.h>

namespace taper {
namespace {

[[noreturn]] void fail_at(const Graph& graph, size_t node, const std::string& why) {
  const std::string name =
      node < graph.nodes.size() ? std::string(graph.nodes[node].op->name) : "the outputs";
  fail(ErrorKind::internal, "verify: node " + std::to_string(node) + " (" + name + "): " + why);
}

/// The specs that the node's rule gives for its recorded inputs.
Specs inferred(const Graph& graph, const GraphNode& node) {
  std::vector<Tensor> tensors;
  for (ValueId id : node.inputs) {
    Tensor tensor;
    if (id != no_value) {
      tensor = Tensor(Ptr<TensorImpl>(new_impl()));
      tensor.impl()->spec = graph.specs[static_cast<size_t>(id)];
    }
    tensors.push_back(std::move(tensor));
  }
  const std::vector<Arg> args(tensors.begin(), tensors.end());
  return node.op->infer(InSpecs(args), node.attrs.get());
}

/// Why the node is no call of its op; empty if it is one.
std::string wrong_call(const GraphNode& node) {
  const size_t count = node.inputs.size();
  if (node.attrs == nullptr && node.op->attrs_size != 0) return "it has no attributes";
  if (count < node.op->least_inputs || count > node.op->most_inputs) {
    return "it has " + std::to_string(count) + " operands";
  }
  for (size_t i = 0; i < count; ++i) {
    if (node.inputs[i] == no_value && !node.op->is_optional(i)) {
      return "operand " + std::to_string(i) + " is absent";
    }
  }
  if (!node.on_tape.empty() && node.on_tape.size() != count) {
    return "it says of " + std::to_string(node.on_tape.size()) + " operands where gradients flow";
  }
  return {};
}

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), defined_(graph.specs.size(), false) {}

  void run() {
    const size_t marks = graph_.outputs_on_tape.size();
    if (marks != 0 && marks != graph_.outputs.size()) {
      fail(ErrorKind::internal, "verify: the graph says of " + std::to_string(marks) + " of its " +
                                    std::to_string(graph_.outputs.size()) +
                                    " outputs where gradients flow");
    }
    for (ValueId id : graph_.inputs) define(id, 0);
    for (const auto& [id, tensor] : graph_.constants) {
      define(id, 0);
      if (!tensor.defined() || tensor.spec() != graph_.specs[static_cast<size_t>(id)]) {
        fail(ErrorKind::internal, "verify: the constant %" + std::to_string(id) + " is " +
                                      (tensor.defined() ? to_string(tensor.spec()) : "undefined"));
      }
    }
    for (const auto& [id, number] : graph_.immediates) {
      define(id, 0);
      check_immediate(graph_.specs[static_cast<size_t>(id)], number, id);
    }
    check_cells();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) check_node(i);
    for (ValueId id : graph_.outputs) use(id, graph_.nodes.size());
    for (const GraphCell& cell : graph_.cells) use(cell.result, graph_.nodes.size());
  }

 private:
  void define(ValueId id, size_t node) {
    if (id < 0 || static_cast<size_t>(id) >= defined_.size())
      fail_at(graph_, node, "no such value");
    if (defined_[static_cast<size_t>(id)]) fail_at(graph_, node, "a value is defined twice");
    defined_[static_cast<size_t>(id)] = true;
  }
  void use(ValueId id, size_t node) {
    if (id == no_value) return;
    if (static_cast<size_t>(id) >= defined_.size() || !defined_[static_cast<size_t>(id)]) {
      fail_at(graph_, node, "value %" + std::to_string(id) + " is used before it is defined");
    }
  }
  void check_immediate(const Spec& spec, const Number& number, ValueId id) {
    const std::string which = "verify: the number %" + std::to_string(id);
    if (spec.shape.rank() != 0) fail(ErrorKind::internal, which + " is " + to_string(spec));
    try {
      convert(number, spec.dtype, "verify");
    } catch (const Error& error) {
      fail(ErrorKind::internal, which + ": " + error.what());
    }
  }
  void check_cells() {
    std::set<const StateImpl*> seen;
    for (const GraphCell& cell : graph_.cells) {
      if (!seen.insert(cell.cell.impl()).second) fail_at(graph_, 0, "a cell stands twice");
      if (!cell.read || cell.initial == no_value) continue;
      define(cell.initial, 0);
    }
  }
  void check_node(size_t index) {
    const GraphNode& node = graph_.nodes[index];
    if (node.op == nullptr) {
      fail(ErrorKind::internal, "verify: node " + std::to_string(index) + " has no op");
    }
    if (const std::string wrong = wrong_call(node); !wrong.empty()) fail_at(graph_, index, wrong);
    for (ValueId id : node.inputs) use(id, index);
    for (const Graph* inner : node.op->graphs(node.attrs.get())) verify(*inner);
    const Specs specs = checked_specs(node, index);
    if (specs.count != node.outputs.size()) fail_at(graph_, index, "wrong number of outputs");
    for (int i = 0; i < specs.count; ++i) {
      define(node.outputs[static_cast<size_t>(i)], index);
      if (graph_.specs[static_cast<size_t>(node.outputs[static_cast<size_t>(i)])] != specs[i]) {
        fail_at(graph_, index, "its rule gives " + to_string(specs[i]));
      }
    }
  }

  Specs checked_specs(const GraphNode& node, size_t index) const {
    try {
      return inferred(graph_, node);
    } catch (const Violation& violation) {
      fail_at(graph_, index, violation.rule);
    }
  }

  const Graph& graph_;
  std::vector<bool> defined_;
};

/// The lines of one graph, which begin with `indent`.
class Printer {
 public:
  Printer(const Graph& graph, std::string indent) : graph_(graph), indent_(std::move(indent)) {
    for (const auto& [id, number] : graph.immediates) numbers_[id] = taper::to_string(number);
  }

  std::string print() {
    for (ValueId id : graph_.inputs) line(typed(id) + " = input");
    for (const auto& [id, tensor] : graph_.constants) line(typed(id) + " = constant");
    for (const GraphCell& cell : graph_.cells) {
      if (cell.initial != no_value) line(typed(cell.initial) + " = cell " + cell.cell.name());
    }
    for (const GraphNode& node : graph_.nodes) print_node(node);
    for (const GraphCell& cell : graph_.cells) {
      if (cell.assigned) line("cell " + cell.cell.name() + " = " + list({cell.result}));
    }
    line("return " + list(graph_.outputs));
    return std::move(text_);
  }

 private:
  void line(const std::string& text) { text_ += indent_ + text + "\n"; }
  std::string typed(ValueId id) const {
    return "%" + std::to_string(id) + " " + taper::to_string(graph_.specs[static_cast<size_t>(id)]);
  }
  std::string list(const std::vector<ValueId>& ids) const {
    std::string text;
    for (ValueId id : ids) {
      const auto number = numbers_.find(id);
      text += text.empty() ? "" : ", ";
      text += id == no_value             ? "none"
              : number != numbers_.end() ? number->second
                                         : "%" + std::to_string(id);
    }
    return text;
  }
  void print_node(const GraphNode& node) {
    std::string text;
    for (ValueId id : node.outputs) text += (text.empty() ? "" : ", ") + typed(id);
    const std::string attrs = node.op->print_attrs(node.attrs.get());
    text += " = " + std::string(node.op->name) + "(" + list(node.inputs) +
            (attrs.empty() ? "" : "; " + attrs) + ")";
    line(text + (node.layer.empty() ? "" : " in " + node.layer));
    for (const Graph* inner : node.op->graphs(node.attrs.get())) {
      text_ += indent_ + "{\n" + Printer(*inner, indent_ + "  ").print() + indent_ + "}\n";
    }
  }

  const Graph& graph_;
  std::string indent_;
  std::string text_;
  std::unordered_map<ValueId, std::string> numbers_;
};

}  // namespace

void verify(const Graph& graph) { Verifier(graph).run(); }

std::string to_string(const Graph& graph) { return Printer(graph, "").print(); }

}  // namespace taper
