#include <taper/nn/mode_scope.h>

#include <utility>

namespace taper::nn {
namespace {

constinit thread_local ModeScope* innermost = nullptr;

}  // namespace

ModeScope::ModeScope(const Module& module, bool training) : module_(module.state()) {
  cover(*module_.state(), training);
  outer_ = std::exchange(innermost, this);
}

ModeScope::~ModeScope() { innermost = outer_; }

void ModeScope::cover(const ModuleState& module, bool training) {
  modes_.emplace(module.training.get(), training);
  for (const auto& [name, child] : module.children) cover(*child, training);
}

bool& ModeScope::mode_of(bool& flag) {
  for (ModeScope* scope = innermost; scope != nullptr; scope = scope->outer_) {
    const auto found = scope->modes_.find(&flag);
    if (found != scope->modes_.end()) return found->second;
  }
  return flag;
}

bool ModeScope::is_of_capture(const bool& flag) {
  for (ModeScope* scope = innermost; scope != nullptr; scope = scope->outer_) {
    if (scope->modes_.contains(&flag)) return scope->capture_ == capture_number;
  }
  return false;
}

}  // namespace taper::nn
