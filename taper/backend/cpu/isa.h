#pragma once

#include <atomic>
#include <cstdint>

namespace taper {

/// The instruction sets that `simd/*.cpp` is compiled for: x86-64-v3 (AVX2) and v4 (AVX-512).
enum class Isa : uint8_t { v3, v4 };

namespace detail {
extern std::atomic<int8_t> known_isa;  // -1: not yet found
Isa find_isa();
}  // namespace detail

/// The set to run, found once. `TAPER_ISA=v3` in the environment forces the lower one. Throws
/// unsupported on a CPU below v3.
inline Isa isa() {
  const int8_t known = detail::known_isa.load(std::memory_order_relaxed);
  return known >= 0 ? static_cast<Isa>(known) : detail::find_isa();
}

}  // namespace taper
