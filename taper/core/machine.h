// Private: what the system says of its processor.
#pragma once

#include <string>

namespace taper {

/// What stands behind `key` and a colon in the first line of the file that begins with it, such as
/// `model name` of /proc/cpuinfo; empty if there is none.
std::string system_entry(const char* file, const std::string& key);

/// The processor's name as the system gives it.
std::string cpu_name();

}  // namespace taper
