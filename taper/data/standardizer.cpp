#include <taper/data/standardizer.h>

#include <taper/autograd/autograd.h>
#include <taper/core/error.h>
#include <taper/graph/capture.h>
#include <taper/ops/ops.h>

namespace taper::data {

Standardizer::Standardizer(const Tensor& examples) {
  if (examples.rank() == 0 || examples.size(0) == 0) {
    fail(ErrorKind::shape,
         "Standardizer: needs at least one example (" + to_string(examples.spec()) + ")");
  }
  if (!is_float(examples.dtype())) {
    fail(ErrorKind::dtype,
         "Standardizer: the examples must be floating (" + to_string(examples.spec()) + ")");
  }
  const no_grad off;
  // The mean of equal numbers may be rounded: then they would not become 0.
  const Tensor least = min(examples, 0);
  const Tensor is_constant = least == max(examples, 0);
  const Tensor spread = taper::std(examples, 0);
  mean_ = where(is_constant, least, taper::mean(examples, 0));
  deviation_ = where(is_constant, 1.0, where(spread > 0, spread, 1.0));
}

Tensor Standardizer::operator()(const Tensor& x) const {
  return (x - constant(mean_)) / constant(deviation_);
}

Tensor Standardizer::inverse(const Tensor& x) const {
  return x * constant(deviation_) + constant(mean_);
}

void check_scale(const Standardizer& standardizer, const std::string& what) {
  for (const Tensor& each : {standardizer.mean(), standardizer.deviation()}) {
    if (!static_cast<bool>(all(each - each == 0))) {
      fail(ErrorKind::value, what + " are too large to be standardised");
    }
  }
}

}  // namespace taper::data
