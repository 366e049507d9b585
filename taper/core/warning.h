#pragma once

#include <functional>
#include <string>

#include <taper/core/api.h>

namespace taper {

/// What hears of warnings.
using WarningHandler = std::function<void(const std::string& text)>;

/// Tells of something that works but is hardly meant. Without a handler each text is written once
/// in a process, to stderr as `taper: warning: ...`.
TAPER_API void warn(const std::string& text);

/// Gives every warning of the process to `handler`, repeated ones too; an empty one puts back what
/// is done by default. Returns the handler before. It may be called from any thread, one at a time.
TAPER_API WarningHandler set_warning_handler(WarningHandler handler);

}  // namespace taper
