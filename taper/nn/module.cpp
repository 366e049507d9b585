#include <taper/nn/layer.h>

#include <algorithm>
#include <unordered_set>

#include <taper/nn/visit_modules.h>

#include <taper/nn/mode_scope.h>

namespace taper::nn {
namespace {

/// Each cell once, by its first name.
NamedStates collect(const std::shared_ptr<ModuleState>& root, bool buffers) {
  NamedStates found;
  std::unordered_set<const StateImpl*> seen;
  visit_modules(root, "", [&](ModuleState& module, const std::string& path) {
    for (const ModuleCell& each : module.cells) {
      if (each.is_buffer != buffers || !seen.insert(each.cell.impl()).second) continue;
      found.emplace_back(path + each.name, each.cell);
    }
  });
  return found;
}

/// A capture holds while it is as now, unless the captured function says it.
bool mode_in(const ModuleState& module) {
  const std::shared_ptr<bool>& flag = module.training;
  if (interpreter != nullptr && !ModeScope::is_of_capture(*flag)) {
    interpreter->depend_on(flag.get(), [flag] { return uint64_t{ModeScope::mode_of(*flag)}; });
  }
  return ModeScope::mode_of(*flag);
}

}  // namespace

Module::Module() : state_(std::make_shared<ModuleState>()) {}

Module::Module(Module&& other) noexcept  // NOLINTNEXTLINE(performance-move-constructor-init)
    : state_(other.state_), known_(other.known_), parent_(other.parent_), place_(other.place_) {}

Module::~Module() = default;

Module::Module(const Module& other)
    : state_(other.state_), known_(other.known_), parent_(other.parent_), place_(other.place_) {
  if (!CloneScope::active()) return;
  const auto parent = other.parent_.lock();
  const auto copied = std::static_pointer_cast<ModuleState>(CloneScope::find(parent.get()));
  // A child within what is cloned; alone, one that was replaced may be cloned.
  if (copied != nullptr) other.check_place_of(*parent);
  state_ = detail::copy_state(other.state_);
  state_->handled = true;
  parent_ = copied;
}

NamedStates Module::named_parameters() const { return collect(state_, false); }
NamedStates Module::named_buffers() const { return collect(state_, true); }

std::vector<State> Module::parameters() const {
  std::vector<State> cells;
  for (auto& [name, cell] : named_parameters()) cells.push_back(cell);
  return cells;
}

int64_t Module::num_parameters() const {
  int64_t count = 0;
  for (const auto& [name, cell] : named_parameters()) count += cell.value().numel();
  return count;
}

void Module::train(bool on) {
  visit_modules(state_, "", [&](ModuleState& module, const std::string&) {
    if (capture_number == 0 || ModeScope::is_of_capture(*module.training)) {
      ModeScope::mode_of(*module.training) = on;
    } else if (mode_in(module) != on) {
      fail(ErrorKind::unsupported,
           std::string(on ? "train" : "eval") + ": `" + module.name +
               "` would change its mode within a captured function, which replays do not repeat; "
               "change it before, or make an nn::ModeScope in the function");
    }
  });
}

bool Module::training() const { return mode_in(*state_); }

void Module::zero_grad() {
  for (const State& cell : parameters()) cell.zero_grad();
}

void Module::set_requires_grad(bool needed) {
  for (const State& cell : parameters()) cell.set_requires_grad(needed);
}

namespace {

template <class Hook>
HookHandle add_hook(const std::shared_ptr<ModuleState>& state,
                    std::vector<std::pair<uint64_t, Hook>> ModuleHooks::* list, Hook hook) {
  if (!hook) fail(ErrorKind::value, "module `" + state->name + "`: the hook is empty");
  if (!state->hooks) state->hooks = std::make_unique<ModuleHooks>();
  state->plain = false;
  ++state->version;
  const uint64_t id = state->hooks->next_id++;
  ((*state->hooks).*list).emplace_back(id, std::move(hook));
  return HookHandle([weak = std::weak_ptr(state), list, id] {
    const auto module = weak.lock();
    if (!module) return;
    ++module->version;
    std::erase_if((*module->hooks).*list, [id](const auto& each) { return each.first == id; });
  });
}

}  // namespace

HookHandle Module::register_forward_pre_hook(ForwardPreHook hook) {
  return add_hook(state_, &ModuleHooks::before, std::move(hook));
}

HookHandle Module::register_forward_hook(ForwardHook hook) {
  if (!hook) return register_forward_hook(ForwardListHook());
  return register_forward_hook([hook = std::move(hook)](const Module& module,
                                                        const std::vector<Tensor>& inputs,
                                                        const std::vector<Tensor>& outputs) {
    if (outputs.size() != 1) {
      fail(ErrorKind::unsupported, "register_forward_hook: `" + module.name() + "` gives " +
                                       std::to_string(outputs.size()) +
                                       " tensors; a hook that takes a vector of them sees all");
    }
    Tensor replaced = hook(module, inputs, outputs[0]);
    return replaced.defined() ? std::vector<Tensor>{std::move(replaced)} : std::vector<Tensor>();
  });
}

HookHandle Module::register_forward_hook(ForwardListHook hook) {
  return add_hook(state_, &ModuleHooks::after, std::move(hook));
}

namespace detail {

void call_hooks_before(const Module& module, std::vector<Tensor>& inputs) {
  const auto hooks = module.state()->hooks->before;  // one may remove itself
  for (const auto& [id, hook] : hooks) {
    const size_t count = inputs.size();
    hook(module, inputs);
    if (inputs.size() == count) continue;
    fail(ErrorKind::value, "register_forward_pre_hook: the hook made " +
                               std::to_string(inputs.size()) + " inputs of " +
                               std::to_string(count));
  }
}

std::vector<Tensor> call_hooks_after(const Module& module, const std::vector<Tensor>& inputs,
                                     std::vector<Tensor> outputs) {
  const auto hooks = module.state()->hooks->after;
  for (const auto& [id, hook] : hooks) {
    std::vector<Tensor> replaced = hook(module, inputs, outputs);
    if (replaced.empty()) continue;
    if (replaced.size() != outputs.size()) {
      fail(ErrorKind::value, "register_forward_hook: the hook made " +
                                 std::to_string(replaced.size()) + " outputs of " +
                                 std::to_string(outputs.size()));
    }
    outputs = std::move(replaced);
  }
  return outputs;
}

void fail_hook_result(const Module& module) {
  fail(ErrorKind::unsupported, "register_forward_hook: `" + module.name() +
                                   "` gives more than tensors; put the hook on a module within");
}

}  // namespace detail

void Module::claim_name(const std::string& name) {
  if (name.empty() || name.find('.') != std::string::npos) {
    fail(ErrorKind::value, "module: a cell or child cannot be named `" + name +
                               "`: names make paths, such as `block.weight`, so they must not be "
                               "empty or have a dot");
  }
  if (state_->names.insert(name).second) {
    ++known_;
    return;
  }
  fail(ErrorKind::value, "module: two of its cells and children are named `" + name + "`");
}

NewParameter Module::add_cell(std::string name, State cell, bool is_buffer) {
  claim_name(name);
  state_->cells.push_back({std::move(name), std::move(cell), is_buffer});
  ++state_->version;
  return {state_, state_->cells.size() - 1};
}

namespace {

void check_given(const std::string& name, const Tensor& value) {
  if (!value.defined()) fail(ErrorKind::value, "module: `" + name + "` is given no value");
}

}  // namespace

NewParameter Module::parameter(std::string name, Tensor value) {
  check_given(name, value);
  State cell(name, std::move(value), true);
  return add_cell(std::move(name), std::move(cell), false);
}

NewParameter Module::buffer(std::string name, Tensor value) {
  check_given(name, value);
  State cell(name, std::move(value));
  return add_cell(std::move(name), std::move(cell), true);
}

void Module::add_child(std::string name, Module& module) {
  detail::refuse_cycle("module", *state_, module.state_);
  claim_name(name);
  detail::enter_place(module.state_, name);
  module.parent_ = state_;
  module.place_ = state_->children.size();
  state_->children.emplace_back(std::move(name), module.state_);
  ++state_->version;
}

namespace {

constexpr const char* keeps_replaced = " (`clone` of the old handle keeps what was replaced)";

[[noreturn]] void fail_out_of_date(const std::string& why, const std::string& way = {}) {
  fail(ErrorKind::value,
       "module: " + why +
           "; this handle was copied before: copy it from the module again, and make a Trainer or "
           "Sequential that holds it anew" +
           way);
}

/// The child, or else the cell, that was defined last.
std::string newest_name(const ModuleState& module) {
  if (!module.children.empty()) return "`" + module.children.back().first + "`";
  return module.cells.empty() ? "a name" : "`" + module.cells.back().name + "`";
}

}  // namespace

void Module::check_place_of(const ModuleState& parent) const {
  const auto& [name, present] = parent.children[place_];
  if (present != state_) {
    fail_out_of_date(detail::replaced_text(name, parent), keeps_replaced);
  }
}

void Module::check_in_place() const {
  if (state_->plain) return;
  if (const auto parent = parent_.lock()) check_place_of(*parent);
  if (!state_->lost.empty()) fail_out_of_date(state_->lost, keeps_replaced);
}

namespace detail {

void ModuleCall::look_at(const Module& module) {
  // All within it: forward may read a child's members without calling it.
  if (interpreter != nullptr) {
    visit_modules(module.state(), "", [](const ModuleState&, const std::string&) {});
  }
  module.check_in_place();
}

namespace {

bool is_without_cells(const std::shared_ptr<ModuleState>& module) {
  bool none = true;
  visit_modules(module, "", [&](const ModuleState& within, const std::string&) {
    none &= within.cells.empty();
  });
  return none;
}

}  // namespace

void ModuleCall::fail_behind(const Module& module) {
  fail_out_of_date("`" + module.name() + "` was given " + newest_name(*module.state()) +
                   " through another handle");
}

void renew_place(const Module& member, Module& module) {
  const auto parent = member.parent_.lock();
  if (parent == nullptr) {
    fail(ErrorKind::value, "replace: `" + member.name() +
                               "` is no child of a module; only what `child(name, module)` made "
                               "has a place to be renewed");
  }
  auto& [name, present] = parent->children[member.place_];
  if (present != module.state_) {
    refuse_cycle("replace", *parent, module.state_);
    enter_place(module.state_, name);
    const std::string why = replaced_text(name, *parent);
    // An optimizer has cells only: where none goes, those beside the place tell it.
    const bool none_goes = is_without_cells(present) && !is_without_cells(module.state_);
    visit_modules(none_goes ? parent : present, "", [&](const ModuleState& within, const auto&) {
      for (const ModuleCell& each : within.cells) each.cell.leave_place(why);
    });
    leave_place(std::exchange(present, module.state_), why);
    ++parent->version;
  }
  module.parent_ = parent;
  module.place_ = member.place_;
}

}  // namespace detail

}  // namespace taper::nn
