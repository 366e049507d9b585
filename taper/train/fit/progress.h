// Private to the trainer: what `fit` shows.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <taper/train/metrics/history.h>

namespace taper {

/// Lines on the standard output: on a terminal one that is rewritten at most ten times a second,
/// elsewhere exactly one for each epoch.
class Progress {
 public:
  Progress(bool verbose, int64_t epochs, int64_t steps);
  /// Ends a line that is not complete.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Says where a resumed training goes on, after so many steps of the epoch.
  void go_on(int64_t epoch, int64_t steps);
  /// `steps` of the epoch and their `items` were done by an earlier process.
  void begin_epoch(int64_t epoch, int64_t steps = 0, int64_t items = 0);
  /// True if it is time to `show` again.
  bool is_due() const;
  void show(int64_t step, int64_t items, const NamedNumbers& values);
  /// `items` took `train_seconds`, the whole epoch `epoch_seconds`.
  void end_epoch(int64_t items, double train_seconds, double epoch_seconds,
                 const NamedNumbers& values);

 private:
  using Clock = std::chrono::steady_clock;
  void write(const std::string& line, bool keep);

  bool verbose_;
  bool live_;  // on a terminal
  bool open_ = false;
  int64_t epochs_;
  int64_t steps_;
  int64_t epoch_ = 0;
  int64_t steps_before_ = 0;  // of this epoch, in other processes
  int64_t items_before_ = 0;
  Clock::time_point epoch_start_;
  Clock::time_point last_shown_;
};

}  // namespace taper
