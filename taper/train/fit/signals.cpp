#include <taper/train/fit/signals.h>

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <initializer_list>

namespace taper {
namespace {

constexpr int64_t one_wish = 2'000'000'000;  // nanoseconds within which repeats are one signal

static_assert(std::atomic<int64_t>::is_always_lock_free);  // else no handler may use it
std::atomic<int> asked{0};
std::atomic<int64_t> asked_at{0};

int64_t nanoseconds_now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

void ask_to_stop(int signal) {
  int none = 0;
  const int64_t now = nanoseconds_now();
  if (asked.load() == 0) asked_at.store(now);
  if (asked.compare_exchange_strong(none, signal)) return;
  if (now - asked_at.load() >= one_wish) _exit(128 + signal);
}

}  // namespace

void catch_signals() {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (std::signal(signal, &ask_to_stop) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe ends the report, not the training
  std::signal(SIGXFSZ, SIG_IGN);  // a limit of the size of files is an error like a full disk
}

int stop_signal() { return asked.load(); }

}  // namespace taper
