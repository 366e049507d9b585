#pragma once

#include <taper/core/number.h>
#include <taper/core/view.h>

namespace taper {

/// Writes `element`, of the dtype of `out`, to every place of a row-major `out`.
void fill(const View& out, const Element& element);

}  // namespace taper
