// Items that lie apart in memory, put together.
#pragma once

#include <cstdint>
#include <cstring>

#include "taper/backend/cpu/simd/primitives.h"

namespace taper::TAPER_ISA {

/// For a step that the compiler knows, it makes wide loads and shuffles.
template <int64_t step, class Word>
TAPER_FN void pack_by(const Word* __restrict from, Word* __restrict to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}

/// n words, the step in words.
template <class Word>
TAPER_FN void pack_words(const Word* __restrict from, int64_t step, Word* __restrict to,
                         int64_t n) {
  switch (step) {
    case 1:
      std::memcpy(to, from, static_cast<size_t>(n) * sizeof(Word));
      return;
    case 2:
      return pack_by<2>(from, to, n);
    case -1:
      return pack_by<-1>(from, to, n);
    default:
      for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
  }
}

}  // namespace taper::TAPER_ISA
