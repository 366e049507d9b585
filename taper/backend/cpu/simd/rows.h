// How a [kept, reduced] matrix is walked, for the sources that reduce one.
#pragma once

#include <cstdint>

#include "taper/backend/cpu/simd/primitives.h"

namespace taper::TAPER_ISA {

TAPER_FN int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/// True if the elements of a row are nearer to each other than those of a column.
TAPER_FN bool by_rows(int64_t kept, int64_t kept_step, int64_t reduced, int64_t step) {
  if (kept == 1) return true;
  if (reduced == 1) return false;
  return step == 1 || (kept_step != 1 && magnitude(step) < magnitude(kept_step));
}

}  // namespace taper::TAPER_ISA
