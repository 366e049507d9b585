#include <cstring>

#include <taper/ops/ops.h>

// Tensors of numbers that a program gives: data, not ops.

namespace taper {
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
    std::memcpy(out, convert(number, result.dtype(), "tensor").data(), item);
    out += item;
  }
  return result;
}

}  // namespace

Tensor from_numbers(const Shape& shape, std::span<const Number> values, DType dtype) {
  return tensor_of(shape, values, dtype);
}

Tensor tensor(const NumberList& values, std::optional<DType> dtype) {
  return tensor_of(values.shape(), values.numbers(), dtype);
}
Tensor from_values(const Shape& shape, std::initializer_list<Number> values,
                   std::optional<DType> dtype) {
  return tensor_of(shape, values, dtype);
}

}  // namespace taper
