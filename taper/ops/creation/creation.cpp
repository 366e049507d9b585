#include <cmath>

#include <taper/ops/op.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

template <class T>
T scalar_as(const Number& value) {
  return is_float(value.dtype) ? static_cast<T>(value.real) : static_cast<T>(value.integer);
}

}  // namespace

// Constants are data, not ops: a captured function holds them as they are.
Tensor full(const Shape& shape, Number value, DType dtype) {
  Tensor result = empty(shape, dtype);
  const int64_t count = result.numel();
  visit_dtype(dtype, [&]<class T>() {
    T* out = result.mutable_data<T>();
    const T item = scalar_as<T>(value);
    for (int64_t i = 0; i < count; ++i) out[i] = item;
  });
  return result;
}

Tensor zeros(const Shape& shape, DType dtype) { return full(shape, 0, dtype); }
Tensor ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }
Tensor full_like(const Tensor& x, Number value) { return full(x.shape(), value, x.dtype()); }
Tensor zeros_like(const Tensor& x) { return full_like(x, 0); }
Tensor ones_like(const Tensor& x) { return full_like(x, 1); }

Tensor arange(double start, double stop, double step, DType dtype) {
  const double count = std::ceil((stop - start) / step);
  if (step == 0 || !(std::abs(count) < 1e15)) {
    fail(ErrorKind::value, "arange: from " + std::to_string(start) + " to " + std::to_string(stop) +
                               " in steps of " + std::to_string(step) + " is no finite range");
  }
  Tensor result = empty({static_cast<int64_t>(std::max(count, 0.0))}, dtype);
  visit_dtype(dtype, [&]<class T>() {
    T* out = result.mutable_data<T>();
    for (int64_t i = 0; i < result.numel(); ++i) {
      out[i] = static_cast<T>(start + static_cast<double>(i) * step);
    }
  });
  return result;
}

Tensor arange(int64_t stop) { return arange(0, static_cast<double>(stop)); }

}  // namespace taper
