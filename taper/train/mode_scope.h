// Private to the trainer.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <taper/nn/module.h>

namespace taper {

/// Switches a model to training or evaluation mode; at its end every module within is put back into
/// the mode it was in.
class ModeScope {
 public:
  ModeScope(nn::Module model, bool training) {
    remember(*model.state());
    model.train(training);
  }
  ~ModeScope() {
    for (const auto& [flag, was] : before_) *flag = was;
  }
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

 private:
  void remember(const nn::ModuleState& module) {
    before_.emplace_back(module.training, *module.training);
    for (const auto& [name, child] : module.children) remember(*child);
  }

  std::vector<std::pair<std::shared_ptr<bool>, bool>> before_;
};

}  // namespace taper
