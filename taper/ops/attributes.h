#pragma once

#include <taper/core/fields.h>
#include <taper/core/shape.h>
#include <taper/core/value.h>

namespace taper {

/// A Shape as an attribute: a list of int.
template <>
struct FieldCodec<Shape> {
  static std::string kind() { return "list of int"; }
  static Value to_value(const Shape& shape) { return Value(shape.to_vector()); }
  static Shape from_value(const Value& value) {
    return Shape(FieldCodec<std::vector<int64_t>>::from_value(value));
  }
};

/// A dtype as an attribute: its name.
template <>
struct FieldCodec<DType> {
  static std::string kind() { return "dtype"; }
  static Value to_value(DType dtype) { return Value(std::string(dtype_name(dtype))); }
  static DType from_value(const Value& value) {
    return parse_dtype(FieldCodec<std::string>::from_value(value));
  }
};

}  // namespace taper
