#include <taper/train/callbacks/time_limit.h>

#include <chrono>

namespace taper {

double TimeLimit::steady_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

}  // namespace taper
