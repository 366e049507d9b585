#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <taper/core/state.h>

namespace taper::nn {

class Module;

/// Sees the tensors that a module is called with before `forward`, and may change them.
using ForwardPreHook = std::function<void(const Module& module, std::vector<Tensor>& inputs)>;
/// Sees inputs and output after `forward`, and may give another output (undefined: none).
using ForwardHook = std::function<Tensor(const Module& module, const std::vector<Tensor>& inputs,
                                         const Tensor& output)>;
/// The same of a module with several outputs: gives as many others, or none.
using ForwardListHook = std::function<std::vector<Tensor>(
    const Module& module, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs)>;

/// The hooks of one module, in order of their registration.
struct ModuleHooks {
  uint64_t next_id = 0;
  std::vector<std::pair<uint64_t, ForwardPreHook>> before;
  std::vector<std::pair<uint64_t, ForwardListHook>> after;
};

/// A cell and its name in the module; a cell that stands in two places may have two names.
struct ModuleCell {
  std::string name;
  State cell;
  bool is_buffer = false;  // saved, but not trained
};

/// What the copies of a module handle share.
struct ModuleState {
  std::string name = "model";  // its part of the layer path; set by the first parent
  std::string_view type = {};  // the name of its class
  std::shared_ptr<bool> training = std::make_shared<bool>(true);
  std::vector<ModuleCell> cells;
  std::vector<std::pair<std::string, std::shared_ptr<ModuleState>>> children;
  std::unordered_set<std::string> names;  // of both
  std::unique_ptr<ModuleHooks> hooks;     // null: none
  uint64_t version = 0;  // of cells, children and hooks; a plan is valid for one version
  size_t places = 0;     // as a child
  std::string lost;      // what took its last place as a child; empty if nothing did
  bool plain = true;     // a call need not look further: no hooks, and no handle is out of date
  bool handled = true;   // in a clone: a typed handle was copied for it
};

namespace detail {

/// A capture that runs holds only while cells, children and hooks of the module are the same.
TAPER_API void depend_on_version(const std::shared_ptr<ModuleState>& state);

}  // namespace detail
}  // namespace taper::nn
