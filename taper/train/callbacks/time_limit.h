#pragma once

#include <functional>
#include <optional>
#include <utility>

#include <taper/core/parse_fields.h>
#include <taper/train/fit/callback.h>

namespace taper {

struct TAPER_API TimeLimitOptions {
  Required<Positive<double>> seconds;
};
/// Ends the training after the batch in which its time is over. A resumed training counts the time
/// that was spent before.
class TAPER_API TimeLimit final : public WithOptions<TimeLimit, Callback, TimeLimitOptions> {
 public:
  /// Seconds that only grow.
  using Clock = std::function<double()>;
  using WithOptions::WithOptions;
  /// With another clock than the machine's steady one.
  TimeLimit(TimeLimitOptions options, Clock clock)
      : WithOptions(std::move(options)), clock_(std::move(clock)) {}

  void on_train_begin(Trainer&) override {
    if (!resumed()) before_ = {};
    start_ = clock_();
  }
  void on_batch_end(Trainer&, const Logs&) override {
    if (spent() >= options().seconds) stop_training = true;
  }
  CallbackState state() const override {
    return {.values = to_fields(Memory{spent()}), .tensors = {}};
  }
  void load_state(const CallbackState& state) override {
    before_ = parse_fields<Memory>(type_name, state.values);
    start_.reset();
  }

 private:
  struct Memory {
    double seconds = 0;
  };
  static double steady_seconds();
  double spent() const { return before_.seconds + (start_ ? clock_() - *start_ : 0); }

  Clock clock_ = steady_seconds;
  Memory before_;  // spent before this process
  std::optional<double> start_;
};

}  // namespace taper

TAPER_CALLBACK(TimeLimit, "Ends the training after a time.")
