#include <taper/autograd/checkpoint.h>

#include <memory>

#include <taper/autograd/eager_interpreter.h>
#include <taper/autograd/gradients_until.h>
#include <taper/ops/node_extra.h>

namespace taper {
namespace {

using CellValues = std::vector<std::pair<State, Tensor>>;

/// Notes what a function run without the tape depends on, and the cells that it assigns.
class Watcher final : public EagerInterpreter {
 public:
  Results call(const OpBase& op, const void* attrs, std::span<const Arg> args,
               const Specs& specs) override {
    for (const Arg& arg : args) note(*arg.tensor);
    return EagerInterpreter::call(op, attrs, args, specs);
  }

  void write(const State& cell, const Tensor& value) override {
    bool known = false;
    for (const auto& [each, before] : assigned) known |= each == cell;
    if (!known) assigned.emplace_back(cell, EagerInterpreter::read(cell));
    EagerInterpreter::write(cell, value);
  }

  Tensor move_on(const State& counter, FunctionRef<Tensor(const Tensor&)> next) override {
    Tensor old = EagerInterpreter::move_on(counter, next);
    bool known = false;
    for (const auto& [each, before] : moved) known |= each == counter;
    if (!known) moved.emplace_back(counter, old);
    return old;
  }

  /// Within f nothing gets on the tape: what is there comes from outside.
  void note(const Tensor& tensor) {
    if (!tensor.defined() || !tensor.requires_grad()) return;
    for (const Tensor& known : outside) {
      if (known.impl()->node == tensor.impl()->node &&
          known.impl()->output == tensor.impl()->output) {
        return;
      }
    }
    outside.push_back(tensor);
  }

  void depend_on(const void* key, std::function<uint64_t()> look) override {
    seen.push_back({look, look()});
    EagerInterpreter::depend_on(key, std::move(look));
  }

  /// What f looked at, such as a module's mode, and saw there.
  struct Seen {
    std::function<uint64_t()> look;
    uint64_t value;
  };
  std::vector<Seen> seen;
  std::vector<Tensor> outside;
  CellValues assigned;  // with the value before
  CellValues moved;     // counters, with the value before
};

/// Sets cells, and puts back at the end of the scope what they held.
class CellScope {
 public:
  explicit CellScope(const CellValues& values) {
    for (const auto& [cell, value] : values) before_.emplace_back(cell, cell.value());
    set_together(values);
  }
  ~CellScope() {
    for (auto& [cell, value] : before_) {
      if (interpreter != nullptr) {
        cell.set(value);
      } else {
        cell.impl()->hold(std::move(value));  // its own, and takes no memory
      }
    }
  }
  CellScope(const CellScope&) = delete;
  CellScope& operator=(const CellScope&) = delete;

 private:
  CellValues before_;
};

/// Draws on this thread give the same numbers again; those of others go on.
class DrawAgain {
 public:
  explicit DrawAgain(const CellValues& counters) {
    for (const auto& [counter, value] : counters) {
      scopes_.push_back(std::make_unique<CounterScope>(counter, [first = value] { return first; }));
    }
  }
  ~DrawAgain() {
    while (!scopes_.empty()) scopes_.pop_back();  // in reverse order of their making
  }
  DrawAgain(const DrawAgain&) = delete;
  DrawAgain& operator=(const DrawAgain&) = delete;

 private:
  std::vector<std::unique_ptr<CounterScope>> scopes_;
};

class Recomputation final : public FunctionGradient {
 public:
  Recomputation(TensorFunction f, std::vector<Tensor> inputs, std::vector<Tensor> outside,
                CellValues assigned, CellValues moved, std::vector<Watcher::Seen> seen)
      : f_(std::move(f)),
        inputs_(std::move(inputs)),
        outside_(std::move(outside)),
        assigned_(std::move(assigned)),
        moved_(std::move(moved)),
        seen_(std::move(seen)),
        layer_(layer_path()) {}

  std::string name() const override { return "checkpoint"; }

  Grads backward(Node& node, const Tensor* grads, const bool* wanted) override {
    for (const Watcher::Seen& each : seen_) {
      if (each.look() == each.value) continue;
      violate(ErrorKind::value,
              "the mode of a module, its members or hooks are no longer those of the forward pass");
    }
    Tensor result;
    {
      const CellScope cells(assigned_);
      const DrawAgain draws(moved_);
      const enable_grad on;
      if (layer_.empty()) {
        result = f_(inputs_);
      } else {
        const LayerScope layer(layer_);
        result = f_(inputs_);
      }
    }
    if (!result.defined() || result.spec() != node.output_specs[0]) {
      violate(ErrorKind::value, "the function gave another result than in the forward pass: " +
                                    (result.defined() ? to_string(result.spec()) : "undefined") +
                                    ", before " + to_string(node.output_specs[0]));
    }
    std::vector<Tensor> targets;
    for (size_t i = 0; i < outside_.size(); ++i) {
      if (wanted[i]) targets.push_back(outside_[i]);
    }
    std::vector<Tensor> found = gradients_until({&result, 1}, {grads, 1}, targets);
    Grads all(outside_.size());
    size_t next = 0;
    for (size_t i = 0; i < outside_.size(); ++i) {
      if (wanted[i]) all[i] = std::move(found[next++]);
    }
    return all;
  }

  void free() override {
    f_ = nullptr;
    inputs_.clear();
    outside_.clear();
    assigned_.clear();
    moved_.clear();
    seen_.clear();
  }

 private:
  TensorFunction f_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> outside_;
  CellValues assigned_;
  CellValues moved_;
  std::vector<Watcher::Seen> seen_;
  std::string layer_;
};

}  // namespace

Tensor detail::checkpoint_of_list(TensorFunction f, std::vector<Tensor> inputs) {
  if (!f) fail(ErrorKind::value, "checkpoint: the function is empty");
  if (!tape_on) return f(inputs);
  Tensor output;
  std::vector<Tensor> outside;
  CellValues assigned;
  CellValues moved;
  std::vector<Watcher::Seen> seen;
  {
    const no_grad off;
    Watcher watcher;
    output = f(inputs);
    if (!output.defined()) fail(ErrorKind::value, "checkpoint: the function gave no tensor");
    watcher.note(output);
    outside = std::move(watcher.outside);
    assigned = std::move(watcher.assigned);
    moved = std::move(watcher.moved);
    seen = std::move(watcher.seen);
  }
  output = output.detach();
  if (outside.empty() || !is_inexact(output.dtype())) return output;
  std::vector<Edge> edges;
  std::vector<Spec> specs;
  for (const Tensor& tensor : outside) {
    edges.push_back({tensor.impl()->node, tensor.impl()->output});
    specs.push_back(tensor.spec());
  }
  record_function(
      std::make_unique<Recomputation>(std::move(f), std::move(inputs), std::move(outside),
                                      std::move(assigned), std::move(moved), std::move(seen)),
      std::move(edges), specs, {&output, 1});
  return output;
}

}  // namespace taper
