// taper devices: what Taper runs on, and what it uses of it.

#include <fmt/format.h>
#include <sched.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/onednn.h>
#include <taper/core/machine.h>
#include <taper/core/threads.h>

#include "commands.h"

namespace taper::cli {
namespace {

std::string features() {
  const std::vector<std::string> wanted = {
      "avx2",        "fma",         "f16c",        "avx512f",  "avx512bw", "avx512vl", "avx_vnni",
      "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"};
  const std::string flags = " " + system_entry("/proc/cpuinfo", "flags") + " ";
  std::string text;
  for (const std::string& flag : wanted) {
    if (flags.find(" " + flag + " ") != flags.npos) text += (text.empty() ? "" : " ") + flag;
  }
  return text;
}

std::string reason_for_threads() {
  if (std::getenv("TAPER_THREADS") != nullptr) return "set by TAPER_THREADS";
  const char* openmp = std::getenv("OMP_NUM_THREADS");
  if (openmp != nullptr && std::atoi(openmp) == threads()) return "set by OMP_NUM_THREADS";
  cpu_set_t set;
  const int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : threads();
  if (threads() < allowed) return fmt::format("the cgroup's quota; {} CPUs are allowed", allowed);
  return "the CPUs that this process may use";
}

std::string gigabytes(const std::string& kilobytes) {
  return fmt::format("{:.1f} GB", std::strtod(kilobytes.c_str(), nullptr) / (1 << 20));
}

void devices() {
  const char* variable = std::getenv("TAPER_ISA");
  const bool forced = variable != nullptr && *variable != '\0';
  const char* set = isa() == Isa::v4 ? "x86-64-v4 (AVX-512)" : "x86-64-v3 (AVX2)";
  const int count = threads();  // may throw: then nothing is printed
  std::cout << "cpu               " << cpu_name() << '\n'
            << "features          " << features() << '\n'
            << "instruction set   " << set << (forced ? ", set by TAPER_ISA" : "") << '\n'
            << "threads           " << count << ": " << reason_for_threads() << '\n'
            << "oneDNN            " << onednn_version() << ", " << cpu_isa() << '\n'
            << "memory            " << gigabytes(system_entry("/proc/meminfo", "MemTotal")) << ", "
            << gigabytes(system_entry("/proc/meminfo", "MemAvailable")) << " available"
            << std::endl;
}

}  // namespace

void add_devices(CLI::App& app) {
  app.add_subcommand("devices", "Show the processor and what is used of it")->callback(&devices);
}

}  // namespace taper::cli
