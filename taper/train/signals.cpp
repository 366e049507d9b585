#include "signals.h"

#include <unistd.h>

#include <csignal>
#include <initializer_list>

namespace taper::cli {
namespace {

volatile std::sig_atomic_t asked = 0;

void ask_to_stop(int signal) {
  if (asked != 0) _exit(128 + signal);
  asked = signal;
}

}  // namespace

void catch_signals() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (std::signal(signal, &ask_to_stop) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe ends the report, not the training
}

int stop_signal() { return asked; }

void stop_if_asked() {
  if (asked != 0) throw Interrupted{asked};
}

}  // namespace taper::cli
