#pragma once

#include <string_view>
#include <vector>

namespace taper {

/// Of these names the one that is likely meant by a misspelled one; empty if none is near. The case
/// of letters does not count.
std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& names);

}  // namespace taper
