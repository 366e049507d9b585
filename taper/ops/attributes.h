#pragma once

#include <charconv>
#include <string>
#include <system_error>

#include <taper/core/fields.h>
#include <taper/core/number.h>
#include <taper/core/shape.h>
#include <taper/core/value.h>

// Types of attributes that fields do not know by themselves.

namespace taper {

/// One axis, counted from the end if negative: bindings know it as `axis` and as PyTorch's `dim`.
struct Axis {
  int64_t value = 0;
  Axis() = default;
  Axis(int64_t axis) : value(axis) {}         // NOLINT: implicit, as an int64_t would be
  operator int64_t() const { return value; }  // NOLINT
};

template <>
struct FieldCodec<Axis> {
  static constexpr FieldType type = FieldType::axis;
  static std::string kind() { return "int"; }
  static Value to_value(Axis axis) { return axis.value; }
  static Axis from_value(const Value& value) { return FieldCodec<int64_t>::from_value(value); }
};

/// A Shape as an attribute: a list of int.
template <>
struct FieldCodec<Shape> {
  static constexpr FieldType type = FieldType::shape;
  static std::string kind() { return "list of int"; }
  static Value to_value(const Shape& shape) { return Value(shape.to_vector()); }
  static Shape from_value(const Value& value) {
    return Shape(FieldCodec<std::vector<int64_t>>::from_value(value));
  }
};

/// A dtype as an attribute: its name.
template <>
struct FieldCodec<DType> {
  static constexpr FieldType type = FieldType::dtype;
  static std::string kind() { return "dtype"; }
  static Value to_value(DType dtype) { return Value(std::string(dtype_name(dtype))); }
  static DType from_value(const Value& value) {
    return parse_dtype(FieldCodec<std::string>::from_value(value));
  }
};

/// A device as an attribute: `cpu`, `cuda:0`.
template <>
struct FieldCodec<Device> {
  static constexpr FieldType type = FieldType::device;
  static std::string kind() { return "device"; }
  static Value to_value(Device device) { return Value(to_string(device)); }
  static Device from_value(const Value& value) {
    return parse_device(FieldCodec<std::string>::from_value(value));
  }
};

/// A number of any kind, kept as it was written.
template <>
struct FieldCodec<Number> {
  static constexpr FieldType type = FieldType::number;
  static std::string kind() { return "number"; }
  static Value to_value(const Number& number) {
    if (is_bool(number.dtype)) return Value(number.integer != 0);
    if (is_float(number.dtype)) return Value(number.real);
    if (is_complex(number.dtype)) return Value(Value::Reals{number.real, number.imag});
    if (number.above_integers) return Value(to_string(number));
    return Value(number.integer);
  }
  static Number from_value(const Value& value) {
    if (const bool* flag = value.get_if<bool>()) return *flag;
    if (const int64_t* integer = value.get_if<int64_t>()) return *integer;
    if (const auto* parts = value.get_if<Value::Reals>(); parts != nullptr && parts->size() == 2) {
      return Complex<double>((*parts)[0], (*parts)[1]);
    }
    if (const std::string* digits = value.get_if<std::string>()) {  // an integer above i64
      uint64_t integer = 0;
      const char* end = digits->data() + digits->size();
      const auto [stop, error] = std::from_chars(digits->data(), end, integer);
      if (error == std::errc() && stop == end) return integer;
    }
    try {
      return FieldCodec<double>::from_value(value);
    } catch (const FieldMismatch&) {
      throw FieldMismatch(kind(), value);
    }
  }
};

}  // namespace taper
