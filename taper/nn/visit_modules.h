// Private to modules.
#pragma once

#include <memory>
#include <string>

#include <taper/nn/module_state.h>

namespace taper::nn {

/// Calls `visit(state, path)` for the module and those within, in order of definition; one that is
/// a child twice is visited twice.
template <class Visit>
void visit_modules(const std::shared_ptr<ModuleState>& state, const std::string& path,
                   Visit&& visit) {
  if (interpreter != nullptr) detail::depend_on_version(state);
  visit(*state, path);
  for (const auto& [name, child] : state->children) {
    visit_modules(child, path + name + ".", visit);
  }
}

namespace detail {

/// Copies what the copies of a handle share inside a CloneScope, once.
std::shared_ptr<ModuleState> copy_state(const std::shared_ptr<ModuleState>& original);

/// Throws value if `parent` is `module` or lies within it.
void refuse_cycle(const char* what, const ModuleState& parent,
                  const std::shared_ptr<ModuleState>& module);
/// Counts a place as a child, of this name if it is the first one.
void enter_place(const std::shared_ptr<ModuleState>& module, const std::string& name);
/// A module without a place is out of date, what lies within it too.
void leave_place(const std::shared_ptr<ModuleState>& module, const std::string& why);
/// "`head` of `model` was replaced".
std::string replaced_text(const std::string& child, const ModuleState& parent);

}  // namespace detail
}  // namespace taper::nn
