#pragma once

#include <string>

#include <taper/core/interpreter.h>

namespace taper {

/// Whether a `detect_anomaly` is on.
bool anomaly_mode_on();

/// The first element that is not finite, such as `nan at [0,3]`; empty if there is none.
std::string find_not_finite(const Tensor& tensor);

/// While it lives, calls are not checked: a backward pass checks its own results.
class AnomalyAside {
 public:
  AnomalyAside();
  ~AnomalyAside();
  AnomalyAside(const AnomalyAside&) = delete;
  AnomalyAside& operator=(const AnomalyAside&) = delete;

 private:
  bool before_;
};

}  // namespace taper
