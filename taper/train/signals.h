// How the commands that run long are asked to stop.
#pragma once

namespace taper::cli {

/// The process was asked to stop; the exit code is 128 + the signal's number.
struct Interrupted {
  int signal;
};

/// From here on Ctrl-C, SIGTERM and SIGHUP ask the command to end in good order; a second signal
/// ends it at once. What the caller made the process ignore, as nohup does, stays ignored.
void catch_signals();

/// The signal that came; 0 if none did.
int stop_signal();

/// Throws Interrupted if a signal came.
void stop_if_asked();

}  // namespace taper::cli
