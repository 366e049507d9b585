#include <algorithm>
#include <cmath>
#include <cstring>

#include <taper/ops/composed.h>
#include <taper/ops/op.h>
#include <taper/ops/ops.h>

namespace taper {
namespace {

[[noreturn]] void fail_range(const Number& start, const Number& stop, const Number& step) {
  fail(ErrorKind::value, "arange: from " + to_string(start) + " to " + to_string(stop) +
                             " in steps of " + to_string(step) + " is no finite range");
}

/// The arithmetic of a range in numbers that hold all its elements: __int128 or double.
template <class N>
Tensor make_range(N start, N step, int64_t count, DType dtype) {
  const auto at = [&](int64_t i) { return start + static_cast<N>(i) * step; };
  const auto element = [&](int64_t i) {
    if constexpr (std::is_same_v<N, double>) {
      return Number(at(i));
    } else {
      return Number(static_cast<int64_t>(at(i)));
    }
  };
  if (count > 0) {  // the ends are the extremes
    convert(element(0), dtype, "arange");
    convert(element(count - 1), dtype, "arange");
  }
  Tensor result = empty({count}, dtype);
  visit_dtype(dtype, [&]<class T>() {
    T* out = result.mutable_data<T>();
    for (int64_t i = 0; i < count; ++i)
      out[i] = convert(element(i), dtype, "arange").template as<T>();
  });
  return result;
}

Tensor integer_range(const Number& start, const Number& stop, const Number& step, DType dtype) {
  const __int128 distance = static_cast<__int128>(stop.integer) - start.integer;
  if (step.integer == 0) fail_range(start, stop, step);
  const __int128 away = step.integer > 0 ? step.integer - __int128{1} : step.integer + __int128{1};
  const __int128 count = (distance + away) / step.integer;
  if (count > static_cast<__int128>(1e15)) fail_range(start, stop, step);
  return make_range<__int128>(start.integer, step.integer,
                              count > 0 ? static_cast<int64_t>(count) : 0, dtype);
}

Tensor real_range(const Number& start, const Number& stop, const Number& step, DType dtype) {
  const double count = std::ceil((stop.real - start.real) / step.real);
  if (step.real == 0 || !(std::abs(count) < 1e15)) fail_range(start, stop, step);
  return make_range<double>(start.real, step.real, count > 0 ? static_cast<int64_t>(count) : 0,
                            dtype);
}

bool is_whole(const Number& number) { return !is_float(number.dtype); }

void check_bound(const Number& number) {
  if (!number.above_integers) return;
  fail(ErrorKind::value, "arange: " + misfit(number, DType::i64));
}

}  // namespace

namespace {

// Constants are data, not ops: a captured function holds them as they are.
Tensor fill(const Shape& shape, const Number& value, DType dtype) {
  if (!fits(value, dtype)) violate(ErrorKind::value, misfit(value, dtype));
  const Element element = convert(value, dtype, "full");
  Tensor result = empty(shape, dtype);
  const int64_t count = result.numel();
  visit_dtype(dtype, [&]<class T>() {
    T* out = result.mutable_data<T>();
    const T item = element.as<T>();
    for (int64_t i = 0; i < count; ++i) out[i] = item;
  });
  return result;
}

Tensor filled(std::string_view function, const Shape& shape, const Number& value, DType dtype) {
  return composed(
      function, [] { return NamedOperands(); }, [&] { return fill(shape, value, dtype); });
}

Tensor filled_like(std::string_view function, const Tensor& x, const Number& value) {
  return composed_of_x(function, x, [&] { return fill(x.shape(), value, x.dtype()); });
}

}  // namespace

Tensor full(const Shape& shape, const Number& value, DType dtype) {
  return filled("full", shape, value, dtype);
}
Tensor zeros(const Shape& shape, DType dtype) { return filled("zeros", shape, 0, dtype); }
Tensor ones(const Shape& shape, DType dtype) { return filled("ones", shape, 1, dtype); }
Tensor full_like(const Tensor& x, const Number& value) {
  return filled_like("full_like", x, value);
}
Tensor zeros_like(const Tensor& x) { return filled_like("zeros_like", x, 0); }
Tensor ones_like(const Tensor& x) { return filled_like("ones_like", x, 1); }

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

Tensor arange(const Number& start, const Number& stop, const Number& step,
              std::optional<DType> dtype) {
  for (const Number* number : {&start, &stop, &step}) check_bound(*number);
  if (is_whole(start) && is_whole(stop) && is_whole(step)) {
    return integer_range(start, stop, step, dtype.value_or(DType::i64));
  }
  return real_range(start, stop, step, dtype.value_or(DType::f32));
}

Tensor arange(const Number& stop, std::optional<DType> dtype) { return arange(0, stop, 1, dtype); }

}  // namespace taper
