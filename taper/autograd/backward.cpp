#include <memory>
#include <span>
#include <string>

#include <taper/autograd/anomaly_check.h>
#include <taper/autograd/autograd.h>
#include <taper/autograd/gradients_until.h>
#include <taper/ops/node_extra.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

/// Whether the gradient reads what the node kept, or runs a user's function again: else it can be
/// computed as often as somebody asks.
bool needs_what_it_saved(const Node& node) {
  return node.op == nullptr || node.op->saves.operands != 0 || node.op->saves.results;
}

/// Numbers of nodes, by address: open addressing, since a lookup happens for every edge.
class NodeNumbers {
 public:
  NodeNumbers() : slots_(64) {}

  /// The node's number; `fresh` says whether it was given just now.
  uint32_t number(Node* node, bool& fresh) {
    if ((count_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = find(slots_, node);
    fresh = slot.node == nullptr;
    if (fresh) slot = {node, count_++};
    return slot.number;
  }
  uint32_t operator[](Node* node) { return find(slots_, node).number; }

 private:
  struct Slot {
    Node* node = nullptr;
    uint32_t number = 0;
  };
  static Slot& find(std::vector<Slot>& slots, Node* node) {
    size_t place = (reinterpret_cast<uintptr_t>(node) >> 6) * 0x9e3779b97f4a7c15u >> 20;
    for (;; ++place) {
      Slot& slot = slots[place & (slots.size() - 1)];
      if (slot.node == node || slot.node == nullptr) return slot;
    }
  }
  void grow() {
    std::vector<Slot> larger(slots_.size() * 2);
    for (const Slot& slot : slots_) {
      if (slot.node != nullptr) find(larger, slot.node) = slot;
    }
    slots_.swap(larger);
  }

  std::vector<Slot> slots_;
  uint32_t count_ = 0;
};

/// A node of one backward pass with the gradients that have arrived at its outputs.
struct Visit {
  explicit Visit(Node* visited) : node(visited) {
    if (visited->outputs > inline_outputs) many = std::make_unique<Tensor[]>(visited->outputs);
  }
  std::span<Tensor> grads() {
    return many ? std::span(many.get(), node->outputs) : std::span<Tensor>(few);
  }
  std::span<const Tensor> grads() const { return const_cast<Visit*>(this)->grads(); }
  Node* node;
  bool wanted = false;  // it leads to something whose gradient is asked for
  Tensor few[inline_outputs];
  std::unique_ptr<Tensor[]> many;
};

Node* edge_node(const Edge& edge) { return static_cast<Node*>(edge.node.get()); }

/// One backward pass: every node once, after all that depend on it.
class Backward {
 public:
  explicit Backward(const Tensor& loss) { collect(node_of(loss), {}); }
  /// From several results; what lies behind the targets `until` is left alone.
  Backward(std::span<const Tensor> results, std::span<const Tensor> until) {
    for (const Tensor& result : results) {
      if (result.requires_grad()) collect(node_of(result), until);
    }
  }

  /// Marks what leads to a leaf.
  void want_leaves() {
    for (uint32_t number : finished_) {
      Visit& visit = visits_[number];
      visit.wanted = visit.node->is_leaf();
      inherit(visit);
    }
  }
  /// Marks what leads to one of `targets`; a target itself is not differentiated any further for
  /// its own sake.
  void want(std::span<const Tensor> targets) {
    for (const Tensor& target : targets) {
      if (!target.defined() || !target.requires_grad()) continue;
      bool fresh = false;
      const uint32_t number = numbers_.number(node_of(target), fresh);
      if (fresh) visits_.emplace_back(node_of(target));
      visits_[number].wanted = true;
    }
    for (uint32_t number : finished_) inherit(visits_[number]);
  }

  /// Whether the loss depends on a leaf that is none of `targets`.
  bool reaches_leaf_beside(std::span<const Tensor> targets) const {
    for (uint32_t number : finished_) {
      const Node& node = *visits_[number].node;
      if (node.is_leaf() && !is_target(node, targets)) return true;
    }
    return false;
  }

  void start(const Tensor& loss, const Tensor& grad_loss) {
    accumulate(visits_[numbers_[node_of(loss)]].grads()[loss.impl()->output], grad_loss);
  }

  void run(bool keep_graph, std::span<const Tensor> targets, bool stop_at_targets = false) {
    const AnomalyAside aside;
    for (auto number = finished_.rbegin(); number != finished_.rend(); ++number) {
      Visit& visit = visits_[*number];
      if (!visit.wanted || !has_gradient(visit)) continue;
      if (stop_at_targets && is_target(*visit.node, targets)) continue;
      if (visit.node->extra != nullptr) call_hooks(visit);
      if (visit.node->is_leaf()) continue;
      differentiate(visit, targets);
      if (!keep_graph) free_saved(*visit.node);
    }
  }

  Tensor gradient(const Tensor& target) {
    if (!target.defined() || !target.requires_grad()) return {};
    return visits_[numbers_[node_of(target)]].grads()[target.impl()->output];
  }

  template <class Do>
  void for_leaves(Do&& what) {
    for (Visit& visit : visits_) {
      if (visit.node->is_leaf() && visit.grads()[0].defined()) what(*visit.node, visit.grads()[0]);
    }
  }

 private:
  /// Depth first without recursion: `finished_` lists each node after all that it depends on.
  void collect(Node* root, std::span<const Tensor> until) {
    struct Step {
      uint32_t number;
      size_t edge;
    };
    bool fresh = false;
    std::vector<Step> stack{{numbers_.number(root, fresh), 0}};
    if (!fresh) return;
    visits_.emplace_back(root);
    while (!stack.empty()) {
      Step& step = stack.back();
      Node* node = visits_[step.number].node;
      if (step.edge == node->inputs || (!until.empty() && is_target(*node, until))) {
        finished_.push_back(step.number);
        stack.pop_back();
        continue;
      }
      Node* next = edge_node(node->edges[step.edge++]);
      if (next == nullptr) continue;
      const uint32_t number = numbers_.number(next, fresh);
      if (!fresh) continue;
      visits_.emplace_back(next);
      stack.push_back({number, 0});
    }
  }

  void inherit(Visit& visit) {
    for (size_t i = 0; i < visit.node->inputs && !visit.wanted; ++i) {
      Node* next = edge_node(visit.node->edges[i]);
      visit.wanted = next != nullptr && visits_[numbers_[next]].wanted;
    }
  }

  static bool has_gradient(const Visit& visit) {
    for (const Tensor& grad : visit.grads()) {
      if (grad.defined()) return true;
    }
    return false;
  }

  static void accumulate(Tensor& sum, const Tensor& grad) {
    if (sum.defined()) {
      sum += grad;
    } else {
      sum = grad;
    }
  }

  static std::string name_of(const Node& node) {
    return node.op != nullptr ? std::string(node.op->name) : node.extra->function->name();
  }

  static std::string input_name(const Node& node, size_t i) {
    return node.op != nullptr ? operand_name(*node.op, i) : "input " + std::to_string(i);
  }

  [[noreturn]] static void fail_at(const Node& node, ErrorKind kind, const std::string& why) {
    std::string operands;
    for (size_t i = 0; i < node.inputs; ++i) {
      if (node.edges[i].output == Edge::absent_operand) continue;
      operands += (operands.empty() ? "" : ", ") + input_name(node, i) + " " +
                  to_string(node.input_specs[i]);
    }
    const std::string layer = node.extra != nullptr ? node.extra->layer : "";
    throw Error(kind,
                "backward of " + name_of(node) + ": " + why + " (" + operands + ")" +
                    (layer.empty() ? "" : " in " + layer),
                name_of(node), layer);
  }

  static void call_hooks(Visit& visit) {
    const std::vector<TensorHook> hooks = visit.node->extra->hooks;  // one may remove itself
    for (const TensorHook& hook : hooks) {
      Tensor& grad = visit.grads()[hook.output];
      if (!grad.defined()) continue;
      const Tensor replaced = hook.call(grad);
      if (!replaced.defined()) continue;
      if (replaced.spec() != grad.spec()) {
        fail(ErrorKind::shape,
             "register_hook: the hook must give a gradient like the one it got"
             " (gradient " +
                 to_string(grad.spec()) + ", hook " + to_string(replaced.spec()) + ")");
      }
      grad = replaced;
    }
  }

  /// In the anomaly mode: throws for the first gradient that is not finite.
  static void check_gradients(const Visit& visit, const Grads& grads, const bool* wanted) {
    for (size_t i = 0; i < grads.size(); ++i) {
      if (!wanted[i] || !grads[i].defined()) continue;
      const std::string found = find_not_finite(grads[i]);
      if (found.empty()) continue;
      std::string why = "the gradient of " + input_name(*visit.node, i) + " has " + found;
      for (const Tensor& arrived : visit.grads()) {
        const std::string before = arrived.defined() ? find_not_finite(arrived) : "";
        if (before.empty()) continue;
        why +=
            ", the gradient of the output has " + before.substr(0, before.find(' ')) + " already";
        break;
      }
      fail_at(*visit.node, ErrorKind::value, why);
    }
  }

  static Grads gradients_of_inputs(Visit& visit, const bool* wanted) {
    Node& node = *visit.node;
    const Tensor* grads = visit.grads().data();
    if (node.op != nullptr && node.op->gradient_through_expansion) {
      return expansion_gradients(node, grads, wanted);
    }
    if (node.op != nullptr) return node.op->vjp(Saved(node, grads, wanted), node.attrs);
    try {
      return node.extra->function->backward(node, grads, wanted);
    } catch (const Violation& violation) {
      fail_at(node, violation.kind, violation.rule);
    }
  }

  void differentiate(Visit& visit, std::span<const Tensor> targets) {
    Node& node = *visit.node;
    if (node.op != nullptr && node.op->why_not_differentiable != nullptr) {
      fail_at(node, ErrorKind::unsupported, node.op->why_not_differentiable);
    }
    if (node.freed && needs_what_it_saved(node)) {
      fail_at(
          node, ErrorKind::value,
          "the graph was freed by an earlier backward pass; pass keep_graph = true to that one");
    }
    bool few[16] = {};
    std::unique_ptr<bool[]> many;
    if (node.inputs > std::size(few)) many = std::make_unique<bool[]>(node.inputs);
    bool* wanted = many ? many.get() : few;
    bool any = false;
    for (size_t i = 0; i < node.inputs; ++i) {
      Node* next = edge_node(node.edges[i]);
      wanted[i] = next != nullptr && visits_[numbers_[next]].wanted;
      any |= wanted[i];
    }
    if (!any) return;  // a target in the middle that leads to no other
    Grads grads = gradients_of_inputs(visit, wanted);
    if (anomaly_mode_on()) [[unlikely]]
      check_gradients(visit, grads, wanted);
    if (!is_target(node, targets)) {
      for (Tensor& grad : visit.grads()) grad = Tensor();
    }
    for (size_t i = 0; i < grads.size(); ++i) {
      if (!wanted[i] || !grads[i].defined()) continue;
      TAPER_CHECK(grads[i].spec() == node.input_specs[i]);
      const Edge& edge = node.edges[i];
      accumulate(visits_[numbers_[edge_node(edge)]].grads()[edge.output], grads[i]);
    }
  }

  static bool is_target(const Node& node, std::span<const Tensor> targets) {
    for (const Tensor& target : targets) {
      if (target.defined() && target.impl()->node.get() == &node) return true;
    }
    return false;
  }

  NodeNumbers numbers_;
  std::vector<Visit> visits_;  // by number
  std::vector<uint32_t> finished_;
};

Tensor start_gradient(const Tensor& loss, const Tensor& given) {
  if (!loss.defined() || !loss.requires_grad()) {
    fail(ErrorKind::value,
         "backward: the loss does not depend on anything that requires a gradient"
         " (" +
             (loss.defined() ? to_string(loss.spec()) : "undefined") + ")");
  }
  if (given.defined()) {
    if (given.spec() != loss.spec()) {
      fail(ErrorKind::shape, "backward: the gradient of the loss must be like the loss (loss " +
                                 to_string(loss.spec()) + ", gradient " + to_string(given.spec()) +
                                 ")");
    }
    return given;
  }
  if (loss.numel() != 1) {
    fail(ErrorKind::shape,
         "backward: the loss must have one element; sum it, or give the gradient "
         "of the loss (loss " +
             to_string(loss.spec()) + ")");
  }
  if (is_complex(loss.dtype())) {
    fail(ErrorKind::dtype,
         "backward: a complex loss has no order; take its real part or abs, or "
         "give the gradient of the loss (loss " +
             to_string(loss.spec()) + ")");
  }
  return ones(loss.shape(), loss.dtype());
}

/// Adds the gradient of every leaf that `loss` depends on to its cell.
void run_backward(const Tensor& loss, const Tensor& start, bool keep_graph) {
  const TapeMode mode(false);
  Backward pass(loss);
  pass.want_leaves();
  pass.start(loss, start);
  pass.run(keep_graph, {});
  pass.for_leaves([](Node& leaf, Tensor& grad) {
    update(State(leaf.grad), [&](Tensor& sum) {
      if (!sum.defined()) return std::move(grad);
      sum += grad;
      return sum;
    });
  });
}

}  // namespace

std::vector<Tensor> gradients(const Tensor& loss, std::span<const Tensor> tensors,
                              bool create_graph, const Tensor& grad_loss, bool keep_graph) {
  const Tensor start = start_gradient(loss, grad_loss);
  const TapeMode mode(create_graph);
  Backward pass(loss);
  pass.want(tensors);
  pass.start(loss, start);
  pass.run(create_graph || keep_graph, tensors);
  std::vector<Tensor> results;
  for (const Tensor& tensor : tensors) results.push_back(pass.gradient(tensor));
  return results;
}

std::vector<Tensor> gradients(const Tensor& loss, const std::vector<Tensor>& tensors,
                              bool create_graph) {
  return gradients(loss, std::span(tensors), create_graph);
}

std::vector<Tensor> gradients(const Tensor& loss, const std::vector<State>& cells,
                              bool create_graph) {
  std::vector<Tensor> values;
  values.reserve(cells.size());
  for (const State& cell : cells) values.push_back(cell.value());
  return gradients(loss, std::span<const Tensor>(values), create_graph);
}

TransformGradients transform_gradients(const Tensor& loss, std::span<const Tensor> operands,
                                       bool outer_tape) {
  TransformGradients result{.grads = std::vector<Tensor>(operands.size())};
  if (!loss.requires_grad()) return result;
  const Tensor start = start_gradient(loss, {});
  Backward pass(loss);
  result.on_tape = outer_tape && pass.reaches_leaf_beside(operands);
  const TapeMode mode(result.on_tape);
  pass.want(operands);
  pass.start(loss, start);
  pass.run(result.on_tape, operands);
  for (size_t i = 0; i < operands.size(); ++i) result.grads[i] = pass.gradient(operands[i]);
  return result;
}

std::vector<Tensor> gradients_until(std::span<const Tensor> results, std::span<const Tensor> grads,
                                    std::span<const Tensor> targets) {
  Backward pass(results, targets);
  pass.want(targets);
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].requires_grad() && grads[i].defined()) pass.start(results[i], grads[i]);
  }
  pass.run(tape_on, targets, true);
  std::vector<Tensor> found;
  for (const Tensor& target : targets) found.push_back(pass.gradient(target));
  return found;
}

void Tensor::backward(bool keep_graph) const {
  run_backward(*this, start_gradient(*this, {}), keep_graph);
}

void Tensor::backward(const Tensor& gradient, bool keep_graph) const {
  if (!gradient.defined()) fail(ErrorKind::value, "backward: the gradient is undefined");
  run_backward(*this, start_gradient(*this, gradient), keep_graph);
}

}  // namespace taper
