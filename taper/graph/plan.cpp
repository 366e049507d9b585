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
  steps_.resize(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId id : graph.nodes[i].outputs) {
      Specs& specs = steps_[i].specs;
      specs.spec[specs.count++] = graph.specs[static_cast<size_t>(id)];
    }
  }
  find_givers(find_ends());
}

/// Returns the last node that uses each value; none for what is kept to the end.
std::vector<size_t> Plan::find_ends() {
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
  for (size_t id = 0; id < last_use.size(); ++id) {
    if (last_use[id] != SIZE_MAX) steps_[last_use[id]].ends.push_back(static_cast<ValueId>(id));
  }
  return last_use;
}

void Plan::find_givers(const std::vector<size_t>& last_use) {
  const Graph& graph = captured_.graph;
  size_t first_safe = 0;  // from here on no node can refuse values
  std::vector<size_t> maker(graph.specs.size(), SIZE_MAX);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (graph.nodes[i].op->refuses_values) first_safe = i + 1;
    for (ValueId id : graph.nodes[i].outputs) maker[static_cast<size_t>(id)] = i;
  }
  for (const GraphCell& cell : graph.cells) {
    if (!cell.assigned) continue;
    assigns_ = true;
    if (cell.initial != no_value && cell.result != no_value) {
      const size_t last = last_use[static_cast<size_t>(cell.initial)];
      size_t& made = maker[static_cast<size_t>(cell.result)];
      if (last != SIZE_MAX && last >= first_safe && last == made) {
        steps_[last].gives.push_back(&cell);
        made = SIZE_MAX;  // another cell that takes this result copies the handle in the end
        continue;
      }
    }
    stored_last_.push_back(&cell);
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

namespace {

/// What a cell that is assigned `value` holds. The cell's leaf lies in the handle's own object, so
/// one that somebody else has too is copied.
Tensor as_cell_value(const State& cell, const Tensor& value, bool is_own) {
  const Ptr<TapeRecord>& leaf = cell.impl()->leaf;
  if (!value.defined() || (!leaf && !value.requires_grad())) return value;
  Tensor own = is_own ? value : shallow_copy(value);
  own.impl()->node = leaf;
  return own;
}

/// Moves a cell's value to `value`, the other handle of this call on it, if nobody else holds it;
/// else both stay.
bool give_up(const State& cell, Tensor& value) {
  value = Tensor();
  Tensor& held = cell.impl()->value;
  if (!held.pointer().sole_owner()) {
    value = held;
    return false;
  }
  held.impl()->node = Ptr<TapeRecord>();
  value = std::move(held);
  return true;
}

}  // namespace

void Plan::execute_node(size_t index, std::vector<Tensor>& values) const {
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
}

void Plan::execute_giving(size_t index, std::vector<Tensor>& values) const {
  const auto value = [&](ValueId id) -> Tensor& { return values[static_cast<size_t>(id)]; };
  const std::vector<const GraphCell*>& gives = steps_[index].gives;
  std::vector<bool> gave(gives.size(), false);
  std::vector<Tensor> taken(gives.size());
  try {
    for (size_t i = 0; i < gives.size(); ++i) {
      gave[i] = give_up(gives[i]->cell, value(gives[i]->initial));
    }
    execute_node(index, values);
    for (size_t i = 0; i < gives.size(); ++i) {
      const Tensor& result = value(gives[i]->result);
      taken[i] = as_cell_value(gives[i]->cell, result, result.pointer().sole_owner());
    }
  } catch (...) {
    // A kernel that writes into a buffer allocates nothing once it does: this one was not touched.
    for (size_t i = 0; i < gives.size(); ++i) {
      if (!gave[i]) continue;
      Tensor& old = value(gives[i]->initial);
      old.impl()->node = gives[i]->cell.impl()->leaf;
      gives[i]->cell.impl()->value = std::move(old);
    }
    throw;
  }
  for (size_t i = 0; i < gives.size(); ++i) {
    gives[i]->cell.impl()->value = std::move(taken[i]);
  }
}

/// All or none of these cells.
void Plan::store_cells(const std::vector<Tensor>& values) const {
  std::vector<Tensor> fresh;
  fresh.reserve(stored_last_.size());
  for (const GraphCell* cell : stored_last_) {
    const bool empties = cell->result == no_value;
    fresh.push_back(
        empties ? Tensor()
                : as_cell_value(cell->cell, values[static_cast<size_t>(cell->result)], false));
  }
  for (size_t i = 0; i < fresh.size(); ++i) {
    stored_last_[i]->cell.impl()->value = std::move(fresh[i]);
  }
}

std::vector<Tensor> Plan::run(const std::vector<Tensor>& inputs) const {
  std::unique_lock<std::mutex> lock(mutex_, std::defer_lock);
  if (assigns_) lock.lock();
  const TapeMode off(false);
  const Graph& graph = captured_.graph;
  std::vector<Tensor> values(graph.specs.size());
  for (size_t i = 0, next = 0; i < inputs.size(); ++i) {
    if (inputs[i].defined()) values[static_cast<size_t>(graph.inputs[next++])] = inputs[i];
  }
  for (const auto& [id, tensor] : graph.constants) values[static_cast<size_t>(id)] = tensor;
  for (const GraphCell& cell : graph.cells) {
    if (cell.initial != no_value) values[static_cast<size_t>(cell.initial)] = cell.cell.value();
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (steps_[i].gives.empty()) {
      execute_node(i, values);
    } else {
      execute_giving(i, values);
    }
    for (ValueId id : steps_[i].ends) values[static_cast<size_t>(id)] = Tensor();
  }
  std::vector<Tensor> outputs;
  outputs.reserve(graph.outputs.size());
  for (ValueId id : graph.outputs) {
    outputs.push_back(id == no_value ? Tensor() : shallow_copy(values[static_cast<size_t>(id)]));
  }
  store_cells(values);
  return outputs;
}

std::shared_ptr<const Plan> PlanCache::find_or_capture(
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
  plans_.insert(plans_.begin(), std::make_shared<const Plan>(std::move(captured), inputs));
  if (plans_.size() > capacity) plans_.pop_back();
  return plans_.front();
}

std::shared_ptr<const Plan> PlanCache::latest() const {
  const std::lock_guard lock(mutex_);
  return plans_.empty() ? nullptr : plans_.front();
}

size_t PlanCache::size() const {
  const std::lock_guard lock(mutex_);
  return plans_.size();
}

size_t PlanCache::captures() const {
  const std::lock_guard lock(mutex_);
  return captures_;
}

}  // namespace taper
