// The values that cells begin with.
#pragma once

#include <cstdint>

#include <taper/core/tensor.h>

namespace taper::nn {

/// While it lives, layers made on this thread get values of the right shape that are not
/// initialised (nor is their memory touched): for modules whose values are loaded next.
class TAPER_API UninitialisedScope {
 public:
  UninitialisedScope();
  ~UninitialisedScope();
  UninitialisedScope(const UninitialisedScope&) = delete;
  UninitialisedScope& operator=(const UninitialisedScope&) = delete;
  static bool active();

 private:
  bool outer_;
};

namespace init {

/// Uniform within 1 / sqrt(fan_in), f32: He et al., "Delving deep into rectifiers" (2015), with the
/// slope sqrt(5) that PyTorch's Linear and Conv2d take.
TAPER_API Tensor fan_in_uniform(const Shape& shape, int64_t fan_in);
/// All elements are `value`, f32.
TAPER_API Tensor constant(const Shape& shape, double value);
/// Normal with mean 0, f32.
TAPER_API Tensor normal(const Shape& shape, double std);
/// Uniform within sqrt(6 / (fan_in + fan_out)), f32: Glorot and Bengio, "Understanding the
/// difficulty of training deep feedforward neural networks" (2010).
TAPER_API Tensor xavier_uniform(const Shape& shape, int64_t fan_in, int64_t fan_out);

}  // namespace init
}  // namespace taper::nn
