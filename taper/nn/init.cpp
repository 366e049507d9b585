#include <taper/nn/init.h>

#include <cmath>
#include <utility>

#include <taper/ops/ops.h>

namespace taper::nn {
namespace {

constinit thread_local bool uninitialised = false;

}  // namespace

UninitialisedScope::UninitialisedScope() : outer_(std::exchange(uninitialised, true)) {}
UninitialisedScope::~UninitialisedScope() { uninitialised = outer_; }
bool UninitialisedScope::active() { return uninitialised; }

namespace init {

Tensor fan_in_uniform(const Shape& shape, int64_t fan_in) {
  if (uninitialised) return empty(shape);
  const double bound = fan_in > 0 ? 1 / std::sqrt(static_cast<double>(fan_in)) : 0;
  return uniform(shape, -bound, bound);
}

Tensor constant(const Shape& shape, double value) {
  return uninitialised ? empty(shape) : full(shape, value);
}

Tensor normal(const Shape& shape, double std) {
  return uninitialised ? empty(shape) : taper::normal(shape, 0, std);
}

Tensor xavier_uniform(const Shape& shape, int64_t fan_in, int64_t fan_out) {
  if (uninitialised) return empty(shape);
  const double bound = std::sqrt(6 / static_cast<double>(fan_in + fan_out));
  return uniform(shape, -bound, bound);
}

}  // namespace init
}  // namespace taper::nn
