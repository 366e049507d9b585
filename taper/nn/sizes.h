#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include <taper/core/bounds.h>
#include <taper/core/shape.h>

namespace taper::nn {

/// The sizes of some axes: `64` means {64}.
class Sizes {
 public:
  using value_type = int64_t;

  Sizes() = default;
  template <Fits<int64_t> Whole>
  Sizes(Whole one) : shape_{static_cast<int64_t>(one)} {}  // NOLINT: implicit, as all here
  Sizes(std::initializer_list<int64_t> sizes) : shape_(sizes) {}
  Sizes(const Shape& shape) : shape_(shape) {}  // NOLINT

  const Shape& shape() const { return shape_; }
  const int64_t* begin() const { return shape_.begin(); }
  const int64_t* end() const { return shape_.end(); }
  bool operator==(const Sizes&) const = default;

 private:
  Shape shape_;
};

}  // namespace taper::nn

namespace taper {

/// A list; takes a single size, too.
template <>
struct FieldCodec<nn::Sizes> {
  static constexpr FieldType type = FieldType::shape;
  static std::string kind() { return "int or list of int"; }
  static Value to_value(const nn::Sizes& sizes) { return Value(sizes.shape().to_vector()); }
  static nn::Sizes from_value(const Value& value) {
    try {
      if (!value.is_list()) return FieldCodec<int64_t>::from_value(value);
      return Shape(FieldCodec<std::vector<int64_t>>::from_value(value));
    } catch (const FieldMismatch&) {
      throw FieldMismatch(kind(), value);
    }
  }
};

}  // namespace taper
