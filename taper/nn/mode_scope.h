#pragma once

#include <unordered_map>

#include <taper/nn/module.h>

namespace taper::nn {

/// Puts a module and those within into training or evaluation mode for what this thread calls until
/// the end of the scope. Other threads that use the same module do not see it, so one that predicts
/// does not disturb another. `train` and `eval` within the scope change the mode in the scope only.
class TAPER_API ModeScope {
 public:
  ModeScope(const Module& module, bool training);
  ~ModeScope();
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

  /// The mode that a module's flag stands for on this thread.
  static bool& mode_of(bool& flag);
  /// Whether that is said by a scope of the function that is being captured.
  static bool is_of_capture(const bool& flag);

 private:
  void cover(const ModuleState& module, bool training);

  Module module_;  // keeps the flags alive
  std::unordered_map<const bool*, bool> modes_;
  uint32_t capture_ = capture_number;
  ModeScope* outer_;
};

}  // namespace taper::nn
