#include <taper/graph/graph.h>

#include <set>

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

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), defined_(graph.specs.size(), false) {}

  void run() {
    for (ValueId id : graph_.inputs) define(id, 0);
    for (const auto& [id, tensor] : graph_.constants) define(id, 0);
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
  void check_cells() {
    std::set<const StateImpl*> seen;
    for (const GraphCell& cell : graph_.cells) {
      if (!seen.insert(cell.cell.impl()).second) fail_at(graph_, 0, "a cell stands twice");
      if (cell.read && cell.initial != no_value) define(cell.initial, 0);
    }
  }
  void check_node(size_t index) {
    const GraphNode& node = graph_.nodes[index];
    for (ValueId id : node.inputs) use(id, index);
    const Specs specs = inferred(graph_, node);
    if (specs.count != node.outputs.size()) fail_at(graph_, index, "wrong number of outputs");
    for (int i = 0; i < specs.count; ++i) {
      define(node.outputs[static_cast<size_t>(i)], index);
      if (graph_.specs[static_cast<size_t>(node.outputs[static_cast<size_t>(i)])] != specs[i]) {
        fail_at(graph_, index, "its rule gives " + to_string(specs[i]));
      }
    }
  }

  const Graph& graph_;
  std::vector<bool> defined_;
};

std::string list(const std::vector<ValueId>& ids) {
  std::string text;
  for (ValueId id : ids) {
    text += (text.empty() ? "" : ", ") + (id == no_value ? "none" : "%" + std::to_string(id));
  }
  return text;
}

}  // namespace

void verify(const Graph& graph) { Verifier(graph).run(); }

std::string to_string(const Graph& graph) {
  auto typed = [&](ValueId id) {
    return "%" + std::to_string(id) + " " + to_string(graph.specs[static_cast<size_t>(id)]);
  };
  std::string text;
  for (ValueId id : graph.inputs) text += typed(id) + " = input\n";
  for (const auto& [id, tensor] : graph.constants) text += typed(id) + " = constant\n";
  for (const GraphCell& cell : graph.cells) {
    if (cell.initial != no_value)
      text += typed(cell.initial) + " = cell " + cell.cell.name() + "\n";
  }
  for (const GraphNode& node : graph.nodes) {
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      text += (i > 0 ? ", " : "") + typed(node.outputs[i]);
    }
    const std::string attrs = node.op->print_attrs(node.attrs.get());
    text += " = " + std::string(node.op->name) + "(" + list(node.inputs) +
            (attrs.empty() ? "" : "; " + attrs) + ")" +
            (node.layer.empty() ? "" : " in " + node.layer) + "\n";
  }
  for (const GraphCell& cell : graph.cells) {
    if (cell.assigned) text += "cell " + cell.cell.name() + " = " + list({cell.result}) + "\n";
  }
  return text + "return " + list(graph.outputs) + "\n";
}

}  // namespace taper
