// A model as boxes and lines for TensorBoard: as it runs, or as the tree of its modules.

#include <algorithm>
#include <unordered_map>

#include <taper/ops/op.h>
#include <taper/train/callbacks/board.h>
#include <taper/train/report/module_config.h>

namespace taper {
namespace {

class GraphMaker {
 public:
  explicit GraphMaker(std::vector<EventGraphNode>& nodes) : nodes_(nodes) {}

  void add(EventGraphNode node) {
    previous_ = node.name;
    nodes_.push_back(std::move(node));
  }

  /// The modules within first, then the module's own part if it has one.
  void add_module(const nn::ModuleState& module, const Value* config, const std::string& path) {
    size_t number = 0;
    for (const auto& [name, child] : module.children) {
      add_module(*child, layer_in(config, number++), path + "/" + name);
    }
    if (!module.children.empty() && module.cells.empty()) return;
    const std::string type(module.type.empty() ? "Module" : module.type);
    EventGraphNode node{.name = path + "/" + type, .op = type};
    if (!previous_.empty()) node.inputs.push_back(previous_);
    for (const bool buffers : {false, true}) {
      for (const nn::ModuleCell& each : module.cells) {
        if (each.is_buffer == buffers) node.inputs.push_back(add_cell(each, path));
      }
    }
    const Value* options = config != nullptr ? config->find("options") : nullptr;
    if (options != nullptr && options->get_if<Fields>() != nullptr) {
      for (const auto& [name, value] : *options->get_if<Fields>()) {
        node.attributes.emplace_back(name, value.print());
      }
    }
    add(std::move(node));
  }

  const std::string& previous() const { return previous_; }

 private:
  std::string add_cell(const nn::ModuleCell& each, const std::string& path) {
    const std::string name = path + "/" + each.name;
    nodes_.push_back({.name = name,
                      .op = each.is_buffer ? "Buffer" : "Parameter",
                      .attributes = {{"value", to_string(each.cell.value().spec())}}});
    return name;
  }

  std::vector<EventGraphNode>& nodes_;
  std::string previous_;
};

/// The calls that outputs need, by their numbers.
std::vector<bool> needed_nodes(const Graph& graph, const std::vector<ValueId>& outputs) {
  std::vector<bool> values(graph.specs.size());
  const auto need = [&](ValueId value) {
    if (value != no_value) values[static_cast<size_t>(value)] = true;
  };
  std::ranges::for_each(outputs, need);
  std::vector<bool> nodes(graph.nodes.size());
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    nodes[i] = std::ranges::any_of(graph.nodes[i].outputs, [&](ValueId value) {
      return value != no_value && values[static_cast<size_t>(value)];
    });
    if (nodes[i]) std::ranges::for_each(graph.nodes[i].inputs, need);
  }
  return nodes;
}

/// Gives the calls of a captured model their boxes, and what they read theirs when it is met.
class CallDrawer {
 public:
  CallDrawer(const Graph& graph, const nn::AnyModule& model) : graph_(graph), inputs_{"input"} {
    if (model.required_operands() > 1) {
      inputs_ = model.operands().names;
      inputs_.resize(model.required_operands());
    }
    for (const auto& [path, cell] : model.named_parameters()) {
      cells_[cell.impl()] = {model.name() + "/" + event_path(path), "Parameter"};
    }
    for (const auto& [path, cell] : model.named_buffers()) {
      cells_[cell.impl()] = {model.name() + "/" + event_path(path), "Buffer"};
    }
  }

  std::vector<EventGraphNode> draw() {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      add({.name = unique(inputs_[i]), .op = "Placeholder"}, graph_.inputs[i]);
    }
    const ValueId output = graph_.outputs[0];
    const std::vector<bool> needed = needed_nodes(graph_, {output});
    for (size_t i = 0; i < needed.size(); ++i) {
      if (needed[i]) add_call(graph_.nodes[i]);
    }
    EventGraphNode last{.name = unique("output"), .op = "Identity", .inputs = {name_of(output)}};
    add(std::move(last), no_value);
    return std::move(nodes_);
  }

 private:
  void add_call(const GraphNode& call) {
    std::vector<std::string> inputs;
    for (const ValueId value : call.inputs) {
      if (value != no_value) inputs.push_back(name_of(value));
    }
    EventGraphNode node{.name = unique(event_path(call.layer) + (call.layer.empty() ? "" : "/") +
                                       std::string(call.op->name)),
                        .op = std::string(call.op->name),
                        .inputs = std::move(inputs)};
    if (call.attrs) {
      for (const auto& [name, value] : call.op->attrs_to_fields(call.attrs.get())) {
        node.attributes.emplace_back(name, value.print());
      }
    }
    const std::string name = node.name;
    add(std::move(node), call.outputs[0]);
    for (size_t i = 1; i < call.outputs.size(); ++i) {
      names_[call.outputs[i]] = name + ":" + std::to_string(i);
    }
  }

  void add(EventGraphNode node, ValueId value) {
    if (value != no_value) {
      names_[value] = node.name;
      const Spec& spec = graph_.specs[static_cast<size_t>(value)];
      node.attributes.emplace_back("value", to_string(spec));
    }
    nodes_.push_back(std::move(node));
  }

  /// Of the box that gives the value; what no call gives is drawn now.
  std::string name_of(ValueId value) {
    const auto known = names_.find(value);
    if (known != names_.end()) return known->second;
    EventGraphNode node{.name = unique("constant"), .op = "Const"};
    for (const GraphCell& cell : graph_.cells) {
      if (cell.initial != value) continue;
      const auto own = cells_.find(cell.cell.impl());
      node.name = own != cells_.end() ? own->second.first : unique(cell.cell.name());
      node.op = own != cells_.end() ? own->second.second : "Variable";
    }
    std::string name = node.name;
    add(std::move(node), value);
    return name;
  }

  std::string unique(const std::string& name) {
    const int before = counts_[name]++;
    return before == 0 ? name : name + "_" + std::to_string(before);
  }

  const Graph& graph_;
  std::vector<std::string> inputs_;
  std::unordered_map<const StateImpl*, std::pair<std::string, std::string>> cells_;
  std::unordered_map<ValueId, std::string> names_;
  std::unordered_map<std::string, int> counts_;
  std::vector<EventGraphNode> nodes_;
};

}  // namespace

std::vector<EventGraphNode> graph_of(const Graph& graph, const nn::AnyModule& model) {
  return CallDrawer(graph, model).draw();
}

std::vector<EventGraphNode> graph_of(const nn::AnyModule& model) {
  const Value config = model.is_described() ? model.config() : Value();
  std::vector<EventGraphNode> nodes;
  GraphMaker maker(nodes);
  maker.add({.name = "input", .op = "Placeholder"});
  maker.add_module(*model.state(), &config, model.name());
  const std::string last = maker.previous();
  maker.add({.name = "output", .op = "Identity", .inputs = {last}});
  return nodes;
}

}  // namespace taper
