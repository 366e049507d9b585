#pragma once

#include <cstdint>

namespace taper {

/// The instruction sets that `simd/*.cpp` is compiled for: x86-64-v3 (AVX2) and v4 (AVX-512).
enum class Isa : uint8_t { v3, v4 };

/// The set to run, found once. `TAPER_ISA=v3` in the environment forces the lower one. Throws
/// unsupported on a CPU below v3.
Isa isa();

}  // namespace taper
