// How a program that trains is asked to stop, so that it can save first.
#pragma once

#include <taper/core/api.h>

namespace taper {

/// From here on Ctrl-C, SIGTERM and SIGHUP ask the program to end in good order: it asks
/// `stop_signal`, or gives that to a fit, `{.interrupted = [] { return stop_signal() != 0; }}`.
/// Another signal ends it at once, with 128 + its number, unless it comes within two seconds: then
/// it is the same wish, sent to the process and to its group, as `timeout` does. What the caller
/// made the process ignore, as nohup does, stays ignored. SIGPIPE and SIGXFSZ are ignored.
TAPER_API void catch_signals();

/// The signal that came; 0 if none did.
TAPER_API int stop_signal();

}  // namespace taper
