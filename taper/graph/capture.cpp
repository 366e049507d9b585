#include <taper/graph/capture.h>

#include <utility>

namespace taper {
namespace {

class Recorder final : public Interpreter {
 public:
  Recorder() : outer_(std::exchange(interpreter, this)) {}
  ~Recorder() override { interpreter = outer_; }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  Tensor add_input(const Spec& spec) {
    Tensor tensor = new_value(spec);
    graph_.inputs.push_back(tensor.impl()->value_id);
    return tensor;
  }

  Captured finish(const std::vector<Tensor>& outputs) {
    for (const Tensor& output : outputs) graph_.outputs.push_back(id_of(output));
    for (size_t i = 0; i < graph_.cells.size(); ++i) {
      GraphCell& cell = graph_.cells[i];
      if (cell.assigned) cell.result = id_of(present_[i]);
    }
    return {std::move(graph_), std::move(guards_)};
  }

  Results call(const OpBase& op, const void* attrs, std::span<const Arg> args,
               const Specs& specs) override {
    GraphNode node{&op, copy_attrs(op, attrs), {}, {}, layer_path()};
    for (const Arg& arg : args) node.inputs.push_back(id_of(*arg.tensor));
    Results results;
    for (uint8_t i = 0; i < specs.count; ++i) {
      results[i] = new_value(specs[i]);
      node.outputs.push_back(results[i].impl()->value_id);
      makers_.resize(graph_.specs.size(), nullptr);
      makers_.back() = &op;
    }
    graph_.nodes.push_back(std::move(node));
    return results;
  }

  Tensor read(const State& state) override {
    const size_t index = find(state);
    GraphCell& cell = graph_.cells[index];
    if (cell.read || cell.assigned) return present_[index];
    cell.read = true;
    cell.requires_grad = state.requires_grad();
    const Tensor& value = state.impl()->value;
    if (!value.defined()) return {};
    const Tensor symbol = attached(new_value(value.spec()), state);
    graph_.cells[index].initial = symbol.impl()->value_id;
    present_[index] = symbol;
    return symbol;
  }

  void write(const State& state, const Tensor& value) override {
    const size_t index = find(state);
    graph_.cells[index].assigned = true;
    const bool on_tape = state.requires_grad() || (value.defined() && value.requires_grad());
    present_[index] = value.defined() && on_tape ? attached(symbolic_copy(value), state) : value;
  }

  void depend_on(const void* key, std::function<uint64_t()> look) override {
    for (const Guard& guard : guards_) {
      if (guard.key == key) return;
    }
    const uint64_t value = look();
    guards_.push_back({key, std::move(look), value});
  }

  std::string origin(const Tensor& tensor) const override {
    const auto id = static_cast<size_t>(tensor.impl()->value_id);
    const OpBase* op = id < makers_.size() ? makers_[id] : nullptr;
    return op != nullptr ? std::string(op->name) : "an input of the captured function";
  }

 private:
  static std::shared_ptr<const void> copy_attrs(const OpBase& op, const void* attrs) {
    void* memory = allocate(op.attrs_size);
    op.copy_attrs(memory, attrs);
    return {memory, [&op](void* copy) {
              op.destroy_attrs(copy);
              give_back(copy, op.attrs_size);
            }};
  }

  Tensor new_value(const Spec& spec) {
    Tensor tensor{Ptr<TensorImpl>(new_impl())};
    tensor.impl()->spec = spec;
    tensor.impl()->strides = row_major_strides(spec.shape);
    tensor.impl()->value_id = static_cast<ValueId>(graph_.specs.size());
    graph_.specs.push_back(spec);
    return tensor;
  }

  /// The tensor as a leaf of the cell's autograd record.
  static Tensor attached(Tensor tensor, const State& state) {
    tensor.impl()->node = state.impl()->leaf;
    tensor.impl()->output = 0;
    return tensor;
  }
  static Tensor symbolic_copy(const Tensor& value) { return shallow_copy(value); }

  ValueId id_of(const Tensor& tensor) {
    if (!tensor.defined()) return no_value;
    if (!tensor.impl()->storage) return tensor.impl()->value_id;
    auto [found, fresh] =
        constants_.try_emplace(tensor.impl()->storage.get(), std::vector<Tensor>());
    for (const Tensor& known : found->second) {
      const TensorImpl& a = *known.impl();
      const TensorImpl& b = *tensor.impl();
      if (a.spec == b.spec && a.strides == b.strides && a.offset == b.offset)
        return ids_[known.impl()];
    }
    const auto id = static_cast<ValueId>(graph_.specs.size());
    graph_.specs.push_back(tensor.spec());
    const Tensor constant = shallow_copy(tensor);
    graph_.constants.emplace_back(id, constant);
    found->second.push_back(constant);
    ids_[constant.impl()] = id;
    return id;
  }

  size_t find(const State& state) {
    auto [found, fresh] = cells_.try_emplace(state.impl(), graph_.cells.size());
    if (fresh) {
      graph_.cells.push_back({.cell = state});
      present_.emplace_back();
    }
    return found->second;
  }

  Interpreter* outer_;
  Graph graph_;
  std::vector<Guard> guards_;
  std::vector<const OpBase*> makers_;  // by value
  std::unordered_map<const StateImpl*, size_t> cells_;
  std::vector<Tensor> present_;  // by cell: its value at this point
  std::unordered_map<const Storage*, std::vector<Tensor>> constants_;
  std::unordered_map<const TensorImpl*, ValueId> ids_;
};

}  // namespace

Captured capture(const std::vector<Tensor>& inputs,
                 FunctionRef<std::vector<Tensor>(const std::vector<Tensor>&)> function) {
  Recorder recorder;
  std::vector<Tensor> symbols;
  for (const Tensor& input : inputs) {
    symbols.push_back(input.defined() ? recorder.add_input(input.spec()) : Tensor());
  }
  return recorder.finish(function(symbols));
}

}  // namespace taper
