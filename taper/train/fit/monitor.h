// What callbacks share that watch one number of the epochs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <taper/train/fit/callback.h>

namespace taper {

/// Whether a smaller or a larger number is better. `automatic` takes what a metric says of itself,
/// and else the smaller.
enum class MonitorMode { automatic, min, max };

template <>
struct EnumNames<MonitorMode> {
  static constexpr std::array<std::string_view, 3> names{"auto", "min", "max"};
};

class TAPER_API Monitor {
 public:
  /// `owner` is the callback's name for messages.
  Monitor(std::string_view owner, std::string name, MonitorMode mode, double min_delta = 0);

  /// Before the first step: asks the trainer's metric which number is better. Throws not_found
  /// naming what there is unless the epochs of the fit will have the number.
  void begin(const Trainer& trainer);
  /// The number at the end of an epoch. Throws not_found naming what there is.
  double read(const Logs& logs) const;
  /// Whether `value` is better by more than `min_delta`, as Keras compares. Nothing is worse than
  /// no number; what is not finite never improves.
  bool improves(double value, const std::optional<double>& than) const;
  /// As far as it is known before `begin`.
  bool larger_is_better() const { return larger_is_better_; }

 private:
  [[noreturn]] void fail_unknown(const std::vector<std::string>& names) const;

  std::string_view owner_;
  std::string name_;
  MonitorMode mode_;
  bool larger_is_better_;
  double min_delta_;
};

}  // namespace taper
