// How a command ends that was asked to stop.
#pragma once

#include <taper/train/fit/signals.h>

namespace taper::cli {

/// The process was asked to stop; the exit code is 128 + the signal's number.
struct Interrupted {
  int signal;
};

/// Throws Interrupted if a signal came.
inline void stop_if_asked() {
  if (stop_signal() != 0) throw Interrupted{stop_signal()};
}

}  // namespace taper::cli
