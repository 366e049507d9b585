#include <taper/nn/module_state.h>

#include <taper/core/error.h>
#include <taper/nn/mode_scope.h>
#include <taper/nn/module.h>
#include <taper/nn/visit_modules.h>

namespace taper::nn::detail {

std::shared_ptr<ModuleState> copy_state(const std::shared_ptr<ModuleState>& original) {
  if (auto copy = CloneScope::find(original.get())) {
    return std::static_pointer_cast<ModuleState>(copy);
  }
  auto copy = std::make_shared<ModuleState>();
  CloneScope::remember(original.get(), copy);
  copy->name = original->name;
  copy->type = original->type;
  *copy->training = ModeScope::mode_of(*original->training);
  copy->handled = false;
  copy->names = original->names;
  copy->cells = {original->cells.begin(), original->cells.end()};
  for (const auto& [name, child] : original->children) {
    copy->children.emplace_back(name, copy_state(child));
    ++copy->children.back().second->places;
  }
  return copy;
}

void depend_on_version(const std::shared_ptr<ModuleState>& state) {
  interpreter->depend_on(&state->version, [state] { return state->version; });
}

std::string replaced_text(const std::string& child, const ModuleState& parent) {
  return "`" + child + "` of `" + parent.name + "` was replaced";
}

void refuse_cycle(const char* what, const ModuleState& parent,
                  const std::shared_ptr<ModuleState>& module) {
  visit_modules(module, "", [&](const ModuleState& within, const std::string&) {
    if (&within != &parent) return;
    fail(ErrorKind::value,
         std::string(what) + ": `" + module->name + "` cannot be a child within itself");
  });
}

namespace {

/// Its children have a place again, since it has one.
void revive(ModuleState& module) {
  module.lost.clear();
  ++module.version;
  for (const auto& [name, child] : module.children) {
    if (++child->places == 1 && !child->lost.empty()) revive(*child);
  }
}

}  // namespace

void enter_place(const std::shared_ptr<ModuleState>& module, const std::string& name) {
  if (++module->places > 1) return;
  module->name = name;
  if (!module->lost.empty()) revive(*module);
}

void leave_place(const std::shared_ptr<ModuleState>& module, const std::string& why) {
  ++module->version;
  module->plain = false;
  if (--module->places > 0) return;
  module->lost = why;
  for (const auto& [name, child] : module->children) leave_place(child, why);
}

void check_clone(const Module& copy) {
  visit_modules(copy.state(), "", [](const ModuleState& module, const std::string& path) {
    if (module.handled) return;
    fail(ErrorKind::value,
         "clone: the child `" + path.substr(0, path.size() - 1) +
             "` would go on with the original's weights, since the module holds it by a pointer; "
             "hold the child itself, whose copies share its cells");
  });
}

}  // namespace taper::nn::detail
