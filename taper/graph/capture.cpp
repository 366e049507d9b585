#include <algorithm>
#include <atomic>
#include <utility>

#include <taper/graph/recorder.h>
#include <taper/ops/composed.h>
#include <taper/ops/node_extra.h>

namespace taper {
namespace {

/// Numbers start at 1 and are those of this process.
uint32_t next_capture_number() {
  static std::atomic<uint32_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

/// A copy of the attributes in memory from the allocator.
std::shared_ptr<const void> copy_attrs(const OpBase& op, const void* attrs) {
  void* memory = allocate(op.attrs_size);
  op.copy_attrs(memory, attrs);
  return {memory, [&op](void* copy) {
            op.destroy_attrs(copy);
            give_back(copy, op.attrs_size);
          }};
}

/// The tensor as a leaf of the cell's autograd record.
Tensor attached(Tensor tensor, const State& state) {
  tensor.impl()->node = state.impl()->leaf;
  tensor.impl()->output = 0;
  return tensor;
}

Tensor present_value(const State& state) {
  if (state.impl()->counter) return CounterAccess().value(state);
  return state.impl()->value;
}

/// Whether the tensor is on the tape and nothing that it was computed from was freed.
bool could_start_backward(const Tensor& tensor) {
  if (!tensor.defined() || !tensor.requires_grad()) return false;
  std::vector<const Node*> open{node_of(tensor)};
  std::unordered_set<const Node*> seen(open.begin(), open.end());
  while (!open.empty()) {
    const Node& node = *open.back();
    open.pop_back();
    if (node.freed) return false;
    for (size_t i = 0; i < node.inputs; ++i) {
      const auto* next = static_cast<const Node*>(node.edges[i].node.get());
      if (next != nullptr && seen.insert(next).second) open.push_back(next);
    }
  }
  return true;
}

/// The only element of a tensor that a call made of a number.
Number number_in(const Tensor& tensor) {
  return visit<kinds::every>(tensor.dtype(), [&]<class T>() {
    return number_of(*reinterpret_cast<const T*>(tensor.raw()));
  });
}

}  // namespace

Recorder::Recorder(OutsideTensors outside)
    : outer_(std::exchange(interpreter, this)),
      outer_number_(std::exchange(capture_number, next_capture_number())),
      number_(capture_number),
      outside_(outside) {}

Recorder::~Recorder() {
  interpreter = outer_;
  capture_number = outer_number_;
}

Tensor Recorder::add_input(const Spec& spec) {
  Tensor tensor = new_value(spec);
  tensor.impl()->of_input = true;
  graph_.inputs.push_back(tensor.impl()->value_id);
  return tensor;
}

Captured Recorder::finish(std::vector<Tensor> outputs) {
  bool on_tape = false;
  bool outlived = false;
  for (size_t i = 0; i < outputs.size(); ++i) {
    graph_.outputs.push_back(
        allowed_id(outputs[i], [&] { return "capture: result " + std::to_string(i); }));
    on_tape |= could_start_backward(outputs[i]);
  }
  for (size_t i = 0; i < graph_.cells.size(); ++i) {
    GraphCell& cell = graph_.cells[i];
    if (cell.assigned) cell.result = id_of(present_[i]);
    if (outlives(cell.cell)) outlived = true;
  }
  // Such a cell is no local variable: the next call finds it, so this plan serves one call.
  if (outlived) guards_.push_back({this, [] { return uint64_t{1}; }, 0});
  outputs.clear();
  if (!on_tape && outside_ == OutsideTensors::refused) refuse_kept();
  return {std::move(graph_), std::move(guards_), on_tape};
}

Results Recorder::call(const OpBase& op, const void* attrs, std::span<const Arg> args,
                       const Specs& specs) {
  GraphNode node{&op, copy_attrs(op, attrs), {}, {}, layer_path(), captured_function};
  for (size_t i = 0; i < args.size(); ++i) {
    node.inputs.push_back(id_of_operand(op, args[i], i));
    node.on_tape.push_back(flows(*args[i].tensor));
  }
  Results results;
  for (int i = 0; i < specs.count; ++i) {
    results[i] = new_value(specs[i]);
    node.outputs.push_back(results[i].impl()->value_id);
    makers_.resize(graph_.specs.size(), nullptr);
    makers_.back() = &op;
  }
  graph_.nodes.push_back(std::move(node));
  return results;
}

bool Recorder::flows(const Tensor& tensor) const {
  return tape_on && tensor.defined() && tensor.requires_grad();
}

ValueId Recorder::id_of_operand(const OpBase& op, const Arg& arg, size_t i) {
  const Tensor& tensor = *arg.tensor;
  if (arg.immediate) {
    const ValueId id = remember(tensor);
    graph_.immediates.emplace_back(id, number_in(tensor));
    return id;
  }
  const ValueId from_outside = lift(tensor);
  if (from_outside != no_value) return from_outside;
  const char* why = why_foreign(tensor);
  if (why != nullptr) violate(ErrorKind::unsupported, operand_name(op, i) + why);
  return id_of(tensor);
}

Tensor Recorder::read(const State& state) {
  const size_t index = find(state);
  GraphCell& cell = graph_.cells[index];
  if (cell.read || cell.assigned) return present_[index];
  const Tensor value = present_value(state);
  if (state.impl()->capture == number_) {  // made here: each run begins with its first value
    write(state, value);
    return present_[index];
  }
  cell.read = true;
  if (!value.defined()) return {};
  const Tensor symbol = attached(new_value(value.spec()), state);
  graph_.cells[index].initial = symbol.impl()->value_id;
  present_[index] = symbol;
  return symbol;
}

void Recorder::write(const State& state, const Tensor& value) {
  allowed_id(value, [&] { return "the new value of cell `" + state.name() + "`"; });
  const size_t index = find(state);
  GraphCell& cell = graph_.cells[index];
  const Tensor before = cell.read || cell.assigned ? present_[index] : present_value(state);
  if (state.impl()->leaf && before.defined() && value.defined() && before.spec() != value.spec()) {
    state.zero_grad();
  }
  graph_.cells[index].assigned = true;
  const bool on_tape = state.impl()->leaf || (value.defined() && value.requires_grad());
  present_[index] = value.defined() && on_tape ? attached(shallow_copy(value), state) : value;
}

Tensor Recorder::move_on(const State& counter, FunctionRef<Tensor(const Tensor&)> next) {
  if (Tensor* own = CounterScope::find(counter)) {
    Tensor old = *own;
    *own = next(old);
    return old;
  }
  Tensor old = read(counter);
  write(counter, next(old));
  return old;
}

void Recorder::depend_on(const void* key, std::function<uint64_t()> look) {
  if (!guarded_.insert(key).second) return;
  const uint64_t value = look();
  guards_.push_back({key, std::move(look), value});
}

void Recorder::hold(const Tensor& tensor) {
  if (tensor.impl()->storage) held_.emplace(tensor.impl()->storage.get(), tensor);
}

void Recorder::check_read(const Tensor& tensor) const {
  if (!is_foreign(*tensor.impl()->storage)) return;
  fail(ErrorKind::unsupported,
       "the value of a tensor that was made outside the captured function was asked for (" +
           to_string(tensor.spec()) +
           "): the graph would hold for ever what follows from its present value; pass it as an "
           "operand and choose with `where`, or say constant(t)");
}

void Recorder::check_update(const Tensor& tensor) const {
  const Storage* storage = tensor.impl()->storage.get();
  if (storage == nullptr || storage->capture == number_) return;
  if (tensor.impl()->capture == number_) return;  // a handle that `constant` gave
  fail(ErrorKind::unsupported,
       "a tensor that was made outside the captured function is updated in place (" +
           to_string(tensor.spec()) +
           "), which later calls would not repeat; keep it in a State, or make a new tensor, "
           "`y = x + 1`");
}

void Recorder::note_copy(const Tensor& copy) {
  if (copy.impl()->capture == number_) {
    symbols_.push_back(copy);
  } else if (outer_ != nullptr) {
    outer_->note_copy(copy);
  }
}

std::string Recorder::origin(const Tensor& tensor) const {
  if (tensor.impl()->capture != number_) return "a tensor of another capture";
  const OpBase* op = maker_of(*tensor.impl());
  return op != nullptr ? std::string(op->name) : "an input of the captured function";
}

/// Null for an input or the value of a cell.
const OpBase* Recorder::maker_of(const TensorImpl& symbol) const {
  const auto id = static_cast<size_t>(symbol.value_id);
  return id < makers_.size() ? makers_[id] : nullptr;
}

Tensor Recorder::new_value(const Spec& spec) {
  Tensor tensor{Ptr<TensorImpl>(new_impl(spec))};
  tensor.impl()->value_id = static_cast<ValueId>(graph_.specs.size());
  tensor.impl()->capture = number_;
  graph_.specs.push_back(spec);
  symbols_.push_back(tensor);
  return tensor;
}

/// Throws for a tensor of this capture that is held by neither the graph nor its cells.
void Recorder::refuse_kept() {
  present_.clear();
  std::unordered_set<const TensorImpl*> of_cells;
  for (const GraphCell& each : graph_.cells) {  // one made before may be another thread's, too
    const StateImpl& impl = *each.cell.impl();
    if (impl.capture == number_) of_cells.insert(impl.value.impl());
  }
  for (const Tensor& symbol : symbols_) symbol.impl()->node = Ptr<TapeRecord>();  // saves others
  const auto found = std::ranges::find_if(symbols_, [&](const Tensor& symbol) {
    return !symbol.pointer().sole_owner() && !of_cells.contains(symbol.impl());
  });
  if (found == symbols_.end()) return;
  const TensorImpl& kept = *found->impl();
  const OpBase* op = maker_of(kept);
  fail(ErrorKind::unsupported,
       "capture: the function keeps " +
           (op != nullptr ? "a result of " + std::string(op->name) : "an operand") + " (" +
           to_string(kept.spec) +
           ") beyond its call, which replays would not renew; return it, or keep it in a State");
}

/// Whether a cell that was made inside is held by more than the graph (a gradient's: and its
/// leaf).
bool Recorder::outlives(const State& state) const {
  const StateImpl& impl = *state.impl();
  return impl.capture == number_ && !impl.is_gradient && impl.refs.load() > 1;
}

/// Whether a buffer was filled before this capture and nobody said that it may be used.
bool Recorder::is_foreign(const Storage& storage) const {
  return outside_ == OutsideTensors::refused && storage.capture != number_ &&
         !held_.contains(&storage);
}

/// What keeps a tensor out of this graph, to be said behind its name; null if nothing does.
const char* Recorder::why_foreign(const Tensor& tensor) const {
  if (!tensor.defined()) return nullptr;
  const Storage* storage = tensor.impl()->storage.get();
  if (storage == nullptr) {
    if (tensor.impl()->value_id == no_value) {
      return " is what a mask picks: as many elements as it has true ones, which a captured "
             "function cannot know; choose with `where`";
    }
    if (tensor.impl()->capture == number_) return nullptr;
    return " belongs to another capture and has no data here; pass it as an operand, or return "
           "it from the function that made it";
  }
  if (!is_foreign(*storage)) return nullptr;
  return " was made outside the captured function, which would hold its present values for ever; "
         "pass it as an operand, keep it in a State, or say constant(t)";
}

template <class Name>
ValueId Recorder::allowed_id(const Tensor& tensor, Name&& name) {
  const ValueId from_outside = lift(tensor);
  if (from_outside != no_value) return from_outside;
  const char* why = why_foreign(tensor);
  if (why != nullptr) {
    fail(ErrorKind::unsupported, name() + why + " (" + to_string(tensor.spec()) + ")");
  }
  return id_of(tensor);
}

ValueId Recorder::id_of(const Tensor& tensor) {
  if (!tensor.defined()) return no_value;
  if (!tensor.impl()->storage) return tensor.impl()->value_id;
  for (const Tensor& known : constants_[tensor.impl()->storage.get()]) {
    const TensorImpl& a = *known.impl();
    const TensorImpl& b = *tensor.impl();
    if (a.spec == b.spec && a.strides == b.strides && a.offset == b.offset)
      return ids_[known.impl()];
  }
  const ValueId id = remember(tensor);
  graph_.constants.emplace_back(id, constants_[tensor.impl()->storage.get()].back());
  return id;
}

/// The number of a new value that `tensor` has from now on.
ValueId Recorder::remember(const Tensor& tensor) {
  const auto id = static_cast<ValueId>(graph_.specs.size());
  graph_.specs.push_back(tensor.spec());
  const Tensor own = shallow_copy(tensor);
  constants_[tensor.impl()->storage.get()].push_back(own);
  ids_[own.impl()] = id;
  return id;
}

size_t Recorder::find(const State& state) {
  auto [found, fresh] = cells_.try_emplace(state.impl(), graph_.cells.size());
  if (fresh) {
    graph_.cells.push_back({.cell = state, .leaf = leaf_mark(state)});
    present_.emplace_back();
  }
  return found->second;
}

Captured capture(const std::vector<Tensor>& inputs,
                 FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function,
                 OutsideTensors outside) {
  Recorder recorder(outside);
  std::vector<Tensor> outputs;
  {
    std::vector<Tensor> symbols;
    for (const Tensor& input : inputs) {
      symbols.push_back(input.defined() ? recorder.add_input(input.spec()) : Tensor());
    }
    outputs = function(symbols);
  }
  return recorder.finish(std::move(outputs));
}

Tensor constant(const Tensor& tensor) {
  if (interpreter == nullptr || !tensor.defined() || !tensor.impl()->storage) return tensor;
  interpreter->hold(tensor);
  Tensor own = shallow_copy(tensor);
  own.impl()->node = tensor.impl()->node;
  own.impl()->output = tensor.impl()->output;
  own.impl()->capture = capture_number;
  return own;
}

}  // namespace taper
