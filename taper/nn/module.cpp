#include <taper/nn/module.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include <taper/nn/mode_scope.h>

namespace taper::nn {
namespace {

/// Copies a module's shared part inside a CloneScope, once.
std::shared_ptr<ModuleState> copy_state(const std::shared_ptr<ModuleState>& original) {
  if (auto copy = CloneScope::find(original.get())) {
    return std::static_pointer_cast<ModuleState>(copy);
  }
  auto copy = std::make_shared<ModuleState>();
  CloneScope::remember(original.get(), copy);
  copy->name = original->name;
  copy->is_child = original->is_child;
  *copy->training = *original->training;
  copy->parameters = {original->parameters.begin(), original->parameters.end()};
  copy->buffers = {original->buffers.begin(), original->buffers.end()};
  copy->names = original->names;
  for (const auto& [name, child] : original->children) {
    copy->children.emplace_back(name, copy_state(child));
  }
  return copy;
}

template <class Visit>
void visit_modules(ModuleState& state, const std::string& path, Visit&& visit) {
  visit(state, path);
  for (const auto& [name, child] : state.children) {
    visit_modules(*child, path + name + ".", visit);
  }
}

NamedStates collect(ModuleState& root, std::vector<State> ModuleState::* kind) {
  NamedStates found;
  std::unordered_set<const StateImpl*> seen;
  visit_modules(root, "", [&](ModuleState& module, const std::string& path) {
    for (const State& cell : module.*kind) {
      if (seen.insert(cell.impl()).second) found.emplace_back(path + cell.name(), cell);
    }
  });
  return found;
}

/// Parameters and buffers of each module together, as a state dict orders them.
NamedStates all_cells(ModuleState& root) {
  NamedStates found;
  std::unordered_set<const StateImpl*> seen;
  visit_modules(root, "", [&](ModuleState& module, const std::string& path) {
    for (const auto* cells : {&module.parameters, &module.buffers}) {
      for (const State& cell : *cells) {
        if (seen.insert(cell.impl()).second) found.emplace_back(path + cell.name(), cell);
      }
    }
  });
  return found;
}

[[noreturn]] void fail_names(const std::vector<std::string>& names, const char* what) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  fail(ErrorKind::not_found, std::string("load_state_dict: ") + what + ": " + list);
}

/// The value for each cell, in the cells' order. Throws unless the names are the same.
std::vector<const Tensor*> match_names(const NamedStates& cells, const StateDict& values) {
  std::unordered_map<std::string_view, const Tensor*> by_name;
  for (const auto& [name, value] : values) by_name.emplace(name, &value);
  std::vector<const Tensor*> matched;
  std::vector<std::string> missing;
  for (const auto& [name, cell] : cells) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) {
      missing.push_back(name);
      continue;
    }
    matched.push_back(found->second);
    by_name.erase(found);
  }
  if (!missing.empty()) fail_names(missing, "missing");
  std::vector<std::string> unknown;
  for (const auto& [name, value] : values) {
    if (by_name.erase(name) > 0) unknown.push_back(name);
  }
  if (!unknown.empty()) fail_names(unknown, "not in the module");
  return matched;
}

void check_value(const std::string& name, const Tensor& cell, const Tensor& value) {
  const std::string path = "load_state_dict: " + name;
  if (!value.defined()) fail(ErrorKind::value, path + " has an undefined value");
  if (value.spec() == cell.spec()) return;
  fail(value.shape() == cell.shape() ? ErrorKind::dtype : ErrorKind::shape,
       path + " is " + to_string(cell.spec()) + " in the module, " + to_string(value.spec()) +
           " in the values");
}

}  // namespace

namespace {
constinit thread_local bool uninitialised = false;
}

UninitialisedScope::UninitialisedScope() : outer_(std::exchange(uninitialised, true)) {}
UninitialisedScope::~UninitialisedScope() { uninitialised = outer_; }
bool UninitialisedScope::active() { return uninitialised; }

Module::Module(const Module& other)
    : state_(CloneScope::active() ? copy_state(other.state_) : other.state_) {}

NamedStates Module::named_parameters() const { return collect(*state_, &ModuleState::parameters); }
NamedStates Module::named_buffers() const { return collect(*state_, &ModuleState::buffers); }

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

StateDict Module::state_dict() const {
  StateDict values;
  for (const auto& [name, cell] : all_cells(*state_)) {
    values.emplace_back(name, cell.value().detach());
  }
  return values;
}

void Module::load_state_dict(const StateDict& values) {
  const NamedStates cells = all_cells(*state_);
  const std::vector<const Tensor*> matched = match_names(cells, values);
  for (size_t i = 0; i < cells.size(); ++i) {
    check_value(cells[i].first, cells[i].second.value(), *matched[i]);
  }
  for (size_t i = 0; i < cells.size(); ++i) cells[i].second.set(matched[i]->detach());
}

void Module::train(bool on) {
  visit_modules(*state_, "", [&](ModuleState& module, const std::string&) {
    ModeScope::mode_of(*module.training) = on;
  });
}

bool Module::training() const {
  if (interpreter != nullptr) {
    interpreter->depend_on(state_->training.get(), [flag = state_->training] {
      return uint64_t{ModeScope::mode_of(*flag)};
    });
  }
  return ModeScope::mode_of(*state_->training);
}

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
  const uint64_t id = state->hooks->next_id++;
  ((*state->hooks).*list).emplace_back(id, std::move(hook));
  return HookHandle([weak = std::weak_ptr(state), list, id] {
    const auto module = weak.lock();
    if (!module) return;
    std::erase_if((*module->hooks).*list, [id](const auto& each) { return each.first == id; });
  });
}

}  // namespace

HookHandle Module::register_forward_pre_hook(ForwardPreHook hook) {
  return add_hook(state_, &ModuleHooks::before, std::move(hook));
}

HookHandle Module::register_forward_hook(ForwardHook hook) {
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

Tensor call_hooks_after(const Module& module, const std::vector<Tensor>& inputs, Tensor output) {
  const auto hooks = module.state()->hooks->after;
  for (const auto& [id, hook] : hooks) {
    if (Tensor replaced = hook(module, inputs, output); replaced.defined()) {
      output = std::move(replaced);
    }
  }
  return output;
}

void fail_hook_result(const Module& module) {
  fail(ErrorKind::unsupported, "register_forward_hook: `" + module.name() +
                                   "` gives no single tensor; put the hook on a module within");
}

}  // namespace detail

void Module::claim_name(const std::string& name) {
  if (state_->names.insert(name).second) return;
  fail(ErrorKind::value, "module: two of its cells and children are named `" + name + "`");
}

State Module::parameter(std::string name, Tensor value) {
  claim_name(name);
  State cell(std::move(name), std::move(value), true);
  state_->parameters.push_back(cell);
  return cell;
}

State Module::buffer(std::string name, Tensor value) {
  claim_name(name);
  State cell(std::move(name), std::move(value));
  state_->buffers.push_back(cell);
  return cell;
}

void Module::add_child(std::string name, const Module& module) {
  claim_name(name);
  if (!std::exchange(module.state_->is_child, true)) module.state_->name = name;
  state_->children.emplace_back(std::move(name), module.state_);
}

}  // namespace taper::nn
