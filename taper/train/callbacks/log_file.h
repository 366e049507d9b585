// Private to callbacks that write logs.
#pragma once

#include <utility>

#include <taper/core/error.h>
#include <taper/core/warning.h>

namespace taper {

/// Runs `write`. A full disk must not cost a training for its log: io is warned of instead. Returns
/// whether all was written.
template <class Write>
bool write_or_warn(Write&& write) {
  try {
    std::forward<Write>(write)();
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::io) throw;
    warn(std::string(error.what()) + "; the training goes on without this log");
    return false;
  }
}

}  // namespace taper
