#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "tests/ops/op_cases.h"

// Samples in dtypes that they do not ask for.

namespace taper::testing {

struct Range {
  double low;
  double high;  // exclusive
};

inline Range range_of(DType dtype) {
  if (is_bool(dtype)) return {0, 2};
  return visit_dtype(dtype, []<class T>() {
    using Limits = std::numeric_limits<T>;
    return Range{static_cast<double>(Limits::lowest()), static_cast<double>(Limits::max()) + 1};
  });
}

/// Which numbers stand for those of either sign: of a narrow dtype all that it has, so that it is
/// told from its neighbours, and of a wide one all, too, or those whose products f64 holds.
enum class Spread : uint8_t { moderate, whole };

inline Range range_of(DType dtype, Spread spread) {
  const bool whole = spread == Spread::whole || item_size(dtype) <= 2;
  return whole ? range_of(dtype) : Range{is_signed(dtype) ? -1e5 : 0, 1e5};
}

/// The input filled with numbers of an integer or complex dtype or bool like those that it asks
/// for; false if the dtype has none of them.
inline bool fill_with(SampleInput& input, DType dtype, Spread spread) {
  if (is_complex(dtype)) {
    input.dtype = dtype;
    return true;
  }
  const Range all = range_of(dtype);
  if (is_float(input.dtype) && input.low < 0 && input.high > 0) {
    const Range range = range_of(dtype, spread);
    input.low = range.low;
    input.high = range.high;
  } else if (is_float(input.dtype)) {
    input.low = std::floor(input.low * 8);
    input.high = std::max(std::ceil(input.high * 8), input.low + 1);
  }
  if (input.away > 0) input.away = 1;
  input.low = std::max(input.low, all.low);
  input.high = std::min(input.high, all.high);
  input.dtype = dtype;
  return input.low < input.high;
}

/// The sample with all operands of dtype `from` as ones of `to`.
inline std::optional<AnySample> with_dtype(const AnySample& sample, DType from, DType to,
                                           Spread spread = Spread::moderate) {
  AnySample changed = sample;
  for (SampleInput& input : changed.inputs) {
    if (!input.absent && input.dtype == from && !fill_with(input, to, spread)) return {};
  }
  return changed;
}

}  // namespace taper::testing
