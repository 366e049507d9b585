#pragma once

#include <taper/core/fields.h>

namespace taper {

/// What a loss does with the losses of its examples.
enum class Reduction { none, mean, sum };

template <>
struct EnumNames<Reduction> {
  static constexpr std::array<std::string_view, 3> names{"none", "mean", "sum"};
};

}  // namespace taper
