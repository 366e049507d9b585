#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include <taper/autograd/hooks.h>
#include <taper/core/state.h>
#include <taper/core/value.h>

namespace taper::nn {

class Module;

/// Sees the tensors that a module is called with before `forward`, and may change them.
using ForwardPreHook = std::function<void(const Module& module, std::vector<Tensor>& inputs)>;
/// Sees inputs and output after `forward`, and may give another output (undefined: none).
using ForwardHook = std::function<Tensor(const Module& module, const std::vector<Tensor>& inputs,
                                         const Tensor& output)>;

/// The hooks of one module, in order of their registration.
struct ModuleHooks {
  uint64_t next_id = 0;
  std::vector<std::pair<uint64_t, ForwardPreHook>> before;
  std::vector<std::pair<uint64_t, ForwardHook>> after;
};

/// What the copies of a module handle share.
struct ModuleState {
  struct Child;
  std::string name = "model";  // its part of the layer path; set by the first parent
  bool is_child = false;
  std::shared_ptr<bool> training = std::make_shared<bool>(true);
  std::vector<State> parameters;
  std::vector<State> buffers;
  std::vector<std::pair<std::string, std::shared_ptr<ModuleState>>> children;
  std::unordered_set<std::string> names;  // of all three
  std::unique_ptr<ModuleHooks> hooks;     // null: none
};

using NamedStates = std::vector<std::pair<std::string, State>>;
using StateDict = std::vector<std::pair<std::string, Tensor>>;

/// The part of a module that does not depend on its type: a handle on its cells and children.
/// Copies share them; `clone` makes an independent one.
///
/// Several threads may call one module at once in evaluation mode. Forward in training mode may
/// write (batch norm's statistics), so it excludes all other use, as do `load_state_dict`, `train`
/// and whatever else changes the module.
class TAPER_API Module {
 public:
  Module() : state_(std::make_shared<ModuleState>()) {}
  /// A handle on a module within another one, as `state()->children` lists them.
  explicit Module(std::shared_ptr<ModuleState> state) : state_(std::move(state)) {}
  Module(const Module& other);
  Module(Module&&) noexcept = default;
  Module& operator=(const Module&) = default;
  Module& operator=(Module&&) noexcept = default;

  /// The parameters of this module and of those within, each cell once, in order of definition.
  std::vector<State> parameters() const;
  /// With their paths, such as `conv1.weight`.
  NamedStates named_parameters() const;
  /// What is saved but not trained, such as running means.
  NamedStates named_buffers() const;
  int64_t num_parameters() const;

  /// All values by path, parameters and buffers in order of definition, as in PyTorch.
  StateDict state_dict() const;
  /// Assigns the values. Throws not_found for missing and unknown names, shape and dtype for values
  /// that do not fit, all before anything is changed.
  void load_state_dict(const StateDict& values);

  /// Training mode for this module and those within: dropout and batch norm depend on it.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const;

  void zero_grad();
  /// Whether gradients are computed for the parameters.
  void set_requires_grad(bool needed);

  /// Calls `hook` before each call of this module. A clone has no hooks; a compiled function keeps
  /// the hooks of its capture.
  HookHandle register_forward_pre_hook(ForwardPreHook hook);
  /// Calls `hook` after each call of this module, whose result must be a tensor.
  HookHandle register_forward_hook(ForwardHook hook);

  const std::string& name() const { return state_->name; }
  const std::shared_ptr<ModuleState>& state() const { return state_; }

 protected:
  /// Defines a trained cell.
  State parameter(std::string name, Tensor value);
  /// Defines a saved cell that is not trained.
  State buffer(std::string name, Tensor value);
  /// Defines a module within this one; use it as an initialiser of a typed member.
  template <class M>
  M child(std::string name, M module) {
    add_child(std::move(name), module);
    return module;
  }
  void add_child(std::string name, const Module& module);
  /// The name in layer paths until a parent gives it one.
  void set_name(std::string name) { state_->name = std::move(name); }
  /// Shares the cells of another handle instead of having its own.
  void share(const Module& other) { state_ = other.state_; }

 private:
  /// Throws value for a second cell or child of one name: a state dict could not tell them apart.
  void claim_name(const std::string& name);

  std::shared_ptr<ModuleState> state_;
};

namespace detail {

/// Throws value if a hook changed the number of inputs.
TAPER_API void call_hooks_before(const Module& module, std::vector<Tensor>& inputs);
TAPER_API Tensor call_hooks_after(const Module& module, const std::vector<Tensor>& inputs,
                                  Tensor output);
[[noreturn]] TAPER_API void fail_hook_result(const Module& module);

/// A tensor operand is copied, so that a hook can replace it; any other is passed on.
template <class Arg>
using HookedArg = std::conditional_t<std::same_as<std::remove_cvref_t<Arg>, Tensor>, Tensor, Arg&&>;

template <class M, class... Args>
auto call_with_hooks(M& module, Args&&... args) {
  std::tuple<HookedArg<Args>...> held(std::forward<Args>(args)...);
  const auto for_tensors = [&](auto&& visit) {
    const auto one = [&](auto& arg) {
      if constexpr (std::same_as<std::remove_cvref_t<decltype(arg)>, Tensor>) visit(arg);
    };
    std::apply([&](auto&... each) { (one(each), ...); }, held);
  };
  std::vector<Tensor> inputs;
  for_tensors([&](const Tensor& arg) { inputs.push_back(arg); });
  call_hooks_before(module, inputs);
  size_t next = 0;
  for_tensors([&](auto& arg) {
    if constexpr (!std::is_const_v<std::remove_reference_t<decltype(arg)>>) arg = inputs[next];
    ++next;
  });
  const auto forward = [&](auto&... each) -> decltype(auto) {
    return module.forward(static_cast<Args&&>(each)...);
  };
  using Result = decltype(module.forward(std::forward<Args>(args)...));
  if constexpr (std::is_void_v<Result>) {
    std::apply(forward, held);
  } else if constexpr (std::same_as<std::remove_cvref_t<Result>, Tensor>) {
    return call_hooks_after(module, inputs, std::apply(forward, held));
  } else {
    if (!module.state()->hooks->after.empty()) fail_hook_result(module);
    return std::apply(forward, held);
  }
}

}  // namespace detail

/// The base of every module: `struct Net : Layer<Net>` with a `forward` of any operands and result.
/// Calling the module names it in errors and runs `forward`.
template <class Derived>
class Layer : public Module {
 public:
  template <class... Args>
  auto operator()(Args&&... args) {
    const LayerScope scope(name());
    Derived& self = static_cast<Derived&>(*this);
    if (state()->hooks != nullptr) [[unlikely]]
      return detail::call_with_hooks(self, std::forward<Args>(args)...);
    return self.forward(std::forward<Args>(args)...);
  }
  template <class... Args>
  auto operator()(Args&&... args) const {
    const LayerScope scope(name());
    const Derived& self = static_cast<const Derived&>(*this);
    if (state()->hooks != nullptr) [[unlikely]]
      return detail::call_with_hooks(self, std::forward<Args>(args)...);
    return self.forward(std::forward<Args>(args)...);
  }
};

/// While it lives, layers made on this thread get values of the right shape that are not
/// initialised (nor is their memory touched): for modules whose values are loaded next.
class TAPER_API UninitialisedScope {
 public:
  UninitialisedScope();
  ~UninitialisedScope();
  UninitialisedScope(const UninitialisedScope&) = delete;
  UninitialisedScope& operator=(const UninitialisedScope&) = delete;
  static bool active();

 private:
  bool outer_;
};

/// An independent module with equal values: new cells, typed members included. What the original
/// shares within itself, the copy shares too.
template <class M>
M clone(const M& module) {
  const CloneScope scope;
  return M(module);
}

}  // namespace taper::nn
