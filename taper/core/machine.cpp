#include <taper/core/machine.h>

#include <fstream>

namespace taper {

std::string system_entry(const char* file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    const size_t begin = colon == line.npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (begin != line.npos) return line.substr(begin);
  }
  return {};
}

std::string cpu_name() { return system_entry("/proc/cpuinfo", "model name"); }

}  // namespace taper
