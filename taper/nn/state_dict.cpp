// Saving and loading the values of a module.

#include <cstring>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include <taper/core/error.h>
#include <taper/nn/module.h>
#include <taper/nn/visit_modules.h>
#include <taper/ops/ops.h>

namespace taper::nn {
namespace {

/// Parameters and buffers of each module together, by all their names.
NamedStates all_cells(const std::shared_ptr<ModuleState>& root) {
  NamedStates found;
  visit_modules(root, "", [&](ModuleState& module, const std::string& path) {
    for (const bool buffers : {false, true}) {
      for (const ModuleCell& each : module.cells) {
        if (each.is_buffer == buffers) found.emplace_back(path + each.name, each.cell);
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

void check_value(const std::string& name, const Tensor& cell, const Tensor& value) {
  const std::string path = "load_state_dict: " + name;
  if (!value.defined()) fail(ErrorKind::value, path + " has an undefined value");
  value.check_data();
  if (!cell.defined() || value.spec() == cell.spec()) return;
  fail(value.shape() == cell.shape() ? ErrorKind::dtype : ErrorKind::shape,
       path + " is " + to_string(cell.spec()) + " in the module, " + to_string(value.spec()) +
           " in the values");
}

/// Of tensors of one spec; a NaN is like itself.
bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor left = contiguous(a);
  const Tensor right = contiguous(b);
  const auto bytes = static_cast<size_t>(left.numel()) * item_size(left.dtype());
  return bytes == 0 || left.raw() == right.raw() ||
         std::memcmp(left.raw(), right.raw(), bytes) == 0;
}

/// The values that cells get, and what has no counterpart.
class Matches {
 public:
  Matches(const StateDict& values, const std::string& prefix) {
    for (const auto& [name, value] : values) {
      if (!name.starts_with(prefix)) continue;
      if (!by_name_.emplace(name, &value).second) {
        fail(ErrorKind::value, "load_state_dict: `" + name + "` is given twice");
      }
    }
  }

  void match(const NamedStates& cells) {
    std::unordered_set<const StateImpl*> served;
    for (const auto& [name, cell] : cells) {
      const auto found = by_name_.find(name);
      if (found == by_name_.end()) continue;
      taken_.insert(found->first);
      served.insert(cell.impl());
      matches_.push_back({name, cell, found->second});
    }
    for (const auto& [name, cell] : cells) {
      if (!served.contains(cell.impl())) keys_.missing_keys.push_back(name);
    }
  }

  /// In the order of the values.
  const IncompatibleKeys& keys(const StateDict& values) {
    for (const auto& [name, value] : values) {
      if (by_name_.contains(name) && !taken_.contains(name)) keys_.unexpected_keys.push_back(name);
    }
    return keys_;
  }

  /// Throws for values that do not fit their cell or each other.
  void check() const {
    std::unordered_map<const StateImpl*, const Match*> first;
    for (const Match& each : matches_) {
      check_value(each.name, each.cell.value(), *each.value);
      const auto [other, fresh] = first.emplace(each.cell.impl(), &each);
      if (fresh || same_bits(*other->second->value, *each.value)) continue;
      fail(ErrorKind::value, "load_state_dict: " + other->second->name + " and " + each.name +
                                 " are one cell of the module, but have different values");
    }
  }

  void assign() const {
    std::vector<std::pair<State, Tensor>> values;
    for (const Match& each : matches_) values.emplace_back(each.cell, *each.value);
    set_together(values);
  }

 private:
  struct Match {
    std::string name;
    State cell;
    const Tensor* value;
  };

  std::unordered_map<std::string_view, const Tensor*> by_name_;
  std::unordered_set<std::string_view> taken_;
  std::vector<Match> matches_;
  IncompatibleKeys keys_;
};

}  // namespace

StateDict Module::state_dict() const {
  StateDict values;
  for (const auto& [name, cell] : all_cells(state_)) {
    const Tensor value = cell.value();
    if (!value.defined()) fail(ErrorKind::value, "state_dict: `" + name + "` has no value");
    values.emplace_back(name, value.detach());
  }
  return values;
}

IncompatibleKeys Module::load_state_dict(const StateDict& values, const LoadOptions& options) {
  NamedStates cells = all_cells(state_);
  for (auto& [name, cell] : cells) name.insert(0, options.prefix);
  Matches matches(values, options.prefix);
  matches.match(cells);
  const IncompatibleKeys keys = matches.keys(values);
  if (options.strict && !keys.missing_keys.empty()) fail_names(keys.missing_keys, "missing");
  if (options.strict && !keys.unexpected_keys.empty()) {
    fail_names(keys.unexpected_keys, "not in the module");
  }
  matches.check();
  matches.assign();
  return keys;
}

}  // namespace taper::nn
