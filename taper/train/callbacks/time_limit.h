#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

#include <taper/core/parse_fields.h>
#include <taper/train/fit/callback.h>

namespace taper {

struct TimeLimitOptions {
  Required<Positive<double>> seconds;
};
/// Ends the training after the batch in which its time is over. A resumed training counts the time
/// that was spent before.
class TAPER_API TimeLimit final : public WithOptions<TimeLimit, Callback, TimeLimitOptions> {
 public:
  /// Seconds that only grow.
  using Clock = std::function<double()>;
  /// Throws value unless `seconds` is above 0. Without `clock` it is the machine's steady clock.
  explicit TimeLimit(TimeLimitOptions options, Clock clock = {})
      : WithOptions(std::move(options)), clock_(clock ? std::move(clock) : Clock(steady_seconds)) {}

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
  static double steady_seconds() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(now).count();
  }
  double spent() const { return before_.seconds + (start_ ? clock_() - *start_ : 0); }

  Clock clock_;
  Memory before_;  // spent before this process
  std::optional<double> start_;
};

}  // namespace taper

TAPER_CALLBACK(TimeLimit, "Ends the training after a time.")
