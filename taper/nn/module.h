#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <taper/autograd/hooks.h>
#include <taper/core/value.h>
#include <taper/nn/parameter.h>

namespace taper::nn {

using NamedStates = std::vector<std::pair<std::string, State>>;
using StateDict = std::vector<std::pair<std::string, Tensor>>;

struct TAPER_API LoadOptions {
  bool strict = true;  ///< names that are missing or not in the module throw
  /// Takes the values whose names begin with it, such as `backbone.`, and leaves the others aside.
  std::string prefix = {};
};
/// By their names among the values, so with the prefix.
struct IncompatibleKeys {
  std::vector<std::string> missing_keys;     ///< of cells that got no value
  std::vector<std::string> unexpected_keys;  ///< values that no cell took
};

namespace detail {
struct ModuleCall;
/// Gives the place of `member` in its parent to `module`, whose handle stands for it from now on.
TAPER_API void renew_place(const Module& member, Module& module);
}  // namespace detail

/// The part of a module that does not depend on its type: a handle on its cells and children.
/// Copies share them; `clone` makes an independent one. A copy from before a cell or child was
/// defined has no member for it and throws value at its next call.
///
/// Several threads may call one module at once in evaluation mode. Forward in training mode may
/// write (batch norm's statistics), so it excludes all other use, as do `load_state_dict`, `train`
/// and whatever else changes the module.
class TAPER_API Module {
 public:
  Module();
  /// A handle on a module within another one, as `state()->children` lists them.
  explicit Module(std::shared_ptr<ModuleState> state)
      : state_(std::move(state)), known_(state_->names.size()) {}
  Module(const Module& other);
  /// As a copy: what is moved from keeps its place, so that none is filled by an exchange.
  Module(Module&& other) noexcept;
  /// A member that is assigned would leave what is trained and saved behind: see `replace`.
  Module& operator=(const Module&) = delete;
  ~Module();

  /// The parameters of this module and of those within, each cell once, in order of definition.
  std::vector<State> parameters() const;
  /// With their paths, such as `conv1.weight`.
  NamedStates named_parameters() const;
  /// What is saved but not trained, such as running means.
  NamedStates named_buffers() const;
  int64_t num_parameters() const;

  /// All values by path, parameters and buffers in order of definition, as in PyTorch: a cell that
  /// stands in several places has several names here (and one in `named_parameters`).
  StateDict state_dict() const;
  /// Assigns the values, all or none. Throws not_found for missing and unknown names (if strict),
  /// value for a name given twice, shape and dtype for values that do not fit. A cell of several
  /// names takes any of them; throws value if they have different values.
  IncompatibleKeys load_state_dict(const StateDict& values, const LoadOptions& options = {});

  /// Training mode for this module and those within: dropout and batch norm depend on it. Throws
  /// unsupported where a captured function would change the mode.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const;

  void zero_grad();
  /// Whether gradients are computed for the parameters.
  void set_requires_grad(bool needed);

  /// Calls `hook` before each call of this module. A clone has no hooks; a compiled function is
  /// captured again when hooks come or go.
  HookHandle register_forward_pre_hook(ForwardPreHook hook);
  /// Calls `hook` after each call of this module: one of a tensor where the result is a tensor
  /// (else the call throws unsupported), one of a vector whatever tensors the result is made of.
  HookHandle register_forward_hook(ForwardHook hook);
  HookHandle register_forward_hook(ForwardListHook hook);

  const std::string& name() const { return state_->name; }
  const std::shared_ptr<ModuleState>& state() const { return state_; }

 protected:
  /// Defines a trained cell. Throws value for a name that is empty, has a dot or is taken, and
  /// without a value.
  NewParameter parameter(std::string name, Tensor value);
  /// Defines a saved cell that is not trained. Throws value as `parameter` does.
  NewParameter buffer(std::string name, Tensor value);
  /// Defines a module within this one; use it as an initialiser of a typed member. Throws value as
  /// `parameter` does, and for a module that contains this one.
  template <class M>
  M child(std::string name, M module) {
    add_child(std::move(name), module);
    return module;
  }
  void add_child(std::string name, Module& module);
  /// The name in layer paths until a parent gives it one.
  void set_name(std::string name) { state_->name = std::move(name); }
  /// Shares the cells of another handle instead of having its own.
  void share(const Module& other) {
    state_ = other.state_;
    known_ = other.known_;
  }
  /// Whether a module has (or had) this handle's module as a child.
  bool is_child() const { return !parent_.expired(); }
  /// Stands for the place of another handle as well.
  void stand_for(const Module& other) {
    share(other);
    parent_ = other.parent_;
    place_ = other.place_;
  }

 private:
  friend void detail::renew_place(const Module& member, Module& module);
  friend struct detail::ModuleCall;

  /// Throws value for a second cell or child of one name: a state dict could not tell them apart.
  void claim_name(const std::string& name);
  NewParameter add_cell(std::string name, State cell, bool is_buffer);
  /// Whether another handle has defined cells or children, for which this one has no members.
  bool is_behind() const { return known_ != state_->names.size(); }
  // Throw value if the module was replaced since this handle was made.
  void check_in_place() const;
  void check_place_of(const ModuleState& parent) const;

  std::shared_ptr<ModuleState> state_;
  size_t known_ = 0;                   // cells and children that this handle has seen defined
  std::weak_ptr<ModuleState> parent_;  // the module that this handle is a child of, if any
  size_t place_ = 0;                   // among its children
};

/// Puts another module in a child's place, in the member and in what is trained and saved:
///
///   nn::replace(net.head, nn::Linear(8, 2));
///
/// Handles that were copied before (of the child, of the module, those in a Trainer or Sequential)
/// throw at their next call, an optimizer that was attached before at its next step: make them
/// anew. A copy of the module goes on after `replace(copy.head, net.head)`. Throws value for a
/// member that is no child.
template <std::derived_from<Module> M>
  requires(!std::same_as<M, Module>)  // its members would stay behind
void replace(M& member, std::type_identity_t<M> module) {
  static_assert(std::is_nothrow_move_constructible_v<M>,
                "replace: a module must be movable without exceptions");
  detail::renew_place(member, module);
  std::destroy_at(&member);
  std::construct_at(&member, std::move(module));
}

namespace detail {
/// Throws value for a child that the copy of a module still shares with the original.
TAPER_API void check_clone(const Module& copy);
}  // namespace detail

/// An independent module with equal values: new cells, typed members included. What the original
/// shares within itself, the copy shares too. Throws value, naming it, for a child that the module
/// holds by a pointer: it would compute with the original's weights.
template <class M>
M clone(const M& module) {
  const CloneScope scope;
  M copy(module);
  // A handle without a type has no members to be copied.
  if constexpr (!std::same_as<M, Module>) detail::check_clone(copy);
  return copy;
}

}  // namespace taper::nn
