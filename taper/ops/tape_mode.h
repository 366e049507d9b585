#pragma once

#include <taper/core/api.h>

namespace taper {

TAPER_API extern constinit thread_local bool tape_on TAPER_TLS_FAST;

/// Switches the tape on or off on this thread until the end of the scope.
class TAPER_API TapeMode {
 public:
  explicit TapeMode(bool on) : before_(tape_on) { tape_on = on; }
  ~TapeMode() { tape_on = before_; }
  TapeMode(const TapeMode&) = delete;
  TapeMode& operator=(const TapeMode&) = delete;

 private:
  bool before_;
};

}  // namespace taper
