#include <taper/graph/plan.h>

#include <algorithm>

#include <taper/core/threads.h>
#include <taper/ops/tape.h>

namespace taper {

Plan::Plan(Captured captured, const std::vector<Tensor>& inputs)
    : captured_(std::move(captured)), tape_on_(tape_on), threads_(threads()) {
  for (const Tensor& input : inputs) {
    input_specs_.push_back(input.defined() ? std::optional(input.spec()) : std::nullopt);
  }
  const Graph& graph = captured_.graph;
  std::vector<size_t> last_use(graph.specs.size(), SIZE_MAX);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId id : graph.nodes[i].inputs) {
      if (id != no_value) last_use[static_cast<size_t>(id)] = i;
    }
    for (ValueId id : graph.nodes[i].outputs) last_use[static_cast<size_t>(id)] = i;
  }
  auto keep = [&](ValueId id) {
    if (id != no_value) last_use[static_cast<size_t>(id)] = SIZE_MAX;
  };
  for (ValueId id : graph.outputs) keep(id);
  for (const GraphCell& cell : graph.cells) keep(cell.result);
  steps_.resize(graph.nodes.size());
  for (size_t id = 0; id < last_use.size(); ++id) {
    if (last_use[id] != SIZE_MAX) steps_[last_use[id]].ends.push_back(static_cast<ValueId>(id));
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId id : graph.nodes[i].outputs) {
      Specs& specs = steps_[i].specs;
      specs.spec[specs.count++] = graph.specs[static_cast<size_t>(id)];
    }
  }
}

bool Plan::fits(const std::vector<Tensor>& inputs) const {
  if (tape_on_ != tape_on || threads_ != threads() || inputs.size() != input_specs_.size()) {
    return false;
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined() != input_specs_[i].has_value()) return false;
    if (inputs[i].defined() && inputs[i].spec() != *input_specs_[i]) return false;
  }
  for (const Guard& guard : captured_.guards) {
    if (guard.look() != guard.value) return false;
  }
  for (const GraphCell& cell : captured_.graph.cells) {
    if (!cell.read) continue;
    const Tensor& value = cell.cell.impl()->value;
    if (value.defined() != (cell.initial != no_value)) return false;
    if (cell.cell.requires_grad() != cell.requires_grad) return false;
    if (!value.defined()) continue;
    if (value.spec() != captured_.graph.specs[static_cast<size_t>(cell.initial)]) return false;
  }
  return true;
}

void Plan::execute_node(size_t index, std::vector<Tensor>& values) {
  const GraphNode& node = captured_.graph.nodes[index];
  const Step& step = steps_[index];
  static const Tensor absent;
  std::vector<Arg> args;
  args.reserve(node.inputs.size());
  for (ValueId id : node.inputs) {
    if (id == no_value) {
      args.emplace_back(absent);
      continue;
    }
    // A value that ends here may give its buffer to the result.
    const bool ends = std::find(step.ends.begin(), step.ends.end(), id) != step.ends.end();
    args.emplace_back(values[static_cast<size_t>(id)], ends);
  }
  Results results;
  try {
    results = execute(*node.op, node.attrs.get(), args, step.specs);
  } catch (const Violation& violation) {
    const LayerScope scope(node.layer);
    report(*node.op, violation, args);
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    values[static_cast<size_t>(node.outputs[i])] = std::move(results[static_cast<int>(i)]);
  }
  for (ValueId id : step.ends) values[static_cast<size_t>(id)] = Tensor();
}

/// After a failure the cells get their results as far as there are any, else what they had.
void Plan::store_cells(std::vector<Tensor>& values) {
  for (const GraphCell& cell : captured_.graph.cells) {
    if (!cell.assigned) continue;
    Tensor value;
    if (cell.result != no_value) value = values[static_cast<size_t>(cell.result)];
    if (!value.defined() && cell.result != no_value && cell.initial != no_value) {
      value = values[static_cast<size_t>(cell.initial)];
    }
    cell.cell.set(value);
  }
}

std::vector<Tensor> Plan::run(const std::vector<Tensor>& inputs) {
  const std::lock_guard lock(mutex_);
  const TapeMode off(false);
  const Graph& graph = captured_.graph;
  std::vector<Tensor> values(graph.specs.size());
  for (size_t i = 0, next = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) values[static_cast<size_t>(graph.inputs[next++])] = inputs[i];
  }
  for (const auto& [id, tensor] : graph.constants) values[static_cast<size_t>(id)] = tensor;
  for (const GraphCell& cell : graph.cells) {
    if (cell.initial == no_value) continue;
    values[static_cast<size_t>(cell.initial)] =
        cell.assigned ? cell.cell.take() : cell.cell.value();
  }
  try {
    for (size_t i = 0; i < graph.nodes.size(); ++i) execute_node(i, values);
  } catch (...) {
    store_cells(values);
    throw;
  }
  std::vector<Tensor> outputs;
  for (ValueId id : graph.outputs) {
    outputs.push_back(id == no_value ? Tensor() : shallow_copy(values[static_cast<size_t>(id)]));
  }
  store_cells(values);
  return outputs;
}

std::shared_ptr<Plan> PlanCache::find_or_capture(
    const std::vector<Tensor>& inputs,
    FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function) {
  const std::lock_guard lock(mutex_);
  auto found = std::find_if(plans_.begin(), plans_.end(),
                            [&](const auto& plan) { return plan->fits(inputs); });
  if (found != plans_.end()) {
    std::rotate(plans_.begin(), found, found + 1);
    return plans_.front();
  }
  Captured captured = capture(inputs, function);
  verify(captured.graph);
  ++captures_;
  plans_.insert(plans_.begin(), std::make_shared<Plan>(std::move(captured), inputs));
  if (plans_.size() > capacity) plans_.pop_back();
  return plans_.front();
}

size_t PlanCache::size() const {
  const std::lock_guard lock(mutex_);
  return plans_.size();
}

}  // namespace taper
