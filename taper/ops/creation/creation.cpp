#include <algorithm>
#include <cmath>
#include <cstring>

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

NumberList::NumberList(std::initializer_list<NumberList> items) {
  shape_.push_back(static_cast<int64_t>(items.size()));
  for (const NumberList& item : items) {
    const Shape& first = items.begin()->shape_;
    if (item.shape_ != first) {
      fail(ErrorKind::shape, "tensor: nested lists must have equal lengths, got items of shapes " +
                                 to_string(first) + " and " + to_string(item.shape_));
    }
    numbers_.insert(numbers_.end(), item.numbers_.begin(), item.numbers_.end());
  }
  if (items.size() == 0) return;
  for (int64_t size : items.begin()->shape_) shape_.push_back(size);
}

namespace {

/// i64 of integers, f32 if a float is among them or none at all is there, bool of bools only.
DType dtype_of_numbers(std::span<const Number> numbers) {
  if (numbers.empty()) return DType::f32;
  DType dtype = DType::boolean;
  for (const Number& number : numbers) dtype = promote(dtype, number.dtype);
  return dtype;
}

Tensor tensor_of(const Shape& shape, std::span<const Number> numbers, std::optional<DType> dtype) {
  check_count(shape, numbers.size());
  Tensor result = empty(shape, dtype.value_or(dtype_of_numbers(numbers)));
  const size_t item = item_size(result.dtype());
  std::byte* out = result.raw();
  for (const Number& number : numbers) {
    std::memcpy(out, full({}, number, result.dtype()).raw(), item);  // one rule of conversion
    out += item;
  }
  return result;
}

}  // namespace

Tensor tensor(const NumberList& values, std::optional<DType> dtype) {
  return tensor_of(values.shape(), values.numbers(), dtype);
}
Tensor from_values(const Shape& shape, std::initializer_list<Number> values,
                   std::optional<DType> dtype) {
  return tensor_of(shape, values, dtype);
}

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
