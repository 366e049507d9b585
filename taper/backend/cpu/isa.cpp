#include <taper/backend/cpu/isa.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include <taper/core/error.h>

namespace taper {
namespace {

std::string missing_for_v3() {
  std::string missing;
  auto need = [&](bool present, const char* name) {
    if (!present) missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  need(__builtin_cpu_supports("avx2"), "AVX2");
  need(__builtin_cpu_supports("fma"), "FMA");
  need(__builtin_cpu_supports("bmi"), "BMI1");
  need(__builtin_cpu_supports("bmi2"), "BMI2");
  need(__builtin_cpu_supports("f16c"), "F16C");
  need(__builtin_cpu_supports("lzcnt"), "LZCNT");
  need(__builtin_cpu_supports("movbe"), "MOVBE");
  need(__builtin_cpu_supports("popcnt"), "POPCNT");
  return missing;
}

bool has_v4() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

Isa detect() {
  __builtin_cpu_init();
  const std::string missing = missing_for_v3();
  if (!missing.empty()) {
    fail(ErrorKind::unsupported,
         "this CPU lacks " + missing + ": Taper needs x86-64-v3 (Intel Haswell, AMD Zen or newer)");
  }
  const char* wanted = std::getenv("TAPER_ISA");
  if (wanted != nullptr && *wanted != '\0') {
    const std::string_view name(wanted);
    if (name == "v3") return Isa::v3;
    if (name != "v4") {
      fail(ErrorKind::value, "TAPER_ISA must be v3 or v4, got \"" + std::string(name) + "\"");
    }
    if (!has_v4()) fail(ErrorKind::unsupported, "TAPER_ISA is v4, but this CPU lacks AVX-512");
  }
  return has_v4() ? Isa::v4 : Isa::v3;
}

}  // namespace

namespace detail {

std::atomic<int8_t> known_isa{-1};

Isa find_isa() {
  const Isa found = detect();
  known_isa.store(static_cast<int8_t>(found), std::memory_order_relaxed);
  return found;
}

}  // namespace detail

}  // namespace taper
