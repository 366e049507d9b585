#pragma once

#include <memory>

#include <taper/core/api.h>

namespace taper {

/// While it lives, every op that runs on this thread is checked, forward and backward, for NaN and
/// infinity. The first one that arises throws value, naming op, operands and layer:
/// `log: output has -inf at [3] (x f32[4]) in model.head`,
/// `backward of sqrt: the gradient of x has inf at [0] (x f32[4]) in model.fc1`.
/// Where an operand was bad before: `exp: output has nan at [0], x has nan already (x f32[4])`.
///
/// Constants (ops without operands, such as `full`) are not checked, and an infinity that an
/// operand holds may pass on: masks are made so. A NaN never passes. In a backward pass an infinity
/// does not pass either. Calls under it are slower: nothing is captured or updated in place.
class TAPER_API detect_anomaly {
 public:
  /// Within it nothing is checked if it is not `on`, whatever is around it.
  explicit detect_anomaly(bool on = true);
  ~detect_anomaly();
  detect_anomaly(const detect_anomaly&) = delete;
  detect_anomaly& operator=(const detect_anomaly&) = delete;

 private:
  struct Checker;
  bool before_;
  std::unique_ptr<Checker> checker_;
};

}  // namespace taper
