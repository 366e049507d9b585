#include <taper/graph/plan.h>

#include <algorithm>

#include <taper/core/threads.h>
#include <taper/ops/composed.h>
#include <taper/ops/promotion.h>
#include <taper/ops/tape.h>

namespace taper {

Plan::Plan(Captured captured, const std::vector<Tensor>& inputs)
    : captured_(std::move(captured)), tape_on_(tape_on), threads_(threads()) {
  for (const Tensor& input : inputs) {
    input_specs_.push_back(input.defined() ? std::optional(input.spec()) : std::nullopt);
  }
  for (const auto& [id, number] : captured_.graph.immediates) {
    const Spec& spec = captured_.graph.specs[static_cast<size_t>(id)];
    numbers_.push_back(number_tensor(number, spec.dtype));
  }
  make_small_tensors();
  move_draws_forward();
  const Graph& graph = captured_.graph;
  steps_.resize(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (ValueId id : graph.nodes[i].outputs) {
      steps_[i].specs.push_back(graph.specs[static_cast<size_t>(id)]);
    }
  }
  find_givers(find_ends());
}

/// A replay reserves its random numbers before all else: the nodes that the new values of counters
/// are made of come first, in their order.
void Plan::move_draws_forward() {
  Graph& graph = captured_.graph;
  std::vector<bool> wanted(graph.specs.size(), false);
  for (const GraphCell& cell : graph.cells) {
    if (!cell.assigned || !cell.cell.impl()->counter) continue;
    counters_.push_back(&cell);
    wanted[static_cast<size_t>(cell.result)] = true;
  }
  if (counters_.empty()) return;
  std::vector<bool> is_draw(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const GraphNode& node = graph.nodes[i];
    is_draw[i] = std::ranges::any_of(node.outputs,
                                     [&](ValueId id) { return wanted[static_cast<size_t>(id)]; });
    if (!is_draw[i]) continue;
    for (ValueId id : node.inputs) {
      if (id != no_value) wanted[static_cast<size_t>(id)] = true;
    }
  }
  std::vector<GraphNode> nodes;
  for (const bool draws : {true, false}) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      if (is_draw[i] == draws) nodes.push_back(std::move(graph.nodes[i]));
    }
    if (draws) draws_ = nodes.size();
  }
  graph.nodes = std::move(nodes);
}

/// What has no operands is the same at each run: small tensors are made once.
void Plan::make_small_tensors() {
  constexpr int64_t most_elements = 64;
  Graph& graph = captured_.graph;
  std::erase_if(graph.nodes, [&](const GraphNode& node) {
    if (!node.inputs.empty() || node.outputs.size() != 1) return false;
    const Spec& spec = graph.specs[static_cast<size_t>(node.outputs[0])];
    if (spec.shape.numel() > most_elements) return false;
    Results made = execute(*node.op, node.attrs.get(), {}, spec);
    graph.constants.emplace_back(node.outputs[0], std::move(made[0]));
    return true;
  });
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

/// Whether the node's op, or one in its functions, looks at values.
static bool can_refuse_values(const GraphNode& node) {
  if (node.op->refuses_values) return true;
  const std::vector<const Graph*> graphs = node.op->graphs(node.attrs.get());
  return std::ranges::any_of(graphs, [](const Graph* graph) {
    return std::ranges::any_of(graph->nodes, can_refuse_values);
  });
}

void Plan::find_givers(const std::vector<size_t>& last_use) {
  const Graph& graph = captured_.graph;
  size_t first_safe = 0;  // from here on no node can refuse values
  std::vector<size_t> maker(graph.specs.size(), SIZE_MAX);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (can_refuse_values(graph.nodes[i])) first_safe = i + 1;
    for (ValueId id : graph.nodes[i].outputs) maker[static_cast<size_t>(id)] = i;
  }
  for (const GraphCell& cell : graph.cells) {
    if (!cell.assigned || cell.cell.impl()->counter) continue;
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
    if (leaf_mark(cell.cell) != cell.leaf) return false;
    if (!cell.read || cell.cell.impl()->counter) continue;  // a counter's spec never changes
    const Tensor& value = cell.cell.impl()->value;
    if (value.defined() != (cell.initial != no_value)) return false;
    if (!value.defined()) continue;
    if (value.spec() != captured_.graph.specs[static_cast<size_t>(cell.initial)]) return false;
  }
  return true;
}

/// As a call reports it, in the layer where it was recorded; numbers are no operands there.
[[noreturn]] static void report_node(const Graph& graph, const GraphNode& node,
                                     const Violation& violation, std::vector<Arg> args) {
  for (const auto& [id, number] : graph.immediates) {
    for (size_t i = 0; i < args.size(); ++i) args[i].immediate |= node.inputs[i] == id;
  }
  const LayerScope scope(node.layer);
  report(*node.op, violation, args, node.function);
}

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
  Results results = [&] {  // moved nowhere: it is on every node
    try {
      return execute(*node.op, node.attrs.get(), args, step.specs);
    } catch (const Violation& violation) {
      report_node(captured_.graph, node, violation, args);
    } catch (const Error& error) {  // from below the ops, as in a call
      if (!error.op().empty()) throw;
      report_node(captured_.graph, node, as_violation(error), args);
    }
  }();
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
      gave[i] = detail::give_up(gives[i]->cell, value(gives[i]->initial));
    }
    execute_node(index, values);
    for (size_t i = 0; i < gives.size(); ++i) {
      const Tensor& result = value(gives[i]->result);
      taken[i] = detail::as_cell_value(gives[i]->cell, result, result.pointer().sole_owner());
    }
  } catch (...) {
    // A kernel that writes into a buffer allocates nothing once it does: this one was not touched.
    for (size_t i = 0; i < gives.size(); ++i) {
      if (gave[i]) detail::take_back(gives[i]->cell, value(gives[i]->initial));
    }
    throw;
  }
  for (size_t i = 0; i < gives.size(); ++i) {
    gives[i]->cell.impl()->hold(std::move(taken[i]));
  }
}

void Plan::execute_step(size_t index, std::vector<Tensor>& values) const {
  if (steps_[index].gives.empty()) {
    execute_node(index, values);
  } else {
    execute_giving(index, values);
  }
  for (ValueId id : steps_[index].ends) values[static_cast<size_t>(id)] = Tensor();
}

void Plan::reserve_draws(std::vector<Tensor>& values, std::vector<Tensor>& before) const {
  if (counters_.empty()) return;
  const CounterAccess access;
  for (const GraphCell* cell : counters_) {
    before.push_back(access.value(cell->cell));
    if (cell->initial != no_value) values[static_cast<size_t>(cell->initial)] = before.back();
  }
  for (size_t i = 0; i < draws_; ++i) execute_step(i, values);
  for (const GraphCell* cell : counters_) {
    access.value(cell->cell) = values[static_cast<size_t>(cell->result)];
  }
}

/// After a failure: unless somebody else has drawn since, it is as if nothing had been drawn.
void Plan::undo_draws(const std::vector<Tensor>& values, const std::vector<Tensor>& before) const {
  if (counters_.empty()) return;
  const CounterAccess access;
  for (size_t i = 0; i < before.size(); ++i) {
    Tensor& now = access.value(counters_[i]->cell);
    const Tensor& ours = values[static_cast<size_t>(counters_[i]->result)];
    if (ours.defined() && now.impl() == ours.impl()) now = before[i];
  }
}

/// All or none of these cells.
void Plan::store_cells(const std::vector<Tensor>& values) const {
  std::vector<Tensor> fresh;
  fresh.reserve(stored_last_.size());
  for (const GraphCell* cell : stored_last_) {
    if (cell->result == no_value) {
      fresh.emplace_back();
      continue;
    }
    const Tensor& value = values[static_cast<size_t>(cell->result)];
    fresh.push_back(detail::as_cell_value(cell->cell, value, value.pointer().sole_owner()));
  }
  for (size_t i = 0; i < fresh.size(); ++i) {
    const State& cell = stored_last_[i]->cell;
    cell.impl()->hold(std::move(fresh[i]));
    if (cell.impl()->leaf) detail::drop_misfit_gradient(cell, cell.impl()->value);
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
  for (size_t i = 0; i < numbers_.size(); ++i) {
    values[static_cast<size_t>(graph.immediates[i].first)] = numbers_[i];
  }
  for (const GraphCell& cell : graph.cells) {
    if (cell.initial == no_value || cell.cell.impl()->counter) continue;
    values[static_cast<size_t>(cell.initial)] = cell.cell.value();
  }
  std::vector<Tensor> before;
  try {
    reserve_draws(values, before);
    return finish(values);
  } catch (...) {
    undo_draws(values, before);
    throw;
  }
}

std::vector<Tensor> Plan::finish(std::vector<Tensor>& values) const {
  const Graph& graph = captured_.graph;
  for (size_t i = draws_; i < graph.nodes.size(); ++i) execute_step(i, values);
  std::vector<Tensor> outputs;
  outputs.reserve(graph.outputs.size());
  for (ValueId id : graph.outputs) {
    outputs.push_back(id == no_value ? Tensor() : shallow_copy(values[static_cast<size_t>(id)]));
  }
  store_cells(values);
  return outputs;
}

std::shared_ptr<const Plan> PlanCache::find(const std::vector<Tensor>& inputs) {
  const std::lock_guard lock(mutex_);
  auto found = std::find_if(plans_.begin(), plans_.end(),
                            [&](const auto& plan) { return plan->fits(inputs); });
  if (found == plans_.end()) return nullptr;
  std::rotate(plans_.begin(), found, found + 1);
  return plans_.front();
}

std::shared_ptr<const Plan> PlanCache::find_or_capture(
    const std::vector<Tensor>& inputs,
    FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function) {
  if (auto plan = find(inputs)) return plan;
  const std::lock_guard capturing(capturing_);
  if (auto plan = find(inputs)) return plan;  // another thread's by now
  Captured captured = capture(inputs, function);
  verify(captured.graph);
  auto plan = std::make_shared<const Plan>(std::move(captured), inputs);
  const std::lock_guard lock(mutex_);
  ++captures_;
  plans_.insert(plans_.begin(), plan);
  if (plans_.size() > capacity) plans_.pop_back();
  return plan;
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
