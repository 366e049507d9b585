// taper devices: what Taper runs on, and what it uses of it.

#include <fmt/format.h>
#include <sched.h>

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <taper/backend/cpu/isa.h>
#include <taper/backend/cpu/onednn.h>
#include <taper/core/machine.h>
#include <taper/core/parse_fields.h>
#include <taper/core/threads.h>

#include "commands.h"

namespace taper::cli {
namespace {

/// Those of the processor that the kernels could use.
std::vector<std::string> features() {
  const std::vector<std::string> wanted = {
      "avx2",        "fma",         "f16c",        "avx512f",  "avx512bw", "avx512vl", "avx_vnni",
      "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"};
  const std::string flags = " " + system_entry("/proc/cpuinfo", "flags") + " ";
  std::vector<std::string> found;
  for (const std::string& flag : wanted) {
    if (flags.find(" " + flag + " ") != flags.npos) found.push_back(flag);
  }
  return found;
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

/// An entry of /proc/meminfo in GB (2^30 bytes), rounded to a tenth.
double gigabytes(const char* entry) {
  const double kilobytes = std::strtod(system_entry("/proc/meminfo", entry).c_str(), nullptr);
  return std::round(kilobytes / (1 << 20) * 10) / 10;
}

/// The names of the fields are the keys of --json.
struct Machine {
  std::string cpu = cpu_name();
  std::vector<std::string> features = cli::features();
  std::string instruction_set = isa() == Isa::v4 ? "x86-64-v4 (AVX-512)" : "x86-64-v3 (AVX2)";
  int64_t threads = taper::threads();  // may throw: then nothing is printed
  std::string threads_from = reason_for_threads();
  std::string onednn = std::string(onednn_version()) + ", " + cpu_isa();
  double memory_gb = gigabytes("MemTotal");
  double available_gb = gigabytes("MemAvailable");
};

void devices(bool json) {
  const Machine here;
  if (json) {
    std::cout << to_json(Value(to_fields(here))) << std::endl;
    return;
  }
  const char* variable = std::getenv("TAPER_ISA");
  const bool forced = variable != nullptr && *variable != '\0';
  std::cout << "cpu               " << here.cpu << '\n'
            << fmt::format("features          {}\n", fmt::join(here.features, " "))
            << "instruction set   " << here.instruction_set << (forced ? ", set by TAPER_ISA" : "")
            << '\n'
            << "threads           " << here.threads << ": " << here.threads_from << '\n'
            << "oneDNN            " << here.onednn << '\n'
            << fmt::format("memory            {:.1f} GB, {:.1f} GB available", here.memory_gb,
                           here.available_gb)
            << std::endl;
}

}  // namespace

void add_devices(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("devices", "Show the processor and what is used of it");
  command->add_flag("--json", *json, "Print an object for programs");
  command->callback([json] { devices(*json); });
}

}  // namespace taper::cli
