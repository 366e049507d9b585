#include <taper/ops/tape.h>

#include <algorithm>
#include <memory>
#include <new>

#include <taper/ops/node_extra.h>

namespace taper {

constinit thread_local bool tape_on = true;
constinit thread_local bool keep_layer_paths = false;

namespace {

constinit thread_local Node* released = nullptr;
constinit thread_local bool releasing = false;

/// Room for `count` objects of T at `place`, which moves behind them. All of them and the
/// attributes lie on multiples of 8 bytes.
template <class T>
T* room_for(std::byte*& place, size_t count) {
  static_assert(sizeof(T) % 8 == 0 && alignof(T) <= 8);
  T* first = reinterpret_cast<T*>(place);
  place += sizeof(T) * count;
  return first;
}

template <class T>
void destroy(T* first, size_t count) {
  for (size_t i = 0; i < count; ++i) first[i].~T();
}

[[noreturn, gnu::cold, gnu::noinline]] void refuse_many(size_t count) {
  violate(ErrorKind::unsupported,
          "an op whose gradient is wanted has less than 65,535 operands and "
          "results, got " +
              std::to_string(count) + "; take it in parts");
}

/// A node with its arrays, their elements still to be constructed.
Node* new_node(const OpBase& op, const void* attrs, size_t inputs, size_t outputs) {
  const size_t kept_inputs = op.saves.operands != 0 ? inputs : 0;
  const size_t kept_outputs = op.saves.results ? outputs : 0;
  const size_t bytes = sizeof(Node) + (sizeof(Edge) + sizeof(Spec)) * inputs +
                       sizeof(Spec) * outputs + sizeof(Tensor) * (kept_inputs + kept_outputs) +
                       op.attrs_size;
  if (inputs >= Edge::absent_operand || outputs >= Edge::absent_operand) [[unlikely]]
    refuse_many(std::max(inputs, outputs));
  auto* place = static_cast<std::byte*>(allocate(bytes));
  Node* node = new (place) Node;
  place += sizeof(Node);
  node->op = &op;
  node->bytes = static_cast<uint32_t>(bytes);
  node->inputs = static_cast<uint16_t>(inputs);
  node->outputs = static_cast<uint16_t>(outputs);
  node->edges = room_for<Edge>(place, inputs);
  node->saved_inputs = kept_inputs > 0 ? room_for<Tensor>(place, inputs) : nullptr;
  node->saved_outputs = kept_outputs > 0 ? room_for<Tensor>(place, outputs) : nullptr;
  node->input_specs = room_for<Spec>(place, inputs);
  node->output_specs = room_for<Spec>(place, outputs);
  node->attrs = place;
  if (op.attrs_size > 0) op.copy_attrs(node->attrs, attrs);
  return node;
}

void destroy_node(Node* node) {
  static_assert(std::is_trivially_destructible_v<Spec>);
  if (node->op != nullptr) {
    destroy(node->edges, node->inputs);
    if (node->saved_inputs != nullptr || node->saved_outputs != nullptr) free_saved(*node);
    if (node->op->attrs_size > 0) node->op->destroy_attrs(node->attrs);
  } else if (!node->is_leaf()) {
    destroy(node->edges, node->inputs);
  }
  delete node->extra;
  const size_t bytes = node->bytes;
  node->~Node();
  give_back(node, bytes);
}

}  // namespace

// A loop, not a recursion: a chain of a million calls must not overflow the stack.
template <>
TAPER_API void release(TapeRecord* record) {
  Node* node = static_cast<Node*>(record);
  node->next_released = released;
  released = node;
  if (releasing) return;
  releasing = true;
  while (Node* next = released) {
    released = next->next_released;
    destroy_node(next);
  }
  releasing = false;
}

Ptr<TapeRecord> new_leaf() {
  Node* node = new (allocate(sizeof(Node))) Node;
  node->bytes = sizeof(Node);
  node->grad = Ptr<StateImpl>(new StateImpl);
  node->grad->is_gradient = true;
  return Ptr<TapeRecord>(node);
}

Tensor as_leaf(const Tensor& updated, Ptr<TapeRecord> leaf) {
  // A new object needs memory; nobody else sees this one.
  Tensor result = updated.pointer().sole_owner() ? updated : shallow_copy(updated);
  result.impl()->output = 0;
  result.impl()->node = std::move(leaf);
  return result;
}

void record(const OpBase& op, const void* attrs, std::span<const Arg> args, Results& results,
            size_t count) {
  Node* node = new_node(op, attrs, args.size(), count);
  Ptr<TapeRecord> owner(node);
  Edge* edge = node->edges;
  Spec* spec = node->input_specs;
  for (const Arg& arg : args) {
    const Tensor& input = *arg.tensor;
    if (input.defined()) {
      new (edge++) Edge{input.impl()->node, input.impl()->output};
      new (spec++) Spec(input.spec());
    } else {
      new (edge++) Edge{{}, Edge::absent_operand};
      new (spec++) Spec;
    }
  }
  if (Tensor* saved = node->saved_inputs; saved != nullptr) {
    for (size_t i = 0; i < args.size(); ++i) {
      new (saved++) Tensor(op.saves.operand(i) ? *args[i].tensor : Tensor());
    }
  }
  if (node->saved_outputs != nullptr) {  // all of them exist before memory can be wanting
    for (uint16_t i = 0; i < node->outputs; ++i) new (node->saved_outputs + i) Tensor;
  }
  for (uint16_t i = 0; i < node->outputs; ++i) {
    Tensor& output = results[i];
    new (node->output_specs + i) Spec(output.spec());
    if (node->saved_outputs != nullptr) node->saved_outputs[i] = shallow_copy(output);
    if (!is_inexact(output.dtype())) continue;
    // The last output takes the owner itself: a locked count costs as much as a small kernel.
    const bool last = i + 1 == node->outputs;
    output.impl()->node = last ? std::move(owner) : owner;  // NOLINT(bugprone-use-after-move)
    output.impl()->output = i;
  }
  if (keep_layer_paths) [[unlikely]]
    extra_of(*node).layer = layer_path();
}

void note_hooks_change(NodeExtra& extra) {
  static std::atomic<uint64_t> last{0};
  extra.hooks_change = last.fetch_add(1, std::memory_order_relaxed) + 1;
}

uint64_t leaf_mark(const State& cell) {
  cell.name();  // throws for a null one
  const auto* leaf = static_cast<const Node*>(cell.impl()->leaf.get());
  if (leaf == nullptr) return 0;
  return 1 + (leaf->extra != nullptr ? leaf->extra->hooks_change : 0);
}

NodeExtra& extra_of(Node& node) {
  if (node.extra == nullptr) node.extra = new NodeExtra;
  return *node.extra;
}

void record_function(std::unique_ptr<FunctionGradient> function, std::vector<Edge> edges,
                     const std::vector<Spec>& input_specs, std::span<Tensor> outputs) {
  TAPER_CHECK(edges.size() == input_specs.size() && edges.size() <= UINT16_MAX);
  TAPER_CHECK(outputs.size() <= UINT16_MAX);
  const size_t bytes =
      sizeof(Node) + (sizeof(Edge) + sizeof(Spec)) * edges.size() + sizeof(Spec) * outputs.size();
  auto* place = static_cast<std::byte*>(allocate(bytes));
  Node* node = new (place) Node;
  const Ptr<TapeRecord> owner(node);
  place += sizeof(Node);
  node->bytes = static_cast<uint32_t>(bytes);
  node->outputs = static_cast<uint16_t>(outputs.size());
  node->edges = room_for<Edge>(place, edges.size());
  node->input_specs = room_for<Spec>(place, edges.size());
  node->output_specs = room_for<Spec>(place, outputs.size());
  for (size_t i = 0; i < edges.size(); ++i) {
    new (node->edges + i) Edge(std::move(edges[i]));
    new (node->input_specs + i) Spec(input_specs[i]);
  }
  node->inputs = static_cast<uint16_t>(edges.size());
  NodeExtra& extra = extra_of(*node);
  extra.function = std::move(function);
  if (keep_layer_paths) extra.layer = layer_path();
  for (uint16_t i = 0; i < node->outputs; ++i) {
    new (node->output_specs + i) Spec(outputs[i].spec());
    if (is_inexact(outputs[i].dtype())) outputs[i] = attach_output(outputs[i], *node, i);
  }
}

Tensor attach_output(const Tensor& output, Node& node, uint16_t index) {
  Tensor attached = shallow_copy(output);
  node.refs.fetch_add(1, std::memory_order_relaxed);
  attached.impl()->node = Ptr<TapeRecord>(&node);
  attached.impl()->output = index;
  return attached;
}

Tensor Saved::out(size_t i) const {
  TAPER_CHECK(node_.saved_outputs != nullptr);
  const Tensor& twin = node_.saved_outputs[i];
  if (!tape_on || !is_inexact(twin.dtype())) return twin;
  return attach_output(twin, const_cast<Node&>(node_), static_cast<uint16_t>(i));
}

void free_saved(Node& node) {
  if (node.op == nullptr && node.extra != nullptr && node.extra->function != nullptr) {
    node.extra->function->free();
  }
  if (node.saved_inputs != nullptr) destroy(node.saved_inputs, node.inputs);
  if (node.saved_outputs != nullptr) destroy(node.saved_outputs, node.outputs);
  node.saved_inputs = nullptr;
  node.saved_outputs = nullptr;
  node.freed = true;
}

namespace {

[[noreturn]] void fail_of_cell(const Tensor& tensor, const char* needed) {
  fail(ErrorKind::unsupported, "set_requires_grad: the tensor is the value of a cell (" +
                                   to_string(tensor.spec()) + "); call cell.set_requires_grad(" +
                                   needed + "), or detach() for the value alone");
}

}  // namespace

Tensor& Tensor::set_requires_grad(bool needed) {
  if (!needed) {
    if (requires_grad() && node_of(*this)->of_cell) fail_of_cell(*this, "false");
    if (requires_grad() && !node_of(*this)->is_leaf()) *this = detach();
    impl_->node = Ptr<TapeRecord>();
    return *this;
  }
  if (!is_inexact(dtype())) {
    fail(ErrorKind::dtype,
         "set_requires_grad: only floating tensors have gradients (" + to_string(spec()) + ")");
  }
  if (requires_grad()) return *this;
  if (impl_->of_input) {
    fail(ErrorKind::unsupported,
         "set_requires_grad: an operand of a captured function (" + to_string(spec()) +
             ") becomes no leaf of the caller's; make one of it, `x = x.detach()`, or take `grad`");
  }
  if (impl_->of_cell) fail_of_cell(*this, "true");
  impl_->node = new_leaf();
  impl_->output = 0;
  return *this;
}

Tensor Tensor::grad() const {
  if (!requires_grad() || !node_of(*this)->grad) return {};
  return State(node_of(*this)->grad).value();
}

void Tensor::zero_grad() {
  if (requires_grad() && node_of(*this)->grad) State(node_of(*this)->grad).set({});
}

Tensor Tensor::detach() const { return shallow_copy(*this); }

void State::set_requires_grad(bool needed) const {
  if (needed == requires_grad()) return;
  if (capture_number != 0 && impl_->capture != capture_number) {
    fail(ErrorKind::unsupported,
         "set_requires_grad: `" + name() +
             "` was made outside the captured function, whose replays would not repeat this; say "
             "it before the call, or detach() the value inside");
  }
  const Tensor value = impl_->value;
  if (needed && !value.defined()) {
    fail(ErrorKind::value, "set_requires_grad: `" + name() + "` has no value");
  }
  if (needed && value.defined() && !is_inexact(value.dtype())) {
    fail(ErrorKind::dtype, "set_requires_grad: only floating tensors have gradients (" + name() +
                               " " + to_string(value.spec()) + ")");
  }
  if (needed) {
    impl_->leaf = impl_->frozen ? std::move(impl_->frozen) : new_leaf();
    static_cast<Node*>(impl_->leaf.get())->of_cell = true;
  } else {
    impl_->frozen = std::move(impl_->leaf);
  }
  if (value.defined()) {
    impl_->hold(shallow_copy(value));
    impl_->value.impl()->node = impl_->leaf;
  }
  if (needed) detail::drop_misfit_gradient(*this, value);  // it may have changed while frozen
}

Tensor State::grad() const {
  if (!requires_grad()) return {};
  return State(static_cast<Node*>(impl_->leaf.get())->grad).value();
}

void State::set_grad(const Tensor& grad) const {
  if (!requires_grad()) return;
  const Tensor present = value();
  if (grad.defined() && present.defined() && grad.spec() != present.spec()) {
    const bool shape = grad.shape() != present.shape();
    fail(shape ? ErrorKind::shape : ErrorKind::dtype,
         "set_grad: the gradient of `" + name() + "` must be like its value (value " +
             to_string(present.spec()) + ", gradient " + to_string(grad.spec()) + "); " +
             (shape ? "sum it over the axes along which the value was broadcast"
                    : "convert it with astype"));
  }
  State(static_cast<Node*>(impl_->leaf.get())->grad).set(grad);
}

void detail::drop_misfit_gradient(const State& cell, const Tensor& value) {
  const Tensor& grad = static_cast<Node*>(cell.impl()->leaf.get())->grad->value;
  if (grad.defined() && value.defined() && grad.spec() != value.spec()) cell.zero_grad();
}

void State::zero_grad() const {
  // That of a frozen one would come back with its leaf.
  if (const TapeRecord* leaf = requires_grad() ? impl_->leaf.get() : impl_->frozen.get()) {
    State(static_cast<const Node*>(leaf)->grad).set({});
  }
}

}  // namespace taper
