#pragma once

#include <memory>
#include <string>
#include <vector>

#include <taper/core/shape.h>

namespace taper {

/// How the op test fills an input of a sample.
struct SampleInput {
  Shape shape = {};
  /// Floating inputs are uniform in [low, high); `apart` keeps them at least that far from each
  /// other (for max, sorting) and `away` that far from zero (for kinks and poles).
  double low = -1;
  double high = 1;
  double apart = 0;
  double away = 0;
  /// Floating (f32 here) is replaced by each floating dtype that the op takes; others are fixed.
  DType dtype = DType::f32;
  bool absent = false;
};

/// One call of an op: a good one, or a wrong one with the text of its error.
template <class A>
struct Sample {
  std::vector<SampleInput> inputs;
  A attrs = {};
  /// A part of the expected message; empty for a good sample.
  std::string error = {};
  /// Multiplies the tolerance of comparisons with the oracle.
  double tolerance = 1;
};

/// A sample whose attributes' type only its row knows.
struct AnySample {
  std::vector<SampleInput> inputs;
  std::shared_ptr<const void> attrs;
  std::string error;
  double tolerance = 1;
};

}  // namespace taper
